use super::*;
use proptest::prelude::*;

fn check(text: &str, expect: &str) {
    assert_eq!(redact(text), expect);
}

#[test]
fn what_is_secret_is_hidden_and_what_stands_beside_it_is_kept() {
    check("GET http://ada:18@15@host:8081/subjects", "GET http://***@host:8081/subjects");
    check("kafka://user@broker:9092,x", "kafka://***@broker:9092,x");
    check("sent Authorization: Basic YWRhOjE4MTU= and went", "sent Authorization: ***");
    check("with Bearer abc.def-1, twice", "with Bearer ***, twice");
    check("basic authentication is off", "basic authentication is off");
    check("sasl.password=hunter2;x=1", "sasl.password=***;x=1");
    check("{\"password\":\"a\\\"b c\",\"n\":1}", "{\"password\":***,\"n\":1}");
    check(r#"{\"password\":\"a b\",\"n\":1}"#, r#"{\"password\":***,\"n\":1}"#);
    check("Config { token: Some(\"a b\"), n: 1 }", "Config { token: ***, n: 1 }");
    check(
        "DefaultEndpointsProtocol=https;AccountKey=ab+/==;X=y",
        "DefaultEndpointsProtocol=https;AccountKey=***;X=y",
    );
    check(
        "Endpoint=sb://b/;SharedAccessKeyName=n;SharedAccessKey=k=",
        "Endpoint=sb://b/;SharedAccessKeyName=n;SharedAccessKey=***",
    );
    check("https://blob/x?sv=2024&sig=a%2Fb&se=1", "https://blob/x?sv=2024&sig=***&se=1");
    check("id AKIAIOSFODNN7EXAMPLE here", "id *** here");
    check("got eyJhbGciOi.eyJzdWIi.c2ln back", "got *** back");
    check("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nrest", "***\nrest");
    check("-----BEGIN PRIVATE KEY-----\nMII", "***");
    check("-----BEGIN CERTIFICATE-----\nMII", "-----BEGIN CERTIFICATE-----\nMII");
    check("ask ada.l+x@example.co.uk.", "ask ***@***.");
    check("cannot read /home/ada/key.pem: no", "cannot read ~/key.pem: no");
    check(concat!(r"C:\Users\ada\x and /ro", "ot/.aws"), r"~\x and ~/.aws");
    check("file:///Users/ada/x", "file://~/x");
}

#[test]
fn words_of_our_own_log_are_left_alone() {
    for text in [
        "kafka.sasl_password_file: cannot read /run/secrets/kafka: Permission denied",
        "sql.tokens_file names nobody; write a name and its token a line, separated by a space",
        "nobody has this token",
        "the schema registry cannot be asked; waiting, nothing is lost",
        "ssl://broker:9093/bootstrap: Connect to ipv4#127.0.0.1:9093 failed: Connection refused",
        "https://site/x@y and treble.audio.in@17",
        "s3://bucket/lake/stage_events/part-0001.parquet",
        "stream given up code=gap partition=3 SharedAccessKeyName=reader",
        concat!("/rootless/x and a/ro", "ot/b"),
    ] {
        assert!(matches!(redact(text), Cow::Borrowed(_)), "{}", redact(text));
    }
}

#[test]
fn names_of_secrets_are_known() {
    for name in ["password", "sasl.password", "token", "AccountKey", "aws_secret_access_key", "sig"] {
        assert!(is_secret_name(name), "{name}");
    }
    for name in ["tokens_file", "key", "partition", "design", "password_file"] {
        assert!(!is_secret_name(name), "{name}");
    }
}

/// Where a secret may stand, with `{}` in its place, and of what it is made.
const PLACES: &[(&str, &str)] = &[
    ("postgres://ada:{}@db.example:5432/x", "[A-Za-z0-9!$&*+,;=:@._~-]{6,24}"),
    ("https://{}@registry.example/x", "[A-Za-z0-9!$*+;=:._~-]{6,24}"),
    ("Authorization: Bearer {}", "[!-\\[\\]-~&&[^\"]]{6,40}"),
    ("authorization=Basic {}", "[A-Za-z0-9+/]{8,40}={0,2}"),
    ("bearer {} was sent", "[A-Za-z0-9._~+/-]{16,40}={0,2}"),
    ("password={}", "[!-~&&[^,;&\"']]{6,24}"),
    ("sasl.password: {}", "[!-~&&[^,;&\"']]{6,24}"),
    ("\"client_secret\":\"{}\"", "[ -~&&[^\"\\\\]]{6,24}"),
    ("api_key = '{}'", "[ -~&&[^']]{6,24}"),
    ("org.apache.kafka.X required username=\"u\" password=\"{}\";", "[ -~&&[^\"\\\\]]{6,24}"),
    (
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};EndpointSuffix=x",
        "[A-Za-z0-9+/]{40,86}={0,2}",
    ),
    ("Endpoint=sb://x/;SharedAccessKeyName=k;SharedAccessKey={}", "[A-Za-z0-9+/]{43}="),
    ("aws_secret_access_key={}", "[A-Za-z0-9+/]{40}"),
    ("as {}", "AKIA[A-Z0-9]{16}"),
    ("as {}", "eyJ[A-Za-z0-9_-]{10,20}\\.[A-Za-z0-9_-]{10,20}\\.[A-Za-z0-9_-]{10,20}"),
    ("as {}", "[A-Za-z0-9+/]{86}=="),
    ("?sv=1&sig={}&se=2", "[A-Za-z0-9%]{20,40}"),
    ("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----", "[A-Za-z0-9+/\n]{20,80}"),
    ("from {}", "[a-z]{8,12}@[a-z]{3,8}\\.[a-z]{2,4}"),
    ("at /home/{}/x", "[a-z]{8,12}"),
    ("at /Users/{}", "[a-z]{8,12}"),
];

fn planted() -> impl Strategy<Value = (String, String)> {
    let places: Vec<_> = PLACES
        .iter()
        .map(|(place, form)| {
            let form = proptest::string::string_regex(form).expect("a form");
            form.prop_map(move |secret| (place.replace("{}", &secret), secret)).boxed()
        })
        .collect();
    proptest::strategy::Union::new(places)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_planted_secret_never_comes_out(
        (text, secret) in planted(),
        before in "([a-z]{1,9}[ :]){0,4}",
        after in "( [a-z]{1,9}){0,4}",
    ) {
        let clean = redact(&format!("{before} {text}{after}")).into_owned();
        prop_assert!(!clean.contains(secret.trim()), "{clean}");
        prop_assert_eq!(&redact(&clean), &clean, "a second pass changes nothing");
    }

    #[test]
    fn text_without_secrets_is_left_as_it_is(text in "([a-z]{1,9}[ .,;:=/-]|[0-9]{1,6} |[A-Z]{1,5} |[äöü€\u{4e2d}]+ ){0,30}") {
        let triggers = ["pass", "pwd", "secret", "token", "credential", "key", "signature", "sig", "bearer", "basic", "cookie", "home", "root"];
        prop_assume!(!triggers.iter().any(|word| text.contains(word)));
        prop_assert!(matches!(redact(&text), Cow::Borrowed(_)), "{} became {}", text, redact(&text));
    }

    #[test]
    fn no_text_is_too_odd(text in any::<String>()) {
        let clean = redact(&text).into_owned();
        prop_assert_eq!(&redact(&clean), &clean);
    }
}
