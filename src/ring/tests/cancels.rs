//! cancels.
