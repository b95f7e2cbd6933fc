//! What threads share and how they wait, named in one place: `tests/wakeups` compiles the engine's locks and waits
//! with those of a scheduler that tries their interleavings.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard};
pub(crate) use std::{thread, thread_local};
