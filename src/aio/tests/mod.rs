//! Two engines on a pipe, and tasks on them.
