//! TCP options: our own walk, because an unknown kind must be skipped by its length (RFC 9293 MUST-6).

use arrayvec::ArrayVec;

use crate::tcp::seq::SeqRange;

/// The timestamps option (RFC 7323 §3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the receiver's clock, echoed.
    pub echo: u32,
}

/// At most four blocks fit in a header without timestamps, three with (RFC 2018 §3).
pub type SackBlocks = ArrayVec<SeqRange, 4>;

/// The options of one segment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Maximum segment size (kind 2), octets.
    pub mss: Option<u16>,
    /// Window scale shift (kind 3), as it stands on the wire: 0 to 255.
    pub window_scale: Option<u8>,
    /// SACK permitted (kind 4).
    pub sack_permitted: bool,
    /// SACK blocks (kind 5), in the order of the wire.
    pub sack: SackBlocks,
    /// Timestamps (kind 8).
    pub timestamps: Option<Timestamps>,
    /// User timeout (kind 28), as it stands on the wire: granularity bit and 15 bits of value (RFC 5482 §3).
    pub user_timeout: Option<u16>,
    /// A length was impossible: the walk ended there and what came before it stands.
    pub malformed: bool,
}
