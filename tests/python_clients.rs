//! Clients that Treble did not write, as README.md shows them: kcat, and ten lines of Python. What reaches them is,
//! byte for byte, what the offline path writes (invariant 7).

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use treble_test_support::broker::LocalStack;
use treble_test_support::clips::{self, Clip};
use treble_test_support::kafka::{self, Committed};
use treble_test_support::running::Running;
use treble_test_support::{configuration, verdict};

/// The prefix that the README's commands use: this test has a Kafka of its own.
const PREFIX: &str = "treble";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A stranger's desk: a folder with `song.mp3` in it, and Kafka's address in the environment.
struct Desk {
    folder: tempfile::TempDir,
    servers: String,
}

impl Desk {
    fn new(stack: &LocalStack, song: &Clip) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("song.mp3"), &song.bytes)?;
        Ok(Self { folder, servers: stack.bootstrap_servers().to_owned() })
    }

    /// What the command prints; that it ends within two minutes, and well.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<Vec<u8>> {
        let packages = repository().join(".treble/python").canonicalize();
        let packages = packages.context("no Python clients: run `infra/setup/setup --tests`")?;
        let output = Command::new("timeout")
            .args(["120", program])
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TREBLE_BOOTSTRAP_SERVERS", &self.servers)
            .env("PYTHONPATH", format!("{}:{}", packages.display(), self.folder.path().display()))
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{program}: run `infra/setup/setup --tests`"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{program} {}: {}\n{said}", arguments.join(" "), output.status);
        }
        Ok(output.stdout)
    }

    fn python(&self, path: &str, arguments: &[&str]) -> Result<Vec<u8>> {
        let script = repository().join(path).canonicalize().context(path.to_owned())?;
        let script = script.to_string_lossy();
        let words: Vec<&str> = [script.as_ref()].into_iter().chain(arguments.iter().copied()).collect();
        self.run("python3", &words)
    }

    /// Every committed record of `topic`, as kcat reads it.
    fn kcat_reads(&self, topic: &str) -> Result<Vec<Committed>> {
        let printed = self.run(
            "kcat",
            &["-C", "-b", &self.servers, "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%k\n%R%s"],
        )?;
        let mut records = Vec::new();
        let mut rest = Bytes::from(printed);
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let key = rest.split_to(end).to_vec();
            ensure!(rest.len() > 4, "kcat's output ends within a record");
            let length = rest.split_to(5).slice(1..);
            let length = u32::from_be_bytes(length.as_ref().try_into()?) as usize;
            ensure!(rest.len() >= length, "kcat's output ends within a record");
            let value = Some(rest.split_to(length));
            records.push(Committed { key, value, headers: Vec::new(), partition: 0, offset: 0 });
        }
        Ok(records)
    }
}

fn song() -> Result<Clip> {
    let clips = clips::every_format()?;
    clips.into_iter().find(|clip| clip.media_type == "audio/mpeg").context("no MP3 among the fixtures")
}

#[test]
fn kcat_and_the_readmes_python_get_what_the_offline_path_writes() -> Result<()> {
    let stack = LocalStack::start(1)?;
    kafka::create_topics(&stack, PREFIX)?;
    let config = configuration::config(&configuration::settings(&stack, PREFIX))?;
    let song = song()?;
    let expected = verdict::offline(&config, &song)?.map_err(anyhow::Error::msg)?;
    let desk = Desk::new(&stack, &song)?;
    let running = Running::start(config);

    let (b, t, k, h) = (desk.servers.as_str(), "treble.audio.in", "song", "content-type=audio/mpeg");
    desk.run("kcat", &["-P", "-b", b, "-t", t, "-k", k, "-H", h, "song.mp3"])?;
    desk.python("examples/python/produce.py", &[])?;
    let proto = repository().join("schemas/proto").canonicalize()?;
    let include = format!("-I{}", proto.display());
    desk.python(".treble/python/bin/protoc", &[&include, "--python_out=.", "treble/v1/chunk.proto"])?;
    desk.python("examples/python/consume.py", &[])?;
    let python = std::fs::read(desk.folder.path().join("song.flac"))?;
    ensure!(python == expected, "what Python consumed differs from the offline path");

    verdict::delivered(&stack, PREFIX, 2)?;
    let streams = verdict::assemble(&desk.kcat_reads("treble.audio.out")?)?;
    running.stop()?;
    let names: Vec<&str> = streams.keys().map(String::as_str).collect();
    assert_eq!(names, ["python-song", "song"]);
    for (name, stream) in &streams {
        ensure!(
            stream.ended && stream.bytes == expected,
            "{name}, read with kcat, differs from the offline path"
        );
    }
    Ok(())
}
