//! The client's side (RFC 7413 §4.2): what goes with the SYN, and what the answer to it means.

use alloc::boxed::Box;

use crate::seq::{Seq, SeqRange};
use crate::tcp::context::Context;
use crate::tcp::fast_open::black_hole::Leave;
use crate::tcp::fast_open::{Failure, Modes, Opening};
use crate::tcp::input::syn_sent::default_mss;
use crate::tcp::segment::Segment;
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::Reason;
use crate::wire::fast_open::FastOpen;
use crate::wire::options::MAX_OPTIONS_LEN;

/// What may go with a SYN.
struct Ticket {
    option: Option<FastOpen>,
    /// Octets of text.
    room: usize,
    after_pause: bool,
}

impl Tcb {
    /// What may go with our SYN now.
    fn ticket(&self, cx: &Context<'_>) -> Ticket {
        let known = cx.fast_open.cache.get(&self.quad);
        let leave = cx.fast_open.black_hole.leave(cx.now, cx.config.fast_open_black_hole);
        let after_pause = leave == Leave::Probation;
        if leave == Leave::Paused {
            return Ticket { option: None, room: 0, after_pause };
        }
        let has_cookie = !known.option.cookie.is_empty();
        if cx.fast_open.cache.pauses(&self.quad, cx.now) {
            return Ticket { option: Some(known.option).filter(|_| !has_cookie), room: 0, after_pause };
        }
        // The whole of the options' room is left free, as in Linux: middleboxes that put options in a SYN need it.
        let mss = known.mss.map_or(self.snd.mss, |mss| mss.min(self.snd.mss));
        let room = usize::from(mss).saturating_sub(MAX_OPTIONS_LEN);
        if self.options.fast_open_no_cookie || cx.config.fast_open.contains(Modes::CLIENT_NO_COOKIE) {
            return Ticket { option: None, room, after_pause };
        }
        //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2.1
        //= id=rfc7413-4.2.1-1
        //# Any client attempting TFO MUST first request a cookie from the server with the following steps
        //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2
        //= id=rfc7413-4.2.2-1
        //# To open a TFO connection, the client MUST have obtained a cookie from the server
        let room = if has_cookie { room } else { 0 };
        Ticket { option: Some(known.option), room, after_pause }
    }

    /// Whether text may go with the SYN now.
    pub fn may_open_fast(&self, cx: &Context<'_>) -> bool {
        self.ticket(cx).room > 0
    }

    /// The SYN, not sent yet, waits for the program's first octets.
    pub fn defer_open(&mut self) {
        self.fast_open = Some(Box::new(Opening { deferred: true, ..Opening::default() }));
    }

    /// Whether the SYN waits for the program's first octets.
    pub fn open_is_deferred(&self) -> bool {
        self.state() == State::SynSent && self.fast_open.as_ref().is_some_and(|opening| opening.deferred)
    }

    /// The SYN may leave, with as much of `data` as may go with it, and else with the request for a cookie. Says how
    /// many octets that is.
    pub fn open_fast(&mut self, data: &[u8], cx: &mut Context<'_>) -> usize {
        let Ticket { option, mut room, after_pause } = self.ticket(cx);
        let failure = if room == 0 { Failure::NoCookie } else { Failure::None };
        let asked = option.is_some();
        self.fast_open =
            Some(Box::new(Opening { option, asked, after_pause, failure, ..Opening::default() }));
        // §4.2.2, client, 1 a: without room for the option it is an ordinary handshake.
        if !self.syn_options(cx).fast_open_fits() {
            room = 0;
        }
        room = room.min(self.memory_for_syn_text(cx.memory));
        let Some(opening) = self.fast_open.as_deref_mut() else { return 0 };
        if asked && room == 0 && opening.option.as_ref().is_some_and(|option| !option.cookie.is_empty()) {
            (opening.option, opening.asked) = (None, false);
        }
        let text = data.get(..room).unwrap_or(data);
        opening.in_syn = text.len() as u16;
        self.send_buffer.write(text, cx.spares);
        self.has_written(false);
        text.len()
    }

    /// A call waits to write what did not go with the SYN.
    pub const fn rest_waits(&mut self) {
        if let Some(opening) = &mut self.fast_open {
            opening.rest_waits = true;
        }
    }

    /// Whether one does.
    pub(in crate::tcp) fn rest_is_waiting(&self) -> bool {
        self.fast_open.as_ref().is_some_and(|opening| opening.rest_waits)
    }

    /// Octets of text that go with our first SYN.
    pub(in crate::tcp) fn syn_text(&self) -> u32 {
        self.fast_open.as_ref().map_or(0, |opening| opening.in_syn.into())
    }

    /// Whether what went with the SYN ends there: it had been written to leave at once, although a SYN has no PSH.
    pub(in crate::tcp) fn ends_syn_text(&self, end: Seq) -> bool {
        self.syn_text() > 0 && end == self.snd.iss.add(1 + self.syn_text())
    }

    /// The option for a SYN that leaves now: of ours for the first alone.
    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2
    //= id=rfc7413-4.2.2-2
    //# To deal with network or servers dropping SYN packets with payload or unknown options, when the SYN
    //# timer fires, the client SHOULD retransmit a SYN packet without data and Fast Open options.
    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2
    //= id=rfc7413-4.2.2-6
    //# If the SYN-ACK timer fires, the server SHOULD retransmit a SYN-ACK segment with neither data nor Fast
    //# Open options for compatibility reasons.
    pub(in crate::tcp) fn fast_open_option(&self) -> Option<FastOpen> {
        let first = self.snd.nxt == self.snd.iss;
        self.fast_open.as_ref().filter(|_| first).and_then(|opening| opening.option.clone())
    }

    /// Our SYN has been acknowledged by a SYN,ACK: what that says of the server, and of our text.
    //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2
    //= id=rfc7413-4.2.2-7
    //# If the SYN-ACK has a Fast Open option, an MSS option, or both, update the corresponding cookie and
    //# MSS information in the cookie cache.
    pub(in crate::tcp) fn fast_open_answered(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) {
        let Some(opening) = self.fast_open.as_deref() else { return };
        let (asked, in_syn) = (opening.asked, opening.in_syn);
        let experimental = opening.option.as_ref().is_some_and(|option| option.experimental);
        if !asked && in_syn == 0 {
            return;
        }
        let most = cx.config.fast_open_cookies;
        let again = self.tally.resent > 0;
        // Nobody asked for another.
        let option = seg.options.fast_open.as_ref().filter(|_| asked);
        let mss = seg.options.mss.unwrap_or(default_mss(self.quad.remote.address));
        cx.fast_open.cache.learn(&self.quad, mss, option, most);
        if in_syn == 0 && !again && option.is_none() {
            cx.fast_open.cache.unanswered(&self.quad, experimental, most);
        }
        if in_syn > 0 {
            if seg.ack.after(self.snd.una) {
                cx.fast_open.cache.accepted(&self.quad);
            } else if option.is_none_or(|option| option.cookie.is_empty()) {
                // A new cookie is no refusal: the server only did not know the old one any more.
                cx.fast_open.cache.refused(&self.quad, cx.now, most);
            }
        }
        self.syn_text_answered(seg.ack, cx);
    }

    /// Our SYN has been acknowledged, and with it all of the text that went with it, a part or none. The rest is sent
    /// again at once. The congestion window does not grow of it: it came with the handshake (RFC 5681 §3.1).
    pub(in crate::tcp) fn syn_text_answered(&mut self, ack: Seq, cx: &mut Context<'_>) {
        let Some(opening) = self.fast_open.as_deref_mut().filter(|opening| opening.in_syn > 0) else {
            return;
        };
        let in_syn = u32::from(opening.in_syn);
        let acked = ack.saturating_since(self.snd.una).min(in_syn);
        opening.taken = acked == in_syn;
        if !opening.taken {
            opening.failure =
                if self.tally.resent > 0 { Failure::SynTimedOut } else { Failure::NotAcknowledged };
        }
        self.send_buffer.advance(acked as usize, cx.spares);
        self.tally.octets_acked += u64::from(acked);
        self.snd.una = self.snd.una.add(acked);
        self.snd.up = self.snd.up.max(self.snd.una);
        self.snd.short = self.snd.short.max(self.snd.una);
        self.snd.pushed = self.snd.pushed.max(self.snd.una);
        self.snd.peak.1 = self.snd.peak.1.max(self.snd.una);
        self.recovery.begin(self.snd.una, self.is.contains(Is::SACK));
        if acked == in_syn {
            cx.counters.tcp_fast_open_active += 1;
        } else {
            cx.counters.tcp_fast_open_active_fail += 1;
            //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2
            //= id=rfc7413-4.2.2-8
            //# The client SHOULD retransmit any unacknowledged data in the first ACK packet in step 2.
            let mss = self.smss();
            for start in (acked..in_syn).step_by(mss as usize) {
                let first = self.snd.una.add(start - acked);
                let range = SeqRange::with_len(first, mss.min(in_syn - start));
                let stamp = self.stamp(range.len(), cx.now);
                self.recovery.on_send(range, mss, stamp);
            }
            self.lost_with_syn();
        }
    }

    /// The path takes smaller packets only, and a SYN with text in it was one that it does not: it goes again without,
    /// and tells the MSS that the path was found to have.
    pub(in crate::tcp) fn syn_text_too_big(&mut self) {
        if self.state() == State::SynSent && self.syn_text() > 0 && self.snd.nxt != self.snd.iss {
            self.mss_offered = self.mss_offered.min(self.snd.mss);
            self.recovery.request(Reason::PathMtu);
        }
    }

    /// ICMP ended the attempt.
    pub(in crate::tcp) fn syn_text_unreachable(&self, cx: &mut Context<'_>) {
        if self.state() == State::SynSent && self.syn_text() > 0 {
            cx.fast_open.cache.refused(&self.quad, cx.now, cx.config.fast_open_cookies);
        }
    }

    /// A client that used Fast Open, whatever came of it.
    fn used_fast_open(&self) -> bool {
        self.fast_open.as_ref().is_some_and(|opening| opening.asked || opening.in_syn > 0)
    }

    fn black_hole_seen(cx: &mut Context<'_>) {
        if cx.fast_open.black_hole.seen(cx.now, cx.config.fast_open_black_hole) {
            cx.counters.tcp_fast_open_black_hole += 1;
        }
    }

    /// The retransmission timer ran out; `give_up` ends the connection. The third time in a row, or an earlier end,
    /// looks like a path that swallows all that follows a SYN of Fast Open.
    pub(in crate::tcp) fn fast_open_timed_out(&self, give_up: bool, cx: &mut Context<'_>) {
        if !self.used_fast_open() {
            return;
        }
        let before = self.recovery.timeouts();
        if before == 2 || (before < 2 && give_up) {
            Self::black_hole_seen(cx);
        }
        if give_up && self.state() == State::SynSent && self.syn_text() > 0 {
            cx.fast_open.cache.refused(&self.quad, cx.now, cx.config.fast_open_cookies);
        }
    }

    /// A reset came that is not the exact one: where nothing was received yet, what lies before it was swallowed.
    pub(in crate::tcp) fn fast_open_reset_astray(&self, cx: &mut Context<'_>) {
        if self.used_fast_open() && self.state() == State::Established && self.tally.data_in == 0 {
            Self::black_hole_seen(cx);
        }
    }

    /// The connection is over. A FIN alone that what lies before it never reached tells of a black hole; data that was
    /// received, of none.
    pub(in crate::tcp) fn fast_open_over(&mut self, event: Event, cx: &mut Context<'_>) {
        let Some(opening) = self.fast_open.as_deref_mut() else { return };
        opening.was_reset = event == Event::Reset;
        let after_pause = opening.after_pause;
        if !self.used_fast_open() {
            return;
        }
        if self.tally.data_in == 0 {
            if self.rcv.fin.is_some_and(|fin| fin != self.rcv.nxt) {
                Self::black_hole_seen(cx);
            }
        } else if after_pause && !self.quad.remote.address.is_loopback() {
            cx.fast_open.black_hole.passed();
        }
    }

    /// For those who ask how it stands: whether the text of a SYN was taken, and why it was not.
    pub(in crate::tcp) fn fast_open_info(&self) -> (bool, Failure) {
        self.fast_open.as_ref().map_or((false, Failure::None), |opening| (opening.taken, opening.failure))
    }
}
