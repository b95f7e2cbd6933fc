//! The world, simulated: a virtual clock, impaired links, hosts with scripts.
//!
//! Nothing here waits, and nothing here is random but what the seed makes so: the same seed gives the same
//! packets at the same times.

pub mod clock;

pub mod aqm;

pub mod profile;

pub mod link;

pub mod pattern;

pub mod behaviour;

pub mod connection;

pub mod app;

pub mod server;

pub mod client;

pub mod host;

pub mod bulk;

pub mod site;

pub mod record;

pub mod network;

pub mod world;

pub mod bottleneck;
