//! Kafka behind passwords (SASL_SSL, SCRAM-SHA-512) and behind certificates (mTLS), metrics behind TLS and a token: who may enter works, who
//! may not is told why, and what is renewed in its file counts without a restart.

#[path = "secure/readers.rs"]
mod readers;

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use treble_test_support::broker::LocalStack;
use treble_test_support::certificates::{Authority, Identity};
use treble_test_support::clips;
use treble_test_support::configuration::free_port;
use treble_test_support::http::get;
use treble_test_support::kafka::PATIENCE;
use treble_test_support::process::{self, Background};

/// A user's folder with clips, and the way into the cluster.
struct User {
    folder: TempDir,
    configuration: PathBuf,
    prefix: &'static str,
}

impl User {
    fn new(configuration: PathBuf, prefix: &'static str) -> Result<Self> {
        let user = Self { folder: tempfile::tempdir()?, configuration, prefix };
        for name in ["first", "second"] {
            fs::write(user.path(&format!("{name}.wav")), clips::chirp(name, 16_000, 2).bytes)?;
        }
        user.succeeds(&["topics", "create"])?;
        Ok(user)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(process::binary()?);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("TREBLE_CONFIG", &self.configuration).env("TREBLE_PREFIX", self.prefix).args(words);
        Ok(command)
    }

    fn runs(&self, words: &[&str]) -> Result<Output> {
        Ok(self.command(words)?.output()?)
    }

    fn succeeds(&self, words: &[&str]) -> Result<()> {
        let output = self.runs(words)?;
        ensure!(output.status.success(), "{words:?}: {output:?}");
        Ok(())
    }

    /// Fails with `code`, and says all of `told` on either stream.
    fn fails(&self, words: &[&str], code: i32, told: &[&str]) -> Result<()> {
        let output = self.runs(words)?;
        let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.code() == Some(code), "{words:?} ended with {}: {said}", output.status);
        for words in told {
            ensure!(said.contains(words), "{words:?} is not in: {said}");
        }
        Ok(())
    }

    /// Starts all stages in one process, and waits until they are ready.
    fn stages(&self) -> Result<(Background, u16)> {
        let port = free_port()?;
        let listen = format!("127.0.0.1:{port}");
        let log = fs::File::create(self.path("run.log"))?;
        let mut command = self.command(&["run", "--listen", &listen, "--instance-id", "only"])?;
        let running = Background::of(command.stdout(Stdio::null()).stderr(log).spawn()?);
        self.wait("the stages are ready", || {
            get(port, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        })?;
        Ok((running, port))
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> bool) -> Result<()> {
        let (step, mut waited) = (Duration::from_millis(100), Duration::ZERO);
        while !is_so() {
            let log = || fs::read_to_string(self.path("run.log")).unwrap_or_default();
            ensure!(waited < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", log());
            thread::park_timeout(step);
            waited += step;
        }
        Ok(())
    }

    /// Sends a clip through the stages; what comes back is what the offline verb writes.
    fn circle(&self, name: &str) -> Result<()> {
        let (clip, online, offline) =
            (format!("{name}.wav"), format!("{name}.flac"), format!("{name}.offline.flac"));
        self.succeeds(&["publish", &clip])?;
        self.succeeds(&["fetch", name, "-o", &online, "--follow", "--timeout", "120"])?;
        self.succeeds(&["upscale", &clip, "-o", &offline])?;
        ensure!(fs::read(self.path(&online))? == fs::read(self.path(&offline))?, "{name} differs");
        Ok(())
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("UTF-8")
}

#[test]
fn a_password_lets_in_and_a_wrong_one_is_told_of() -> Result<()> {
    let stack = LocalStack::start_secure()?;
    let user = User::new(stack.secrets().join("sasl.toml"), "passwords")?;
    let (running, _) = user.stages()?;
    user.circle("first")?;
    running.end()?;

    fs::write(user.path("wrong"), "not-the-password")?;
    let wrong = ["publish", "second.wav", "--set", "kafka.sasl_password_file=wrong"];
    let says = ["does not let this client in", "invalid credentials", "kafka.sasl_password_file"];
    user.fails(&wrong, 77, &says)?;
    let stranger = stack.secrets().join("stranger.password");
    let stranger = format!("kafka.sasl_password_file={}", text(&stranger)?);
    let may_nothing = ["--set", "kafka.sasl_username=stranger", "--set", &stranger];
    user.fails(
        &[&["topics", "create"][..], &may_nothing].concat(),
        77,
        &["TopicAuthorizationFailed", "ACLs"],
    )?;
    let clear = ["doctor", "--set", "kafka.security_protocol=SASL_PLAINTEXT"];
    user.fails(&clear, 69, &["cannot reach Kafka", "speaks TLS: set kafka.security_protocol"])
}

#[test]
fn a_certificate_lets_in_and_none_or_another_does_not() -> Result<()> {
    let stack = LocalStack::start_secure()?;
    let user = User::new(stack.secrets().join("mutual.toml"), "certificates")?;
    let (running, _) = user.stages()?;
    user.circle("first")?;
    running.end()?;

    let foreign = Authority::new(user.folder.path())?;
    let identity = foreign.issue("somebody")?;
    let certificate = format!("kafka.ssl_certificate_file={}", text(&identity.certificate)?);
    let key = format!("kafka.ssl_key_file={}", text(&identity.key)?);
    let authority = format!("kafka.ssl_ca_file={}", text(&foreign.certificate())?);
    let none = ["--set", "kafka.ssl_certificate_file=", "--set", "kafka.ssl_key_file="];
    let other = ["--set", &certificate, "--set", &key];
    let mistrusting = ["--set", &authority];
    for settings in [&none[..], &other, &mistrusting] {
        let says = ["no secure connection", "kafka.ssl_ca_file", "kafka.ssl_certificate_file"];
        user.fails(&[&["publish", "second.wav"][..], settings].concat(), 78, &says)?;
    }
    let clear =
        [&none[..], &["--set", "kafka.ssl_ca_file=", "--set", "kafka.security_protocol=PLAINTEXT"]].concat();
    let says = ["cannot reach Kafka", "speaks TLS: set kafka.security_protocol"];
    user.fails(&[&["publish", "second.wav"][..], &clear].concat(), 69, &says)
}

#[test]
fn certificates_that_were_renewed_are_used_without_a_restart() -> Result<()> {
    let stack = LocalStack::start_secure()?;
    let user = User::new(stack.secrets().join("mutual.toml"), "renewed")?;
    let (running, port) = user.stages()?;
    user.circle("first")?;

    let authority = Authority::existing(&stack.secrets());
    authority.issue("treble")?;
    let log = || fs::read_to_string(user.path("run.log")).unwrap_or_default();
    user.wait("the stages begin anew", || {
        log().contains("begin anew") && get(port, "/readyz").is_some_and(|answer| answer.contains(" 200 "))
    })?;
    user.circle("second")?;
    // That the files are what counts shows somebody who may do nothing.
    let Identity { certificate, key } = authority.issue("stranger")?;
    fs::rename(key, stack.secrets().join("treble.key"))?;
    fs::rename(certificate, stack.secrets().join("treble.pem"))?;
    user.wait("a stranger is refused", || log().contains("uthorization"))?;
    drop(running);
    Ok(())
}

#[test]
fn a_password_that_was_changed_is_followed_without_a_restart() -> Result<()> {
    let stack = LocalStack::start_secure()?;
    let user = User::new(stack.secrets().join("sasl.toml"), "rotation")?;
    let (running, _) = user.stages()?;
    user.circle("first")?;

    let (file, fresh) = (stack.secrets().join("treble.password"), user.path("fresh"));
    let old = user.path("old");
    fs::copy(&file, &old)?;
    fs::write(&fresh, "a-password-of-today\n")?;
    stack.set_password("treble", &fresh)?;
    // As those do who manage secrets: in one step.
    fs::rename(&fresh, &file)?;
    let refused = format!("kafka.sasl_password_file={}", text(&old)?);
    user.fails(&["topics", "check", "--set", &refused], 77, &["invalid credentials"])?;
    // Every connection is lost, and each client has to log in again.
    stack.stop_node(1)?;
    stack.start_node(1)?;
    user.circle("second")?;
    running.end()?;
    let log = fs::read_to_string(user.path("run.log"))?;
    ensure!(log.contains("the password was changed, and is followed"), "{log}");
    ensure!(!log.contains("a-password-of-today"), "the password is told");
    Ok(())
}

/// Metrics of a collector of lag that knows no cluster, behind TLS and a token.
struct Guarded {
    folder: TempDir,
    port: u16,
    _running: Background,
}

impl Guarded {
    fn start() -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        Self::renew(folder.path(), "first")?;
        fs::write(folder.path().join("token"), "token-of-yesterday\n")?;
        let mut command = Command::new(process::binary()?);
        command.current_dir(folder.path()).args(["lag", "--listen", &format!("127.0.0.1:{port}")]);
        let settings = [
            "kafka.bootstrap_servers=127.0.0.1:1",
            "admin.tls_certificate_file=tls.crt",
            "admin.tls_key_file=tls.key",
            "admin.token_file=token",
        ];
        command.args(settings.iter().flat_map(|setting| ["--set", setting]));
        let log = fs::File::create(folder.path().join("log"))?;
        let running = Background::of(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?);
        Ok(Self { folder, port, _running: running })
    }

    /// A certificate of a new authority, whose own is called `name`.
    fn renew(folder: &Path, name: &str) -> Result<()> {
        let made = folder.join(name);
        fs::create_dir(&made)?;
        let identity = Authority::new(&made)?.issue("metrics")?;
        fs::rename(identity.key, folder.join("tls.key"))?;
        fs::rename(identity.certificate, folder.join("tls.crt"))?;
        Ok(())
    }

    /// What `treble top` says that trusts the authority `name`, and shows what the file `token` holds.
    fn top(&self, name: Option<&str>, token: Option<&str>) -> Result<(bool, String)> {
        let mut command = Command::new(process::binary()?);
        command.current_dir(self.folder.path()).args(["top", &format!("127.0.0.1:{}", self.port), "--once"]);
        command.args(["--interval", "1"]);
        if let Some(name) = name {
            command.args(["--ca-file", &format!("{name}/authority.pem")]);
        }
        if let Some(token) = token {
            command.args(["--set", &format!("admin.token_file={token}")]);
        }
        let output = command.stdin(Stdio::null()).output()?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    fn await_top(&self, name: &str, token: &str) -> Result<()> {
        for _ in 0..60 {
            if self.top(Some(name), Some(token))?.0 {
                return Ok(());
            }
        }
        bail!("{name}, {token}: {:?}\n{}", self.top(Some(name), Some(token))?, self.log()?)
    }

    fn refuses(&self, name: Option<&str>, token: Option<&str>, told: &str) -> Result<()> {
        let (answered, said) = self.top(name, token)?;
        ensure!(!answered && said.contains(told), "{name:?}, {token:?}: {said}");
        Ok(())
    }

    fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("log"))?)
    }
}

#[test]
fn metrics_are_for_those_with_the_token_and_certificate_and_token_are_renewed() -> Result<()> {
    let guarded = Guarded::start()?;
    guarded.await_top("first", "token")?;
    guarded.refuses(None, Some("token"), "nobody answers")?;
    guarded.refuses(Some("first"), None, "admin.token_file")?;
    let path = |name: &str| guarded.folder.path().join(name);
    Guarded::renew(guarded.folder.path(), "second")?;
    guarded.await_top("second", "token")?;
    guarded.refuses(Some("first"), Some("token"), "nobody answers")?;
    fs::copy(path("token"), path("old"))?;
    fs::write(path("new"), "token-of-today\n")?;
    fs::copy(path("new"), path("token"))?;
    guarded.await_top("second", "new")?;
    guarded.refuses(Some("second"), Some("old"), "admin.token_file")?;
    let log = guarded.log()?;
    ensure!(log.contains("the certificate was renewed") && log.contains("metrics were refused"), "{log}");
    ensure!(!log.contains("token-of-"), "a token is told: {log}");
    Ok(())
}
