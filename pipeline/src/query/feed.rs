//! Keeps [`Live`] tables up to date: rows that the topic has and the lake lacks, and each new snapshot of the lake.
//!
//! It joins no group and commits nothing, so that any number of processes may answer questions.

use crate::config::Config;
use crate::kafka::fault::KafkaFault;
use crate::kafka::fetcher::{Fetcher, Polled, Position};
use crate::lake::records::learn;
use crate::ports::{Clock, InRecord};
use crate::schema_registry::{RegistryAccess, RegistryError, SchemaRegistry};
use crate::secret::SecretError;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use treble_analyse::arrow::error::ArrowError;
use treble_analyse::lake::{Lake, LakeError, Location};
use treble_analyse::live::{Live, Reading, Stored, TableProvider};
use treble_analyse::rollups::{Rollup, Rollups, Versions};
use treble_analyse::rows::Decoder;
use treble_analyse::tables::{Origin, Table};
use treble_schemas::Topics;
use treble_schemas::topic::PrefixError;

/// Records that are turned into rows at once.
const BATCH: usize = 4096;
/// How long one look at the topic waits for a record: rows are to be seen soon.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long one question to the registry may take.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows cannot be kept up to date.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The cluster.
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The registry's password or token.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The prefix of topics.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The system gives no thread.
    #[error("no thread to read the lake with: {0}")]
    Thread(#[source] io::Error),
    /// A defect.
    #[error("rows do not fit together: {0}")]
    Rows(#[from] ArrowError),
}

/// Where rows come from.
#[derive(Debug)]
pub struct Feed {
    config: Config,
    live: Arc<Live>,
    lake: Option<LakeReader>,
    /// Where the lake ends, by partition.
    ends: BTreeMap<i32, i64>,
    /// Whether rows are read that the lake lacks.
    recent: bool,
    /// `None` until a broker has answered.
    topic: Option<TopicReader>,
    clock: Arc<dyn Clock>,
    /// When the lake was last looked at; `None`: not yet.
    looked: Option<Duration>,
}

impl Feed {
    /// A feed of `live` from `lake` and, where `recent`, from the topic of events of `config`. Nothing is read yet.
    ///
    /// # Errors
    ///
    /// An illegal prefix, or no thread.
    pub fn new(
        config: &Config,
        lake: Option<Location>,
        live: Arc<Live>,
        clock: Arc<dyn Clock>,
        recent: bool,
    ) -> Result<Self, FeedError> {
        let topics = Topics::new(&config.prefix)?;
        let lake = lake.map(|location| LakeReader::of(location, config, &topics)).transpose()?;
        let (config, ends) = (config.clone(), BTreeMap::new());
        Ok(Self { config, live, lake, ends, recent, topic: None, clock, looked: None })
    }

    /// One look at the lake, if it is time, and one at the topic. A lake that is not there yet is no error.
    ///
    /// # Errors
    ///
    /// [`FeedError`]; what was read stays, and the next step goes on from there.
    pub fn step(&mut self) -> Result<(), FeedError> {
        let now = self.clock.now();
        if self.looked.is_none_or(|looked| now.saturating_sub(looked) >= self.refresh()) {
            // A lake that cannot be read must not keep the topic from being read meanwhile.
            self.looked = Some(now);
            self.look_at_lake()?;
        }
        // Rows that have no room wait on the topic, until the lake has taken what is here.
        if !self.recent || self.is_full() {
            std::thread::park_timeout(PATIENCE);
            return Ok(());
        }
        if self.topic.is_none() {
            self.topic = Some(TopicReader::start(&self.config, &self.ends)?);
        }
        let Some(topic) = &mut self.topic else { return Ok(()) };
        topic.step(&self.live, &*self.clock)
    }

    fn refresh(&self) -> Duration {
        Duration::from_millis(self.config.sql.refresh_ms)
    }

    /// Whether everything was read that was committed when this feed last looked.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        match (&self.topic, self.recent) {
            (Some(topic), _) => topic.fetcher.is_at_end(),
            (None, recent) => !recent && self.looked.is_some(),
        }
    }

    /// Whether rows in memory have reached their limit, and nothing more is read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.live.bytes() > self.config.sql.recent_mb << 20
    }

    fn look_at_lake(&mut self) -> Result<(), FeedError> {
        let Some(lake) = &mut self.lake else { return Ok(()) };
        if let Some(rollups) = lake.look_at_rollups()? {
            self.live.roll(rollups);
        }
        if let Some(snapshot) = lake.look()? {
            self.ends = ends(&snapshot);
            self.live.store(snapshot);
        }
        Ok(())
    }
}

/// Where the topic of events is to be read from, by partition: every table of events holds what lies before.
fn ends(snapshot: &BTreeMap<Table, Stored>) -> BTreeMap<i32, i64> {
    let of_events = || snapshot.iter().filter(|(table, _)| table.origin() == Origin::Events);
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    for (&partition, &next) in of_events().flat_map(|(_, stored)| &stored.next_offsets) {
        let known = of_events().all(|(_, stored)| stored.next_offsets.contains_key(&partition));
        if known {
            ends.entry(partition).and_modify(|least| *least = next.min(*least)).or_insert(next);
        }
    }
    ends
}

/// Rollups by name.
type Rolled = BTreeMap<Rollup, Arc<dyn TableProvider>>;

/// The lake, looked at again and again.
#[derive(Debug)]
struct LakeReader {
    location: Location,
    pipeline: String,
    topic: String,
    partitions: i32,
    lake: Option<Lake>,
    /// The versions of the snapshot that was handed out last.
    given: Option<Vec<(Table, u64)>>,
    rollups: Rollups,
    rollups_given: Versions,
    runtime: Runtime,
}

impl LakeReader {
    fn of(location: Location, config: &Config, topics: &Topics) -> Result<Self, FeedError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Ok(Self {
            location,
            pipeline: config.prefix.clone(),
            topic: topics.events(),
            partitions: i32::try_from(config.topics.partitions).unwrap_or(i32::MAX),
            lake: None,
            given: None,
            rollups: Rollups::default(),
            rollups_given: Versions::new(),
            runtime: runtime.map_err(FeedError::Thread)?,
        })
    }

    /// The latest rollups; `None` where they are those that were given before.
    fn look_at_rollups(&mut self) -> Result<Option<Rolled>, LakeError> {
        let Self { location, rollups, rollups_given, runtime, .. } = self;
        runtime.block_on(async {
            rollups.refresh(location).await?;
            let versions = rollups.versions();
            if versions == *rollups_given {
                return Ok(None);
            }
            let rolled = rollups.providers().await?;
            *rollups_given = versions;
            Ok(Some(rolled))
        })
    }

    /// The latest snapshot; `None` where it is the one that was given before, or nothing is there yet.
    fn look(&mut self) -> Result<Option<BTreeMap<Table, Stored>>, LakeError> {
        let Self { location, pipeline, topic, partitions, lake, given, runtime, .. } = self;
        runtime.block_on(async {
            match lake {
                Some(lake) => lake.refresh_all().await?,
                None => match Lake::open(location).await {
                    Ok(opened) => {
                        opened.check_pipeline(pipeline)?;
                        *lake = Some(opened);
                    }
                    Err(LakeError::Missing { .. }) => return Ok(None),
                    Err(error) => return Err(error),
                },
            }
            let Some(lake) = lake.as_ref() else { return Ok(None) };
            let versions: Vec<_> =
                lake.tables().into_iter().map(|table| (table, lake.version(table))).collect();
            if given.as_ref() == Some(&versions) {
                return Ok(None);
            }
            let mut snapshot = BTreeMap::new();
            for table in lake.tables() {
                // Lines of the log are seen once they are stored: nobody reads their topic here.
                let next_offsets = match table.origin() {
                    Origin::Events => lake.next_offsets(table, pipeline, topic, *partitions).await?,
                    Origin::Logs => BTreeMap::new(),
                };
                let provider = Some(lake.provider(table).await?);
                snapshot.insert(table, Stored { provider, next_offsets });
            }
            *given = Some(versions);
            Ok(Some(snapshot))
        })
    }
}

/// The topic of events, read from where the lake ends.
#[derive(Debug)]
struct TopicReader {
    fetcher: Fetcher,
    registry: SchemaRegistry,
    decoder: Decoder,
    readings: BTreeMap<i32, Reading>,
    /// Polled, and not yet rows: the registry must say first what they are.
    waiting: Vec<InRecord>,
    /// How often a broker is asked whether it is there.
    contact: Duration,
    /// When one last answered, and which partition was asked about last.
    asked: (Duration, i32),
}

impl TopicReader {
    /// Reads from where the lake ends, or the log begins.
    fn start(config: &Config, ends: &BTreeMap<i32, i64>) -> Result<Self, FeedError> {
        let topics = Topics::new(&config.prefix)?;
        let mut fetcher = Fetcher::connect(&config.kafka, &topics.events())?;
        let mut positions = fetcher.beginnings(None)?;
        for Position { partition, offset } in &mut positions {
            *offset = ends.get(partition).copied().unwrap_or(*offset).max(*offset);
        }
        fetcher.start(&positions)?;
        let reading = |position: &Position| {
            (position.partition, Reading { position: position.offset, end: None, caught_up_us: 0 })
        };
        let readings = positions.iter().map(reading).collect();
        let registry = SchemaRegistry::new(&RegistryAccess::read(&config.registry)?, REGISTRY_TIMEOUT)?;
        let contact = Duration::from_millis(config.sql.refresh_ms);
        let (decoder, waiting, asked) = (Decoder::new(), Vec::new(), (Duration::ZERO, -1));
        Ok(Self { fetcher, registry, decoder, readings, waiting, contact, asked })
    }

    fn step(&mut self, live: &Live, clock: &dyn Clock) -> Result<(), FeedError> {
        while self.waiting.len() < BATCH {
            // Only the first is waited for: what is there is shown at once.
            let patience = if self.waiting.is_empty() { PATIENCE } else { Duration::ZERO };
            match self.fetcher.poll(patience)? {
                Polled::Record(record) => self.waiting.push(record),
                Polled::AtEnd | Polled::Nothing => break,
            }
        }
        self.learn()?;
        let mut partitions: BTreeMap<i32, Vec<InRecord>> = BTreeMap::new();
        for record in self.waiting.drain(..) {
            partitions.entry(record.partition).or_default().push(record);
        }
        for (partition, records) in partitions {
            let reading = self.readings.entry(partition).or_default();
            for record in records {
                reading.position = record.offset + 1;
                self.decoder.push(record.into());
            }
            live.append(partition, self.decoder.flush()?.into_iter().collect(), *reading)?;
        }
        self.tell(live, clock)
    }

    /// Asks what the ids of waiting records mean. While the registry does not answer, they wait.
    fn learn(&mut self) -> Result<(), FeedError> {
        let Self { waiting, decoder, registry, .. } = self;
        for record in waiting {
            learn(decoder, registry, record)?;
        }
        Ok(())
    }

    /// Says how far each partition is: of one that was read to its end, nothing is unseen, if the cluster is there to tell.
    fn tell(&mut self, live: &Live, clock: &dyn Clock) -> Result<(), FeedError> {
        self.keep_in_touch(clock.now())?;
        let now_us = clock.unix_us();
        for (&partition, reading) in &mut self.readings {
            if self.fetcher.is_read(partition) {
                *reading = Reading { end: Some(reading.position), caught_up_us: now_us, ..*reading };
            } else if reading.end.is_none_or(|end| reading.position >= end) {
                reading.end = Some(self.fetcher.end(partition)?);
            }
            live.append(partition, Vec::new(), *reading)?;
        }
        Ok(())
    }

    /// Asks the leader of one partition after the other: a cluster that is gone has no news either.
    fn keep_in_touch(&mut self, now: Duration) -> Result<(), FeedError> {
        let (at, partition) = self.asked;
        if now.saturating_sub(at) < self.contact {
            return Ok(());
        }
        let following = self.readings.range(partition + 1..).chain(&self.readings).next();
        let Some(following) = following.map(|(following, _)| *following) else { return Ok(()) };
        // Another one next time, whatever this one says; and soon, where it says nothing.
        self.asked.1 = following;
        self.fetcher.end(following)?;
        self.asked.0 = now;
        Ok(())
    }
}
