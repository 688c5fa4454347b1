//! `treble graph`.

use super::{Context, Exit, Failure};
use crate::topology::{self, ANALYSE, Segment};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::fmt::Write;
use treble_schemas::Topics;

/// Draws the topics and stages of this configuration
#[derive(Debug, Args)]
#[command(after_help = "Example: treble graph | dot -Tsvg > graph.svg")]
pub(super) struct Graph {
    /// The language of the drawing; --output json means json
    #[arg(long, value_enum, default_value = "dot")]
    format: Language,
    /// The stages to draw, separated by commas
    #[arg(long, value_name = "LIST")]
    stages: Option<String>,
    /// distributed or fused
    #[arg(long, value_name = "KIND")]
    topology: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
    /// For programs
    Json,
}

impl Graph {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut request = context.options.request();
        for (key, value) in [("stages", &self.stages), ("topology", &self.topology)] {
            if let Some(value) = value {
                request.set(key, value, &format!("--{key}"));
            }
        }
        let config = context.load(&request)?.config;
        let segments = topology::segments(&config.stages, config.topology, &config.prefix)
            .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
        let dlq = Topics::new(&config.prefix).map(|topics| topics.dlq()).unwrap_or_default();
        let mut edges = edges(&segments, &dlq);
        if config.analyses() {
            let events = Topics::new(&config.prefix).map(|topics| topics.events()).unwrap_or_default();
            let told = segments.iter().map(|segment| (segment.name(), events.clone(), "events"));
            edges.extend(told.filter(|_| config.events.enabled));
            edges.push((events, ANALYSE.to_owned(), "input"));
            edges.push((ANALYSE.to_owned(), "lake".to_owned(), "output"));
        }
        let text = match self.format {
            _ if context.output.is_json() => json_of(&segments, &edges),
            Language::Json => json_of(&segments, &edges),
            Language::Dot => dot(&segments, &edges),
            Language::Mermaid => mermaid(&segments, &edges),
        };
        context.output.raw(text.as_bytes())?;
        Ok(Exit::Success)
    }
}

/// From, to, and what the arrow means.
type Edge = (String, String, &'static str);

fn edges(segments: &[Segment], dlq: &str) -> Vec<Edge> {
    let of = |segment: &Segment| {
        let name = segment.name();
        [
            (segment.input_topic.clone(), name.clone(), "input"),
            (name.clone(), segment.output_topic.clone(), "output"),
            (name.clone(), segment.state_topic.clone(), "state"),
            (name, dlq.to_owned(), "dead letters"),
        ]
    };
    segments.iter().flat_map(of).collect()
}

fn json_of(segments: &[Segment], edges: &[Edge]) -> String {
    let stage = |segment: &Segment| {
        let stages = segment.stages.iter();
        json!({
            "name": segment.name(),
            "group": segment.group,
            "stages": stages.map(|stage| json!({ "name": stage.name, "summary": stage.summary })).collect::<Vec<_>>(),
        })
    };
    let edge = |(from, to, role): &Edge| json!({ "from": from, "to": to, "role": role });
    let graph = json!({
        "segments": segments.iter().map(stage).collect::<Vec<_>>(),
        "edges": edges.iter().map(edge).collect::<Vec<_>>(),
    });
    super::output::versioned("graph", &graph) + "\n"
}

fn dot(segments: &[Segment], edges: &[Edge]) -> String {
    let mut text = "digraph treble {\n  rankdir=LR;\n  node [shape=cylinder];\n".to_owned();
    for segment in segments {
        let name = segment.name();
        writeln!(text, "  \"{name}\" [shape=box, style=rounded];").expect("a String takes all");
    }
    for (from, to, role) in edges {
        let style = if is_main(role) { "" } else { " [style=dashed]" };
        writeln!(text, "  \"{from}\" -> \"{to}\"{style};").expect("a String takes all");
    }
    text + "}\n"
}

fn mermaid(segments: &[Segment], edges: &[Edge]) -> String {
    let names: Vec<String> = segments.iter().map(Segment::name).collect();
    let node = |name: &String| {
        let id = name.replace(['.', '-'], "_");
        if names.contains(name) { format!("{id}[\"{name}\"]") } else { format!("{id}[(\"{name}\")]") }
    };
    edges.iter().fold("flowchart LR\n".to_owned(), |text, (from, to, role)| {
        let arrow = if is_main(role) { "-->" } else { "-.->" };
        format!("{text}  {} {arrow} {}\n", node(from), node(to))
    })
}

fn is_main(role: &str) -> bool {
    matches!(role, "input" | "output")
}
