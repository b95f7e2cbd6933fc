//! The socket interface for C: `libtunstack.so`, `libtunstack.a` and the header `tunstack.h`.
//!
//! Each function is the one of the same name in `tunstack::bsd`, with the C signature of the system call it
//! stands for, the prefix `tunstack_`, and errors in `errno`. There is one stack in a process.
//!
//! This crate has no logic of its own: it turns pointers into slices and results into `errno`.

mod address;

mod ancillary;

pub mod host;

pub mod sockets;

pub mod options;

pub mod transfer;

pub mod wait;
