//! How often the allocator of the system is asked for memory.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often memory was asked for since the program began.
pub(crate) fn asked() -> u64 {
    let stats = COUNTING.stats();
    (stats.allocations + stats.reallocations) as u64
}
