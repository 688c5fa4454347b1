//! rubato's converters, one a thread for each pair of rates, not one a stream: transforms, filter and workspace of one take up to
//! 150 KiB, and of all that only the tail of the last block is a stream's own. Who comes after another stream feeds its last block again.

use rubato::{Fft, FixedSync, WindowFunction};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use treble_core::SampleRate;

/// Converters that a thread keeps: rates are chosen by whoever publishes.
const KEPT: usize = 8;

/// What converters differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) input: SampleRate,
    pub(super) output: SampleRate,
    /// Frames of a block on either side.
    pub(super) block_in: usize,
    pub(super) block_out: usize,
    pub(super) channels: usize,
}

/// What a stream is given when it leaves a converter: nobody else has the same one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// A converter, and who was here last.
pub(super) struct Converter {
    pair: Pair,
    pub(super) fft: Fft<f32>,
    /// Where a block goes that nobody wants.
    pub(super) warm_up: Vec<Vec<f32>>,
    left: Ticket,
}

impl Converter {
    fn new(pair: Pair) -> Option<Self> {
        let fft = Fft::new_custom(
            pair.input.hz() as usize,
            pair.output.hz() as usize,
            pair.block_in,
            1,
            pair.channels,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .ok()?;
        debug_assert_eq!((fft.fft_size_in(), fft.fft_size_out()), (pair.block_in, pair.block_out));
        let warm_up = vec![vec![0.0; pair.block_out]; pair.channels];
        Some(Self { pair, fft, warm_up, left: Ticket::default() })
    }

    /// The stream that holds `ticket` comes: whether nobody came since it left. Who was never here holds none.
    pub(super) fn enter(&mut self, ticket: &Ticket) -> bool {
        // Nobody's, until this one leaves: where it does not, what it leaves behind is half a block.
        let left = std::mem::take(&mut self.left);
        left != Ticket::default() && left == *ticket
    }

    /// A new ticket, for the stream that was here now.
    pub(super) fn leave(&mut self) -> Ticket {
        /// Over all threads: a stream may be handed from one to another.
        static TICKETS: AtomicU64 = AtomicU64::new(0);
        let number = TICKETS.fetch_add(1, Ordering::Relaxed) + 1;
        self.left = Ticket(number);
        Ticket(number)
    }
}

thread_local! {
    /// The one that was used last comes first.
    static CONVERTERS: RefCell<Vec<Converter>> = const { RefCell::new(Vec::new()) };
}

/// Lends this thread's converter for `pair` to `task`; `None` where rubato builds none.
pub(super) fn with<T>(pair: &Pair, task: impl FnOnce(&mut Converter) -> T) -> Option<T> {
    CONVERTERS.with_borrow_mut(|converters| {
        let converter = match converters.iter().position(|kept| kept.pair == *pair) {
            Some(at) => converters.remove(at),
            None => Converter::new(*pair)?,
        };
        converters.truncate(KEPT - 1);
        converters.insert(0, converter);
        converters.first_mut().map(task)
    })
}
