//! Bytes for a reader that pulls, from a stage that is pushed: the reader runs in a coroutine, and a read
//! that finds nothing suspends it until the next bytes, or the end of the stream, come.
//!
//! This is the one room with `unsafe`. Symphonia wants its [`MediaSource`] to be `Send + Sync`, so the source
//! cannot hold the coroutine's [`Yielder`]; it finds it through a thread-local pointer.
//!
//! # Safety argument
//!
//! `YIELDER` is non-null only while the coroutine that owns the pointed-to yielder runs on this thread:
//! * the coroutine's own first statement sets it to its yielder, which lives at the base of the coroutine's
//!   stack until the coroutine has returned or was unwound;
//! * [`Suspended::resume`] clears it on the way in and restores its caller's value on the way out, on every
//!   path, panics included; so it never outlives the run that set it, not even when coroutines nest;
//! * [`wait`] sets it again after each suspension to the yielder it suspended through, before any other code
//!   of that coroutine runs.
//!
//! When a suspended coroutine is dropped, `suspend` unwinds instead of returning (`corosensei` forces it):
//! the pointer stays null then, and a read out of a destructor is an error, not an access.

use crate::tap::Tap;
use bytes::Bytes;
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{fmt, ptr};
use symphonia::core::io::MediaSource;
use treble_core::StageError;

/// Address space of one stack. Only the pages that are touched cost memory; AAC needs more than 64 KiB, and
/// an overflow ends the process at the guard page.
const STACK_BYTES: usize = 1 << 20;

thread_local! {
    /// The yielder of the coroutine that runs on this thread now; null outside of one.
    static YIELDER: Cell<*const Yielder<Feed, ()>> = const { Cell::new(ptr::null()) };
}

/// What a suspended reader is resumed with.
#[derive(Debug, Clone)]
pub(crate) enum Feed {
    /// More bytes; empty ones are allowed and change nothing.
    Data(Bytes),
    /// No more bytes will come.
    End,
}

/// What a resumed reader did.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// It wants more bytes.
    Hungry,
    /// It is done, well or not, and must not be resumed again.
    Done(Result<(), StageError>),
}

/// A reader between two feeds. Dropping it unwinds the reader's stack.
pub(crate) struct Suspended {
    coroutine: Coroutine<Feed, (), Result<(), StageError>>,
}

impl fmt::Debug for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspended").field("done", &self.coroutine.done()).finish_non_exhaustive()
    }
}

impl Suspended {
    /// Prepares `read` to run in a coroutine of its own; it starts with the first feed.
    ///
    /// # Errors
    /// If the operating system has no address space for another stack.
    pub(crate) fn new<F>(read: F) -> Result<Self, StageError>
    where
        F: FnOnce(ByteSource) -> Result<(), StageError> + 'static,
    {
        let stack = DefaultStack::new(STACK_BYTES)
            .map_err(|error| StageError::Panicked { detail: format!("no stack for the reader: {error}") })?;
        let coroutine = Coroutine::with_stack(stack, move |yielder, first| {
            YIELDER.set(yielder);
            let mut source = ByteSource::default();
            source.accept(first);
            read(source)
        });
        Ok(Self { coroutine })
    }

    /// Runs the reader until it wants bytes again or is done. A panic of the reader is an error like others.
    pub(crate) fn resume(&mut self, feed: Feed) -> Progress {
        let outer = YIELDER.replace(ptr::null());
        let result = catch_unwind(AssertUnwindSafe(|| self.coroutine.resume(feed)));
        YIELDER.set(outer);
        match result {
            Ok(CoroutineResult::Yield(())) => Progress::Hungry,
            Ok(CoroutineResult::Return(result)) => Progress::Done(result),
            Err(panic) => Progress::Done(Err(StageError::Panicked { detail: panic_message(&*panic) })),
        }
    }
}

/// The text of a panic, where it has one.
fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

/// Suspends the running reader until it is fed.
fn wait() -> io::Result<Feed> {
    let yielder = YIELDER.get();
    if yielder.is_null() {
        return Err(io::Error::other("a byte source was read outside of its coroutine"));
    }
    #[expect(unsafe_code, reason = "the source cannot hold the yielder: it must be Send + Sync")]
    // SAFETY: non-null means that the owner of the yielder is the coroutine running now (module docs), so the
    // pointee is alive, and it is only ever shared.
    let feed = unsafe { (*yielder).suspend(()) };
    YIELDER.set(yielder);
    Ok(feed)
}

/// The bytes of one stream, in order; ends only at the end of the stream.
#[derive(Debug, Default)]
pub(crate) struct ByteSource {
    ready: Bytes,
    ended: bool,
    tap: Tap,
}

impl ByteSource {
    fn accept(&mut self, feed: Feed) {
        match feed {
            Feed::Data(bytes) => self.ready = bytes,
            Feed::End => self.ended = true,
        }
    }

    /// The next run of bytes, as it was fed; `None` at the end of the stream.
    pub(crate) fn next_run(&mut self) -> io::Result<Option<Bytes>> {
        while self.ready.is_empty() {
            if self.ended {
                return Ok(None);
            }
            let feed = wait()?;
            self.accept(feed);
        }
        Ok(Some(std::mem::take(&mut self.ready)))
    }

    /// Lets `tap` see what is read from now on.
    pub(crate) fn tap(&mut self, tap: Tap) {
        self.tap = tap;
    }

    /// Puts bytes before all others.
    pub(crate) fn prepend(&mut self, bytes: &Bytes) {
        if !bytes.is_empty() {
            self.ready = [&bytes[..], &self.ready].concat().into();
        }
    }

    /// Gives bytes back, to be read again before all others. At most what [`Self::next_run`] handed out.
    pub(crate) fn put_back(&mut self, bytes: Bytes) {
        debug_assert!(self.ready.is_empty(), "bytes are put back where they were taken from");
        self.ready = bytes;
    }
}

impl Read for ByteSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut run) = self.next_run()? else { return Ok(0) };
        let head = run.split_to(run.len().min(buffer.len()));
        buffer[..head.len()].copy_from_slice(&head);
        self.ready = run;
        self.tap.pass(&head)?;
        Ok(head.len())
    }
}

impl Seek for ByteSource {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

impl MediaSource for ByteSource {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    fn collecting() -> (Suspended, Rc<RefCell<Vec<u8>>>) {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&seen);
        let reader = Suspended::new(move |mut source| {
            let mut buffer = [0; 3];
            loop {
                match source.read(&mut buffer).expect("fed by the test") {
                    0 => return Ok(()),
                    n => sink.borrow_mut().extend_from_slice(&buffer[..n]),
                }
            }
        });
        (reader.unwrap(), seen)
    }

    #[test]
    fn interleaved_readers_each_see_their_own_bytes() {
        let (mut a, seen_a) = collecting();
        let (mut b, seen_b) = collecting();
        for round in 0..5u8 {
            assert_eq!(a.resume(Feed::Data(Bytes::from(vec![round; 4]))), Progress::Hungry);
            assert_eq!(b.resume(Feed::Data(Bytes::from(vec![100 + round; 2]))), Progress::Hungry);
            assert_eq!(b.resume(Feed::Data(Bytes::new())), Progress::Hungry);
        }
        assert_eq!(a.resume(Feed::End), Progress::Done(Ok(())));
        assert_eq!(b.resume(Feed::End), Progress::Done(Ok(())));
        assert_eq!(seen_a.borrow().len(), 20);
        assert_eq!(*seen_b.borrow(), [100, 100, 101, 101, 102, 102, 103, 103, 104, 104]);
    }

    #[test]
    fn a_reader_may_drive_another() {
        let (mut outer, seen) = {
            let seen = Rc::new(RefCell::new(0));
            let count = Rc::clone(&seen);
            let outer = Suspended::new(move |mut source| {
                let (mut inner, inner_seen) = collecting();
                while let Some(run) = source.next_run().expect("fed by the test") {
                    assert_eq!(inner.resume(Feed::Data(run)), Progress::Hungry);
                }
                *count.borrow_mut() = inner_seen.borrow().len();
                Ok(())
            });
            (outer.unwrap(), seen)
        };
        assert_eq!(outer.resume(Feed::Data(Bytes::from_static(b"abc"))), Progress::Hungry);
        assert_eq!(outer.resume(Feed::Data(Bytes::from_static(b"de"))), Progress::Hungry);
        assert_eq!(outer.resume(Feed::End), Progress::Done(Ok(())));
        assert_eq!(*seen.borrow(), 5);
    }

    #[test]
    fn a_panic_is_an_error_of_that_reader_only() {
        let mut bad = Suspended::new(|mut source| {
            let run = source.next_run().expect("fed by the test");
            panic!("byte {:?}", run.map(|run| run[0]))
        })
        .unwrap();
        let (mut good, _) = collecting();
        assert_eq!(good.resume(Feed::Data(Bytes::from_static(b"x"))), Progress::Hungry);
        let Progress::Done(Err(StageError::Panicked { detail })) =
            bad.resume(Feed::Data(Bytes::from_static(b"z")))
        else {
            panic!("the reader panics");
        };
        assert_eq!(detail, "byte Some(122)");
        drop(bad);
        assert_eq!(good.resume(Feed::End), Progress::Done(Ok(())));
    }

    #[test]
    fn dropping_a_suspended_reader_drops_what_is_on_its_stack() {
        struct Witness(Rc<Cell<bool>>, ByteSource);
        impl Drop for Witness {
            fn drop(&mut self) {
                self.0.set(true);
                assert!(self.1.next_run().is_err(), "no suspension while unwinding");
            }
        }
        let dropped = Rc::new(Cell::new(false));
        let flag = Rc::clone(&dropped);
        let mut reader = Suspended::new(move |source| {
            let mut witness = Witness(flag, source);
            while witness.1.next_run().expect("fed by the test").is_some() {}
            Ok(())
        })
        .unwrap();
        assert_eq!(reader.resume(Feed::Data(Bytes::from_static(b"x"))), Progress::Hungry);
        drop(reader);
        assert!(dropped.get());
    }
}
