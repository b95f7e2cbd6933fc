//! What becomes of a probe (RFC 4821 §7.5 and §7.6), and of the size that it gave (§7.8).

use crate::tcp::context::Context;
use crate::tcp::response::news::News;
use crate::tcp::tcb::Tcb;

impl Tcb {
    /// An ACK came: it may be that of a probe, or show that segments of full size pass.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.6
    //= id=rfc4821-7.6-1
    pub(in crate::tcp) fn mtu_acknowledged(&mut self, news: &News, cx: &mut Context<'_>) {
        let (una, nxt, mss) = (self.snd.una, self.snd.nxt, self.snd.mss);
        // Where nothing that was not full was outstanding, what was acknowledged was a full segment.
        let full = news.advanced >= self.smss() && !news.resent && news.short.at_or_before(news.una);
        let Some(search) = &mut self.mtu else { return };
        if search.probe().is_some_and(|probe| una.at_or_after(probe.end)) {
            cx.counters.tcp_mtu_probe_success += 1;
            let size = search.succeed();
            if size > mss {
                search.raised(mss, nxt);
                self.change_mss(size, cx.now);
            }
            return;
        }
        if full {
            //= https://www.rfc-editor.org/rfc/rfc4821#section-7.1
            //# When such a packet is acknowledged, it is effectively an "implicit probe" and search_low SHOULD
            //# be raised to the size of the acknowledged packet.
            search.implied(mss);
        }
        search.advance(una, nxt);
    }

    /// Something is lost. Says whether it is a probe alone, which is no congestion: what it carried is sent again, and the
    /// congestion window stays.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.2
    //# In this case alone, the loss SHOULD NOT be interpreted as congestion signal.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-4
    //# Normal congestion control algorithms MUST remain in effect under all conditions except when only an
    //# isolated probe packet is detected as lost.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-4
    //# If any other data loss is detected, standard congestion control MUST take place.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-4
    //= id=rfc4821-4-4, rfc4821-4-6, rfc4821-4-8
    //= https://www.rfc-editor.org/rfc/rfc4821#section-6.1
    //= id=rfc4821-6.1-1
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.1
    //= id=rfc4821-7.1-5
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.2
    //= id=rfc4821-7.6.2-4, rfc4821-7.6.2-5
    pub(in crate::tcp) fn mtu_probe_lost(&mut self, cx: &mut Context<'_>) -> bool {
        let (una, wait) = (self.snd.una, self.probe_headway());
        let lost = self.recovery.board.lost();
        let Some(search) = &mut self.mtu else { return false };
        let Some(probe) = search.probe().filter(|probe| probe.start == una && lost <= probe.len()) else {
            self.lost_on_trial(cx);
            return false;
        };
        cx.counters.tcp_mtu_probe_failures += 1;
        //= https://www.rfc-editor.org/rfc/rfc4821#section-4
        //# This SHOULD be enforced by requiring a minimum headway between a suppressed congestion adjustment (due
        //# to a failed probe) and the next attempted probe, which is equal to one round-trip time for each
        //# packet permitted by the congestion window.
        search.fail(cx.now + wait);
        self.lost_to_mtu_probe(probe);
        true
    }

    /// A loss that was no probe's: the size that was raised lately may not pass always.
    pub(super) fn lost_on_trial(&mut self, cx: &Context<'_>) {
        let mss = self.snd.mss;
        if let Some(before) = self.mtu.as_mut().and_then(|search| search.lost(mss)) {
            self.change_mss(before, cx.now);
        }
    }
}
