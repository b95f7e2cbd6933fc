//! The ends of records (`MSG_EOR`): TCP has no records on the wire, but a program may want what it wrote at once to leave
//! in segments of its own, however often they are sent.

use crate::seq::Seq;
use crate::tcp::tcb::Tcb;

/// What the end of a record costs of the send buffer, octets: many short records must not take memory without bound, and
/// each of them becomes a segment.
const COST: usize = 256;

impl Tcb {
    /// How much of the `len` octets of text from `seq` on belong to one record.
    pub(in crate::tcp) fn within_record(&self, seq: Seq, len: u32) -> u32 {
        let offset = seq.saturating_since(self.data_start()) as usize;
        let left = self.send_buffer.record_left(offset);
        left.and_then(|left| u32::try_from(left).ok()).map_or(len, |left| left.min(len))
    }

    /// Whether a record ends at `end`.
    pub(super) fn ends_record(&self, end: Seq) -> bool {
        let offset = end.saturating_since(self.data_start()).checked_sub(1);
        offset.is_some_and(|last| self.send_buffer.record_left(last as usize) == Some(1))
    }

    /// What the send buffer counts for, octets: what lies in it, and the ends of records.
    pub(super) fn queued(&self) -> usize {
        self.send_buffer.len().saturating_add(self.send_buffer.records().saturating_mul(COST))
    }
}
