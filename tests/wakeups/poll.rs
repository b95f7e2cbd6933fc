//! The ready list of `poll`, on shuttle's locks.

#![allow(dead_code, unreachable_pub)]

#[rustfmt::skip]
#[path = "../../src/poll/interest.rs"]
pub(crate) mod interest;

#[rustfmt::skip]
#[path = "../../src/poll/event.rs"]
pub(crate) mod event;

#[rustfmt::skip]
#[path = "../../src/poll/ready.rs"]
pub(crate) mod ready;

pub mod scenarios;

/// Only named here.
mod registry {
    pub(crate) struct Registry;
}
