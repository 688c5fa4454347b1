//! What producers send by mistake or malice, and what must become of it.

use crate::audio::{self, FLOATS, MONO, Wav};
use anyhow::Result;
use rdkafka::message::{Header, OwnedHeaders};
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, AudioFormat, ChunkBody, Segment, StreamId};
use treble_test_support::clips::Clip;
use treble_test_support::kafka::{self, Committed, Publisher};

/// The header that names the case: a dead letter keeps it.
pub(crate) const CASE: &str = "x-case";

/// A fixture that unpacks to many times its size.
pub(crate) const BOMB: &str = "silence.flac";

/// What must become of a case.
pub(crate) enum Fate {
    /// It is odd, but audio: as the offline path writes it.
    Plays,
    /// Its stream is given up with this code, and one dead letter.
    Aborted(&'static str),
    /// Its stream is given up with this code. No record is at fault, so there is no dead letter.
    Expired(&'static str),
    /// The record belongs to no stream: one dead letter with this code.
    Refused(&'static str),
}

enum Input {
    Clip(Clip),
    Chunks(Vec<AudioChunk>),
    Record { key: Option<Vec<u8>>, value: Option<Vec<u8>>, schema: bool },
}

/// One input.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) fate: Fate,
    input: Input,
}

impl Case {
    pub(crate) fn letters(&self) -> usize {
        usize::from(matches!(self.fate, Fate::Aborted(_) | Fate::Refused(_)))
    }

    pub(crate) fn clip(&self) -> Option<&Clip> {
        if let Input::Clip(clip) = &self.input { Some(clip) } else { None }
    }

    pub(crate) fn publish(&self, publisher: &Publisher) -> Result<()> {
        let headers = OwnedHeaders::new().insert(Header { key: CASE, value: Some(&self.name) });
        match &self.input {
            Input::Clip(clip) => {
                let headers = headers.insert(Header { key: "content-type", value: Some(clip.media_type) });
                publisher.record(Some(clip.name.as_bytes()), Some(&clip.bytes), headers)
            }
            Input::Chunks(chunks) => chunks.iter().try_for_each(|chunk| {
                let value = framed(publisher.schema(), &encoded(chunk));
                publisher.record(Some(chunk.stream_id.as_str().as_bytes()), Some(&value), headers.clone())
            }),
            Input::Record { key, value, schema } => {
                let framed = value.as_ref().filter(|_| *schema).map(|body| framed(publisher.schema(), body));
                publisher.record(
                    key.as_deref(),
                    framed.as_ref().or(value.as_ref()).map(Vec::as_slice),
                    headers,
                )
            }
        }
    }

    /// Whether a dead letter's key and value are those that were sent.
    pub(crate) fn is_original(&self, letter: &Committed) -> bool {
        let value = letter.value.as_deref().unwrap_or_default();
        match &self.input {
            Input::Clip(clip) => letter.key == clip.name.as_bytes() && value == clip.bytes,
            Input::Chunks(chunks) => chunks.iter().any(|chunk| value.ends_with(&encoded(chunk))),
            Input::Record { key, value: sent, .. } => {
                let sent = sent.as_deref().unwrap_or_default();
                letter.key == key.as_deref().unwrap_or_default() && value.ends_with(sent)
            }
        }
    }
}

fn encoded(chunk: &AudioChunk) -> Vec<u8> {
    let mut body = Vec::new();
    chunk.encode(&mut body);
    body
}

fn framed(schema: u32, body: &[u8]) -> Vec<u8> {
    let mut value = Vec::new();
    frame::write_header(&mut value, schema, Format::Protobuf);
    value.extend(body);
    value
}

/// All cases; their names are their streams' ids.
pub(crate) fn all() -> Result<Vec<Case>> {
    let mut all = odd_audio();
    all.extend(broken_files()?);
    all.extend(absurd_files()?);
    all.extend(broken_streams()?);
    all.extend(foreign_records());
    Ok(all)
}

fn clip(fate: Fate, clip: Clip) -> Case {
    Case { name: clip.name.clone(), fate, input: Input::Clip(clip) }
}

fn odd_audio() -> Vec<Case> {
    let second = 16_000;
    let float = |name: &str, sample: &dyn Fn(usize) -> f32| FLOATS.clip(name, &audio::floats(second, sample));
    let odd = [
        float("not-a-number", &|index| if index % 7 == 0 { f32::NAN } else { 0.1 }),
        float("infinite", &|index| if index % 9 == 0 { f32::INFINITY } else { -0.1 }),
        float("far-too-loud", &|index| if index % 2 == 0 { 1e30 } else { -1e30 }),
        float("denormal", &|_| 1e-40),
        MONO.clip("silence", &audio::integers(second, |_| 0)),
        MONO.clip("direct-current", &audio::integers(second, |_| 12_000)),
        MONO.clip(
            "square-wave",
            &audio::integers(second, |index| if index % 80 < 40 { i16::MAX } else { i16::MIN }),
        ),
        MONO.clip("one-sample", &audio::integers(1, |_| 1_000)),
        MONO.clip("no-sample", &[]),
    ];
    odd.into_iter().map(|odd| clip(Fate::Plays, odd)).collect()
}

fn broken_files() -> Result<Vec<Case>> {
    let named = |name: &str, bytes: Vec<u8>| Clip { name: name.to_owned(), media_type: "audio/flac", bytes };
    let mut torn = audio::fixture("sine_s16.flac", "torn-frame")?;
    let middle = torn.bytes.len() / 2;
    torn.bytes[middle..middle + 40].fill(0x55);
    let mut half = audio::fixture("sine_s16.wav", "half-a-header")?;
    half.bytes.truncate(30);
    let mut unknown = audio::fixture("sine_s16.wav", "unsupported-codec")?;
    // GSM 6.10, as old Windows recorders wrote it.
    unknown.bytes[20..22].copy_from_slice(&0x31_u16.to_le_bytes());
    Ok(vec![
        clip(Fate::Aborted("not_audio"), named("noise", audio::noise(20_000))),
        clip(Fate::Aborted("not_audio"), named("text", b"this is not audio\n".repeat(50))),
        clip(Fate::Aborted("not_audio"), named("nothing", Vec::new())),
        clip(Fate::Aborted("truncated"), half),
        clip(Fate::Aborted("unsupported_codec"), unknown),
        clip(Fate::Plays, torn),
    ])
}

fn absurd_files() -> Result<Vec<Case>> {
    let some = audio::integers(1_000, |index| index as i16);
    let absurd = |name: &str, wav: Wav| clip(Fate::Aborted("limit"), wav.clip(name, &some));
    Ok(vec![
        clip(Fate::Aborted("limit"), audio::fixture(BOMB, "bomb")?),
        absurd("absurd-rate", Wav { rate_hz: 4_000_000_000, ..MONO }),
        absurd("too-many-channels", Wav { channels: 64, ..MONO }),
    ])
}

fn broken_streams() -> Result<Vec<Case>> {
    let stream =
        |name: &str| kafka::chunks(&MONO.clip(name, &audio::integers(16_000, |index| index as i16)), 4_000);
    let case = |name: &str, fate, chunks| Case { name: name.to_owned(), fate, input: Input::Chunks(chunks) };
    let mut gap = stream("gap")?;
    gap.remove(3);
    let mut endless = stream("never-ends")?;
    endless.pop();
    let mut headless = stream("headless")?;
    headless.remove(0);
    let mut short = stream("wrong-totals")?;
    if let Some(AudioChunk { body: ChunkBody::End(totals), .. }) = short.last_mut() {
        totals.bytes += 1;
    }
    Ok(vec![
        case("gap", Fate::Aborted("gap"), gap),
        case("never-ends", Fate::Expired("idle"), endless),
        case("headless", Fate::Aborted("gap"), headless),
        case("wrong-totals", Fate::Aborted("totals"), short),
    ])
}

fn foreign_records() -> Vec<Case> {
    let case = |name: &str, code, key: Option<&[u8]>, value: Option<Vec<u8>>, schema| Case {
        name: name.to_owned(),
        fate: Fate::Refused(code),
        input: Input::Record { key: key.map(<[u8]>::to_vec), value, schema },
    };
    let start = encoded(&AudioChunk {
        stream_id: StreamId::new("no-key").expect("a valid id"),
        seq: 0,
        capture_time_us: 0,
        source: None,
        body: ChunkBody::Start { format: AudioFormat::default(), segment: Segment::default() },
    });
    let unknown_id = framed(2_000_000_000, b"x");
    let huge_key = vec![b'k'; 1 << 20];
    vec![
        case("wrong-magic-byte", "not_framed", Some(b"foreign"), Some(vec![7, 0, 0, 0, 1, 0, 9]), false),
        case("json", "not_framed", Some(b"foreign"), Some(b"{\"audio\":1}".to_vec()), false),
        case("empty-value", "frame_truncated", Some(b"foreign"), Some(Vec::new()), false),
        case("null-value", "no_value", Some(b"foreign"), None, false),
        case("no-key", "no_key", None, Some(start), true),
        case("unknown-schema", "foreign_schema", Some(b"foreign"), Some(unknown_id), false),
        case("hostile-protobuf", "chunk_malformed", Some(b"foreign"), Some(vec![0xff; 64]), true),
        case("megabyte-key", "chunk_malformed", Some(&huge_key), Some(vec![0xff; 64]), true),
        case("key-not-text", "chunk_malformed", Some(&[0xff, 0xfe, 0]), Some(vec![0xff; 64]), true),
    ]
}
