//! The acknowledgment that nearly every one is, where one end alone sends: it is all that there is to send.
//!
//! Nothing of ours is outstanding, waits, or is to be repaired; nothing is missing, came twice or is to be told beside. So
//! there is nothing to weigh, and behind it nothing more can leave: what [`poll_transmit`](Tcb::poll_transmit) would do when it
//! is asked once more is done with it.

use super::build::Outgoing;
use crate::config::EcnFeedback;
use crate::tcp::context::Context;
use crate::tcp::state::State;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::Reason;
use crate::wire::flags::Flags;
use crate::wire::ip::Ecn;
use crate::wire::options::Options;
use crate::wire::tcp::Header;

/// What gives an end more to say than that octets have come.
const UNUSUAL: Is = Is::FIN_QUEUED.union(Is::TELL_USER_TIMEOUT);

impl Tcb {
    /// The acknowledgment that is due, if it is the predicted one. Then nothing leaves behind it.
    pub fn poll_predicted_ack(&mut self, cx: &mut Context<'_>) -> Option<Outgoing> {
        let reason = Reason::Ack(self.acks.due()?);
        if self.state() != State::Established || !self.only_acknowledges() {
            return None;
        }
        debug_assert_eq!(
            self.decide(),
            Some(super::decide::Plan { reason, seq: self.snd.nxt, len: 0, fin: false }),
            "what is predicted is what would be decided"
        );
        #[cfg(test)]
        crate::tcp::short_cuts::taken();
        let offer = self.window_offer();
        self.rcv.wnd = self.rcv.wnd.max(offer.octets);
        let timestamps = self.timestamps.enabled().then(|| self.timestamps.option(cx.now));
        let header = Header {
            src_port: self.quad.local.port,
            dst_port: self.quad.remote.port,
            seq: self.snd.nxt,
            ack: self.rcv.nxt,
            flags: Flags::ACK,
            window: offer.field,
            urgent: 0,
        };
        cx.counters.tcp_out_segs += 1;
        self.tally.sent(0, 1, false);
        self.rcv.last_ack_sent = self.rcv.nxt;
        self.acks.sent();
        self.timers.rest();
        self.check_app_limited();
        self.note_limit(cx.now);
        Some(Outgoing {
            header,
            options: Options { timestamps, ..Options::default() },
            ecn: Ecn::NotEct,
            offset: 0,
            place: None,
            len: 0,
            gso_size: 0,
            reason,
        })
    }

    /// Whether nothing could leave but one acknowledgment that tells nothing beside.
    fn only_acknowledges(&self) -> bool {
        #[cfg(test)]
        if crate::tcp::short_cuts::are_closed() {
            return false;
        }
        self.snd.una == self.snd.nxt
            && self.send_buffer.is_empty()
            && !self.is.intersects(UNUSUAL)
            && self.probe.is_none()
            && self.mtu.is_none()
            && self.fast_open.is_none()
            && self.acks.is_last()
            && self.reassembly.is_empty()
            && self.acks.dsack().is_none()
            && self.ecn.feedback() == EcnFeedback::None
            && self.ecn.accurate.is_none()
            && self.paced_until().is_none()
    }
}
