//! `treble lake`.

use super::{Context, Exit, Failure, registry};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::lake::Retention;
use crate::lake::compare::{self, Comparison};
use crate::ports::Clock;
use clap::{Args, Subcommand};
use serde_json::json;
use tokio::runtime::Runtime;
use treble_analyse::lake::{Lake, LakeError, Location};
use treble_analyse::rollups::{self, Rolled};
use treble_analyse::tables::{Origin, Table};
use treble_analyse::upkeep::{self, Day, Joined, Vacuumed};
use treble_analyse::verify::{self, TableCheck};

/// Looks after the lake that analyse fills
#[derive(Debug, Subcommand)]
pub(super) enum LakeVerb {
    /// Checks that every row is stored once and every file is there
    Verify(Verify),
    /// Joins the small files of past days
    Optimize,
    /// Removes files that no version of the last seven days names
    Vacuum(Vacuum),
    /// Brings the tables of minutes and hours up to date
    Rollup,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit code 65: a row is doubled or missing, or a file is.")]
pub(super) struct Verify {
    /// Reads the topics too, and looks each of their records up in the lake
    #[arg(long)]
    topic: bool,
}

#[derive(Debug, Args)]
pub(super) struct Vacuum {
    /// Tells how many files would be removed, and removes none
    #[arg(long)]
    dry_run: bool,
}

impl LakeVerb {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load(&context.options.request())?.config;
        match self {
            Self::Verify(verify) => verify.run(context, &config),
            Self::Optimize => optimize(context, &config),
            Self::Vacuum(vacuum) => vacuum.run(context, &config),
            Self::Rollup => rollup(context, &config),
        }
    }
}

impl Verify {
    fn run(self, context: &Context, config: &Config) -> Result<Exit, Failure> {
        let runtime = runtime()?;
        let lake = runtime.block_on(async {
            let lake = Lake::open(&location(config)?).await?;
            lake.check_pipeline(&config.prefix)?;
            Ok::<_, LakeError>(lake)
        })?;
        let mut sound = true;
        for origin in Origin::ALL {
            if origin.tables().iter().all(|table| lake.tables().contains(table)) {
                sound &= self.verify(context, config, &runtime, &lake, origin)?;
            }
        }
        if sound {
            return Ok(Exit::Success);
        }
        Err(Failure::new(Exit::Data, "the lake does not hold what it says")
            .mend("keep a copy of it, and report this with the output of `treble lake verify --output json`"))
    }

    /// Whether the tables of `origin` are sound.
    fn verify(
        &self,
        context: &Context,
        config: &Config,
        runtime: &Runtime,
        lake: &Lake,
        origin: Origin,
    ) -> Result<bool, Failure> {
        let topic = crate::lake::topic(&registry::topics(config), origin);
        let partitions = i32::try_from(config.topics.partitions).unwrap_or(i32::MAX);
        let of_topic = (origin, topic.as_str());
        let (checks, seen) = runtime.block_on(verify::verify(lake, &config.prefix, of_topic, partitions))?;
        for check in &checks {
            report(context, check)?;
        }
        let mut sound = checks.iter().all(TableCheck::is_sound);
        if self.topic {
            let today = Day::of_unix_us(SystemClock::new().unix_us());
            let first = Retention::of(&config.lake).first_day(origin, today);
            let compared = compare::against_topic(config, of_topic, &checks, &seen, first)?;
            let compared = compared.ok_or_else(|| Failure::silence(None))?;
            report_topic(context, &topic, compared)?;
            sound &= compared.missing == 0;
        }
        Ok(sound)
    }
}

fn report(context: &Context, check: &TableCheck) -> Result<(), Failure> {
    let TableCheck { table, version, rows, files, missing_files, doubled, beyond, positions } = check;
    let document = json!({
        "table": table.name(), "version": version, "rows": rows, "files": files, "missing_files": missing_files,
        "doubled": doubled, "beyond": beyond, "positions": positions,
    });
    context.output.document("lake_table", &document, || {
        let verdict = if check.is_sound() { "ok" } else { "fault" };
        let missing = missing_files.len();
        format!(
            "{verdict:<8} {:<16} {rows} rows in {files} files, version {version}: {doubled} doubled, {beyond} beyond \
             their position, {missing} files missing",
            table.name()
        )
    })
}

fn report_topic(context: &Context, topic: &str, compared: Comparison) -> Result<(), Failure> {
    let Comparison { stored, waiting, expired, missing } = compared;
    let document = json!({
        "topic": topic, "stored": stored, "waiting": waiting, "expired": expired, "missing": missing,
    });
    context.output.document("lake_topic", &document, || {
        let verdict = if missing == 0 { "ok" } else { "fault" };
        format!(
            "{verdict:<8} {topic:<16} {stored} records stored, {waiting} waiting, {expired} past retention, {missing} missing"
        )
    })
}

fn optimize(context: &Context, config: &Config) -> Result<Exit, Failure> {
    let today = Day::of_unix_us(SystemClock::new().unix_us());
    let joined = runtime()?.block_on(async {
        let mut lake = Lake::open(&location(config)?).await?;
        upkeep::optimize(&mut lake, today).await
    })?;
    for Joined { table, removed, added } in joined {
        let name = table.name();
        let document = json!({ "table": name, "files_removed": removed, "files_added": added });
        context
            .output
            .document("lake_optimized", &document, || format!("{name:<16} {removed} files became {added}"))?;
    }
    Ok(Exit::Success)
}

impl Vacuum {
    fn run(self, context: &Context, config: &Config) -> Result<Exit, Failure> {
        let vacuumed = runtime()?.block_on(async {
            let mut lake = Lake::open(&location(config)?).await?;
            upkeep::vacuum(&mut lake, self.dry_run).await
        })?;
        for Vacuumed { table, files } in vacuumed {
            let (name, dry_run) = (table.name(), self.dry_run);
            let document = json!({ "table": name, "files": files, "dry_run": dry_run });
            context.output.document("lake_vacuumed", &document, || {
                let verb = if dry_run { "would be removed" } else { "removed" };
                format!("{name:<16} {files} files {verb}")
            })?;
        }
        Ok(Exit::Success)
    }
}

fn rollup(context: &Context, config: &Config) -> Result<Exit, Failure> {
    let rolled = runtime()?.block_on(async {
        let lake = Lake::open(&location(config)?).await?;
        rollups::run(&lake).await
    })?;
    for Rolled { rollup, source_version, days, rows } in rolled {
        let name = rollup.name();
        let document = json!({ "table": name, "source_version": source_version, "days": days, "rows": rows });
        context.output.document("lake_rollup", &document, || {
            let days = days.len();
            format!("{name:<16} {rows} rows for {days} days, as of version {source_version} of stage_events")
        })?;
    }
    Ok(Exit::Success)
}

/// What there is at the configured address; `None` where none is configured.
pub(super) fn look(config: &Config) -> Result<Option<String>, Failure> {
    if config.lake.url.is_none() {
        return Ok(None);
    }
    let lake = runtime()?.block_on(async { Lake::open(&location(config)?).await })?;
    let table = |table: Table| format!("{} at version {}", table.name(), lake.version(table));
    Ok(Some(lake.tables().into_iter().map(table).collect::<Vec<_>>().join(", ")))
}

fn runtime() -> Result<Runtime, Failure> {
    Runtime::new().map_err(|error| Failure::new(Exit::Software, "no runtime").because(error))
}

/// Where the configured lake is.
fn location(config: &Config) -> Result<Location, LakeError> {
    Location::parse(config.lake.url.as_deref().unwrap_or_default())
}
