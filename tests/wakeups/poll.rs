//! The ready list of `poll`, on shuttle's locks.

#![allow(dead_code, unreachable_pub)]

#[rustfmt::skip]
#[path = "../../src/poll/interest.rs"]
pub(crate) mod interest;

#[rustfmt::skip]
#[path = "../../src/poll/events.rs"]
pub(crate) mod events;

#[rustfmt::skip]
#[path = "../../src/poll/ready.rs"]
pub(crate) mod ready;

pub mod before;

pub mod scenarios;
