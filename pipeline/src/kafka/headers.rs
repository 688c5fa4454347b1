//! Headers of records: trace context and content type.
//!
//! Everything here is total: header names and values come from anyone who may produce, so nothing is assumed
//! about them, and what does not parse counts as absent.

use crate::ports::Header;
use bytes::Bytes;
use rdkafka::message::{BorrowedHeaders, Headers, OwnedHeaders};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The header with the W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// The header with the media type of the value.
pub const CONTENT_TYPE: &str = "content-type";

/// Media types that hold audio although their top level does not say so.
const AUDIO_CONTAINERS: [&str; 5] =
    ["application/ogg", "video/mp4", "video/quicktime", "video/webm", "video/x-matroska"];
/// A longer media type is noise; it would only swell logs and formats.
const MAX_MEDIA_TYPE_BYTES: usize = 128;

/// Copies a record's headers, in order. A header whose name is not UTF-8 is left out.
#[must_use]
pub fn read(headers: &BorrowedHeaders) -> Vec<Header> {
    let copy = |index| {
        let header = headers.try_get(index)?;
        Some(Header { name: header.key.to_owned(), value: header.value.map(Bytes::copy_from_slice) })
    };
    // The client library panics on a name that is not UTF-8, and anyone may send one. Nothing is shared with
    // the closure but the headers, which it only reads.
    (0..headers.count()).filter_map(|index| catch_unwind(AssertUnwindSafe(|| copy(index))).ok()?).collect()
}

/// The headers as the client library writes them.
#[must_use]
pub fn write(headers: &[Header]) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(empty, |written, header| {
        let value = header.value.as_deref();
        written.insert(rdkafka::message::Header { key: &header.name, value })
    })
}

/// The value of the last header called `name`, whatever its case, that is text.
#[must_use]
pub fn text<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    let mut named = headers.iter().rev().filter(|header| header.name.eq_ignore_ascii_case(name));
    named.find_map(|header| std::str::from_utf8(header.value.as_deref()?).ok())
}

/// The media type of a raw clip: a record whose value is a whole encoded file, as its content type says.
/// `None` for every other record.
#[must_use]
pub fn clip_content_type(headers: &[Header]) -> Option<String> {
    let declared = text(headers, CONTENT_TYPE)?.trim();
    let printable = declared.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if declared.len() > MAX_MEDIA_TYPE_BYTES || !printable {
        return None;
    }
    let essence = declared.split(';').next()?.trim_end().to_ascii_lowercase();
    let audio = essence.strip_prefix("audio/").is_some_and(|subtype| !subtype.is_empty());
    (audio || AUDIO_CONTAINERS.contains(&essence.as_str())).then(|| declared.to_owned())
}

/// The record's trace context in its canonical spelling, if it has a valid one.
#[must_use]
pub fn traceparent(headers: &[Header]) -> Option<String> {
    trace_context(headers).map(|context| context.to_string())
}

/// The record's trace context, if it has a valid one.
#[must_use]
pub fn trace_context(headers: &[Header]) -> Option<TraceContext> {
    text(headers, TRACEPARENT).and_then(TraceContext::parse)
}

/// A W3C trace context (Trace Context Level 2, section 3.2): which trace a record belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

impl TraceContext {
    /// The flag that the caller may have recorded its span.
    pub const SAMPLED: u8 = 1;
    /// The flags that exist: sampled, and that the trace id is random. Others must not be propagated.
    const KNOWN_FLAGS: u8 = 0b11;

    /// A context; `None` where an id is zero, which the standard forbids.
    #[must_use]
    pub fn new(trace_id: u128, parent_id: u64, flags: u8) -> Option<Self> {
        let valid = trace_id != 0 && parent_id != 0;
        valid.then_some(Self { trace_id, parent_id, flags: flags & Self::KNOWN_FLAGS })
    }

    /// Reads `version-traceid-parentid-flags`. Of later versions the first four fields are read, as the
    /// standard asks; version `ff` is invalid.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (fields, more) = (text.get(..55)?, text.get(55..)?);
        let mut fields = fields.split('-');
        let version = hex(fields.next()?, 2)?;
        let trace_id = hex(fields.next()?, 32)?;
        let parent_id = u64::try_from(hex(fields.next()?, 16)?).ok()?;
        let flags = u8::try_from(hex(fields.next()?, 2)?).ok()?;
        let shape = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.is_empty() || more.starts_with('-'),
        };
        if !shape || fields.next().is_some() {
            return None;
        }
        Self::new(trace_id, parent_id, flags)
    }

    /// The same trace, with `span_id` as the parent of what follows; `None` for the invalid span id 0.
    #[must_use]
    pub fn child(self, span_id: u64) -> Option<Self> {
        Self::new(self.trace_id, span_id, self.flags)
    }

    /// The trace.
    #[must_use]
    pub const fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// The trace, as people and other systems write it: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id_hex(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span that the record comes from.
    #[must_use]
    pub const fn parent_id(self) -> u64 {
        self.parent_id
    }

    /// Whether the caller may have recorded its span.
    #[must_use]
    pub const fn sampled(self) -> bool {
        self.flags & Self::SAMPLED != 0
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

/// Exactly `digits` lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != digits || !lower {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn header(name: &str, value: &[u8]) -> Header {
        Header { name: name.to_owned(), value: Some(Bytes::copy_from_slice(value)) }
    }

    #[test]
    fn a_trace_context_comes_back_as_it_went() {
        let context = TraceContext::parse(EXAMPLE).unwrap();
        assert_eq!(context.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(context.parent_id(), 0x00f0_67aa_0ba9_02b7);
        assert!(context.sampled());
        assert_eq!(context.to_string(), EXAMPLE);
        assert_eq!(
            context.child(0x1234).unwrap().to_string(),
            EXAMPLE.replace("00f067aa0ba902b7", "0000000000001234")
        );
        assert_eq!(context.child(0), None);
        assert_eq!(traceparent(&[header("Traceparent", EXAMPLE.as_bytes())]).as_deref(), Some(EXAMPLE));
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        let later = EXAMPLE.replacen("00", "01", 1);
        assert_eq!(TraceContext::parse(&later).unwrap().to_string(), EXAMPLE);
        assert_eq!(TraceContext::parse(&format!("{later}-more")).unwrap().to_string(), EXAMPLE);
        assert_eq!(TraceContext::parse(&format!("{later}more")), None);
        let flags = EXAMPLE.replace("-01", "-ff");
        assert_eq!(TraceContext::parse(&flags).unwrap().to_string(), EXAMPLE.replace("-01", "-03"));
    }

    #[test]
    fn what_is_no_trace_context_is_absent() {
        for text in [
            "",
            "00",
            &EXAMPLE.replacen("00", "ff", 1),
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &EXAMPLE.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &EXAMPLE.replace("4bf9", "+bf9"),
            &format!("{EXAMPLE}-more"),
            &EXAMPLE.replace('-', "_"),
            "ä".repeat(40).as_str(),
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
        assert_eq!(traceparent(&[header(TRACEPARENT, b"\xff\xfe")]), None);
    }

    #[test]
    fn a_clip_is_known_by_its_content_type() {
        let check = |declared: &str, clip: bool| {
            let found = clip_content_type(&[header("Content-Type", declared.as_bytes())]);
            assert_eq!(found.as_deref(), clip.then_some(declared.trim()), "{declared:?}");
        };
        check("audio/mpeg", true);
        check("AUDIO/L16; rate=8000", true);
        check(" audio/ogg; codecs=opus ", true);
        check("video/mp4", true);
        check("application/ogg", true);
        check("audio/", false);
        check("application/x-protobuf", false);
        check("audio/mpeg\r\nx: y", false);
        check(&format!("audio/{}", "x".repeat(200)), false);
        assert_eq!(clip_content_type(&[header(CONTENT_TYPE, b"audio/\xff")]), None);
        assert_eq!(clip_content_type(&[]), None);
    }

    #[test]
    fn headers_come_back_from_the_client_library_as_they_went() {
        let absent = Header { name: "absent".into(), value: None };
        let sent = [header("a", b"1"), header("b", b""), absent, header("a", b"\xff\0")];
        assert_eq!(read(write(&sent).as_borrowed()), sent);
        assert_eq!(read(OwnedHeaders::new().as_borrowed()), []);
    }

    #[test]
    fn the_last_readable_header_of_a_name_counts() {
        let headers = [header("a", b"1"), header("A", b"2"), header("a", b"\xff")];
        assert_eq!(text(&headers, "a"), Some("2"));
    }

    proptest! {
        #[test]
        fn hostile_headers_never_panic(name in "traceparent|content-type|.{0,4}", value: Vec<u8>) {
            let headers = [header(&name, &value)];
            if let Some(canonical) = traceparent(&headers) {
                prop_assert_eq!(TraceContext::parse(&canonical).map(|c| c.to_string()), Some(canonical));
            }
            drop(clip_content_type(&headers));
        }

        #[test]
        fn nearly_right_contexts_never_panic(at in 0..55_usize, byte in "\\PC") {
            let mut text = EXAMPLE.to_owned();
            text.replace_range(at..=at, &byte);
            let _context = TraceContext::parse(&text);
        }
    }
}
