//! The stages of one segment for one stream, handed over in memory: one stage in the distributed topology, several
//! in the fused one, all of them offline. The three give the same items, since this is the only way stages
//! are driven.

use super::blueprint::Blueprint;
use super::lineage::Timing;
use super::operator::{Emitted, Operator};
use crate::error::{ChainBuildError, ChainError};
use treble_core::{AnyPayload, Fact, Inference, Restart, StageError, Window};

/// What one call made the chain emit.
#[derive(Debug, Default)]
pub struct ChainOutput {
    /// The last stage's items, in order.
    pub items: Vec<AnyPayload>,
    /// What the stages noticed.
    pub facts: Vec<(&'static str, Fact)>,
}

/// Where a chain must be fed from, and how each operator is to be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChainRestart {
    /// One restart point an operator, in data-flow order.
    pub operators: Vec<Restart>,
}

impl ChainRestart {
    /// The first input to feed again.
    #[must_use]
    pub fn input(&self) -> u64 {
        self.operators.first().map_or(0, |restart| restart.input)
    }

    /// The number of the first item that the chain then emits.
    #[must_use]
    pub fn output(&self) -> u64 {
        self.operators.last().map_or(0, |restart| restart.output)
    }
}

/// Operators in data-flow order.
#[derive(Debug)]
pub struct Chain {
    operators: Vec<Operator>,
    skip: Vec<u64>,
    finishing: Option<usize>,
}

impl Chain {
    /// A chain of the blueprint's stages at `restart`; the default restart is the stream's beginning.
    pub fn resume(blueprint: &Blueprint, restart: &ChainRestart) -> Result<Self, ChainBuildError> {
        let mut operators = Vec::with_capacity(blueprint.stages.len());
        for (index, entry) in blueprint.stages.iter().enumerate() {
            let stage = blueprint.build(entry)?;
            let point = restart.operators.get(index).cloned().unwrap_or_default();
            let operator = Operator::resume(entry.name, stage, point)
                .map_err(|error| ChainError { stage: entry.name, error })?;
            operators.push(operator);
        }
        let skip = inputs_to_skip(operators.len(), restart);
        Ok(Self { operators, skip, finishing: None })
    }

    /// Feeds the next input.
    pub fn push(&mut self, input: AnyPayload) -> Result<ChainOutput, ChainError> {
        let mut output = ChainOutput::default();
        self.feed(0, vec![input], &mut output)?;
        Ok(output)
    }

    /// Feeds the end of the stream. The chain [`is_finished`](Self::is_finished) once no window is at the
    /// model any more.
    pub fn finish(&mut self) -> Result<ChainOutput, ChainError> {
        let mut output = ChainOutput::default();
        self.finishing = Some(0);
        self.advance(&mut output)?;
        Ok(output)
    }

    /// Whether the end has been fed.
    #[must_use]
    pub fn is_finishing(&self) -> bool {
        self.finishing.is_some()
    }

    /// Whether the end has passed through all stages.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finishing == Some(self.operators.len()) && !self.operators.iter().any(Operator::waits)
    }

    /// The windows that became ready, with the operator that wants each group.
    pub fn windows(&mut self) -> Vec<(usize, Vec<Window>)> {
        let groups = self.operators.iter_mut().map(Operator::windows).enumerate();
        groups.filter(|(_, windows)| !windows.is_empty()).collect()
    }

    /// How many windows wait to be taken to the model.
    #[must_use]
    pub fn ready_windows(&self) -> usize {
        self.operators.iter().map(Operator::ready_windows).sum()
    }

    /// The name of operator `index`.
    #[must_use]
    pub fn stage(&self, index: usize) -> &'static str {
        self.operators[index].name()
    }

    /// When each stage worked, in data-flow order.
    #[must_use]
    pub fn timings(&self) -> Vec<(&'static str, Timing)> {
        self.operators.iter().map(|operator| (operator.name(), operator.timing())).collect()
    }

    /// Brings operator `index` the results for the windows it handed out.
    pub fn supply(&mut self, index: usize, results: Vec<Window>) -> Result<ChainOutput, ChainError> {
        let mut output = ChainOutput::default();
        let emitted = self.call(index, |operator| operator.supply(results))?;
        self.hand_on(index, emitted, &mut output)?;
        self.advance(&mut output)?;
        Ok(output)
    }

    /// Runs the model until no operator waits for it: for one stream alone, as offline.
    pub fn settle(&mut self, inference: Option<&dyn Inference>) -> Result<ChainOutput, ChainError> {
        let mut output = ChainOutput::default();
        loop {
            let waiting = self.windows();
            if waiting.is_empty() {
                return Ok(output);
            }
            for (index, windows) in waiting {
                let stage = self.operators[index].name();
                let results = infer(inference, windows).map_err(|error| ChainError { stage, error })?;
                let more = self.supply(index, results)?;
                output.items.extend(more.items);
                output.facts.extend(more.facts);
            }
        }
    }

    /// Remembers where each operator could restart now; call where nothing waits for the model.
    pub fn note_restarts(&mut self) {
        self.operators.iter_mut().for_each(Operator::note_restart);
    }

    /// The latest point from which the chain can be rebuilt so that it re-emits item `needed` and later ones.
    pub fn restart(&mut self, needed: u64) -> ChainRestart {
        let mut needed = needed;
        let mut operators: Vec<Restart> = Vec::with_capacity(self.operators.len());
        for operator in self.operators.iter_mut().rev() {
            let restart = operator.restart_for(needed);
            needed = restart.input;
            operators.push(restart);
        }
        operators.reverse();
        ChainRestart { operators }
    }

    /// The number of the next item that the chain emits.
    #[must_use]
    pub fn emitted(&self) -> u64 {
        self.operators.last().map_or(0, Operator::emitted)
    }

    fn feed(
        &mut self,
        index: usize,
        inputs: Vec<AnyPayload>,
        output: &mut ChainOutput,
    ) -> Result<(), ChainError> {
        for input in inputs {
            if self.skip[index] > 0 {
                self.skip[index] -= 1;
                continue;
            }
            let emitted = self.call(index, |operator| operator.push(input))?;
            self.hand_on(index, emitted, output)?;
        }
        Ok(())
    }

    fn hand_on(
        &mut self,
        index: usize,
        emitted: Emitted,
        output: &mut ChainOutput,
    ) -> Result<(), ChainError> {
        let stage = self.operators[index].name();
        output.facts.extend(emitted.facts.into_iter().map(|fact| (stage, fact)));
        if index + 1 < self.operators.len() {
            return self.feed(index + 1, emitted.items, output);
        }
        output.items.extend(emitted.items);
        Ok(())
    }

    /// Finishes the operators one after the other, each when the one before it has emitted its last item.
    fn advance(&mut self, output: &mut ChainOutput) -> Result<(), ChainError> {
        while let Some(index) = self.finishing.filter(|index| *index < self.operators.len()) {
            if index > 0 && self.operators[index - 1].waits() {
                return Ok(());
            }
            let emitted = self.call(index, Operator::finish)?;
            self.hand_on(index, emitted, output)?;
            self.finishing = Some(index + 1);
        }
        Ok(())
    }

    fn call(
        &mut self,
        index: usize,
        step: impl FnOnce(&mut Operator) -> Result<Emitted, StageError>,
    ) -> Result<Emitted, ChainError> {
        let operator = &mut self.operators[index];
        let stage = operator.name();
        step(operator).map_err(|error| ChainError { stage, error })
    }
}

/// How many of its predecessor's first items each operator has already consumed.
fn inputs_to_skip(operators: usize, restart: &ChainRestart) -> Vec<u64> {
    let mut skip = vec![0; operators];
    for (index, pair) in restart.operators.windows(2).enumerate() {
        skip[index + 1] = pair[1].input.saturating_sub(pair[0].output);
    }
    skip
}

fn infer(inference: Option<&dyn Inference>, windows: Vec<Window>) -> Result<Vec<Window>, StageError> {
    match inference {
        Some(engine) => engine.infer(windows),
        None => Err(StageError::Inference { detail: "a stage wants a model, but none is loaded".to_owned() }),
    }
}

#[cfg(test)]
mod tests;
