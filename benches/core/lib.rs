//! Two stacks in one thread, and the queue between them.

mod frames;

mod pair;

pub use frames::Frames;
pub use pair::{Pair, Setting, Way};
