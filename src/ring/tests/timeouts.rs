//! timeouts.
