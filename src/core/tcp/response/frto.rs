//! F-RTO (RFC 5682): whether a time-out was spurious shows in what the first ACKs after it acknowledge.

use super::news::News;
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::recovery::episode::Frto;
use crate::tcp::tcb::Tcb;

impl Tcb {
    /// An ACK came while what timed out is sent again. Gives true where nothing is to be sent again because of it.
    //= https://www.rfc-editor.org/rfc/rfc5682#section-3.1
    //# If the sender applies the SACK-enhanced F-RTO algorithm, it MUST follow the steps below.
    pub(in crate::tcp) fn process_loss(&mut self, news: &News, cx: &mut Context<'_>) -> bool {
        let recovered = self.snd.una.at_or_after(self.recovery.recover);
        if news.advanced > 0 && self.recovery.may_undo(news.echo) {
            self.undo_timeout(cx);
            return true;
        }
        if let Some(step) = self.recovery.episode.as_ref().and_then(|e| e.frto) {
            // Step 3b: what was never sent again has arrived since.
            if news.original && news.delivered > 0 {
                self.undo_timeout(cx);
                return true;
            }
            let next = if self.snd.nxt.after(self.recovery.recover) && step == Frto::NewData {
                // Step 3a: the loss was real.
                (news.sacked == 0 && !news.duplicate).then_some(step)
            } else if news.advanced > 0 && !recovered {
                // Step 2b, if there is anything to send.
                self.recovery.recover = self.snd.nxt;
                (self.has_unsent() && self.snd.usable() > 0).then_some(Frto::NewData)
            } else {
                (news.advanced == 0 && !news.duplicate && news.sacked == 0).then_some(step)
            };
            if let Some(episode) = &mut self.recovery.episode {
                episode.frto = next;
            }
            if next == Some(Frto::NewData) {
                return true;
            }
        }
        if recovered {
            self.try_undo_recovery(news, cx);
            self.recovery.phase = Phase::Open;
            self.recovery.end_episode();
            self.recovery.forget_stamp();
        }
        false
    }

    /// New data goes before what is deemed lost.
    pub(in crate::tcp) fn sends_new_data_first(&self) -> bool {
        self.recovery.episode.as_ref().is_some_and(|e| e.frto == Some(Frto::NewData))
    }

    /// The time-out was spurious: what was deemed lost is on its way, and the window is what it was.
    fn undo_timeout(&mut self, cx: &mut Context<'_>) {
        self.recovery.board.unmark_lost();
        self.undo_reduction(cx);
        self.recovery.timeouts = 0;
        self.recovery.pending = None;
        self.recovery.phase = Phase::Open;
        self.recovery.end_episode();
        self.recovery.forget_stamp();
        self.rtt.reset_back_off();
        cx.counters.tcp_spurious_rtos += 1;
    }
}
