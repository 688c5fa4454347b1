//! The schema registry, as a producer of another make uses it.

use crate::broker::LocalStack;
use crate::http;
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Registers a Protobuf schema under `subject`; its id.
///
/// # Errors
/// When the registry refuses it.
pub fn register(stack: &LocalStack, subject: &str, schema: &str) -> Result<u32> {
    let url = format!("{}/subjects/{subject}/versions", stack.schema_registry_url().trim_end_matches('/'));
    let body = json!({ "schema": schema, "schemaType": "PROTOBUF" }).to_string();
    let answer: Value = serde_json::from_str(&http::post(&url, &body)?)?;
    let id = answer["id"].as_u64().with_context(|| format!("no id in {answer}"))?;
    Ok(u32::try_from(id)?)
}
