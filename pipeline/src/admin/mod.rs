//! The operators' port: `/metrics`, `/livez`, `/readyz`.

pub mod http;
