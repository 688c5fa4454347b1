//! The files that a configuration names and that let somebody in, by the keys that name them.

use crate::config::Config;
use std::path::{Path, PathBuf};

/// A file and its key.
pub(super) type Named<'a> = (&'static str, &'a Path);

/// Files that hold a secret: passwords, tokens, private keys.
pub(super) fn secrets(config: &Config) -> Vec<Named<'_>> {
    let Config { kafka, registry, sql, admin, traces, .. } = config;
    let all = [
        ("kafka.sasl_password_file", &kafka.sasl_password_file),
        ("kafka.ssl_key_file", &kafka.ssl_key_file),
        ("registry.password_file", &registry.password_file),
        ("registry.token_file", &registry.token_file),
        ("sql.tokens_file", &sql.tokens_file),
        ("sql.tls_key_file", &sql.tls_key_file),
        ("admin.token_file", &admin.token_file),
        ("admin.tls_key_file", &admin.tls_key_file),
        ("traces.token_file", &traces.token_file),
    ];
    present(&all)
}

/// Files of certificates that this side shows.
pub(super) fn shown_certificates(config: &Config) -> Vec<Named<'_>> {
    let all = [
        ("kafka.ssl_certificate_file", &config.kafka.ssl_certificate_file),
        ("sql.tls_certificate_file", &config.sql.tls_certificate_file),
        ("admin.tls_certificate_file", &config.admin.tls_certificate_file),
    ];
    present(&all)
}

/// Files of certificates that this side trusts.
pub(super) fn trusted_certificates(config: &Config) -> Vec<Named<'_>> {
    let all = [
        ("kafka.ssl_ca_file", &config.kafka.ssl_ca_file),
        ("registry.ca_file", &config.registry.ca_file),
        ("traces.ca_file", &config.traces.ca_file),
    ];
    present(&all)
}

/// Those that are there.
fn present<'a>(all: &[(&'static str, &'a Option<PathBuf>)]) -> Vec<Named<'a>> {
    all.iter().filter_map(|(key, path)| Some((*key, path.as_deref()?))).collect()
}
