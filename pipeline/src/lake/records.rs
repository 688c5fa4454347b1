//! Records of the topic of events, on their way to rows: for those who store them, and those who only look.

use crate::ports::InRecord;
use crate::schema_registry::{RegistryError, SchemaRegistry};
use treble_analyse::rows::{Decoder, Record};

impl From<InRecord> for Record {
    fn from(record: InRecord) -> Self {
        let InRecord { partition, offset, timestamp_ms, key, value, .. } = record;
        Self { partition, offset, timestamp_ms, key, value }
    }
}

/// Tells `decoder` what the schema of `record` is, where it does not know it yet: before each [`Decoder::push`]. Whether the
/// registry was asked, and has answered.
pub(crate) fn learn(
    decoder: &mut Decoder,
    registry: &SchemaRegistry,
    record: &InRecord,
) -> Result<bool, RegistryError> {
    let unknown = decoder.unknown_schema(record.value.as_ref());
    if let Some(id) = unknown {
        decoder.learn(id, registry.text_of(id)?.as_deref());
    }
    Ok(unknown.is_some())
}
