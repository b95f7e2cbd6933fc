//! The variables of tail loss probes (RFC 8985 §7.1).

use crate::seq::Seq;

/// The probe of a connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Tlp {
    /// TLP.end_seq: what its ACK has to cover; none while no probe is out.
    pub(in crate::tcp) end: Option<Seq>,
    /// TLP.is_retrans.
    pub(in crate::tcp) is_retrans: bool,
    /// A round trip was measured since the last probe.
    pub(in crate::tcp) sampled: bool,
    /// A probe is to leave now.
    pub(in crate::tcp) due: bool,
}

impl Tlp {
    pub(in crate::tcp) const fn new() -> Self {
        Self { end: None, is_retrans: false, sampled: true, due: false }
    }

    pub(in crate::tcp) const fn forget(&mut self) {
        self.end = None;
        self.due = false;
    }
}
