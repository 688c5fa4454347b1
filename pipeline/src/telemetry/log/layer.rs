//! What `tracing` tells, captured as lines and handed to the writer. It never waits: where the writer is behind, a line is dropped and
//! counted, and audio goes on.

use super::count::Counts;
use super::limit::Limiter;
use super::line::{Line, Value};
use super::site::Site;
use crate::ports::Clock;
use std::error::Error;
use std::fmt;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Shared by all threads that log and the writer, which tells what was suppressed.
pub(super) type Shared = Arc<Mutex<Limiter<Site>>>;

/// See the module.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) limiter: Shared,
    pub(super) lines: SyncSender<Option<Line>>,
    /// Whether there is an audit log, which hears what is suppressed elsewhere.
    pub(super) audited: bool,
    pub(super) counts: Counts,
    pub(super) clock: Arc<dyn Clock>,
}

/// The fields of a span, kept with it.
struct Known(Fields);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Known(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(Known(fields)) = span.extensions_mut().get_mut::<Known>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let bridged = event.normalized_metadata();
        let site = bridged.as_ref().map_or_else(|| Site::Call(event.metadata()), Site::module);
        let level = site.level();
        let admitted = {
            let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
            limiter.admits(&site, self.clock.now())
        };
        if !admitted {
            self.counts.suppressed(level);
            if !self.audited {
                return;
            }
        }
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(Known(known)) = span.extensions().get::<Known>() {
                fields.values.extend(known.values.iter().cloned());
            }
        }
        event.record(&mut fields);
        if bridged.is_some() {
            fields.values.retain(|(name, _)| !name.starts_with("log."));
        }
        let line = Line {
            unix_us: self.clock.unix_us(),
            level,
            target: site.target().to_owned(),
            message: fields.message,
            fields: fields.values,
            audit_only: !admitted,
        };
        if line.audit_only && !line.is_audited() {
            return;
        }
        if self.lines.try_send(Some(line)).is_err() {
            self.counts.dropped(level);
        }
    }
}

/// Takes values as they come.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    values: Vec<(&'static str, Value)>,
}

impl Fields {
    fn take(&mut self, field: &Field, value: Value) {
        match value {
            Value::Text(text) if field.name() == "message" => self.message = text,
            value => self.values.push((field.name(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, Value::Text(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, Value::Integer(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer);
        self.take(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field, Value::Number(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, Value::Bool(value));
    }

    /// With its causes, those left out that the text before names already.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        self.take(field, Value::Text(text));
    }
}
