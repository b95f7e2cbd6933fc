//! The Internet layer of a host: what to accept, where to send, how to cut and join.
//!
//! ```text
//!   packet ─► wire::ip::parse ─► input::accept ─► (fragment? ─► reassembly) ─► icmp, udp, tcp
//!   icmp, udp, tcp ─► route::source_for ─► pmtu::get ─► output::fragment ─► packets
//! ```
//!
//! Reading order: [`route`], [`input`], [`pmtu`], [`output`], [`reassembly`], [`queue`].

#[cfg(test)]
mod testing;

pub mod route;

pub mod input;

pub mod pmtu;

pub mod output;

pub mod reassembly;

pub mod queue;
