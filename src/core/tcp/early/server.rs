//! The server's side (RFC 7413 §4.2.2): a connection that is open for the program before its handshake is done.

use alloc::boxed::Box;
use core::ops::ControlFlow::{Break, Continue};

use crate::error::Error;
use crate::tcp::context::Context;
use crate::tcp::ecn::negotiate::Promise;
use crate::tcp::fast_open::{Opening, Place};
use crate::tcp::input::Step;
use crate::tcp::output::decide::Plan;
use crate::tcp::segment::Segment;
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::{Reason, RstReason, Verdict};
use crate::wire::fast_open::FastOpen;

/// How often a client that sends its SYN again is answered before the timer does it.
const MOST_ANSWERS: u8 = 15;

impl Tcb {
    /// Opens a connection in SYN-RECEIVED, made of a request that never waited, for the program. It has the text of the
    /// SYN, and its SYN,ACK, still to leave, acknowledges that and brings `option`.
    pub fn open_early(
        &mut self,
        seg: &Segment<'_>,
        (listener, promise): (Place, Promise),
        option: Option<FastOpen>,
        cx: &mut Context<'_>,
    ) {
        let (listener, promise) = (Some(listener), Some(promise));
        let mut opening = Opening { option, listener, promise, ..Opening::default() };
        self.is.insert(Is::OPEN_EARLY);
        self.snd.nxt = self.snd.iss;
        self.timed = None;
        self.probe = Some(Reason::SynAck);
        // §4.2.2: what may be sent before the handshake is done is the window of the SYN, behind our own SYN.
        self.snd.max_wnd = u32::from(seg.window);
        self.snd.wnd = self.snd.max_wnd + 1;
        self.snd.wl1 = seg.seq;
        self.snd.wl2 = self.snd.iss;
        let mut seg = *seg;
        seg.strip_syn();
        // A FIN is not taken: Figure 5 has no way from SYN-RECEIVED that keeps our SYN. The peer sends it again.
        seg.trim(self.rcv.nxt, self.rcv.edge());
        self.tally.received(&seg, cx.now);
        self.take_user_timeout(seg.options, cx);
        if !seg.text.is_empty() {
            self.receive_buffer.push_text(&seg.text, seg.backing, cx.spares);
            let window = self.rcv.wnd;
            self.rcv.advance(seg.text.len() as u32);
            // What the SYN,ACK is to tell.
            self.rcv.wnd = window.min(self.options.receive_buffer.saturating_sub(seg.text.len() as u32));
            self.tally.octets_received += seg.text.len() as u64;
            opening.taken = true;
        }
        self.fast_open = Some(Box::new(opening));
    }

    /// Whether the program has it although its handshake is not done.
    pub fn is_open_early(&self) -> bool {
        self.state() == State::SynReceived && self.is.contains(Is::OPEN_EARLY)
    }

    /// Our SYN is outstanding, of which a program that writes already knows nothing.
    pub(in crate::tcp) fn early_syn(&self) -> u32 {
        u32::from(self.is_open_early() && self.snd.nxt != self.snd.iss)
    }

    /// What our SYN,ACK says of ECN.
    pub(in crate::tcp) fn early_promise(&self) -> Option<Promise> {
        self.fast_open.as_ref()?.promise
    }

    /// The same from now on.
    pub(in crate::tcp) fn promise_early(&mut self, promise: Promise) {
        if let Some(opening) = self.fast_open.as_deref_mut() {
            opening.promise = Some(promise);
        }
    }

    /// Whether our SYN,ACK has answered more than the first SYN.
    pub(in crate::tcp) fn has_answered_again(&self) -> bool {
        self.fast_open.as_ref().is_some_and(|opening| opening.answers > 0)
    }

    /// New data may leave before the handshake is done; a FIN waits for it.
    pub(in crate::tcp) fn decide_early(&self) -> Option<Plan> {
        if !self.is_open_early() {
            return None;
        }
        let plan = self.decide_new().filter(|plan| plan.len > 0)?;
        Some(Plan { fin: false, ..plan })
    }

    /// The client's SYN once more: it has not seen our answer.
    pub(in crate::tcp) fn answer_known_syn(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        let known = seg.syn() && !seg.has_ack() && !seg.rst() && seg.seq == self.rcv.irs;
        if !known || !self.is_open_early() {
            return Continue(());
        }
        if !self.ecn_asked_again(seg, cx) {
            self.reset(Error::Reset, Event::Abort, RstReason::EcnMixed, cx);
            return Break(Verdict::EcnMixed);
        }
        if let Some(opening) = self.fast_open.as_deref_mut().filter(|o| o.answers < MOST_ANSWERS) {
            opening.answers += 1;
            self.probe = Some(Reason::SynAck);
        }
        Break(Verdict::Duplicate)
    }

    /// Where it has ceased to be pending, told once, and whether the peer had reset it.
    pub fn no_longer_pending(&mut self) -> Option<(Place, bool)> {
        if self.state() == State::SynReceived {
            return None;
        }
        let opening = self.fast_open.as_deref_mut()?;
        Some((opening.listener.take()?, opening.was_reset))
    }
}
