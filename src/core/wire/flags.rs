//! The control bits of a TCP header (RFC 9293 §3.1; AE is the former NS bit, RFC 9768 §3.1).

use core::fmt;

bitflags::bitflags! {
    /// TCP control bits, FIN in bit 0 as in the header; AE is bit 8, the lowest bit of octet 12.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Flags: u16 {
        /// No more data from the sender.
        const FIN = 1 << 0;
        /// Synchronise sequence numbers.
        const SYN = 1 << 1;
        /// Reset the connection.
        const RST = 1 << 2;
        /// Push.
        const PSH = 1 << 3;
        /// The acknowledgment field counts.
        const ACK = 1 << 4;
        /// The urgent pointer counts.
        const URG = 1 << 5;
        /// ECN echo.
        const ECE = 1 << 6;
        /// Congestion window reduced.
        const CWR = 1 << 7;
        /// Accurate ECN.
        const AE = 1 << 8;
    }
}

impl Flags {
    /// The three bits of ECN: what a handshake says, ECE and CWR of RFC 3168, or the ACE counter.
    pub const ECN: Self = Self::AE.union(Self::CWR).union(Self::ECE);

    /// AE, CWR and ECE as the number that RFC 9768 §3.2.2 makes of them, ECE its lowest bit: 0 to 7.
    pub const fn ace(self) -> u8 {
        ((self.bits() & Self::ECN.bits()) >> 6) as u8
    }

    /// The three bits for the low three bits of a number.
    pub const fn from_ace(ace: u8) -> Self {
        Self::from_bits_truncate((ace as u16 & 7) << 6)
    }
}

/// The letters packetdrill uses: `S`, `F.`, `P.` …, the dot being ACK.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (flag, letter) in [
            (Self::FIN, "F"),
            (Self::SYN, "S"),
            (Self::RST, "R"),
            (Self::PSH, "P"),
            (Self::URG, "U"),
            (Self::ECE, "E"),
            (Self::CWR, "W"),
            (Self::AE, "A"),
            (Self::ACK, "."),
        ] {
            if self.contains(flag) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
