//! What every stage must obey, whatever it does (feature `laws`). Laws do not replace a stage's own tests: a
//! wrong hop or a missing clamp passes them.

use crate::error::StageError;
use crate::inference::Inference;
use crate::stage::{Assets, Outbox, Restart, Stage};

/// Feeds all inputs to a fresh instance, serves its windows from `assets`, and returns every item in order.
pub fn run<S: Stage>(
    config: &S::Config,
    assets: &Assets,
    inputs: &[S::In],
) -> Result<Vec<S::Out>, StageError> {
    let mut stage = S::new(config, assets).expect("the example configuration is valid");
    run_on(&mut stage, assets, inputs)
}

/// [`run`] on an instance that exists.
pub fn run_on<S: Stage>(stage: &mut S, assets: &Assets, inputs: &[S::In]) -> Result<Vec<S::Out>, StageError> {
    let mut out = Outbox::default();
    for input in inputs {
        stage.push(input.clone(), &mut out)?;
        settle(stage, assets.inference.as_deref(), &mut out)?;
    }
    stage.finish(&mut out)?;
    settle(stage, assets.inference.as_deref(), &mut out)?;
    Ok(out.items)
}

/// Runs the model until the stage waits for nothing.
pub fn settle<S: Stage>(
    stage: &mut S,
    inference: Option<&dyn Inference>,
    out: &mut Outbox<S::Out>,
) -> Result<(), StageError> {
    loop {
        let windows = stage.windows();
        if windows.is_empty() {
            return Ok(());
        }
        let engine = inference.expect("a stage asks for windows only where it was given a model");
        stage.supply(engine.infer(windows)?, out)?;
    }
}

/// Law: the output does not depend on how the input was cut.
pub fn blind_to_cuts<S: Stage>(config: &S::Config, assets: &Assets, one: &[S::In], other: &[S::In]) {
    let (left, right) = (run::<S>(config, assets, one), run::<S>(config, assets, other));
    assert_eq!(left, right, "{}: the cut of the input shows in the output", S::NAME);
}

/// Law: after `finish` an instance is as new.
pub fn as_new_after_finish<S: Stage>(config: &S::Config, assets: &Assets, inputs: &[S::In]) {
    let mut stage = S::new(config, assets).expect("the example configuration is valid");
    let first = run_on(&mut stage, assets, inputs).expect("the inputs are valid");
    assert_eq!(stage.restart(), Restart::default(), "{}: restart of a finished stage", S::NAME);
    let second = run_on(&mut stage, assets, inputs).expect("the inputs are valid");
    assert_eq!(first, second, "{}: the second run on one instance differs", S::NAME);
}

/// Law: whatever the moment of loss, a successor fed from `restart` continues the uninterrupted output.
pub fn replay_equals_uninterrupted<S: Stage>(config: &S::Config, assets: &Assets, inputs: &[S::In]) {
    let whole = run::<S>(config, assets, inputs).expect("the inputs are valid");
    let mut stage = S::new(config, assets).expect("the example configuration is valid");
    let mut out = Outbox::default();
    for (pushed, input) in inputs.iter().enumerate() {
        stage.push(input.clone(), &mut out).expect("the inputs are valid");
        settle(&mut stage, assets.inference.as_deref(), &mut out).expect("the model runs");
        let Restart { input, output, checkpoint } = stage.restart();
        assert!(input <= pushed as u64 + 1, "{}: restart lies ahead of the input", S::NAME);
        assert!(output <= out.items.len() as u64, "{}: restart would lose emitted items", S::NAME);
        assert!(checkpoint.len() <= 64 * 1024, "{}: checkpoint over 64 KiB", S::NAME);
        let mut successor = S::new(config, assets).expect("the example configuration is valid");
        successor.restore(&checkpoint).expect("its own checkpoint is usable");
        let again = run_on(&mut successor, assets, &inputs[input as usize..]).expect("the inputs are valid");
        assert_eq!(again, whole[output as usize..], "{}: replay after input {pushed} differs", S::NAME);
    }
}

/// Law: any input ends in `Ok` or an error, and never in a panic.
pub fn total<S: Stage>(config: &S::Config, assets: &Assets, inputs: &[S::In]) {
    let outcome = run::<S>(config, assets, inputs);
    if let Err(error) = outcome {
        assert!(!matches!(error, StageError::Panicked { .. }), "{}: {error}", S::NAME);
    }
}
