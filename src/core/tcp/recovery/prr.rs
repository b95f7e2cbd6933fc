//! Proportional rate reduction (RFC 9937): how the window comes down from what it was to the slow start threshold, ACK by
//! ACK, and no further than losses force it.

/// Its variables, octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prr {
    /// RecoverFS: what may be delivered during the episode.
    recover_fs: u32,
    /// prr_delivered.
    delivered: u64,
    /// prr_out.
    out: u64,
    cwnd: u32,
}

impl Prr {
    /// An episode begins. `flight` is SND.NXT - SND.UNA, `sacked` what the scoreboard has after this ACK, `delivered` what the
    /// ACK newly told of; the window stays `cwnd` until the ACK has been counted.
    //= https://www.rfc-editor.org/rfc/rfc9937#section-6.1
    //# At the beginning of a congestion control response episode initiated by the congestion control
    //# algorithm, a data sender using PRR MUST initialize the PRR state.
    //= https://www.rfc-editor.org/rfc/rfc9937#section-6.1
    //= id=rfc9937-6.1-s1
    pub fn new(flight: u32, sacked: u32, delivered: u32, cwnd: u32) -> Self {
        let recover_fs = flight.saturating_sub(sacked).saturating_add(delivered).max(1);
        Self { recover_fs, delivered: 0, out: 0, cwnd }
    }

    /// The window.
    pub const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    /// Nothing has left since the episode began.
    pub const fn is_fresh(&self) -> bool {
        self.out == 0
    }

    /// An ACK told of `delivered` octets; `in_flight` are underway now. `safe`: SND.UNA moved and nothing more was found
    /// lost.
    ///
    /// As segments leave whole, the share is rounded up to one: a window of octets would hold back what a window of
    /// segments lets go.
    //= https://www.rfc-editor.org/rfc/rfc9937#section-6.2
    //= id=rfc9937-6.2-s2, rfc9937-6.2-s3, rfc9937-6.2-s5, rfc9937-6.2-s6
    pub fn on_ack(&mut self, delivered: u32, in_flight: u32, ssthresh: u32, safe: bool, mss: u32) {
        if delivered == 0 {
            return;
        }
        self.delivered += u64::from(delivered);
        let mss64 = u64::from(mss.max(1));
        let mut count = if in_flight > ssthresh {
            let share = (self.delivered * u64::from(ssthresh)).div_ceil(u64::from(self.recover_fs));
            share.div_ceil(mss64).saturating_mul(mss64).saturating_sub(self.out)
        } else {
            let mut count = self.delivered.saturating_sub(self.out).max(u64::from(delivered));
            if safe {
                count += mss64;
            }
            count.min(u64::from(ssthresh - in_flight))
        };
        //= https://www.rfc-editor.org/rfc/rfc9937#section-6.2
        //= id=rfc9937-6.2-s4
        //# Force a fast retransmit upon entering recovery
        // A share of less than a segment sends nothing, and with nothing in flight nothing would come to add to it.
        if self.out == 0 || in_flight == 0 {
            count = count.max(mss64);
        }
        self.cwnd = in_flight.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Something has left.
    pub fn on_send(&mut self, len: u32) {
        self.out += u64::from(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty segments in flight, one lost, the threshold at half: one segment leaves for every two delivered, until as
    /// many as the threshold are in flight; then one for each.
    #[test]
    fn the_share_of_what_is_delivered() {
        let mut prr = Prr::new(20, 1, 1, 20);
        let (mut sent, mut in_flight) = (0, 18);
        for delivered in 1..=18u32 {
            prr.on_ack(1, in_flight, 10, false, 1);
            while in_flight < prr.cwnd() {
                prr.on_send(1);
                (sent, in_flight) = (sent + 1, in_flight + 1);
            }
            if in_flight > 10 {
                assert_eq!(sent, delivered.div_ceil(2), "after {delivered} delivered");
            }
            in_flight -= 1;
        }
        assert_eq!(in_flight, 9);
    }

    /// Below the threshold what is delivered is replaced, and with good progress one more, up to the threshold.
    #[test]
    fn below_the_threshold_it_grows_again() {
        let mut prr = Prr::new(2000, 1000, 1000, 2000);
        prr.on_ack(100, 300, 1000, false, 100);
        assert_eq!(prr.cwnd(), 400);
        prr.on_send(100);
        prr.on_ack(100, 300, 1000, true, 100);
        assert_eq!(prr.cwnd(), 500);
        prr.on_ack(0, 300, 1000, true, 100);
        assert_eq!(prr.cwnd(), 500, "no delivery, no change");
        prr.on_send(200);
        prr.on_ack(5000, 900, 1000, true, 100);
        assert_eq!(prr.cwnd(), 1000);
    }

    #[test]
    fn the_first_retransmission_always_leaves() {
        let mut prr = Prr::new(1000, 100, 100, 1000);
        prr.on_ack(100, 500, 500, false, 100);
        assert_eq!(prr.cwnd(), 600);
    }
}
