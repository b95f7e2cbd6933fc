//! Taking back what proves needless: the echo of a timestamp shows that the original arrived, not the retransmission
//! (Eifel, RFC 3522), or the peer reports every retransmission as having come twice (RFC 3708). The response is that of
//! RFC 4015: the window is what it was.

use super::news::News;
use super::{Phase, Recovery};
use crate::seq::Seq;
use crate::tcp::congestion::CongestionEvent;
use crate::tcp::context::Context;
use crate::tcp::tcb::Tcb;

/// What is remembered of an episode for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Undo {
    /// SND.UNA when the window was reduced; none when there is nothing to take back.
    marker: Option<Seq>,
    /// Octets sent again since that the peer has not reported as having come twice.
    unreported: u32,
    /// Something was sent again.
    resent: bool,
    /// Our clock, in the units of the timestamps option, when something was first sent again.
    stamp: Option<u32>,
}

impl Undo {
    /// The window has been reduced, with SND.UNA at `una` and `resent` octets in flight for another time.
    pub const fn begin(una: Seq, resent: u32) -> Self {
        Self { marker: Some(una), unreported: resent, resent: resent > 0, stamp: None }
    }

    pub(super) const fn on_retransmit(&mut self, len: u32, clock: u32) {
        self.unreported = self.unreported.saturating_add(len);
        self.resent = true;
        if self.stamp.is_none() {
            self.stamp = Some(clock);
        }
    }
}

impl Recovery {
    fn undo(&self) -> Option<&Undo> {
        self.episode.as_ref().map(|e| &e.undo).filter(|undo| undo.marker.is_some())
    }

    /// All that was sent again came twice.
    fn all_came_twice(&self) -> bool {
        self.undo().is_some_and(|undo| undo.resent && undo.unreported == 0)
    }

    /// The ACK echoes a time before anything was sent again: what it acknowledges is the original.
    fn original_was_late(&self, news: &News) -> bool {
        let stamp = self.undo().and_then(|undo| undo.stamp);
        stamp.zip(news.echo).is_some_and(|(stamp, echo)| echo != 0 && (echo.wrapping_sub(stamp) as i32) < 0)
    }

    pub(super) fn may_undo(&self, news: &News) -> bool {
        self.undo().is_some() && (self.all_came_twice() || self.original_was_late(news))
    }

    /// Nothing is remembered of times any more: what is sent again later has another.
    pub(super) fn forget_stamp(&mut self) {
        if let Some(episode) = &mut self.episode {
            episode.undo.stamp = None;
        }
    }
}

impl Tcb {
    /// The peer reports `news.dsack` as having come twice.
    pub(super) fn undo_duplicate_reported(&mut self, news: &News) {
        let Some(block) = news.dsack else { return };
        let una = self.snd.una;
        if let Some(undo) = self.recovery.episode.as_mut().map(|e| &mut e.undo)
            && let Some(marker) = undo.marker
            && block.end.at_or_before(una)
            && block.end.after(marker)
        {
            undo.unreported = undo.unreported.saturating_sub(block.len());
        }
    }

    /// The window is what it was.
    pub(super) fn undo_reduction(&mut self, cx: &mut Context<'_>) {
        let in_flight = self.in_flight();
        self.congestion.on_event(CongestionEvent::Undo, in_flight, cx.now);
        if let Some(episode) = &mut self.recovery.episode {
            episode.prr = None;
            episode.undo = Undo::default();
        }
        cx.counters.tcp_undo += 1;
    }

    /// At the end of an episode: was it needed?
    pub(super) fn try_undo_recovery(&mut self, news: &News, cx: &mut Context<'_>) -> bool {
        let needless = self.recovery.may_undo(news);
        if needless {
            self.undo_reduction(cx);
        } else {
            self.recovery.rack_recovered();
        }
        needless
    }

    /// In the middle of fast recovery an ACK shows the original of what was sent again: the path reorders, and nothing
    /// is lost. Gives true where nothing further is to be deemed lost.
    pub(super) fn try_undo_partial(&mut self, news: &News, cx: &mut Context<'_>) -> bool {
        if !self.recovery.original_was_late(news) {
            return false;
        }
        self.reordered(news.una, cx);
        if self.recovery.board.resent() > 0 {
            return true;
        }
        self.recovery.board.unmark_lost();
        self.undo_reduction(cx);
        self.recovery.phase = Phase::Open;
        true
    }

    /// Every retransmission was reported to have come twice.
    pub(super) fn try_undo_duplicates(&mut self, cx: &mut Context<'_>) -> bool {
        let needless = self.recovery.all_came_twice();
        if needless {
            self.undo_reduction(cx);
        }
        needless
    }
}
