//! F-RTO (RFC 5682): whether a time-out was spurious shows in what the first ACKs after it acknowledge.

use super::news::News;
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::recovery::episode::Frto;
use crate::tcp::recovery::scoreboard::Mark;
use crate::tcp::tcb::{Is, Tcb};

/// Segments of new data that step 2b sends at the most.
const NEW_SEGMENTS: u8 = 2;

impl Tcb {
    /// An ACK came while what timed out is sent again. Gives true where nothing is to be sent again because of it.
    //= https://www.rfc-editor.org/rfc/rfc5682#section-3.1
    //# If the sender applies the SACK-enhanced F-RTO algorithm, it MUST follow the steps below.
    //= https://www.rfc-editor.org/rfc/rfc5682#section-2.1
    //= id=rfc5682-2.1-4
    pub(in crate::tcp) fn process_loss(&mut self, news: &News, cx: &mut Context<'_>) -> bool {
        let recovered = self.snd.una.at_or_after(self.recovery.recover);
        if news.advanced > 0 && self.recovery.may_undo(self.telling_echo(news)) {
            self.undo_timeout(cx);
            return true;
        }
        if let Some(step) = self.recovery.episode.as_ref().and_then(|e| e.frto) {
            let recover = self.recovery.recover;
            let highest = self.recovery.board.highest_sacked().unwrap_or(recover);
            // The front is what timed out, until all of it is acknowledged.
            let part = self.recovery.board.front().is_some_and(|r| r.marks.contains(Mark::RESENT));
            let next = match step {
                // Without SACK that ends it (§2.1, step 2a), with SACK it is waited for the rest (§3.1, step 2).
                Frto::Retransmitted if news.advanced > 0 && !recovered && part => {
                    self.recovery.sack.then_some(step)
                }
                //= https://www.rfc-editor.org/rfc/rfc5682#section-3.1
                //= id=rfc5682-3.1-s3
                //# Else, if the Cumulative Acknowledgment field does not cover "RecoveryPoint" but is larger than
                //# SND.UNA, transmit up to two new (previously unsent) segments and proceed to step 3.
                Frto::Retransmitted if news.advanced > 0 && !recovered => {
                    self.recovery.recover = self.snd.nxt;
                    (self.has_unsent() && self.snd.usable() > 0)
                        .then_some(Frto::NewData { left: NEW_SEGMENTS })
                }
                //= https://www.rfc-editor.org/rfc/rfc5682#section-3.1
                //= id=rfc5682-3.1-s2
                //# If the Cumulative Acknowledgment field covers "RecoveryPoint" but not more than
                //# "RecoveryPoint", revert to the conventional RTO recovery
                // As well may all ACKs have been lost: what was never sent again had arrived long before.
                Frto::Retransmitted if news.advanced > 0 => None,
                //= https://www.rfc-editor.org/rfc/rfc5682#section-3.1
                //= id=rfc5682-3.1-s1
                //# If duplicate ACKs arrive before the cumulative acknowledgment for retransmitted data, adjust the
                //# scoreboard according to the incoming SACK information. Stay in step 2 and wait for the next new
                //# acknowledgment.
                // Without SACK they end it (§2.1, step 2a).
                Frto::Retransmitted => (self.recovery.sack || !news.duplicate).then_some(step),
                //= https://www.rfc-editor.org/rfc/rfc5682#section-3.1
                //= id=rfc5682-3.1-s4
                //# proceed with the conventional RTO recovery, retransmitting unacknowledged segments.
                // The window is what slow start has come to.
                Frto::NewData { .. } if self.snd.una.after(recover) || highest.after(recover) => None,
                //= https://www.rfc-editor.org/rfc/rfc5682#section-3.1
                //= id=rfc5682-3.1-s6
                //# The retransmission timeout can be declared spurious, because the segment acknowledged with this
                //# ACK was transmitted before the timeout.
                Frto::NewData { .. } if news.original && news.delivered > 0 => {
                    self.undo_timeout(cx);
                    return true;
                }
                //= https://www.rfc-editor.org/rfc/rfc5682#section-3.1
                //= id=rfc5682-3.1-s5
                //# Take this branch also when the acknowledgment is a duplicate ACK and it does not acknowledge any
                //# new, previously unacknowledged data below "RecoveryPoint" in the SACK information.
                Frto::NewData { .. } => (news.sacked == 0 && !news.duplicate).then_some(step),
            };
            if let Some(episode) = &mut self.recovery.episode {
                episode.frto = next;
            }
            if matches!(next, Some(Frto::NewData { .. })) {
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
        self.left_of_new_data_first().is_some()
    }

    /// How many segments more of new data step 2b allows, though the window may take more of them where they are small.
    pub(in crate::tcp) fn left_of_new_data_first(&self) -> Option<u8> {
        match self.recovery.episode.as_ref()?.frto? {
            Frto::NewData { left } => Some(left),
            Frto::Retransmitted => None,
        }
    }

    /// New data has left, in so many segments.
    pub(in crate::tcp) fn new_data_first_has_left(&mut self, segments: u32) {
        let frto = self.recovery.episode.as_mut().and_then(|e| e.frto.as_mut());
        if let Some(Frto::NewData { left }) = frto {
            *left = u32::from(*left).saturating_sub(segments) as u8;
        }
    }

    /// The new data of step 2b is still to come; it does not wait for Nagle's rule, but for the program that corked it.
    //= https://www.rfc-editor.org/rfc/rfc5682#section-2.1
    //= id=rfc5682-2.1-5
    //# In addition, the TCP sender MAY override the Nagle algorithm [Nag84] and immediately send a segment if
    //# needed.
    pub(in crate::tcp) fn new_data_is_urgent(&self) -> bool {
        self.sends_new_data_first()
            && self.snd.nxt == self.recovery.recover
            && !self.options.cork
            && !self.is.contains(Is::MORE)
    }

    /// The time-out was spurious: what was deemed lost is on its way, and the window is what it was.
    fn undo_timeout(&mut self, cx: &mut Context<'_>) {
        self.recovery.board.unmark_lost();
        self.undo_reduction(cx);
        self.recovery.timeouts = 0;
        self.recovery.pending = None;
        self.recovery.phase = Phase::Open;
        //= https://www.rfc-editor.org/rfc/rfc5682#section-3.1
        //= id=rfc5682-3.1-s7
        //# If the algorithm exits with SpuriousRecovery set to SPUR_TO, "RecoveryPoint" is set to SND.UNA, thus
        //# allowing fast recovery on incoming duplicate acknowledgments.
        self.recovery.recover = self.snd.una.sub(1);
        self.recovery.end_episode();
        self.recovery.forget_stamp();
        self.rtt.reset_back_off();
        cx.counters.tcp_spurious_rtos += 1;
    }
}
