//! Bytes ⇄ values. Knows no state.
//!
//! Reading order: [`checksum`], [`ip`], [`flags`], [`options`], [`tcp`], [`udp`], [`icmp`].

pub mod fast_open;

pub mod checksum;
pub mod ip;

pub mod flags;
pub mod options;
pub mod tcp;

pub mod udp;

pub mod icmp;

#[cfg(test)]
mod testing;

pub use checksum::Trust;
pub use flags::Flags;
pub use options::Options;

/// Why bytes are not the packet they claim to be. Counted, never returned to a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// Shorter than its own headers say.
    #[error("truncated")]
    Truncated,
    /// A length field contradicts another or is below its minimum.
    #[error("bad length")]
    Length,
    /// Neither IP version 4 nor 6.
    #[error("unknown IP version")]
    Version,
    /// The checksum does not match.
    #[error("bad checksum")]
    Checksum,
    /// A header that must be understood is not; ICMP parameter problem names its octet.
    #[error("unrecognised header at octet {pointer}")]
    Unrecognised {
        /// Offset of the offending octet from the start of the packet.
        pointer: u16,
        /// ICMPv6 parameter problem code (RFC 4443 §3.4): 0 erroneous field, 1 next header, 2 option.
        code: u8,
        /// Whether a multicast destination is answered too (RFC 8200 §4.2, option type 10).
        even_multicast: bool,
    },
    /// An option says: discard silently (RFC 8200 §4.2, option type 01), or the packet holds what this host
    /// refuses: a source route, a v4-mapped address in an IPv6 header, more extension headers or options than
    /// it processes.
    #[error("discarded as its header asks")]
    Discard,
}
