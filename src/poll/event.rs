//! Events and what they come from.

pub use super::events::{Event, Events, Iter};
pub use super::registry::Source;
