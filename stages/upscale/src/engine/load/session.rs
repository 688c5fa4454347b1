//! A session that runs batches of one fixed shape.

use crate::model::{ModelError, ModelSpec, Tensor};
use ort::session::Session;
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};
use treble_core::Window;

/// The session, its names, and the one buffer that its input is laid out in.
pub(in crate::engine) struct OrtSession {
    session: Session,
    input_name: String,
    input: Tensor,
    /// The graph's name for each output of the model, in the order in which a result holds them.
    outputs: Vec<(String, Tensor)>,
    batch: usize,
    buffer: Vec<f32>,
}

impl OrtSession {
    /// Checks that the graph has the tensors that `spec` asks for. A graph whose batch is fixed keeps it.
    pub(super) fn new(session: Session, spec: &ModelSpec, batch: usize) -> Result<Self, ModelError> {
        let input = spec.input();
        let outlet = find(session.inputs(), &input, "input")?;
        let batch = check(outlet, &input)?.unwrap_or(batch);
        let input_name = outlet.name().to_owned();
        let mut outputs = Vec::new();
        for tensor in spec.outputs() {
            let outlet = find(session.outputs(), &tensor, "output")?;
            check(outlet, &tensor)?;
            outputs.push((outlet.name().to_owned(), tensor));
        }
        let buffer = vec![0.0; batch * input.len()];
        Ok(Self { session, input_name, input, outputs, batch, buffer })
    }

    /// Windows in one run.
    pub(in crate::engine) fn batch(&self) -> usize {
        self.batch
    }

    /// Runs the model on silence: shapes that only show at run time, and lazily built kernels, show here.
    pub(in crate::engine) fn warm_up(&mut self) -> Result<(), String> {
        self.run(&[Window(vec![0.0; self.input.len()])]).map(drop)
    }

    /// Runs at most a batch of windows, padded with zeros.
    pub(in crate::engine) fn run(&mut self, windows: &[Window]) -> Result<Vec<Window>, String> {
        let length = self.input.len();
        let (used, padding) = self.buffer.split_at_mut(windows.len() * length);
        for (slot, window) in used.chunks_exact_mut(length).zip(windows) {
            slot.copy_from_slice(&window.0);
        }
        padding.fill(0.0);
        let [rows, columns] = self.input.dimensions;
        let mut run = || -> ort::Result<Vec<Window>> {
            let shape = [self.batch, rows, columns];
            let tensor = TensorRef::from_array_view((shape, self.buffer.as_slice()))?;
            let results = self.session.run(ort::inputs![self.input_name.as_str() => tensor])?;
            let mut windows = vec![Window(Vec::new()); windows.len()];
            for (name, tensor) in &self.outputs {
                let (shape, values) = results[name.as_str()].try_extract_tensor::<f32>()?;
                if values.len() != self.batch * tensor.len() {
                    let [rows, columns] = tensor.dimensions;
                    let expected = [self.batch, rows, columns];
                    return Err(ort::Error::new(format!(
                        "`{name}` came out as {shape}, not as {expected:?}"
                    )));
                }
                for (window, values) in windows.iter_mut().zip(values.chunks_exact(tensor.len())) {
                    window.0.extend_from_slice(values);
                }
            }
            Ok(windows)
        };
        run().map_err(|error| error.to_string())
    }
}

/// The tensor of the wanted name; where any name will do, the only one.
fn find<'a>(outlets: &'a [Outlet], tensor: &Tensor, what: &str) -> Result<&'a Outlet, ModelError> {
    let found = match tensor.name {
        Some(name) => outlets.iter().find(|outlet| outlet.name() == name),
        None => outlets.first().filter(|_| outlets.len() == 1),
    };
    found.ok_or_else(|| ModelError::Shape {
        what: format!("list of {what}s"),
        actual: format!("{:?}", outlets.iter().map(Outlet::name).collect::<Vec<_>>()),
        expected: tensor.name.map_or_else(|| format!("one {what}"), |name| format!("`{name}`")),
    })
}

/// Compares one tensor of the graph with what the metadata ask for; gives the batch where it is fixed.
fn check(outlet: &Outlet, tensor: &Tensor) -> Result<Option<usize>, ModelError> {
    let [rows, columns] = tensor.dimensions;
    let wrong = |actual: String| ModelError::Shape {
        what: format!("`{}`", outlet.name()),
        actual,
        expected: format!("f32 [batch, {rows}, {columns}]"),
    };
    let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = outlet.dtype() else {
        return Err(wrong(format!("{:?}", outlet.dtype())));
    };
    let fits = |actual: i64, wanted: usize| actual < 0 || usize::try_from(actual) == Ok(wanted);
    match shape.as_ref() {
        &[batch, a, b] if fits(a, rows) && fits(b, columns) && batch != 0 => Ok(usize::try_from(batch).ok()),
        other => Err(wrong(format!("f32 {other:?}"))),
    }
}
