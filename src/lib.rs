//! A user-space TCP/IP stack over a Linux TUN device, with sockets in the words of `std::net`.
//!
//! A program that uses it has a TCP of its own, with an address of its own. To the kernel at the other end of the
//! device it is another host. This is an echo server, the whole of it:
//!
//! ```no_run
#![cfg_attr(feature = "tun-tap", doc = include_str!("../examples/hello.rs"))]
//! ```
//!
//! # The house
//!
//! ```text
//!             bytes in                                                       bytes out
//!                │                                                               ▲
//!   core         ▼                                                               │
//!   no_std     wire::parse ─► ip ─► table ─► tcp::input ─► Tcb ─► tcp::output ─► wire::emit
//!   no unsafe    │                             │ │                    ▲
//!                └──► icmp, udp                │ └─ events ──┐        │ now, from the caller
//!                                              ▼             ▼        │
//!                                           buffers       readiness  timers
//!   ─────────────────────────────────────────────────────────────────────────────────────────
//!   around it    sim    (virtual clock, impaired links)      ── both run the same five calls ──
//!                engine (a lock, a thread, a clock, a TUN)         receive · handle_timeout ·
//!                                                                  poll_transmit · poll_timeout · poll_event
//!   sockets      net    (TcpStream, TcpListener, TcpSocket, UdpSocket) · aio (the same for tasks)
//! ```
//!
//! | Module | What it is |
//! |---|---|
//! | [`core`] | the protocols as values: bytes and the time in; bytes, readiness and a deadline out |
//! | [`pcapng`](mod@pcapng) | captures with a comment on each packet (feature `capture`) |
//! | [`sim`] | hosts on impaired links in virtual time: a seed gives the same run each time |
//! | [`observe`] | how simulated connections fare over time, for tables and plots |
//! | [`device`] | what packets come from and go to: TUN, a pipe; around one: impairment, a capture |
//! | [`engine`] | the stack driven by the real clock and a device, shared by threads and tasks |
//! | [`net`] | sockets: the names, the blocking and the errors of `std::net`; the `poll_…` calls for tasks |
//! | [`poll`] | one thread waits for many sockets and descriptors, in the words of mio |
//! | [`bsd`] | the system calls: descriptors, flags, errno, as Linux has them |
//! | [`aio`] | the same sockets for tasks, in tokio's words (feature `tokio`, or `futures` for futures-io) |
//! | [`ring`] | submission and completion: what io_uring has, over `bsd` |
//! | [`sysctl`] | Linux's names for the settings of [`core::config`] |
//!
//! They stand in reading order: each uses only those above it. Start with [`Engine::builder`](engine::Engine::builder)
//! to use a stack, with [`sim::world`] to try one under bad conditions, with [`core::stack`] to drive one yourself, as
//! `examples/own_loop.rs` does.
//!
//! # Features
//!
//! `tun-tap`, `offload`, `capture` and `uring` are on unless switched off. `uring` reads packets of the plain TUN many at a time
//! where the kernel lets it and it takes less time, which is tried out from the first bursts on: a program whose own filter of system calls kills it for an io_uring
//! leaves it out, or switches it off for a device (`device::setup::TunConfig::uring`, `--no-uring`). `tunstack_start` of the C
//! library has no switch: there it can only be left out. A process has 64 such rings at the most, each a descriptor, for
//! devices that are there at once; they stay open when their devices go, for later ones. `tokio` and `futures` are for the sockets of tasks, [`aio`], and `axum` for `axum::serve` over them; `cli` is for the
//! program `tunstack`. Without any of them there is the core, the simulator, the pipe and the sockets of threads.

pub use tunstack_core as core;

#[cfg(feature = "capture")]
pub mod pcapng;

pub mod sim;

pub mod observe;

pub mod device;

pub mod engine;

pub mod net;

pub mod poll;

pub mod bsd;

#[cfg(any(feature = "tokio", feature = "futures"))]
pub mod aio;
pub mod ring;

pub mod sysctl;

pub mod packetdrill;

/// What most programs want: `use tunstack::prelude::*;`.
///
/// It has the socket types under the names of `std::net`; a program that uses both names one of them in full.
pub mod prelude {
    pub use crate::core::config::Config;
    pub use crate::device::Device;
    #[cfg(any(feature = "tun-tap", feature = "offload"))]
    pub use crate::device::setup::{TunConfig, bring_up};
    pub use crate::engine::Engine;
    pub use crate::net::{Shutdown, TcpListener, TcpSocket, TcpStream, UdpSocket};
}
