//! Data that goes with the SYN, and what it means to a connection (RFC 7413 §4.2).

pub mod client;

pub mod server;
