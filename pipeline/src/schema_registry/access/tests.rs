//! Credentials and certificates against loopback servers that demand them.

use super::*;
use crate::config::{Request, Surroundings, load};
use crate::schema_registry::{RegistryError, SchemaRegistry};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::runtime::Runtime;

const TIMEOUT: Duration = Duration::from_secs(10);
/// `me:hunter2` in base64.
const BASIC: &str = "Basic bWU6aHVudGVyMg==";

/// A registry that lets in who sends `demanded`, and knows no schema.
struct Guarded {
    url: String,
    _serving: Runtime,
}

fn guarded(demanded: &'static str) -> Guarded {
    let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |headers: HeaderMap| async move {
        let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
        match sent == Some(demanded) {
            true => (StatusCode::NOT_FOUND, r#"{"error_code":40403,"message":"Schema not found"}"#),
            false => (StatusCode::UNAUTHORIZED, r#"{"error_code":401,"message":"Unauthorized"}"#),
        }
    };
    serving.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
    });
    Guarded { url, _serving: serving }
}

/// What a registry at `url` answers to a client that is configured by `variables` in `folder`.
fn ask(url: &str, folder: &Path, variables: &[(&str, &str)]) -> RegistryError {
    let address = ("TREBLE_REGISTRY_URL", url);
    let all = variables.iter().chain([&address]);
    let surroundings = Surroundings {
        variables: all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        directory: folder.to_owned(),
        host_name: "box".to_owned(),
    };
    let config = load(&Request::default(), &surroundings).unwrap().config.registry;
    let access = RegistryAccess::read(&config).unwrap();
    let said = format!("{access:?}");
    assert!(!said.contains("hunter2"), "{said}");
    match SchemaRegistry::new(&access, TIMEOUT) {
        Ok(registry) => registry.kind_of(7).unwrap_err(),
        Err(error) => error,
    }
}

/// A file in `folder`, as a configuration names it.
fn file(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

const USER: (&str, &str) = ("TREBLE_REGISTRY_USERNAME", "me");

#[test]
fn a_user_is_let_in_with_a_password_from_a_file_or_the_environment() {
    let (registry, folder) = (guarded(BASIC), tempfile::tempdir().unwrap());
    let check = |variables: &[(&str, &str)], code: &str, words: &str| {
        let error = ask(&registry.url, folder.path(), variables);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let path = file(folder.path(), "password", "hunter2\n");
    check(&[USER, ("TREBLE_REGISTRY_PASSWORD_FILE", &path)], "registry_unknown_id", "");
    check(&[USER, ("TREBLE_REGISTRY_PASSWORD", "hunter2")], "registry_unknown_id", "");
    check(&[USER, ("TREBLE_REGISTRY_PASSWORD", "other")], "registry_unauthorized", "check registry.username");
    check(&[], "registry_unauthorized", "set registry.username with registry.password_file");
}

#[test]
fn a_token_is_sent_as_a_bearer() {
    let (registry, folder) = (guarded("Bearer hunter2"), tempfile::tempdir().unwrap());
    let path = file(folder.path(), "token", "hunter2\n");
    let by_file = ask(&registry.url, folder.path(), &[("TREBLE_REGISTRY_TOKEN_FILE", &path)]);
    assert_eq!(by_file.code(), "registry_unknown_id", "{by_file}");
    let by_variable = ask(&registry.url, folder.path(), &[("TREBLE_REGISTRY_TOKEN", "hunter2")]);
    assert_eq!(by_variable.code(), "registry_unknown_id", "{by_variable}");
    let wrong = ask(&registry.url, folder.path(), &[("TREBLE_REGISTRY_TOKEN", "old")]);
    assert_eq!(wrong.code(), "registry_unauthorized");
    assert!(wrong.to_string().contains("registry.token_file"), "{wrong}");
}

#[test]
fn credentials_in_the_address_are_sent_and_not_shown() {
    let (registry, folder) = (guarded(BASIC), tempfile::tempdir().unwrap());
    let with = |user: &str| registry.url.replacen("http://", &format!("http://{user}@"), 1);
    assert_eq!(ask(&with("me:hunter2"), folder.path(), &[]).code(), "registry_unknown_id");
    let wrong = ask(&with("you:hunter2"), folder.path(), &[]);
    assert_eq!(wrong.code(), "registry_unauthorized");
    assert!(wrong.to_string().contains("http://***@127.0.0.1"), "{wrong}");
}

#[test]
fn a_file_that_is_not_there_is_named_with_its_key() {
    let config = RegistryConfig { ca_file: Some("absent.pem".into()), ..defaults() };
    let error = RegistryAccess::read(&config).unwrap_err().to_string();
    assert!(error.starts_with("registry.ca_file: cannot read absent.pem"), "{error}");
}

fn defaults() -> RegistryConfig {
    let surroundings = Surroundings { host_name: "box".to_owned(), ..Surroundings::default() };
    load(&Request::default(), &surroundings).unwrap().config.registry
}

/// `openssl s_server` with a certificate of its own authority; it answers what lies in its folder.
struct Encrypted {
    child: Child,
    port: u16,
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        let stopped = self.child.kill().and_then(|()| self.child.wait());
        assert!(stopped.is_ok() || std::thread::panicking());
    }
}

fn openssl(folder: &Path, arguments: &str) -> Option<Command> {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::null());
    Command::new("openssl").arg("version").output().ok().map(|_| command)
}

fn encrypted(folder: &Path) -> Option<Encrypted> {
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    for step in [
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout authority.key -out authority.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out request.pem",
        "x509 -req -in request.pem -CA authority.pem -CAkey authority.key -days 2 -extfile names -out cert.pem",
    ] {
        assert!(openssl(folder, step)?.output().unwrap().status.success(), "{step}");
    }
    let body = r#"{"schema":"syntax = \"proto3\";","schemaType":"PROTOBUF"}"#;
    let head = "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n";
    fs::create_dir_all(folder.join("schemas/ids")).unwrap();
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    fs::write(folder.join("schemas/ids/7?deleted=true"), answer).unwrap();
    let serve = "s_server -accept 127.0.0.1:0 -key key.pem -cert cert.pem -HTTP";
    let mut child = openssl(folder, serve)?.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let accept = lines.find_map(|line| line.unwrap().strip_prefix("ACCEPT ").map(str::to_owned)).unwrap();
    let port = accept.rsplit(':').next().unwrap().parse().unwrap();
    // The rest of what it says is of no interest; the pipe must not fill up.
    std::thread::spawn(move || lines.for_each(drop));
    Some(Encrypted { child, port })
}

#[test]
fn a_registry_with_a_certificate_of_a_private_authority_is_trusted_where_named() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = encrypted(folder.path()) else {
        println!("no openssl here: https was not tried");
        return;
    };
    let url = format!("https://127.0.0.1:{}", server.port);
    let ask = |ca_file: Option<&str>| {
        let ca_file = ca_file.map(|name| folder.path().join(name));
        let access =
            RegistryAccess::read(&RegistryConfig { url: url.clone(), ca_file, ..defaults() }).unwrap();
        SchemaRegistry::new(&access, TIMEOUT).and_then(|registry| registry.kind_of(7))
    };
    let unknown = ask(None).unwrap_err();
    assert_eq!(unknown.code(), "registry_unreachable");
    assert!(unknown.to_string().contains("registry.ca_file"), "{unknown}");
    assert_eq!(ask(Some("authority.pem")), Ok(crate::ports::SchemaKind::Foreign));
    let empty = ask(Some("schemas/ids/7?deleted=true")).unwrap_err();
    assert!(empty.to_string().contains("registry.ca_file: it holds no PEM certificate"), "{empty}");
}

#[test]
fn a_password_that_is_changed_in_its_file_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (guarded(BASIC), guarded("Basic bWU6b3RoZXI="));
    let path = file(folder.path(), "password", "hunter2\n");
    let variables = [USER, ("TREBLE_REGISTRY_PASSWORD_FILE", &path), ("TREBLE_REGISTRY_URL", &first.url)];
    let surroundings = Surroundings {
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        directory: folder.path().to_owned(),
        host_name: "box".to_owned(),
    };
    let config = load(&Request::default(), &surroundings).unwrap().config.registry;
    let mut access = RegistryAccess::read(&config).unwrap();
    let registry = SchemaRegistry::new(&access, TIMEOUT).unwrap();
    assert_eq!(registry.kind_of(7).unwrap_err().code(), "registry_unknown_id");
    // The registry that lets in the new password is another one: it stands for the same after the change.
    access.url.clone_from(&second.url);
    access.source.as_mut().unwrap().url.clone_from(&second.url);
    let registry = SchemaRegistry::new(&access, TIMEOUT).unwrap();
    assert_eq!(registry.kind_of(7).unwrap_err().code(), "registry_unauthorized");
    fs::write(&path, "other\n").unwrap();
    assert_eq!(registry.kind_of(7).unwrap_err().code(), "registry_unknown_id", "without a new client");
    fs::remove_file(&path).unwrap();
    assert_eq!(
        registry.kind_of(7).unwrap_err().code(),
        "registry_unknown_id",
        "what is gone changes nothing"
    );
}
