//! An allocator that counts: a suite that has this module knows what its threads have on the heap.
#![allow(dead_code, reason = "each suite that has it is a crate of its own, and uses a part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts the bytes that this thread has on the heap, and the most it had.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends frees after its counters are gone.
    let _gone = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(live.get())));
    });
}

#[expect(unsafe_code, reason = "the trait of allocators demands it")]
// SAFETY: every call is handed to the system's allocator as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that this thread has on the heap: less than 0 where it freed what others took.
pub(crate) fn live() -> isize {
    LIVE.get()
}

/// Runs `work`; the most bytes it had on the heap beyond what was there before.
pub(crate) fn peak(work: impl FnOnce()) -> usize {
    let before = live();
    PEAK.set(before);
    work();
    usize::try_from(PEAK.get() - before).expect("a peak is no less than where it began")
}
