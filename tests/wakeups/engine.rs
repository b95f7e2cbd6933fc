//! The engine's source, on shuttle's locks and threads.

// A part of the engine is not all who call it, and what is public there is not here. The files are formatted where they
// belong, with their unit tests, which from here rustfmt would not find.
#![allow(dead_code, unreachable_pub)]

pub(crate) mod clock;

#[rustfmt::skip]
#[path = "../../src/engine/error.rs"]
mod error;

pub(crate) mod sync;

pub(crate) mod sleep;

/// The scheduler's thread is the test's, which takes its signals.
mod signals {
    pub(super) const fn block() {}
}

#[rustfmt::skip]
#[path = "../../src/engine/pace.rs"]
mod pace;

#[path = "../../src/engine/spin.rs"]
pub(crate) mod spin;

#[rustfmt::skip]
#[path = "../../src/engine/seat.rs"]
mod seat;

#[rustfmt::skip]
#[path = "../../src/engine/watch.rs"]
mod watch;

#[rustfmt::skip]
#[path = "../../src/engine/reader.rs"]
pub(crate) mod reader;

#[rustfmt::skip]
#[path = "../../src/engine/waiters/mod.rs"]
pub(crate) mod waiters;

#[rustfmt::skip]
#[path = "../../src/engine/shard.rs"]
pub(crate) mod shard;

#[path = "../../src/engine/idling.rs"]
mod idling;

#[rustfmt::skip]
#[path = "../../src/engine/sitting.rs"]
mod sitting;

#[rustfmt::skip]
#[path = "../../src/engine/passing.rs"]
pub(crate) mod passing;

#[rustfmt::skip]
#[path = "../../src/engine/wait.rs"]
pub(crate) mod wait;

#[rustfmt::skip]
#[path = "../../src/engine/several.rs"]
mod several;

pub(crate) mod pair;

pub mod alarms;

pub(crate) use error::Failure;
