//! `POST /v1/sql`: a statement as the body, rows in the format that `Accept` asks for.
//!
//! The body is the statement itself, or with `content-type: application/json` an object `{"sql": "...", "parameters": [...]}`, whose
//! parameters stand for `$1`, `$2` and so on. Errors are JSON: `{"error": {"kind": "...", "message": "..."}}`.

use super::gate::Denied;
use super::serve::{House, Stop};
use super::service::Rows;
use crate::telemetry::labels::Protocol;
use crate::tls::{Client, TlsListener};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use treble_analyse::format::{Format, FormatError, Writer};
use treble_analyse::query::{Asker, ParamValues, QueryError, ScalarValue};

/// The most that the statement's JSON may have beside the statement itself: its parameters.
const PARAMETER_BYTES: usize = 64 << 10;

/// Answers until `stop` says that nobody else is let in, and then those who are in.
///
/// # Errors
/// Where the system refuses the port after all.
pub async fn serve(listener: std::net::TcpListener, house: House, stop: Stop) -> io::Result<()> {
    let tls = house.tls.clone();
    let app = Router::new().route("/v1/sql", post(sql)).with_state(house);
    let app = app.into_make_service_with_connect_info::<Client>();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    match tls {
        None => axum::serve(listener, app).with_graceful_shutdown(stop.asked()).await,
        Some(tls) => {
            let listener = TlsListener::new(listener, tls.server)?;
            axum::serve(listener, app).with_graceful_shutdown(stop.asked()).await
        }
    }
}

/// How much of a body that is too long is read all the same, so that its sender comes to read the answer.
const DISCARDED_BYTES: usize = 64 << 20;

/// A request that is not answered with rows.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(
        "none of {0} is offered; accept application/json, application/x-ndjson, text/csv, text/plain, application/vnd.apache.arrow.stream or application/vnd.apache.parquet"
    )]
    NotAcceptable(String),
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    #[error("the body is no statement: {0}")]
    Body(String),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Format(#[from] FormatError),
}

impl Refusal {
    const fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Denied(_) => (StatusCode::UNAUTHORIZED, "denied"),
            Self::NotAcceptable(_) => (StatusCode::NOT_ACCEPTABLE, "not_acceptable"),
            Self::TooLarge(_) | Self::Query(QueryError::TooLong { .. }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_long")
            }
            Self::Body(_) => (StatusCode::BAD_REQUEST, "wrong"),
            Self::Format(_) => (StatusCode::UNPROCESSABLE_ENTITY, "format"),
            Self::Query(QueryError::Wrong(_)) => (StatusCode::BAD_REQUEST, "wrong"),
            Self::Query(QueryError::Refused(_)) => (StatusCode::FORBIDDEN, "refused"),
            Self::Query(QueryError::Forbidden(_)) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::Query(QueryError::Busy { .. }) => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            Self::Query(QueryError::TimedOut { .. }) => (StatusCode::GATEWAY_TIMEOUT, "timed_out"),
            Self::Query(QueryError::TooManyRows { .. }) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "too_many_rows")
            }
            Self::Query(QueryError::OutOfMemory(_)) => (StatusCode::SERVICE_UNAVAILABLE, "out_of_memory"),
            Self::Query(QueryError::Lake(_)) => (StatusCode::SERVICE_UNAVAILABLE, "lake"),
            Self::Query(QueryError::Internal(_)) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, kind) = self.code();
        let body = json!({ "error": { "kind": kind, "message": self.to_string() } }).to_string();
        let mut response = (code, [(CONTENT_TYPE, "application/json")], body).into_response();
        if code == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

async fn sql(
    State(door): State<House>,
    ConnectInfo(Client(client)): ConnectInfo<Client>,
    request: Request,
) -> Response {
    let observer = Arc::clone(door.service.observer());
    let session = observer.session(Protocol::Http);
    let began = observer.now();
    let response = answer(&door, client, request).await.unwrap_or_else(Refusal::into_response);
    let code = response.status().as_u16();
    // The session and the time of an answer end with its last byte.
    let (parts, body) = response.into_parts();
    let ended = Ended { observer, code, began, _session: session };
    let body = stream::unfold((body.into_data_stream(), ended), |(mut body, ended)| async move {
        let next = body.next().await?;
        Some((next, (body, ended)))
    });
    Response::from_parts(parts, Body::from_stream(body))
}

/// Notes the end of an answer when it is dropped.
struct Ended {
    observer: Arc<crate::telemetry::sql::SqlObserver>,
    code: u16,
    began: std::time::Duration,
    _session: crate::telemetry::sql::Session,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.observer.http(self.code, self.observer.now().saturating_sub(self.began));
    }
}

async fn answer(door: &House, client: SocketAddr, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let caller = door.gate.admit(Protocol::Http, client.ip(), bearer(&parts.headers))?;
    let format = format(&parts.headers)?;
    let limit = door.service.engine().limits().statement_bytes + PARAMETER_BYTES;
    let body = whole(body, limit).await?;
    let (sql, parameters) = statement(&parts.headers, &body)?;
    let asker = Asker { grants: door.gate.grants(caller.as_deref()), dialect: None };
    let mut rows = door.service.ask(asker, &sql, parameters).await?;
    let mut writer = Writer::new(format, &rows.schema())?;
    // What fails before its first row fails with a code of its own; later the connection breaks off.
    let first = match rows.next().await.transpose()? {
        None => {
            let body = Body::from(writer.finish()?);
            return Ok(([(CONTENT_TYPE, format.media_type())], body).into_response());
        }
        Some(batch) => writer.write(&batch)?,
    };
    let body = Body::from_stream(written(first, rows, writer));
    Ok(([(CONTENT_TYPE, format.media_type())], body).into_response())
}

/// The whole body. One that is too long is read to its end, within reason: who is still writing reads no answer.
async fn whole(body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    let (mut chunks, mut kept, mut length) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Refusal::Body(error.to_string()))?;
        length += chunk.len();
        if length <= limit {
            kept.extend_from_slice(&chunk);
        } else if length > limit + DISCARDED_BYTES {
            break;
        }
    }
    if length > limit { Err(Refusal::TooLarge(limit)) } else { Ok(kept) }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn format(headers: &HeaderMap) -> Result<Format, Refusal> {
    let accept = headers.get(ACCEPT).map_or("", |accept| accept.to_str().unwrap_or("unreadable"));
    Format::accepted(accept).ok_or_else(|| Refusal::NotAcceptable(accept.to_owned()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    sql: String,
    #[serde(default)]
    parameters: Vec<Value>,
}

fn statement(headers: &HeaderMap, body: &[u8]) -> Result<(String, Option<ParamValues>), Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        let text = std::str::from_utf8(body).map_err(|error| Refusal::Body(error.to_string()))?;
        return Ok((text.to_owned(), None));
    }
    let Statement { sql, parameters } =
        serde_json::from_slice(body).map_err(|error| Refusal::Body(error.to_string()))?;
    if parameters.is_empty() {
        return Ok((sql, None));
    }
    let parameters = parameters.into_iter().map(parameter).collect::<Result<Vec<_>, _>>()?;
    Ok((sql, Some(ParamValues::from(parameters))))
}

fn parameter(value: Value) -> Result<ScalarValue, Refusal> {
    Ok(match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(flag) => ScalarValue::from(flag),
        Value::String(text) => ScalarValue::from(text),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => ScalarValue::from(whole),
            None => ScalarValue::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        other => {
            return Err(Refusal::Body(format!(
                "{other} is no parameter; give numbers, texts, booleans or null"
            )));
        }
    })
}

/// What is left to write.
enum Rest {
    Rows(Box<(Rows, Writer)>),
    Nothing,
}

fn written(
    first: Vec<u8>,
    rows: Rows,
    writer: Writer,
) -> impl futures::Stream<Item = Result<Bytes, Refusal>> {
    let rest = Rest::Rows(Box::new((rows, writer)));
    stream::unfold((Some(first), rest), |(first, rest)| async move {
        if let Some(first) = first {
            return Some((Ok(Bytes::from(first)), (None, rest)));
        }
        let Rest::Rows(mut open) = rest else { return None };
        let step = match open.0.next().await {
            None => {
                return Some((
                    open.1.finish().map(Bytes::from).map_err(Refusal::from),
                    (None, Rest::Nothing),
                ));
            }
            Some(Ok(batch)) => open.1.write(&batch).map(Bytes::from).map_err(Refusal::from),
            Some(Err(error)) => Err(Refusal::from(error)),
        };
        let rest = if step.is_ok() { Rest::Rows(open) } else { Rest::Nothing };
        Some((step, (None, rest)))
    })
}
