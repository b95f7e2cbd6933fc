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
