//! Keeps [`Live`] tables up to date: rows that the topic has and the lake lacks, and each new snapshot of the lake.
//!
//! It joins no group and commits nothing, so that any number of processes may answer questions.

use crate::config::Config;
use crate::kafka::fault::KafkaFault;
use crate::kafka::fetcher::{Fetcher, Polled, Position};
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
use treble_analyse::rollups::{Rollup, Rollups};
use treble_analyse::rows::{Decoder, Record};
use treble_analyse::tables::Table;
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
    live: Arc<Live>,
    lake: Option<LakeReader>,
    topic: Option<TopicReader>,
    clock: Arc<dyn Clock>,
    refresh: Duration,
    refreshed: Duration,
    most_bytes: usize,
}

impl Feed {
    /// A feed of `live` from the lake of `config` and, where `recent`, from its topic of events. Once it returns, `live` holds
    /// the lake's latest snapshot.
    ///
    /// # Errors
    ///
    /// [`FeedError`], where the lake cannot be read or no broker answers. A lake that is not there yet is none.
    pub fn start(
        config: &Config,
        lake: Option<Location>,
        live: Arc<Live>,
        clock: Arc<dyn Clock>,
        recent: bool,
    ) -> Result<Self, FeedError> {
        let topics = Topics::new(&config.prefix)?;
        let mut feed = Self {
            live,
            lake: lake.map(|location| LakeReader::of(location, config, &topics)).transpose()?,
            topic: None,
            clock,
            refresh: Duration::from_millis(config.sql.refresh_ms),
            refreshed: Duration::ZERO,
            most_bytes: config.sql.recent_mb << 20,
        };
        let next = feed.look_at_lake()?;
        if recent {
            feed.topic = Some(TopicReader::start(config, &topics, &next)?);
        }
        Ok(feed)
    }

    /// One look at the lake, if it is time, and one at the topic.
    ///
    /// # Errors
    ///
    /// [`FeedError`]; what was read stays, and the next step goes on from there.
    pub fn step(&mut self) -> Result<(), FeedError> {
        if self.clock.now().saturating_sub(self.refreshed) >= self.refresh {
            self.look_at_lake()?;
        }
        // Rows that have no room wait on the topic, until the lake has taken what is here.
        let full = self.is_full();
        match &mut self.topic {
            Some(topic) if !full => topic.step(&self.live, &*self.clock),
            _ => {
                std::thread::park_timeout(PATIENCE);
                Ok(())
            }
        }
    }

    /// Whether everything was read that was committed when this feed last looked.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.topic.as_ref().is_none_or(|topic| topic.fetcher.is_at_end())
    }

    /// Whether rows in memory have reached their limit, and nothing more is read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.live.bytes() > self.most_bytes
    }

    fn look_at_lake(&mut self) -> Result<BTreeMap<i32, i64>, FeedError> {
        self.refreshed = self.clock.now();
        let Some(lake) = &mut self.lake else { return Ok(BTreeMap::new()) };
        if let Some(rollups) = lake.look_at_rollups()? {
            self.live.roll(rollups);
        }
        let Some(snapshot) = lake.look()? else { return Ok(BTreeMap::new()) };
        let next = beginnings(&snapshot);
        self.live.store(snapshot);
        Ok(next)
    }
}

/// Where the topic is to be read from, by partition: no table holds what lies behind.
fn beginnings(snapshot: &BTreeMap<Table, Stored>) -> BTreeMap<i32, i64> {
    let mut beginnings: BTreeMap<i32, i64> = BTreeMap::new();
    for (&partition, &next) in snapshot.values().flat_map(|stored| &stored.next_offsets) {
        let known = snapshot.values().all(|stored| stored.next_offsets.contains_key(&partition));
        if known {
            beginnings.entry(partition).and_modify(|least| *least = next.min(*least)).or_insert(next);
        }
    }
    beginnings
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
    rollups: Rollups,
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
            rollups: Rollups::default(),
            runtime: runtime.map_err(FeedError::Thread)?,
        })
    }

    /// The latest rollups; `None` where they are those that were looked at before.
    fn look_at_rollups(&mut self) -> Result<Option<Rolled>, LakeError> {
        let Self { location, rollups, runtime, .. } = self;
        runtime.block_on(async {
            let changed = rollups.refresh(location).await?;
            Ok(if changed { Some(rollups.providers().await?) } else { None })
        })
    }

    /// The latest snapshot; `None` where it is the one that was looked at before, or nothing is there yet.
    fn look(&mut self) -> Result<Option<BTreeMap<Table, Stored>>, LakeError> {
        let Self { location, pipeline, topic, partitions, lake, runtime, .. } = self;
        runtime.block_on(async {
            let versions = |lake: &Lake| Table::ALL.map(|table| lake.version(table));
            let before = lake.as_ref().map(versions);
            match lake {
                Some(lake) => lake.refresh().await?,
                None => match Lake::open(location).await {
                    Ok(opened) => *lake = Some(opened),
                    Err(LakeError::Missing { .. }) => return Ok(None),
                    Err(error) => return Err(error),
                },
            }
            let Some(lake) = lake.as_ref().filter(|lake| before != Some(versions(lake))) else {
                return Ok(None);
            };
            let mut snapshot = BTreeMap::new();
            for table in Table::ALL {
                let next_offsets = lake.next_offsets(table, pipeline, topic, *partitions).await?;
                let provider = Some(lake.provider(table).await?);
                snapshot.insert(table, Stored { provider, next_offsets });
            }
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
}

impl TopicReader {
    fn start(config: &Config, topics: &Topics, next: &BTreeMap<i32, i64>) -> Result<Self, FeedError> {
        let mut fetcher = Fetcher::connect(&config.kafka, &topics.events())?;
        let mut positions = fetcher.beginnings(None)?;
        for Position { partition, offset } in &mut positions {
            *offset = next.get(partition).copied().unwrap_or(*offset).max(*offset);
        }
        fetcher.start(&positions)?;
        let reading = |position: &Position| {
            (position.partition, Reading { position: position.offset, end: None, caught_up_us: 0 })
        };
        let readings = positions.iter().map(reading).collect();
        let registry = SchemaRegistry::new(&RegistryAccess::read(&config.registry)?, REGISTRY_TIMEOUT)?;
        Ok(Self { fetcher, registry, decoder: Decoder::new(), readings, waiting: Vec::new() })
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
            for InRecord { partition, offset, timestamp_ms, key, value, .. } in records {
                reading.position = offset + 1;
                self.decoder.push(Record { partition, offset, timestamp_ms, key, value });
            }
            live.append(partition, self.decoder.flush()?.into_iter().collect(), *reading)?;
        }
        self.tell(live, clock)
    }

    /// Asks what the ids of waiting records mean. While the registry does not answer, they wait.
    fn learn(&mut self) -> Result<(), FeedError> {
        for record in &self.waiting {
            if let Some(id) = self.decoder.unknown_schema(record.value.as_ref()) {
                self.decoder.learn(id, self.registry.text_of(id)?.as_deref());
            }
        }
        Ok(())
    }

    /// Says how far each partition is: of one that was read to its end, nothing is unseen.
    fn tell(&mut self, live: &Live, clock: &dyn Clock) -> Result<(), FeedError> {
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
}
