use super::*;

fn subject<'a>(account: &'a Account, input: &'a AudioFormat) -> Subject<'a> {
    Subject {
        id: "a",
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        now_us: 5_000_000,
        status: Status::Finished,
        reason: None,
        input: Some(input),
        account,
        partition: 3,
        last_offset: 9,
    }
}

fn pcm() -> AudioFormat {
    AudioFormat { codec: "audio/pcm".into(), sample_rate_hz: 8_000, channels: 2, ..AudioFormat::default() }
}

/// An account of a stream that is written as Opus.
fn opus() -> Account {
    Account { output: Some(("audio/ogg; codecs=opus".into(), 48_000, 2)), ..Account::default() }
}

#[test]
fn a_tally_counts_records_once_and_pieces_of_a_clip_as_one() {
    let mut tally = Tally::default();
    tally.take(4, 10, Duration::from_millis(5));
    tally.take(4, 10, Duration::from_millis(2));
    tally.take(7, 1, Duration::ZERO);
    tally.emit(24_000, 48_000, 100);
    tally.emit(0, 0, 1);
    assert_eq!((tally.taken, tally.offsets, tally.emitted), ((2, 21), Some((4, 7)), (2, 101)));
    let (account, input) = (opus(), pcm());
    let event = stage_event(&Reporter::default(), &subject(&account, &input), &tally);
    assert_eq!((event.source_offset_first, event.source_offset_last, event.source_partition), (4, 7, 3));
    assert_eq!((event.audio_seconds, event.queue_wait_seconds), (0.5, 0.005));
    assert_eq!((event.codec_in.as_deref(), event.codec_out.as_deref()), (Some("pcm"), Some("ogg")));
    assert_eq!((event.rate_in_hz, event.rate_out_hz, event.batch_size), (Some(8_000), Some(48_000), None));
    assert_eq!(event.trace_id.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
}

#[test]
fn an_account_survives_the_state_record_and_takes_over_what_came_before() {
    let decode =
        Account { bytes_in: 7, codec_in: Some("mp3".into()), errors: 2, gaps: 2, ..Account::default() };
    let mut upscale = Account { mode: Mode::Baseline, bytes_in: 900, gaps: 1, ..Account::default() };
    upscale.fact(&Fact::BandwidthDetected { hz: 3_900 });
    upscale.inherit(Account::read(&decode.write()));
    let mut encode = Account { gaps: 1, bytes_in: 5_000, errors: 1, ..Account::default() };
    encode.inherit(Account::read(&upscale.write()));
    let expect = Account {
        bytes_in: 7,
        codec_in: Some("mp3".into()),
        bandwidth_before_hz: Some(3_900),
        mode: Mode::Baseline,
        errors: 3,
        gaps: 1,
        ..Account::default()
    };
    assert_eq!(encode, expect);
    assert_eq!(Account::read(b"no account"), Account::default());
}

#[test]
fn a_report_leaves_open_what_nobody_knows() {
    let (account, input) = (Account { bandwidth_before_hz: Some(3_900), ..opus() }, pcm());
    let totals = Totals { samples: 96_000, bytes: 50, crc32c: None };
    let report = stream_report(&subject(&account, &input), &totals, None, (1_000_000, 4_500_000));
    assert_eq!((report.duration_seconds, report.end_to_end_latency_seconds), (2.0, 0.5));
    assert_eq!(report.real_time_factor, Some(0.5));
    assert_eq!((report.loudness_lufs, report.silence_seconds, report.bandwidth_after_hz), (None, None, None));
    let resampled = Account { mode: Mode::Baseline, ..account };
    let report = stream_report(&subject(&resampled, &input), &totals, None, (5_000_000, 6_000_000));
    assert_eq!((report.bandwidth_after_hz, report.real_time_factor), (Some(3_900), None));
    assert_eq!(report.end_to_end_latency_seconds, 0.0, "a clock that is ahead makes no negative latency");
}
