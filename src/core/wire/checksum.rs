//! The Internet checksum (RFC 1071) and who has to compute it.

/// How far an arriving packet's transport checksum needs checking.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// Nobody has checked it: verify it.
    #[default]
    Verify,
    /// It never left the machine, or the device has verified it: do not touch the payload.
    Trusted,
}

/// How a leaving packet's transport checksum stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksum {
    /// It is in its place.
    Complete,
    /// Its field holds the sum of the pseudo-header alone; whoever sends the packet on sums from `start` to
    /// the end and stores the result at `start + offset`.
    Partial {
        /// Offset of the transport header from the start of the packet.
        start: u16,
        /// Offset of the checksum field within the transport header.
        offset: u16,
    },
}
