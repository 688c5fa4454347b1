use super::*;
use crate::query::tests::Model;
use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use treble_analyse::query::Limits;

const ENDLESS: &str = "SELECT value FROM generate_series(1, 9000000000)";

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(work);
}

fn open(model: &Model) -> (SocketAddr, JoinHandle<io::Result<()>>) {
    let (listener, address, stop) = model.port();
    (address, tokio::spawn(serve(listener, model.house.clone(), stop)))
}

/// A message from the server: its type and its body.
type Said = (char, Vec<u8>);

/// A client that says just what it is told to.
struct Client {
    stream: TcpStream,
    key: (i32, i32),
}

impl Client {
    /// Logged in, where everyone is let in.
    async fn open(address: SocketAddr) -> Self {
        let (mut client, said) = Self::greeted(address, &[("user", "ada")]).await;
        let mut said = vec![said];
        while said.last().unwrap().0 != 'Z' {
            said.push(client.hear().await.unwrap());
        }
        let (_, key) = said.iter().find(|(kind, _)| *kind == 'K').unwrap();
        let number = |at: usize| i32::from_be_bytes(key[at..at + 4].try_into().unwrap());
        client.key = (number(0), number(4));
        client
    }

    /// After its first message and the first answer.
    async fn greeted(address: SocketAddr, parameters: &[(&str, &str)]) -> (Self, Said) {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut client = Self { stream, key: (0, 0) };
        let mut body = BytesMut::new();
        body.put_i32(3 << 16);
        for (name, value) in parameters {
            body.put_slice(format!("{name}\0{value}\0").as_bytes());
        }
        body.put_u8(0);
        client.put(None, &body).await;
        let said = client.hear().await.unwrap();
        (client, said)
    }

    async fn put(&mut self, kind: Option<u8>, body: &[u8]) {
        let mut message = BytesMut::new();
        message.extend(kind);
        message.put_i32(i32::try_from(body.len() + 4).unwrap());
        message.put_slice(body);
        self.stream.write_all(&message).await.unwrap();
    }

    async fn hear(&mut self) -> Option<Said> {
        let kind = self.stream.read_u8().await.ok()?;
        let length = self.stream.read_u32().await.ok()?;
        let mut body = vec![0; length as usize - 4];
        self.stream.read_exact(&mut body).await.ok()?;
        Some((char::from(kind), body))
    }

    /// Everything until it is the client's turn again, or the end.
    async fn heard(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        while let Some(message) = self.hear().await {
            let ready = message.0 == 'Z';
            said.push(message);
            if ready {
                break;
            }
        }
        said
    }

    async fn query(&mut self, sql: &str) -> Vec<Said> {
        self.put(Some(b'Q'), format!("{sql}\0").as_bytes()).await;
        self.heard().await
    }

    /// What `sql` is answered with: the cells of all rows, or the SQLSTATE.
    async fn cells(&mut self, sql: &str) -> Result<Vec<String>, String> {
        cells(&self.query(sql).await)
    }

    async fn say(&mut self, messages: &[(u8, &[u8])]) -> Vec<Said> {
        for (kind, body) in messages {
            self.put(Some(*kind), body).await;
        }
        self.heard().await
    }
}

fn kinds(said: &[Said]) -> String {
    said.iter().map(|(kind, _)| *kind).collect()
}

/// A field of an error: `C` is the SQLSTATE, `M` the message, `S` the severity.
fn field(body: &[u8], name: u8) -> Option<String> {
    let mut fields = body.split(|byte| *byte == 0);
    fields.find_map(|field| {
        (field.first() == Some(&name)).then(|| String::from_utf8_lossy(&field[1..]).into_owned())
    })
}

fn cells(said: &[Said]) -> Result<Vec<String>, String> {
    let mut cells = Vec::new();
    for (kind, body) in said {
        match kind {
            'E' => return Err(field(body, b'C').unwrap()),
            'D' => {
                let mut rest = &body[2..];
                while let Some((length, tail)) = rest.split_first_chunk::<4>() {
                    let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
                    cells.push(String::from_utf8_lossy(&tail[..length]).into_owned());
                    rest = &tail[length..];
                }
            }
            _ => {}
        }
    }
    Ok(cells)
}

#[test]
fn statements_are_answered_one_after_the_other() {
    run(async {
        let model = Model::open(Limits::default());
        let (address, door) = open(&model);
        let mut client = Client::open(address).await;
        let said = client.query("SELECT 1 AS one; BEGIN; SELECT 'two'; COMMIT;").await;
        assert_eq!(kinds(&said), "TDCCTDCCZ");
        assert_eq!(cells(&said).unwrap(), ["1", "two"]);
        assert_eq!(kinds(&client.query(" ; ").await), "IZ");
        let streams = client.cells("SELECT stream_id FROM stream_reports ORDER BY 1 LIMIT 2").await;
        assert_eq!(streams.unwrap(), ["stream-0", "stream-1"]);
        assert_eq!(client.cells("SHOW transaction_isolation").await.unwrap(), ["read committed"]);
        model.close();
        let said = client.heard().await;
        assert_eq!(field(&said[0].1, b'C').as_deref(), Some("57P01"), "who waits is told that it ends");
        door.await.unwrap().unwrap();
    });
}

#[test]
fn what_changes_anything_has_a_state_of_its_own() {
    run(async {
        let limits = Limits { rows: 1_000, ..Limits::default() };
        let model = Model::open(limits);
        let (address, _door) = open(&model);
        let mut client = Client::open(address).await;
        for (sql, state) in [
            ("DROP TABLE streams", "25006"),
            ("COPY streams TO '/etc/passwd'", "25006"),
            ("COPY (SELECT 1) TO PROGRAM 'id'", "42601"),
            ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "25006"),
            ("INSERT INTO stream_reports SELECT * FROM stream_reports", "25006"),
            ("SET datafusion.execution.batch_size = 1", "25006"),
            ("SELECT * FROM logs", "42501"),
            ("SELECT 1; DROP TABLE streams", "25006"),
            ("SELEC 1", "42601"),
            ("SELECT * FROM '/etc/passwd'", "42601"),
            ("SET client_encoding = 'LATIN1'", "22023"),
            ("SELECT value FROM generate_series(1, 5000)", "54000"),
        ] {
            assert_eq!(client.cells(sql).await, Err(state.to_owned()), "{sql}");
        }
        let long = format!("SELECT '{}'", "x".repeat(300 << 10));
        assert_eq!(client.cells(&long).await, Err("54000".to_owned()));
        assert_eq!(client.cells("SELECT 1").await.unwrap(), ["1"], "the session goes on");
        let huge = format!("SELECT '{}'\0", "x".repeat(10 << 20));
        let length = u32::try_from(huge.len() + 4).unwrap().to_be_bytes();
        client.stream.write_all(&[b"Q".as_slice(), &length, &huge.as_bytes()[..64]].concat()).await.unwrap();
        let said = client.heard().await;
        assert_eq!(field(&said[0].1, b'C').as_deref(), Some("54000"), "before it has come");
        assert_eq!(kinds(&said), "E", "and the session ends");
    });
}

#[test]
fn a_transaction_that_failed_waits_for_its_end() {
    run(async {
        let model = Model::open(Limits::default());
        let (address, _door) = open(&model);
        let mut client = Client::open(address).await;
        let status = |said: &[Said]| char::from(said.last().unwrap().1[0]);
        assert_eq!(status(&client.query("BEGIN").await), 'T');
        assert_eq!(status(&client.query("SELECT nothing").await), 'E');
        assert_eq!(client.cells("SELECT 1").await, Err("25P02".to_owned()));
        let said = client.query("COMMIT").await;
        assert_eq!((status(&said), said[0].1.as_slice()), ('I', b"ROLLBACK\0".as_slice()));
        assert_eq!(client.cells("SELECT 1").await.unwrap(), ["1"]);
    });
}

#[test]
fn a_prepared_statement_is_bound_and_fetched_in_parts() {
    run(async {
        let model = Model::open(Limits::default());
        let (address, _door) = open(&model);
        let mut client = Client::open(address).await;
        let parse = b"s\0SELECT stream_id FROM stream_reports WHERE kafka_offset >= $1 ORDER BY 1\0\0\0";
        let said = client.say(&[(b'P', parse), (b'D', b"Ss\0"), (b'S', b"")]).await;
        assert_eq!(kinds(&said), "1tTZ");
        assert_eq!(said[1].1, [0, 1, 0, 0, 0, 20], "one parameter, an int8");
        let mut bind = BytesMut::from(&b"\0s\0\0\0\0\x01\0\0\0\x011"[..]);
        bind.put_u16(0);
        let two = b"\0\0\0\0\x02";
        client.query("BEGIN").await;
        let said = client.say(&[(b'B', &bind), (b'E', two), (b'E', two), (b'S', b"")]).await;
        assert_eq!(kinds(&said), "2DDsDCZ");
        assert_eq!(cells(&said).unwrap(), ["stream-1", "stream-2", "stream-3"]);
        client.query("COMMIT").await;

        let most = b"\0\x7f\xff\xff\xff";
        let said = client.say(&[(b'B', &bind), (b'E', most), (b'S', b"")]).await;
        assert_eq!(kinds(&said), "2DDDCZ", "as many as there are, and no room for more");
        let said = client.say(&[(b'E', b"absent\0\0\0\0\0"), (b'E', two), (b'S', b"")]).await;
        assert_eq!(kinds(&said), "EZ", "after an error all is passed over until a sync");
        let said = client.say(&[(b'P', b"\0DROP TABLE streams\0\0\0"), (b'S', b"")]).await;
        assert_eq!(cells(&said), Err("25006".to_owned()));
    });
}

#[test]
fn a_second_connection_cancels_what_the_first_does() {
    run(async {
        let model = Model::open(Limits { rows: u64::MAX, queries: 1, ..Limits::default() });
        let (address, _door) = open(&model);
        let mut client = Client::open(address).await;
        client.put(Some(b'Q'), format!("{ENDLESS}\0").as_bytes()).await;
        assert_eq!(client.hear().await.unwrap().0, 'T', "it runs");
        let cancel = async |key: (i32, i32)| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let words = [16, 80_877_102, key.0, key.1].map(i32::to_be_bytes).concat();
            stream.write_all(&words).await.unwrap();
            assert_eq!(stream.read_u8().await.ok(), None, "it is not answered");
        };
        cancel((client.key.0, client.key.1.wrapping_add(1))).await;
        for _ in 0..1_000 {
            assert_eq!(client.hear().await.unwrap().0, 'D', "it still runs");
        }
        cancel(client.key).await;
        let mut said = client.hear().await.unwrap();
        while said.0 == 'D' {
            said = client.hear().await.unwrap();
        }
        assert_eq!(field(&said.1, b'C').as_deref(), Some("57014"));
        assert_eq!(client.hear().await.unwrap().0, 'Z');
        assert_eq!(client.cells("SELECT 1").await.unwrap(), ["1"], "its place is free");
        client.query("SET statement_timeout = 50").await;
        let slow =
            "SELECT count(*) FROM generate_series(1, 100000000) a CROSS JOIN generate_series(1, 100000000) b";
        assert_eq!(client.cells(slow).await, Err("57014".to_owned()), "a session's own timeout");
    });
}

#[test]
fn more_sessions_than_may_are_told_so() {
    run(async {
        let model = Model::open(Limits::default());
        let (address, _door) = open(&model);
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(Client::open(address).await);
        }
        let (mut fifth, said) = Client::greeted(address, &[("user", "ada")]).await;
        assert_eq!((said.0, field(&said.1, b'C').as_deref()), ('E', Some("53300")));
        assert_eq!(fifth.hear().await, None, "and sent away");
        assert_eq!(clients[0].cells("SELECT 1").await.unwrap(), ["1"]);
        drop(clients);
        let entered = tokio::time::timeout(Duration::from_secs(20), async {
            while Client::greeted(address, &[("user", "ada")]).await.1.0 == 'E' {
                tokio::task::yield_now().await;
            }
        });
        entered.await.expect("places are free again");
    });
}

#[test]
fn without_a_token_nothing_is_answered() {
    run(async {
        let model = Model::guarded(Limits::default());
        let (address, _door) = open(&model);
        let (mut client, said) = Client::greeted(address, &[("user", "ada")]).await;
        assert_eq!(said.0, 'R');
        assert_eq!(said.1, b"\0\0\0\x0aSCRAM-SHA-256\0\0");
        // A question in place of a proof, and another after the refusal.
        client.put(Some(b'Q'), b"SELECT 1\0").await;
        client.put(Some(b'Q'), b"SELECT 1\0").await;
        let said = client.heard().await;
        assert_eq!(kinds(&said), "E");
        assert_eq!(field(&said[0].1, b'S').as_deref(), Some("FATAL"));

        let (mut client, _) = Client::greeted(address, &[("user", "ada")]).await;
        let first = b"SCRAM-SHA-256\0\0\0\0\x0en,,n=ada,r=abc";
        client.put(Some(b'p'), first).await;
        let (kind, challenge) = client.hear().await.unwrap();
        assert_eq!((kind, &challenge[..4]), ('R', [0, 0, 0, 11].as_slice()));
        let challenge = String::from_utf8(challenge[4..].to_vec()).unwrap();
        let nonce = challenge.split(',').next().unwrap();
        client.put(Some(b'p'), format!("c=biws,{nonce},p=AAAA").as_bytes()).await;
        let said = client.heard().await;
        assert_eq!((kinds(&said).as_str(), field(&said[0].1, b'C').as_deref()), ("E", Some("28P01")));

        let (_, said) = Client::greeted(address, &[("database", "treble")]).await;
        assert_eq!(field(&said.1, b'C').as_deref(), Some("28000"), "a name is needed");
    });
}

#[test]
fn the_catalogue_says_what_tables_and_columns_mean() {
    run(async {
        let model = Model::open(Limits::default());
        let (address, _door) = open(&model);
        let mut client = Client::open(address).await;
        let sql = "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE c.relname = 'streams' AND n.nspname = 'public'";
        let oid = client.cells(sql).await.unwrap().remove(0);
        assert_eq!(client.cells(sql).await.unwrap(), [oid.as_str()], "a table keeps its number");
        let sql = format!(
            "SELECT a.attname, pg_catalog.col_description(a.attrelid, a.attnum) \
            FROM pg_catalog.pg_attribute a WHERE a.attrelid = {oid} AND a.attname = 'stream_id'"
        );
        let cells = client.cells(&sql).await.unwrap();
        assert_eq!(cells[0], "stream_id");
        assert!(cells[1].ends_with('.'), "{cells:?}");
        let sql = format!("SELECT pg_catalog.obj_description({oid}, 'pg_class')");
        assert_eq!(client.cells(&sql).await.unwrap(), ["Every stream that came to its end, one row each."]);
        let sql = format!("SELECT description FROM pg_description WHERE objoid = {oid} AND objsubid = 0");
        assert_eq!(client.cells(&sql).await.unwrap(), ["Every stream that came to its end, one row each."]);
        assert_eq!(client.cells("SELECT range(1, 10000000000)").await, Err("42601".to_owned()));
    });
}
