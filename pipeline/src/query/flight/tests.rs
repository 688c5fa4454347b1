use super::*;
use crate::query::tests::Model;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, CommandGetDbSchemas, CommandGetPrimaryKeys,
    CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};
use arrow_flight::{CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus};
use std::net::SocketAddr;
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use treble_analyse::arrow::array::{ArrayRef, AsArray, Int64Array};
use treble_analyse::arrow::datatypes::UInt32Type;
use treble_analyse::arrow::record_batch::RecordBatch;
use treble_analyse::arrow::util::pretty::pretty_format_batches;
use treble_analyse::query::Limits;

type Client = FlightSqlServiceClient<Channel>;

const ENDLESS: &str = "SELECT value FROM generate_series(1, 9000000000)";

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(work);
}

fn open(model: &Model) -> (SocketAddr, JoinHandle<io::Result<()>>) {
    let (listener, address, stop) = model.port();
    (address, tokio::spawn(serve(listener, model.house.clone(), stop)))
}

async fn client(address: SocketAddr) -> Client {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    FlightSqlServiceClient::new(channel)
}

async fn login(address: SocketAddr, name: &str, token: &str) -> Client {
    let mut client = client(address).await;
    client.handshake(name, token).await.unwrap();
    client
}

/// All rows of a flight, which have the columns that it promised.
async fn fetch(client: &mut Client, info: FlightInfo) -> Result<Vec<RecordBatch>, FlightError> {
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut stream = client.do_get(ticket).await?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch?);
    }
    let promised = info.try_decode_schema().unwrap();
    assert_eq!(stream.schema().unwrap().as_ref(), &promised);
    Ok(batches)
}

async fn answer(client: &mut Client, sql: &str) -> Result<String, FlightError> {
    let info = client.execute(sql.to_owned(), None).await?;
    let batches = fetch(client, info).await?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

/// The status of a call that fails.
fn code<T: std::fmt::Debug>(outcome: Result<T, FlightError>) -> (Code, String) {
    match outcome.unwrap_err() {
        FlightError::Tonic(status) => (status.code(), status.message().to_owned()),
        other => panic!("{other}"),
    }
}

#[test]
fn who_shows_a_token_gets_an_answer() {
    run(async {
        let model = Model::guarded(Limits::default());
        let (address, door) = open(&model);
        let mut ada = login(address, "ada", "1815").await;
        let shown =
            answer(&mut ada, "SELECT stream_id FROM stream_reports ORDER BY 1 LIMIT 2").await.unwrap();
        assert!(shown.contains("stream-0") && shown.contains("stream-1"), "{shown}");

        let mut stranger = client(address).await;
        assert_eq!(code(stranger.execute("SELECT 1".to_owned(), None).await).0, Code::Unauthenticated);
        stranger.set_token("1816".to_owned());
        assert_eq!(code(stranger.execute("SELECT 1".to_owned(), None).await).0, Code::Unauthenticated);
        let refused = client(address).await.handshake("grace", "1815").await.unwrap_err().to_string();
        assert!(refused.contains("nobody has this token"), "it is Ada's: {refused}");

        drop((ada, stranger));
        model.close();
        door.await.unwrap().unwrap();
    });
}

#[test]
fn lines_of_the_log_are_for_those_who_have_the_role() {
    run(async {
        let model = Model::guarded(Limits::default());
        let (address, _door) = open(&model);
        let sql = "SELECT count(*) AS n FROM logs";
        let mut ada = login(address, "ada", "1815").await;
        assert!(answer(&mut ada, sql).await.unwrap().contains("| 0 |"));
        let mut prepared = ada.prepare(sql.to_owned(), None).await.unwrap();
        prepared.execute().await.unwrap();
        let mut grace = login(address, "grace", "1906").await;
        for outcome in [
            grace.execute(sql.to_owned(), None).await.map(drop),
            grace.prepare(sql.to_owned(), None).await.map(drop),
            grace.execute_update(sql.to_owned(), None).await.map(drop),
        ] {
            let (code, message) = code(outcome);
            assert_eq!(code, Code::PermissionDenied, "{message}");
            assert!(message.contains("the role logs"), "{message}");
        }
        // A ticket of Ada's opens nothing for Grace.
        let info = ada.execute(sql.to_owned(), None).await.unwrap();
        assert_eq!(
            code(grace.do_get(info.endpoint[0].ticket.clone().unwrap()).await.map(drop)).0,
            Code::PermissionDenied
        );
    });
}

#[test]
fn where_everyone_may_ask_a_login_is_for_form() {
    run(async {
        let model = Model::open(Limits::default());
        let (address, _door) = open(&model);
        let mut anyone = client(address).await;
        assert!(answer(&mut anyone, "SELECT 40 + 2 AS n").await.unwrap().contains("42"));
        anyone.handshake("nobody", "").await.unwrap();
        assert!(answer(&mut anyone, "SELECT 40 + 2 AS n").await.unwrap().contains("42"));
    });
}

#[test]
fn what_is_promised_is_what_comes() {
    run(async {
        let model = Model::open(Limits::default());
        let (address, _door) = open(&model);
        let mut client = client(address).await;
        let views =
            treble_analyse::views::View::ALL.iter().map(|view| format!("SELECT * FROM {}", view.name));
        let saved = treble_analyse::saved::ALL.iter().map(|saved| saved.sql.to_owned());
        for sql in views.into_iter().chain(saved) {
            let info = client.execute(sql.clone(), None).await.unwrap();
            fetch(&mut client, info).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    });
}

#[test]
fn tools_find_out_what_there_is() {
    run(async {
        let model = Model::open(Limits::default());
        let (address, _door) = open(&model);
        let mut client = client(address).await;
        let text = async |client: &mut Client, info: FlightInfo| {
            pretty_format_batches(&fetch(client, info).await.unwrap()).unwrap().to_string()
        };
        let info = client.get_catalogs().await.unwrap();
        assert!(text(&mut client, info).await.contains("treble"));

        let pattern = Some("s%".to_owned());
        let schemas = CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: pattern.clone() };
        let info = client.get_db_schemas(schemas).await.unwrap();
        let shown = text(&mut client, info).await;
        assert!(shown.contains("system") && !shown.contains("public"), "{shown}");

        let tables = |include_schema| CommandGetTables {
            catalog: Some("treble".to_owned()),
            db_schema_filter_pattern: Some("public".to_owned()),
            table_name_filter_pattern: pattern.clone(),
            table_types: vec!["VIEW".to_owned()],
            include_schema,
        };
        let info = client.get_tables(tables(false)).await.unwrap();
        let shown = text(&mut client, info).await;
        assert!(shown.contains("streams") && shown.contains("stages"), "{shown}");
        assert!(!shown.contains("stream_reports") && !shown.contains("latency"), "{shown}");
        let info = client.get_tables(tables(true)).await.unwrap();
        let batches = fetch(&mut client, info).await.unwrap();
        let schema =
            arrow_flight::IpcMessage(batches[0].column(4).as_binary::<i32>().value(0).to_vec().into());
        let schema = Schema::try_from(schema).unwrap();
        assert!(schema.index_of("stream_id").is_ok(), "{schema}");

        let info = client.get_table_types().await.unwrap();
        assert!(text(&mut client, info).await.contains("SYSTEM TABLE"));
        let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None }).await.unwrap();
        assert!(text(&mut client, info).await.contains("BIGINT"));
        let keys = CommandGetPrimaryKeys { table: "streams".to_owned(), ..CommandGetPrimaryKeys::default() };
        let info = client.get_primary_keys(keys).await.unwrap();
        assert!(fetch(&mut client, info).await.unwrap().iter().all(|batch| batch.num_rows() == 0));
    });
}

#[test]
fn what_the_service_can_do_is_told() {
    run(async {
        let model = Model::open(Limits::default());
        let (address, _door) = open(&model);
        let mut client = client(address).await;
        let wanted = vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerReadOnly];
        let info = client.get_sql_info(wanted).await.unwrap();
        let batches = fetch(&mut client, info).await.unwrap();
        assert_eq!(batches[0].column(0).as_primitive::<UInt32Type>().values(), &[0, 3]);
        let info = client.get_sql_info(Vec::new()).await.unwrap();
        assert!(fetch(&mut client, info).await.unwrap()[0].num_rows() > 40);
    });
}

#[test]
fn a_prepared_statement_takes_parameters() {
    run(async {
        let model = Model::open(Limits::default());
        let (address, _door) = open(&model);
        let mut client = client(address).await;
        let sql = "SELECT stream_id FROM stream_reports WHERE kafka_offset = $1";
        let mut statement = client.prepare(sql.to_owned(), None).await.unwrap();
        assert_eq!(statement.dataset_schema().unwrap().field(0).name(), "stream_id");
        let parameters = statement.parameter_schema().unwrap();
        assert_eq!(parameters.field(0).data_type(), &treble_analyse::arrow::datatypes::DataType::Int64);
        for row in [2, 3] {
            let column: ArrayRef = Arc::new(Int64Array::from(vec![row]));
            let bound = RecordBatch::try_from_iter([("$1", column)]).unwrap();
            statement.set_parameters(bound).unwrap();
            let info = statement.execute().await.unwrap();
            let batches = fetch(&mut client, info).await.unwrap();
            assert_eq!(batches[0].column(0).as_string::<i32>().value(0), format!("stream-{row}"));
        }
        let column: ArrayRef = Arc::new(Int64Array::from(vec![2, 3]));
        statement.set_parameters(RecordBatch::try_from_iter([("$1", column)]).unwrap()).unwrap();
        assert_eq!(code(statement.execute().await).0, Code::InvalidArgument, "one row at a time");
        statement.close().await.unwrap();
    });
}

#[test]
fn what_changes_anything_is_refused_by_name() {
    run(async {
        let model = Model::open(Limits::default());
        let (address, _door) = open(&model);
        let mut client = client(address).await;
        for sql in [
            "DROP TABLE streams",
            "COPY (SELECT 1) TO '/etc/passwd' STORED AS CSV",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            "SET datafusion.execution.batch_size = 1",
        ] {
            for outcome in [
                client.execute(sql.to_owned(), None).await.map(drop),
                client.prepare(sql.to_owned(), None).await.map(drop),
                client.execute_update(sql.to_owned(), None).await.map(drop),
            ] {
                let (code, message) = code(outcome);
                assert_eq!(code, Code::PermissionDenied, "{sql}: {message}");
                assert!(message.contains("only reads"), "{sql}: {message}");
            }
        }
        let (wrong, message) = code(client.execute("SELEC 1".to_owned(), None).await);
        assert_eq!((wrong, message.contains("SELEC")), (Code::InvalidArgument, true), "{message}");
        let two = client.execute("SELECT 1; SELECT 2".to_owned(), None).await;
        assert_eq!(code(two).0, Code::InvalidArgument);
        let query = client.execute_update("SELECT 1".to_owned(), None).await;
        assert_eq!(code(query).0, Code::InvalidArgument);
        let long = format!("SELECT '{}'", "x".repeat(300 << 10));
        assert_eq!(code(client.execute(long, None).await).0, Code::InvalidArgument);
        let huge = format!("SELECT '{}'", "x".repeat(10 << 20));
        assert_eq!(code(client.execute(huge, None).await).0, Code::OutOfRange);
        assert_eq!(code(client.begin_transaction().await).0, Code::Unimplemented);
    });
}

/// A query that sends rows without end, after its first.
async fn endless(client: &mut Client) -> (FlightInfo, FlightRecordBatchStream) {
    let info = client.execute(ENDLESS.to_owned(), None).await.unwrap();
    let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    rows.next().await.unwrap().unwrap();
    (info, rows)
}

/// Reads on until the stream fails.
async fn failure(mut rows: FlightRecordBatchStream) -> Status {
    loop {
        match rows.next().await {
            Some(Ok(_)) => {}
            Some(Err(FlightError::Tonic(status))) => return *status,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn who_asked_can_stop_it() {
    run(async {
        let limits = Limits { rows: u64::MAX, queries: 2, ..Limits::default() };
        let model = Model::guarded(limits);
        let (address, _door) = open(&model);
        let mut ada = login(address, "ada", "1815").await;
        let (info, rows) = endless(&mut ada).await;
        let action = |info: &FlightInfo| {
            Action::new("CancelFlightInfo", CancelFlightInfoRequest::new(info.clone()).encode_to_vec())
        };
        let mut grace = login(address, "grace", "1906").await;
        let refused = grace.do_action(action(&info)).await;
        assert!(refused.is_err(), "it is not hers");
        let mut results = ada.do_action(action(&info)).await.unwrap();
        let result = results.message().await.unwrap().unwrap();
        let result = CancelFlightInfoResult::decode(result.body).unwrap();
        assert_eq!(result.status, CancelStatus::Cancelled as i32);
        assert_eq!(failure(rows).await.code(), Code::Cancelled);

        let (info, rows) = endless(&mut ada).await;
        let request = ActionCancelQueryRequest { info: info.encode_to_vec().into() };
        let body = request.as_any().encode_to_vec();
        let mut results = ada.do_action(Action::new("CancelQuery", body)).await.unwrap();
        let result = results.message().await.unwrap().unwrap();
        let result: ActionCancelQueryResult = Any::decode(result.body).unwrap().unpack().unwrap().unwrap();
        assert_eq!(result.result, CancelStatus::Cancelled as i32);
        assert_eq!(failure(rows).await.code(), Code::Cancelled);
    });
}

#[test]
fn a_client_that_leaves_makes_room() {
    run(async {
        let limits = Limits { rows: u64::MAX, queries: 1, ..Limits::default() };
        let model = Model::open(limits);
        let (address, _door) = open(&model);
        let mut leaving = client(address).await;
        let (_, rows) = endless(&mut leaving).await;
        let mut staying = client(address).await;
        let info = staying.execute("SELECT 1".to_owned(), None).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        assert!(staying.do_get(ticket.clone()).await.is_err(), "one query at a time");
        drop((rows, leaving));
        let freed = tokio::time::timeout(Duration::from_secs(20), async {
            while staying.do_get(ticket.clone()).await.is_err() {
                tokio::task::yield_now().await;
            }
        });
        freed.await.expect("what nobody reads is stopped");
    });
}
