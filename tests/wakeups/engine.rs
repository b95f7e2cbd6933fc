//! The engine's source, on shuttle's locks and threads.

// A part of the engine is not all who call it, and what is public there is not here. The files are formatted where they
// belong, with their unit tests, which from here rustfmt would not find.
#![allow(dead_code, unreachable_pub)]

pub(crate) mod clock;

#[rustfmt::skip]
#[path = "../../src/engine/error.rs"]
mod error;

pub(crate) mod sync;

#[rustfmt::skip]
#[path = "../../src/engine/waiters.rs"]
pub(crate) mod waiters;

#[rustfmt::skip]
#[path = "../../src/engine/shard.rs"]
pub(crate) mod shard;

#[rustfmt::skip]
#[path = "../../src/engine/wait.rs"]
pub(crate) mod wait;

pub(crate) use error::Failure;
