//! The verbs that need no Kafka, on real audio.

use crate::treble::Place;
use std::io::Write;
use std::process::Stdio;
use treble_test_support::clips;

fn place_with_song() -> Place {
    let place = Place::new();
    place.write("song.wav", clips::chirp("song", 22_050, 2).bytes);
    place
}

#[test]
fn upscale_writes_a_file_of_the_codec_that_its_name_says() {
    let place = place_with_song();
    for (name, head) in [("song.flac", &b"fLaC"[..]), ("out.wav", b"RIFF"), ("song.opus", b"OggS")] {
        let ended = place.treble(["upscale", "song.wav", "-o", name, "--output", "json"]).code(0);
        let summary = &ended.documents()[0];
        assert_eq!(
            (&summary["kind"], &summary["rate_hz"]),
            (&"upscaled".into(), &48_000.into()),
            "{summary}"
        );
        let seconds = summary["audio_seconds"].as_f64().unwrap();
        assert!((seconds - 2.0).abs() < 0.001, "{seconds} s");
        assert!(summary["speed"].as_f64().unwrap() > 0.0);
        let written = std::fs::read(place.path(name)).unwrap();
        assert!(written.starts_with(head), "{name}");
        assert_eq!(summary["output_bytes"].as_u64().unwrap(), written.len() as u64);
    }
}

#[test]
fn standard_input_and_output_give_the_same_bytes_as_files() {
    let place = place_with_song();
    place.treble(["upscale", "song.wav", "-o", "song.flac"]).code(0);
    let mut child = place
        .command(["upscale", "-", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let song = std::fs::read(place.path("song.wav")).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || stdin.write_all(&song));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, std::fs::read(place.path("song.flac")).unwrap());
}

#[test]
fn progress_is_for_people_or_for_programs() {
    let place = place_with_song();
    let upscale = ["upscale", "song.wav", "-o", "song.flac", "--progress"];
    let plain = place.treble(upscale.iter().chain(&["plain"])).code(0).err;
    let last = plain.lines().last().unwrap();
    assert!(
        last.ends_with("progress=end") && last.contains("speed=") && last.contains("part=1.000"),
        "{plain}"
    );
    let json = place.treble(upscale.iter().chain(&["json"])).code(0).err;
    let last: serde_json::Value =
        serde_json::from_str(json.lines().rfind(|line| line.starts_with('{')).unwrap()).unwrap();
    assert_eq!((&last["kind"], &last["state"]), (&"progress".into(), &"end".into()));
    assert!(last["step"]["speed"].as_f64().unwrap() > 0.0, "{last}");
    assert!(!place.treble(upscale.iter().chain(&["none"])).code(0).err.contains("progress"));
}

#[test]
fn a_spectrogram_is_a_picture_of_both_files() {
    let place = place_with_song();
    place.treble(["upscale", "song.wav", "-o", "song.flac"]).code(0);
    let ended =
        place.treble(["spectrogram", "song.wav", "song.flac", "-o", "song.png", "--output", "json"]).code(0);
    let document = &ended.documents()[0];
    assert_eq!((&document["before_rate_hz"], &document["after_rate_hz"]), (&22_050.into(), &48_000.into()));
    let picture = std::fs::read(place.path("song.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n") && picture.ends_with(b"IEND\xaeB`\x82"));
    let width = u32::from_be_bytes(picture[16..20].try_into().unwrap());
    assert!(width > 1_000, "{width}");
}
