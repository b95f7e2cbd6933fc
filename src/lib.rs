//! A user-space TCP/IP stack over a Linux TUN device.

pub use tunstack_core as core;

#[cfg(feature = "capture")]
pub mod pcapng;

pub mod sim;

pub mod device;

pub mod engine;

pub mod net;
