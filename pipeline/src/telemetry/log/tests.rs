use super::*;
use crate::config::LogFormat;
use crate::memory::ManualClock;
use layer::Shared;
use std::sync::PoisonError;
use tracing::subscriber::with_default;
use tracing_log::log::Record;

/// Keeps what is written, or refuses it.
#[derive(Debug, Clone, Default)]
struct Kept {
    lines: Arc<Mutex<Vec<String>>>,
    /// Every so many lines one is refused; 0: none.
    refuse_every: usize,
    asked: usize,
}

impl Kept {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Kept {
    fn write(&mut self, line: &[u8], _: u64) -> io::Result<()> {
        self.asked += 1;
        if self.refuse_every > 0 && self.asked.is_multiple_of(self.refuse_every) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let line = String::from_utf8_lossy(line).trim_end().to_owned();
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(())
    }
}

struct Rig {
    kept: Kept,
    audit: Kept,
    counts: Counts,
    clock: Arc<ManualClock>,
    capture: Capture,
    writer: Writer,
    lines: Receiver<Option<Line>>,
}

fn rig(repeats: u64, queue: usize, kept: Kept) -> Rig {
    let clock = Arc::new(ManualClock::default());
    let (counts, audit) = (Counts::new().unwrap(), Kept::default());
    let limiter: Shared = Arc::new(Mutex::new(Limiter::new(repeats)));
    let (sender, lines) = sync_channel(queue);
    let capture = Capture {
        limiter: Arc::clone(&limiter),
        lines: sender,
        audited: true,
        counts: counts.clone(),
        clock: clock.clone(),
    };
    let identity = Identity {
        component: "decode".to_owned(),
        instance: "i-0".to_owned(),
        pipeline: "treble".to_owned(),
    };
    let writer = Writer {
        identity,
        format: LogFormat::Json,
        coloured: false,
        sink: Box::new(kept.clone()),
        audit: Some(Box::new(audit.clone())),
        limiter,
        counts: counts.clone(),
        clock: clock.clone(),
    };
    Rig { kept, audit, counts, clock, capture, writer, lines }
}

/// Logs as `work` does, and writes it all.
fn run(rig: Rig, work: impl FnOnce()) -> (Vec<serde_json::Value>, [u64; 3]) {
    let Rig { kept, counts, capture, writer, lines, .. } = rig;
    with_default(tracing_subscriber::registry().with(capture), work);
    // The capture is gone, and with it the queue's other end.
    writer.run(&lines, &AtomicBool::new(false));
    let parsed = kept.take().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    (parsed, counts.sums())
}

#[test]
fn events_and_the_spans_around_them_become_lines() {
    let rig = rig(0, 100, Kept::default());
    let (lines, counts) = run(rig, || {
        let span = tracing::info_span!("stream", stream_id = "clip", trace_id = tracing::field::Empty);
        span.record("trace_id", "0af7651916cd43dd8448eb211c80319c");
        let _entered = span.enter();
        let cause = io::Error::other("password=hunter2");
        let error: &(dyn std::error::Error + 'static) = &cause;
        tracing::warn!(
            event = Event::DeadLetter.text(),
            code = "gap",
            partition = 3,
            error,
            "dead {}",
            "letter"
        );
    });
    assert_eq!(counts, [1, 0, 0]);
    let line = &lines[0];
    assert_eq!(line["message"], "dead letter");
    assert_eq!(line["stream_id"], "clip");
    assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(line["record_partition"], 3);
    assert_eq!(line["error"], "password=***");
    assert_eq!(line["target"], module_path!());
}

#[test]
fn a_place_that_repeats_itself_is_cut_short_and_told_of() {
    let rig = rig(5, 1_000, Kept::default());
    let clock = Arc::clone(&rig.clock);
    let (lines, counts) = run(rig, || {
        for number in 0..100 {
            tracing::warn!(number, "again");
        }
        tracing::info!("once");
        clock.advance(Duration::from_millis(1));
    });
    assert_eq!(counts, [7, 95, 0], "five, the other place, and the line that stands for 95");
    let told = lines.last().unwrap();
    assert_eq!((told["event"].as_str(), told["suppressed"].as_i64()), (Some("lines_suppressed"), Some(95)));
    assert_eq!(told["level"], "WARN");
    assert!(told["attributes"]["place"].as_str().unwrap().contains("tests.rs:"), "{told}");
}

/// Libraries speak through the crate `log`: each module is a place of its own, and its name is the line's target.
#[test]
fn lines_of_libraries_are_told_apart_by_their_module() {
    let rig = rig(3, 1_000, Kept::default());
    let say = |target| {
        let mut record = Record::builder();
        record.level(tracing_log::log::Level::Warn).target(target);
        tracing_log::format_trace(&record.args(format_args!("said")).build()).unwrap();
    };
    let (lines, counts) = run(rig, || {
        (0..10).for_each(|_| say("one::module"));
        say("another::module");
    });
    assert_eq!(counts, [5, 7, 0], "three and one, and the line that stands for seven");
    let targets: Vec<_> = lines.iter().map(|line| line["target"].as_str().unwrap()).collect();
    assert_eq!(targets.iter().filter(|target| **target == "another::module").count(), 1);
    let told = lines.last().unwrap();
    assert_eq!(
        (told["suppressed"].as_i64(), told["attributes"]["place"].as_str()),
        (Some(7), Some("one::module"))
    );
    assert!(lines[0].get("attributes").is_none(), "what the bridge adds is no attribute: {}", lines[0]);
}

/// A flood of failures silences its place in the log, and not in the audit log.
#[test]
fn the_audit_log_hears_all_that_it_is_for_and_nothing_else() {
    let rig = rig(3, 1_000, Kept::default());
    let audit = rig.audit.clone();
    let (lines, counts) = run(rig, || {
        for client in 0..10 {
            let event = Event::AuthenticationFailed.text();
            tracing::warn!(event, client = format!("10.0.0.{client}"), token = "hunter2", "refused");
            tracing::warn!(event = Event::DeadLetter.text(), "dead letter");
        }
    });
    assert_eq!((lines.len(), counts), (8, [8, 14, 0]), "three of each place, and what stands for the rest");
    let audited = audit.take();
    let audited: Vec<serde_json::Value> =
        audited.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let clients: Vec<_> = audited.iter().map(|line| line["client_ip"].as_str().unwrap()).collect();
    assert_eq!(clients, (0..10).map(|client| format!("10.0.0.{client}")).collect::<Vec<_>>());
    assert!(audited.iter().all(|line| line["event"] == "authentication_failed"));
    assert!(audited.iter().all(|line| !line.to_string().contains("hunter2")));
}

#[test]
fn lines_offered_are_written_suppressed_or_dropped() {
    let kept = Kept { refuse_every: 7, ..Kept::default() };
    let rig = rig(40, 30, kept);
    let (lines, [written, suppressed, dropped]) = run(rig, || {
        for number in 0..100 {
            tracing::warn!(number, "one place");
        }
        for number in 0..20 {
            tracing::error!(number, "another");
        }
    });
    assert_eq!(lines.len() as u64, written, "what is counted as written is there");
    // The line that tells what was suppressed was offered as well.
    assert_eq!(written + suppressed + dropped, 100 + 20 + 1);
    assert_eq!(suppressed, 60);
    assert!(dropped > 30, "the queue was full, the sink refused: {dropped}");
}

#[test]
fn a_process_that_ends_writes_what_waits() {
    let rig = rig(0, 100, Kept::default());
    let kept = rig.kept.clone();
    let Rig { capture, writer, .. } = rig;
    drop(capture);
    let (lines, log) = spawn(writer).unwrap();
    let line = Line {
        unix_us: 0,
        level: tracing::Level::INFO,
        target: "a".to_owned(),
        message: "the last words".to_owned(),
        fields: Vec::new(),
        audit_only: false,
    };
    lines.try_send(Some(line)).unwrap();
    drop(log);
    assert!(kept.take()[0].contains("the last words"));
}

#[test]
fn a_library_that_talks_too_much_is_heard_where_it_is_named() {
    use tracing::Level;
    let usual = targets("info");
    assert!(!usual.would_enable("rdkafka::client", &Level::ERROR), "the end of a partition");
    assert!(usual.would_enable("librdkafka", &Level::WARN) && usual.would_enable("treble", &Level::INFO));
    assert!(!usual.would_enable("deltalake_core", &Level::INFO));
    assert!(targets("info,rdkafka::client=error").would_enable("rdkafka::client", &Level::ERROR));
}

#[test]
fn a_component_is_its_stage_or_all_of_them() {
    let config = |stages: &[&str]| {
        let surroundings = crate::config::Surroundings { host_name: "host".to_owned(), ..Default::default() };
        let mut config =
            crate::config::load(&crate::config::Request::default(), &surroundings).unwrap().config;
        config.stages = stages.iter().map(|stage| (*stage).to_owned()).collect();
        config
    };
    assert_eq!(Component::Stages.name(&config(&["upscale"])), "upscale");
    assert_eq!(Component::Stages.name(&config(&["decode", "upscale"])), "pipeline");
    assert_eq!(Component::Lag.name(&config(&["decode"])), "lag");
}
