//! A script's packets as octets, and octets as a script sees them.
//!
//! Inbound: [`build`]. Outbound: [`decode`], [`split`] what a device would have cut, [`Join`] what the script
//! expects in one piece, [`compare`]. [`print()`] shows a packet in the script's own language.

pub mod icmp;

mod build;

mod decode;

mod join;

mod print;

mod compare;

pub use build::{build, check};
pub use compare::compare;
pub use decode::{decode, decode_offloaded};
pub use join::{Join, Joined, split};
pub use print::print;

pub use super::options::{SeenOption, octets_of, read};
pub use super::seen::{Carried, Mismatch, Seen, SeenIcmp, SeenIp, SeenTcp, SeenUdp};

/// Protocol numbers of IP in IP (RFC 2003, RFC 2473).
mod encapsulation {
    pub(super) const IPV4: u8 = 4;
    pub(super) const IPV6: u8 = 41;
}

#[cfg(test)]
pub(super) mod testing;

#[cfg(test)]
mod tests;
