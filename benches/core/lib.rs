//! Two stacks in one thread, and the queue between them.

mod frames;

mod pair;

pub use frames::{Frames, Passage};
pub use pair::{Pair, Setting, Way};
