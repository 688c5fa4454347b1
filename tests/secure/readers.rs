//! Who reads for as long as it runs, and whose certificate is another meanwhile: `treble lag`, `treble serve`, and `treble canary`.

use super::User;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use treble_test_support::broker::LocalStack;
use treble_test_support::certificates::{Authority, Identity};
use treble_test_support::configuration::free_port;
use treble_test_support::doors::Doors;
use treble_test_support::exposition::Exposition;
use treble_test_support::http::get;
use treble_test_support::process::Background;

const CERTIFICATE: &str = "TREBLE_KAFKA_SSL_CERTIFICATE_FILE";
const KEY: &str = "TREBLE_KAFKA_SSL_KEY_FILE";

/// The files of one identity, which three processes read.
struct Readers<'a> {
    user: &'a User,
    identity: Identity,
    lag: (Background, u16),
    canary: (Background, u16),
    doors: Doors,
}

impl<'a> Readers<'a> {
    /// All three, as whom `first` shows.
    fn start(user: &'a User, first: &Identity) -> Result<Self> {
        let identity = Identity { certificate: user.path("reader.pem"), key: user.path("reader.key") };
        place(first, &identity)?;
        let environment = [
            ("TREBLE_CONFIG", user.configuration.as_path()),
            ("TREBLE_PREFIX", Path::new(user.prefix)),
            (CERTIFICATE, &identity.certificate),
            (KEY, &identity.key),
            ("TREBLE_SQL_ANONYMOUS", Path::new("true")),
            ("TREBLE_LOG_FILE", &user.path("serve.log")),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.display().to_string()));
        Ok(Self {
            lag: watched(user, &identity, "lag", &["--interval", "1"])?,
            canary: watched(user, &identity, "canary", &["--interval", "1", "--within", "30"])?,
            doors: Doors::open(&environment, user.folder.path(), &[])?,
            user,
            identity,
        })
    }

    /// The certificate and the key are those of somebody else from now on.
    fn become_another(&self, other: &Identity) -> Result<()> {
        place(other, &self.identity)
    }

    /// Whether `treble lag` sees the group of the stages.
    fn lag_sees(&self) -> bool {
        scraped(self.lag.1).is_some_and(|page| page.sum("kafka_consumergroup_current_offset", &[]) > 0.0)
    }

    fn canaries(&self, fate: &str) -> f64 {
        scraped(self.canary.1).map_or(0.0, |page| page.sum(&format!("treble_canary_{fate}_total"), &[]))
    }

    /// Whether the doors know of `stream`.
    fn doors_know(&self, stream: &str) -> bool {
        let question = format!("SELECT stream_id FROM streams WHERE stream_id = '{stream}'");
        self.doors.rows(&question).is_ok_and(|rows| rows.len() == 1)
    }

    fn await_all(&self, stream: &str) -> Result<()> {
        let before = self.canaries("ok");
        self.user.wait("treble lag sees the group", || self.lag_sees())?;
        self.user.wait("the doors know the stream", || self.doors_know(stream))?;
        self.user.wait("a canary comes back", || self.canaries("ok") > before)
    }
}

/// A process that is asked for its metrics, and where.
fn watched(user: &User, identity: &Identity, verb: &str, flags: &[&str]) -> Result<(Background, u16)> {
    let port = free_port()?;
    let mut command = user.command(&[verb])?;
    command.args(flags);
    command.args(["--listen", &format!("127.0.0.1:{port}")]);
    command.env(CERTIFICATE, &identity.certificate).env(KEY, &identity.key);
    let log = fs::File::create(user.path(&format!("{verb}.log")))?;
    let running = Background::of(command.stdout(Stdio::null()).stderr(log).spawn()?);
    Ok((running, port))
}

fn scraped(port: u16) -> Option<Exposition> {
    get(port, "/metrics").and_then(|answer| Exposition::read(&answer).ok())
}

/// Puts copies of the files of `from` where `to` says, each in one step.
fn place(from: &Identity, to: &Identity) -> Result<()> {
    let put = |from: &PathBuf, to: &PathBuf| -> Result<()> {
        let made = to.with_extension("made");
        fs::copy(from, &made)?;
        Ok(fs::rename(&made, to)?)
    };
    put(&from.key, &to.key)?;
    put(&from.certificate, &to.certificate)
}

#[test]
fn readers_follow_their_certificates_without_a_restart() -> Result<()> {
    let stack = LocalStack::start_secure()?;
    let user = User::new(stack.secrets().join("mutual.toml"), "readers")?;
    let (_running, _) = user.stages()?;
    user.circle("first")?;
    let folder = user.path("identities");
    fs::create_dir(&folder)?;
    for file in ["authority.pem", "authority.key"] {
        fs::copy(stack.secrets().join(file), folder.join(file))?;
    }
    let authority = Authority::existing(&folder);
    let readers = Readers::start(&user, &authority.issue("treble")?)?;
    readers.await_all("first")?;

    // Whoever may do nothing sees nothing: that is what shows that the new files count.
    readers.become_another(&authority.issue("stranger")?)?;
    user.wait("treble lag is a stranger", || scraped(readers.lag.1).is_some() && !readers.lag_sees())?;
    let lost = readers.canaries("lost");
    user.wait("a canary is a stranger's", || readers.canaries("lost") > lost)?;
    let log = || fs::read_to_string(user.path("serve.log")).unwrap_or_default();
    user.wait("the doors are a stranger's", || log().contains("answers are not up to date"))?;
    user.circle("second")?;

    readers.become_another(&authority.issue("treble")?)?;
    readers.await_all("second")
}
