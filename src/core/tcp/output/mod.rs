//! SEND: the one door for bytes out. [`decide`] says whether and why a segment leaves, [`build`] makes it.

pub mod ack;

pub mod window;

pub mod nagle;

pub mod decide;

pub mod burst;

mod join;

pub mod usage;

pub mod limited;
pub mod room;

mod pacing;

mod record;

pub mod build;

mod predicted;

mod predicted_text;

pub mod train;

pub use build::Outgoing;
