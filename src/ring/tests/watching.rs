//! watching.
