//! The protocols of tunstack as values.
//!
//! ```text
//!          bytes in                                                       bytes out
//!             │                                                               ▲
//!             ▼                                                               │
//!        wire::parse ─► ip ─► table ─► tcp::input ─► Tcb ─► tcp::output ─► wire::emit
//!             │                             │ │                    ▲
//!             └──► icmp, udp                │ └─ events ──┐        │ now, from the caller
//!                                           ▼             ▼        │
//!                                        buffers       readiness  timers
//! ```
//!
//! Bytes and the time go in; bytes, readiness and a deadline come out. There is no clock here, no thread,
//! no lock, no device and no randomness that was not handed in, so a test, a simulator and a real engine
//! run the very same five calls: [`receive`](stack::Stack::receive),
//! [`handle_timeout`](stack::Stack::handle_timeout), [`poll_transmit`](stack::Stack::poll_transmit),
//! [`poll_event`](stack::Stack::poll_event), [`poll_timeout`](stack::Stack::poll_timeout).
//!
//! The modules stand in reading order: each uses only those above it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod seq;

pub mod time;

pub mod addr;

pub mod error;

pub mod congestion;

pub mod fast_open;

pub mod user_timeout;

pub mod config;

pub mod counters;

pub mod memory;

pub mod sockopt;

pub mod wire;

pub mod body;

pub mod ip;

pub mod icmp;

pub mod udp;

pub mod tcp;

pub mod stack;

pub use stack::packet;
pub use tcp::trace;
