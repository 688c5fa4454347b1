//! A place of the program that writes lines.

use std::hash::{Hash, Hasher};
use std::ptr;
use tracing::{Level, Metadata};

/// Where lines come from, as far as it can be told apart.
#[derive(Debug, Clone)]
pub(super) enum Site {
    /// A call of `tracing`, known by where its description lies: each has one.
    Call(&'static Metadata<'static>),
    /// A module of a library that speaks through the crate `log`, all of whose calls share one description a level.
    Module(Level, String),
}

impl Site {
    /// That of a line of the crate `log`, whose own description `metadata` is.
    pub(super) fn module(metadata: &Metadata<'_>) -> Self {
        Self::Module(*metadata.level(), metadata.target().to_owned())
    }

    pub(super) fn level(&self) -> Level {
        match self {
            Self::Call(metadata) => *metadata.level(),
            Self::Module(level, _) => *level,
        }
    }

    /// The module.
    pub(super) fn target(&self) -> &str {
        match self {
            Self::Call(metadata) => metadata.target(),
            Self::Module(_, target) => target,
        }
    }

    /// For people who look for it.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Call(metadata) => {
                format!("{}:{}", metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default())
            }
            Self::Module(_, target) => target.clone(),
        }
    }
}

impl PartialEq for Site {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Call(one), Self::Call(two)) => ptr::eq(*one, *two),
            (Self::Module(level, target), Self::Module(other, name)) => level == other && target == name,
            _ => false,
        }
    }
}

impl Eq for Site {}

impl Hash for Site {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Call(metadata) => ptr::from_ref(*metadata).hash(state),
            Self::Module(_, target) => target.hash(state),
        }
    }
}
