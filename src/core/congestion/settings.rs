//! What an administrator may choose of congestion control, whatever the algorithm.

/// Settings of the algorithms that are here; one written elsewhere may heed them. A connection keeps those that it began
/// with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// L of RFC 3465 §2.2 and RFC 9406 §4.2: segments that one acknowledgment may add to the congestion window in slow
    /// start; 0, the default: no limit, all that it covers is counted, after a timeout too, as in Linux.
    ///
    /// Octets are counted, so that acknowledgments which are divided gain nothing. Without a limit a window grows as fast on
    /// paths that thin acknowledgments out, or where the peer joins segments before it sees them, as elsewhere; the burst
    /// that follows is as long as what was acknowledged at once, where it is not paced. RFC 3465 wants at most 2 without pacing, RFC 9406 8. With a
    /// limit it is 1 while what a timeout declared lost is sent again (RFC 3465 §2.3).
    pub slow_start_limit: u8,
    /// Give way less to a congestion mark than to a loss (ABE, RFC 8511): the threshold becomes 0.8 of what was in flight
    /// with Reno, 0.85 of the window with CUBIC. On by default. Otherwise a mark is taken for a loss (RFC 3168 §6.1.2).
    pub abe: bool,
    /// CUBIC's fast convergence (RFC 9438 §4.7; on by default): to be off where a single connection has a path for itself.
    //= https://www.rfc-editor.org/rfc/rfc9438#section-4.7
    //= id=rfc9438-4.7-2
    //# In network environments with only a single CUBIC flow and without any other traffic, fast convergence
    //# SHOULD be disabled.
    pub fast_convergence: bool,
    /// How CUBIC leaves the first slow start before a loss.
    pub hystart: Hystart,
}

impl Default for Settings {
    fn default() -> Self {
        Self { slow_start_limit: 0, abe: true, fast_convergence: true, hystart: Hystart::PlusPlus }
    }
}

/// Which signs end the first slow start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hystart {
    /// A loss or a mark alone.
    Off,
    /// A round trip that grows, once that has lasted (HyStart++, RFC 9406).
    PlusPlus,
    /// Hybrid slow start, which HyStart++ came from, as Linux has it: it ends at once.
    Classic {
        /// Acknowledgments that follow each other closely for half of the shortest round trip.
        trains: bool,
        /// Round trips longer by an eighth than the shortest.
        delays: bool,
    },
}
