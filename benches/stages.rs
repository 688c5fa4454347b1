//! Each stage on its own, beside its limit where it has one; and the offline chain beside the sum of its stages.
//!
//! Run by `make bench`; with names of groups (decode, chain, model), those alone. The stages work as they do in a pipeline: from memory to memory, on one thread.

#[path = "stages/model.rs"]
mod model;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use std::io::{Cursor, ErrorKind};
use std::time::Duration;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, TrackType, probe::Hint};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use treble_bench_support::{Figure, clip, drive, race, report, timed};
use treble_core::{Codec, EncodedChunk, EncodedFormat, PcmBlock, Stage};
use treble_decode::DecodeStage;
use treble_encode::{EncodeConfig, EncodeStage};
use treble_pipeline::config::{self, Config, Request, Surroundings};
use treble_pipeline::offline;
use treble_upscale::UpscaleStage;

/// Length of the clip.
const SECONDS: u32 = 30;
/// What a producer's chunk holds; `treble publish` cuts alike.
const CHUNK_BYTES: usize = 256 * 1024;

fn main() -> Result<()> {
    let source = clip(SECONDS);
    let flac = file(Codec::Flac, &source)?;
    let groups: [Group<'_>; 4] = [
        ("decode", &|| decode("decode_flac", &flac)),
        ("decode", &|| decode("decode_wav", &file(Codec::Wav, &source)?)),
        ("chain", &|| chain(&flac)),
        ("model", &model::figures),
    ];
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let known = |word: &String| groups.iter().any(|(name, _)| word == name);
    ensure!(wanted.iter().all(known), "of {wanted:?} not all are groups: decode, chain, model");
    for (name, run) in groups {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            report(&run()?)?;
        }
    }
    Ok(())
}

/// What is asked for by name, and how to get it.
type Group<'a> = (&'a str, &'a dyn Fn() -> Result<Vec<Figure>>);

fn file(codec: Codec, source: &[PcmBlock]) -> Result<Bytes> {
    let config = EncodeConfig { codec, ..EncodeConfig::default() };
    let items = drive::<EncodeStage>(&config, source.to_vec())?;
    Ok(items.iter().flat_map(|item| item.data.to_vec()).collect())
}

/// `file` as a producer would publish it.
fn chunks(file: &Bytes) -> Vec<EncodedChunk> {
    let chunk = |data| EncodedChunk { format: EncodedFormat::default(), data, ..EncodedChunk::default() };
    let cuts = (0..file.len()).step_by(CHUNK_BYTES);
    let pieces = cuts.map(|start| chunk(file.slice(start..file.len().min(start + CHUNK_BYTES))));
    std::iter::once(chunk(Bytes::new())).chain(pieces).collect()
}

/// The decode stage beside symphonia alone over the same bytes. The stage also checks, trims and cuts into blocks.
fn decode(name: &str, file: &Bytes) -> Result<Vec<Figure>> {
    let config = DecodeStage::example();
    let (ours, theirs) =
        (frames(&drive::<DecodeStage>(&config, chunks(file))?), symphonia_alone(file.clone())?);
    ensure!(ours == theirs, "decode gave {ours} frames and symphonia {theirs}");
    let [ours, theirs] = race([&|| alone::<DecodeStage>(&config, &chunks(file)), &|| {
        timed(|| symphonia_alone(file.clone()))
    }])?;
    let seconds = f64::from(SECONDS);
    Ok(vec![
        Figure::speed(&format!("{name}_speed"), seconds, ours),
        Figure::ratio(&format!("{name}_efficiency"), ours, theirs, "symphonia alone"),
    ])
}

fn frames(blocks: &[PcmBlock]) -> u64 {
    blocks.iter().map(|block| block.frames() as u64).sum()
}

/// Reads a whole file the plain way, into planes of f32; how many frames it had.
fn symphonia_alone(file: Bytes) -> Result<u64> {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(file)), MediaSourceStreamOptions::default());
    let mut format = symphonia::default::get_probe().probe(
        &Hint::new(),
        stream,
        FormatOptions::default(),
        MetadataOptions::default(),
    )?;
    let track = format.default_track(TrackType::Audio).context("no audio track")?;
    let params =
        track.codec_params.as_ref().and_then(|params| params.audio()).context("no audio parameters")?;
    let mut decoder =
        symphonia::default::get_codecs().make_audio_decoder(params, &AudioDecoderOptions::default())?;
    let (mut planes, mut frames) = (Vec::<Vec<f32>>::new(), 0);
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(frames),
            // A header written without knowing the length promises more than there is.
            Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => return Ok(frames),
            Err(error) => return Err(error.into()),
        };
        let buffer = decoder.decode(&packet)?;
        buffer.copy_to_vecs_planar(&mut planes);
        frames += buffer.frames() as u64;
    }
}

/// Upscale and encode, each alone on what the stage before it gives; and the chain that `treble upscale` runs beside
/// the sum of its stages.
fn chain(file: &Bytes) -> Result<Vec<Figure>> {
    let config = configuration()?;
    let (decode, upscale) =
        (config.stage_configs.of::<DecodeStage>(), config.stage_configs.of::<UpscaleStage>());
    let encode = config.stage_configs.of::<EncodeStage>();
    let pcm = drive::<DecodeStage>(&decode, chunks(file))?;
    let hires = drive::<UpscaleStage>(&upscale, pcm.clone())?;
    let [decoded, upscaled, encoded, whole] = race([
        &|| alone::<DecodeStage>(&decode, &chunks(file)),
        &|| alone::<UpscaleStage>(&upscale, &pcm),
        &|| alone::<EncodeStage>(&encode, &hires),
        &|| timed(|| offline_chain(&config, file)),
    ])?;
    let sum: Duration = decoded + upscaled + encoded;
    let seconds = f64::from(SECONDS);
    Ok(vec![
        Figure::speed("upscale_baseline_speed", seconds, upscaled),
        Figure::speed("encode_flac_speed", seconds, encoded),
        Figure::speed("offline_chain_speed", seconds, whole),
        Figure::ratio("offline_chain_efficiency", whole, sum, "the sum of its stages"),
    ])
}

/// One stage over a copy of `inputs`, which is made off the clock.
fn alone<S: Stage>(config: &S::Config, inputs: &[S::In]) -> Result<Duration> {
    let inputs = inputs.to_vec();
    timed(|| drive::<S>(config, inputs))
}

fn offline_chain(config: &Config, mut file: &[u8]) -> Result<Vec<u8>> {
    let mut output = Vec::new();
    offline::upscale(config, "audio/flac", &mut file, &mut output, &mut |_| ())?;
    Ok(output)
}

/// The defaults, without a model: baseline needs none.
fn configuration() -> Result<Config> {
    let mut request = Request::default();
    request.set("upscale.mode", "baseline", "bench");
    let surroundings = Surroundings { host_name: "bench".to_owned(), ..Surroundings::default() };
    Ok(config::load(&request, &surroundings)?.config)
}
