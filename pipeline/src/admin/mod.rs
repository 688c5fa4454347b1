//! The operators' port: `/metrics`, `/livez`, `/readyz` ([`http`]), and who may read them ([`access`]).

pub mod access;
pub mod http;
