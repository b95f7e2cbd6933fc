//! What a connection counts of itself, for those who watch it (`TCP_INFO`).

use crate::tcp::segment::Segment;
use crate::time::Instant;

/// The counts of one connection since it began. Those of segments wrap around.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Octets of ours that the peer has acknowledged.
    pub octets_acked: u64,
    /// Octets received in order.
    pub octets_received: u64,
    /// Octets sent, each as often as it was.
    pub octets_sent: u64,
    /// Of those, octets sent again.
    pub octets_resent: u64,
    /// Segments received.
    pub segments_in: u32,
    /// Segments sent.
    pub segments_out: u32,
    /// Segments with text received.
    pub data_in: u32,
    /// Segments with text sent.
    pub data_out: u32,
    /// Segments sent again.
    pub resent: u32,
    /// Segments that the peer has acknowledged, selectively or not; our SYN, with its text, is one.
    pub delivered: u32,
    /// When text was last received, milliseconds of the stack's time.
    data_in_at: u32,
}

impl Tally {
    /// Nothing yet.
    pub const fn new(now: Instant) -> Self {
        Self {
            octets_acked: 0,
            octets_received: 0,
            octets_sent: 0,
            octets_resent: 0,
            segments_in: 0,
            segments_out: 0,
            data_in: 0,
            data_out: 0,
            resent: 0,
            delivered: 0,
            data_in_at: now.as_millis() as u32,
        }
    }

    /// A segment arrived.
    pub(super) fn received(&mut self, seg: &Segment<'_>, now: Instant) {
        let segments = seg.segments();
        self.segments_in = self.segments_in.wrapping_add(segments);
        if !seg.text.is_empty() {
            self.data_in = self.data_in.wrapping_add(segments);
            self.data_in_at = now.as_millis() as u32;
        }
    }

    /// A segment arrived with text, at the same moment as one before it.
    #[inline]
    pub(super) fn received_more(&mut self, seg: &Segment<'_>) {
        let segments = seg.segments();
        self.segments_in = self.segments_in.wrapping_add(segments);
        self.data_in = self.data_in.wrapping_add(segments);
    }

    /// Segments were delivered.
    pub(super) const fn have_arrived(&mut self, segments: u32) {
        self.delivered = self.delivered.wrapping_add(segments);
    }

    /// The connection stands.
    pub(super) const fn established(&mut self, now: Instant) {
        self.delivered = 1;
        self.data_in_at = now.as_millis() as u32;
    }

    /// `text` octets left in so many segments, `again` or for the first time.
    pub(super) const fn sent(&mut self, text: u32, segments: u32, again: bool) {
        self.segments_out = self.segments_out.wrapping_add(segments);
        self.data_out = self.data_out.wrapping_add(if text > 0 { segments } else { 0 });
        self.octets_sent += text as u64;
        if again {
            self.resent = self.resent.wrapping_add(segments);
            self.octets_resent += text as u64;
        }
    }

    /// Milliseconds since text was last received, or since the handshake.
    pub const fn since_data_in(&self, now: Instant) -> u32 {
        (now.as_millis() as u32).wrapping_sub(self.data_in_at)
    }
}
