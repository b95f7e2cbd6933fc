//! Slow start and congestion avoidance (RFC 5681 §3.1) with appropriate byte counting (RFC 3465).

use super::{AckSample, CongestionEvent, initial_window};

/// The algorithm's state: all sizes in octets.
#[derive(Clone, Debug)]
pub struct Reno {
    cwnd: u32,
    ssthresh: u32,
    mss: u32,
    /// Octets acknowledged since the window grew last in congestion avoidance (RFC 3465 §2.1).
    bytes_acked: u32,
    /// The window before the last reduction; 0 when there is nothing to give back.
    prior_cwnd: u32,
    prior_ssthresh: u32,
    initial_segments: u16,
}

impl Reno {
    /// A connection that has sent nothing yet. An `mss` of 0 counts as 1.
    pub fn new(mss: u32, initial_window_segments: u32) -> Self {
        let initial_segments = u16::try_from(initial_window_segments).unwrap_or(u16::MAX);
        let mss = mss.max(1);
        Self {
            cwnd: initial_window(mss, initial_segments.into()),
            ssthresh: u32::MAX,
            mss,
            bytes_acked: 0,
            prior_cwnd: 0,
            prior_ssthresh: 0,
            initial_segments,
        }
    }

    pub(super) const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    pub(super) const fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn initial_window(&self) -> u32 {
        initial_window(self.mss, self.initial_segments.into())
    }

    pub(super) fn on_ack(&mut self, sample: &AckSample) {
        // A window that was not used says nothing about the path (RFC 7661 §1.1, RFC 9438 §4.6).
        if !sample.cwnd_limited {
            return;
        }
        if self.cwnd < self.ssthresh {
            // RFC 3465 §2.2, with L = 2; §2.3 wants L = 1 after a timeout, where one acknowledgment may cover
            // what had arrived long before.
            let limit = if sample.after_timeout { 1 } else { 2 };
            let growth = sample.acked.min(self.mss.saturating_mul(limit));
            self.cwnd = self.cwnd.saturating_add(growth);
        } else {
            // RFC 3465 §2.1: one segment for each window of acknowledged octets, and one at the most for an
            // acknowledgment.
            self.bytes_acked = self.bytes_acked.saturating_add(sample.acked);
            if self.bytes_acked >= self.cwnd {
                self.bytes_acked = (self.bytes_acked - self.cwnd).min(self.cwnd);
                self.cwnd = self.cwnd.saturating_add(self.mss);
            }
        }
    }

    pub(super) fn on_event(&mut self, event: CongestionEvent, in_flight: u32) {
        match event {
            CongestionEvent::Loss => {
                self.reduce(in_flight);
                self.cwnd = self.ssthresh;
            }
            CongestionEvent::Timeout { first } => {
                // Where the same segment timed out before, the threshold is held (RFC 5681 §3.1).
                if first {
                    self.reduce(in_flight);
                }
                self.cwnd = self.mss;
                self.bytes_acked = 0;
            }
            // RW = min(IW, cwnd), RFC 5681 §4.1.
            CongestionEvent::Idle => {
                self.cwnd = self.cwnd.min(self.initial_window());
                self.bytes_acked = 0;
            }
            CongestionEvent::MssChanged(mss) => self.change_mss(mss),
            CongestionEvent::Undo => {
                if self.prior_cwnd > 0 {
                    self.cwnd = self.cwnd.max(self.prior_cwnd);
                    self.ssthresh = self.ssthresh.max(self.prior_ssthresh);
                    self.prior_cwnd = 0;
                }
            }
        }
    }

    pub(super) fn set_mss(&mut self, mss: u32) {
        let untouched = self.ssthresh == u32::MAX && self.cwnd == self.initial_window();
        self.change_mss(mss);
        if untouched {
            self.cwnd = self.initial_window();
        }
    }

    /// The threshold after a loss: RFC 5681 equation (4), from FlightSize and not from cwnd.
    fn reduce(&mut self, in_flight: u32) {
        self.prior_cwnd = self.cwnd;
        self.prior_ssthresh = self.ssthresh;
        self.ssthresh = (in_flight / 2).max(self.mss.saturating_mul(2));
        self.bytes_acked = 0;
    }

    /// Smaller segments: the window shrinks in proportion, so that as many segments as before may be underway
    /// and no burst follows (RFC 5681 §3.1). Larger ones: it stays, but holds at least one.
    fn change_mss(&mut self, mss: u32) {
        let mss = mss.max(1);
        if mss < self.mss {
            let scaled = u64::from(self.cwnd) * u64::from(mss) / u64::from(self.mss);
            self.cwnd = scaled as u32;
        }
        self.mss = mss;
        self.cwnd = self.cwnd.max(mss);
    }
}
