//! Black holes: the path swallows what is too large, and no router tells (RFC 2923 §2.1, RFC 4821 §7.7).

use alloc::boxed::Box;

use super::LEAST_V6;
use crate::config::MtuProbing;
use crate::error::Error;
use crate::tcp::context::Context;
use crate::tcp::mtu_search::Search;
use crate::tcp::tcb::Tcb;

/// The smallest packet that every path of IPv4 carries, octets (RFC 791 §3.2).
const LEAST_V4: u16 = 68;

impl Tcb {
    /// The retransmission timer ran out. Once it did so too often, for the `stops`th time more than R1 of RFC 9293 §3.8.3 for
    /// the same segment, and nobody says why, segments get smaller: as small as is known to pass, then as is mostly safe, then
    /// by half each time. The first stop after anything has arrived halves nothing: with much loss there are many such.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.7
    //# If there is a full-stop timeout and there was not an ICMP message indicating a reason (PTB, Net
    //# unreachable, etc., or the ICMP message was ignored for some reason), the RECOMMENDED first recovery
    //# action is to treat this as a detected ICMP black hole as defined in [RFC2923].
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.7
    //= id=rfc4821-7.7-1
    pub(in crate::tcp) fn mtu_timed_out(&mut self, stops: u8, cx: &mut Context<'_>) {
        if cx.config.mtu_probing == MtuProbing::Off || !self.state().is_synchronized() {
            return;
        }
        self.lost_on_trial(cx);
        let told = self.soft_error.is_some_and(|error| error != Error::TimedOut);
        if stops == 0 || told || !self.forbids_fragments() || !self.oldest_is_large(cx) {
            return;
        }
        let mss = self.snd.mss;
        let least = self.least_mss(cx).min(mss);
        let base = cx.config.base_mss.max(least).min(mss);
        let smaller = match &self.mtu {
            None => base,
            //= https://www.rfc-editor.org/rfc/rfc4821#section-7.7
            //= id=rfc4821-own-black-hole
            //# If eff_pmtu is larger than search_low, set eff_pmtu to search_low. Otherwise, set both eff_pmtu and
            //# search_low to the initial value for search_low.
            Some(search) if mss > search.low().max(least) => search.low().max(least),
            Some(_) if mss > base => base,
            Some(_) if stops == 1 => mss,
            //= https://www.rfc-editor.org/rfc/rfc4821#section-7.7
            //# Upon additional successive timeouts, search_low and eff_pmtu SHOULD be halved, with a lower bound of 68
            //# bytes for IPv4 and 1280 bytes for IPv6.
            Some(_) => (mss / 2).max(least),
        };
        let (bound, wait) = (self.mss_bound(cx), self.probe_headway());
        let search = self.mtu.get_or_insert_with(|| Box::new(Search::new(smaller, bound)));
        search.fall(smaller, cx.now + wait);
        if smaller < mss {
            cx.counters.tcp_black_holes += 1;
            self.change_mss(smaller, cx.now);
        }
    }

    /// Whether what does not arrive may be lost for its size: it fills a segment, or is at least half of what nearly every
    /// path carries.
    fn oldest_is_large(&self, cx: &Context<'_>) -> bool {
        let least = self.smss().min((cx.config.base_mss / 2).into());
        self.recovery.board.front().is_some_and(|oldest| oldest.end.since(oldest.start) >= least)
    }

    /// The smallest segment that is ever tried, options included.
    fn least_mss(&self, cx: &Context<'_>) -> u16 {
        let v4 = self.quad.remote.address.is_v4();
        let packet = if v4 { LEAST_V4 } else { LEAST_V6 };
        let least = packet - self.header_len();
        if v4 { least.max(cx.config.mtu_probe_floor) } else { least }
    }
}
