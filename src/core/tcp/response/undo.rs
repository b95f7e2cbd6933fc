//! Taking back what proves needless: the echo of a timestamp shows that the original arrived, not the retransmission
//! (Eifel, RFC 3522), or the peer reports every retransmission as having come twice (RFC 3708). The response is that of
//! RFC 4015: the window is what it was.

use super::news::News;
use crate::tcp::congestion::CongestionEvent;
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::recovery::episode::Undo;
use crate::tcp::tcb::Tcb;

impl Tcb {
    /// The peer reports `news.dsack` as having come twice.
    pub(in crate::tcp) fn undo_duplicate_reported(&mut self, news: &News) {
        if let (Some(block), Some(episode)) = (news.dsack, &mut self.recovery.episode) {
            episode.undo.came_twice(block);
        }
    }

    /// The echo of an ACK, where it may be believed: where all ACKs of a flight were lost, the one that comes after a
    /// needless retransmission echoes the original too, but the time-out was unavoidable.
    //= https://www.rfc-editor.org/rfc/rfc3522#section-3.2
    //= id=rfc3522-3.2-s5
    //# else if during the lifetime of the TCP connection the TCP sender has previously received an ACK with a
    //# DSACK option, or the acceptable ACK does not acknowledge all outstanding data, then proceed to step (6),
    pub(in crate::tcp) fn telling_echo(&self, news: &News) -> Option<u32> {
        let tells = self.recovery.dsack_seen || self.snd.una != self.snd.nxt;
        news.echo.filter(|_| news.dsack.is_none() && tells)
    }

    /// The window is what it was.
    pub(in crate::tcp) fn undo_reduction(&mut self, cx: &mut Context<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc4015#section-3.4
        //= id=rfc4015-3.4-1
        //# In that case, the TCP sender MUST refrain from reversing congestion control state.
        // The ACK in hand tells of a mark: the reduction stands for that.
        if !self.ecn.tells() {
            let in_flight = self.in_flight();
            self.congestion.on_event(CongestionEvent::Undo, in_flight, cx.now);
            self.ecn.reduction_undone();
        }
        if let Some(episode) = &mut self.recovery.episode {
            episode.prr = None;
            episode.undo = Undo::default();
        }
        cx.counters.tcp_undo += 1;
    }

    /// At the end of an episode: was it needed?
    pub(in crate::tcp) fn try_undo_recovery(&mut self, news: &News, cx: &mut Context<'_>) -> bool {
        let needless = self.recovery.may_undo(self.telling_echo(news));
        if needless {
            self.undo_reduction(cx);
        } else {
            self.recovery.rack_recovered();
        }
        needless
    }

    /// In the middle of fast recovery an ACK shows the original of what was sent again: the path reorders, and nothing
    /// is lost. Gives true where nothing further is to be deemed lost.
    pub(in crate::tcp) fn try_undo_partial(&mut self, news: &News, cx: &mut Context<'_>) -> bool {
        if !self.recovery.original_was_late(self.telling_echo(news)) {
            return false;
        }
        self.reordered(news.una, news.highest, cx);
        if self.recovery.board.resent() > 0 {
            return true;
        }
        self.recovery.board.unmark_lost();
        self.undo_reduction(cx);
        self.recovery.phase = Phase::Open;
        true
    }

    /// Every retransmission was reported to have come twice.
    pub(in crate::tcp) fn try_undo_duplicates(&mut self, cx: &mut Context<'_>) -> bool {
        let needless = self.recovery.all_came_twice();
        if needless {
            self.undo_reduction(cx);
        }
        needless
    }
}
