//! overflow.
