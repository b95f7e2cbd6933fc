//! SEGMENT ARRIVES: §3.10.7, step by step, with RFC 5961 where the RFC refers to it.

use tunstack::core::tcp::state::State;

use crate::model::{Model, Outcomes, REQUEST_ANSWERS, Segment, TWO_MSL, le, lt};
use crate::rules::Answer;

impl Model {
    pub(crate) fn arrives(&self, s: &Segment, now: u64) -> Outcomes {
        match self.state {
            State::Closed => self.in_closed(s),
            State::Listen => self.in_listen(s, now),
            State::SynSent => self.in_syn_sent(s, now),
            _ => self.in_others(s, now).into_iter().map(Self::limited).collect(),
        }
    }

    /// A request that has given all the acknowledgments it gives is silent instead.
    fn limited((mut model, answer): (Self, Answer)) -> (Self, Answer) {
        match &mut model.answers_left {
            Some(0) if answer == Answer::Ack => (model, Answer::Silent),
            Some(left) if answer == Answer::Ack => {
                *left -= 1;
                (model, answer)
            }
            _ => (model, answer),
        }
    }

    fn stays(&self, answer: Answer) -> Outcomes {
        vec![(self.clone(), answer)]
    }

    /// §3.10.7.1.
    fn in_closed(&self, s: &Segment) -> Outcomes {
        self.stays(if s.rst {
            Answer::Silent
        } else if s.has_ack {
            Answer::Rst { seq: s.ack, ack: None }
        } else {
            Answer::Rst { seq: 0, ack: Some(s.seq.wrapping_add(s.len())) }
        })
    }

    /// §3.10.7.2. Text and FIN on a SYN need not be kept: the peer sends them again.
    fn in_listen(&self, s: &Segment, now: u64) -> Outcomes {
        if s.rst {
            return self.stays(Answer::Silent);
        }
        if s.has_ack {
            return self.stays(Answer::Rst { seq: s.ack, ack: None });
        }
        if !s.syn {
            return self.stays(Answer::Silent);
        }
        vec![(self.requested(s, now), Answer::SynAck)]
    }

    /// A connection that the peer began.
    fn requested(&self, s: &Segment, now: u64) -> Self {
        let mut m = self.none();
        m.enter(State::SynReceived, now);
        m.irs = s.seq;
        m.rcv_nxt = s.seq.wrapping_add(1);
        m.edge = m.rcv_nxt;
        // In LISTEN the RFC sets no SND.WND, and so the window of this SYN does not count for MAX.SND.WND.
        m.max_wnd = 0;
        m.progress = now;
        m.answers_left = Some(REQUEST_ANSWERS);
        m
    }

    /// §3.10.7.3.
    fn in_syn_sent(&self, s: &Segment, now: u64) -> Outcomes {
        let iss = self.iss.unwrap_or(0);
        if s.has_ack && (le(s.ack, iss) || lt(self.nxt, s.ack)) {
            return self.stays(if s.rst { Answer::Silent } else { Answer::Rst { seq: s.ack, ack: None } });
        }
        if s.rst {
            return if s.has_ack { vec![(self.none(), Answer::Silent)] } else { self.stays(Answer::Silent) };
        }
        if !s.syn {
            return self.stays(Answer::Silent);
        }
        let mut m = self.clone();
        m.irs = s.seq;
        m.rcv_nxt = s.seq.wrapping_add(1);
        m.edge = m.rcv_nxt.wrapping_add(self.syn_window);
        m.take_window(s);
        if s.has_ack {
            m.una = s.ack;
            m.progress = now;
            m.enter(State::Established, now);
            // "continue processing at the sixth step".
            let rest = Segment { seq: m.rcv_nxt, syn: false, ..*s };
            return m.seventh(&rest, now).into_iter().map(|(m, _)| (m, Answer::Ack)).collect();
        }
        m.enter(State::SynReceived, now);
        vec![(m, Answer::SynAck)]
    }

    fn take_window(&mut self, s: &Segment) {
        self.wnd = s.window;
        self.wl1 = s.seq;
        self.wl2 = s.ack;
        self.max_wnd = self.max_wnd.max(s.window);
    }

    fn in_window(&self, seq: u32) -> bool {
        le(self.rcv_nxt, seq) && lt(seq, self.edge)
    }

    /// Table 6. On purpose, an empty segment at the right edge is taken as well: a peer that has filled the window, or has
    /// probed it, sends its acknowledgments from there. And so is what begins before the window and ends behind it, of which
    /// the table looks at the two ends alone: all that the window has room for is in it.
    fn acceptable(&self, s: &Segment) -> bool {
        match (s.len(), self.rcv_wnd()) {
            (0, 0) => s.seq == self.rcv_nxt,
            (0, _) => self.in_window(s.seq) || s.seq == self.edge,
            (_, 0) => false,
            (len, _) => {
                let last = s.seq.wrapping_add(len - 1);
                let covers = lt(s.seq, self.rcv_nxt) && le(self.edge, last);
                self.in_window(s.seq) || self.in_window(last) || covers
            }
        }
    }

    /// News while the peer's window is closed, from before RCV.NXT. How far before it may lie the model leaves open.
    fn late_news(&self, s: &Segment) -> bool {
        let closed = self.wnd == 0 && !matches!(self.state, State::SynReceived | State::TimeWait);
        let late = closed && s.len() == 0 && lt(s.seq, self.rcv_nxt) && s.has_ack;
        let opens = self.una == s.ack && s.window > 0 && self.is_fresh(s);
        late && (lt(self.una, s.ack) && le(s.ack, self.nxt) || opens)
    }

    /// "The check here prevents using old segments to update the window": what acknowledges more is none, on purpose.
    fn is_fresh(&self, s: &Segment) -> bool {
        lt(self.una, s.ack) || lt(self.wl1, s.seq) || self.wl1 == s.seq && le(self.wl2, s.ack)
    }

    /// §3.10.7.4.
    fn in_others(&self, s: &Segment, now: u64) -> Outcomes {
        if s.rst {
            return self.second(s);
        }
        if s.syn {
            return self.fourth(s, now);
        }
        if !self.acceptable(s) {
            let mut outcomes = self.stays(Answer::Ack);
            if self.state == State::TimeWait {
                // "Acknowledge it, and restart the 2 MSL timeout", where it is the FIN; whether it is where text before
                // the FIN comes again is left open.
                let again = s.fin && s.seq.wrapping_add(s.len()) == self.rcv_nxt;
                let m = &mut outcomes[0].0;
                m.ends.1 = now + TWO_MSL;
                if again && s.has_ack && s.ack == self.nxt {
                    m.ends.0 = now + TWO_MSL;
                }
            }
            // "If the RCV.WND is zero, […] special allowance should be made to accept valid ACKs"; and Appendix A.2, on purpose:
            // news behind a closed window.
            let probed = self.rcv_wnd() == 0 && s.seq == self.rcv_nxt && s.has_ack;
            if probed || self.late_news(s) {
                let bare = Segment { text: 0, fin: false, ..*s };
                outcomes.extend(self.fifth(&bare, now).into_iter().map(|(m, a)| {
                    let answer = if a == Answer::Free && !m.is_none() { Answer::Ack } else { a };
                    (m, answer)
                }));
            }
            return outcomes;
        }
        if !s.has_ack {
            // "if the ACK bit is off, drop the segment": not looked at where its first part is old, which is acknowledged by
            // then, nor in TIME-WAIT, where what is left of the connection answers all text alike.
            let old = lt(s.seq, self.rcv_nxt) || self.state == State::TimeWait;
            let answer = if old { Answer::Free } else { Answer::Silent };
            return self.stays(answer);
        }
        // "the idealized segment that begins at RCV.NXT".
        let old = if lt(s.seq, self.rcv_nxt) { self.rcv_nxt.wrapping_sub(s.seq) } else { 0 };
        self.fifth(&Segment { seq: s.seq.wrapping_add(old), text: s.text.saturating_sub(old), ..*s }, now)
    }

    /// The RST bit: RFC 5961 §3.2. In TIME-WAIT it is ignored on purpose (RFC 1337).
    fn second(&self, s: &Segment) -> Outcomes {
        if self.state == State::TimeWait {
            return self.stays(Answer::Silent);
        }
        if s.seq == self.rcv_nxt {
            return vec![(self.none(), Answer::Silent)];
        }
        if self.in_window(s.seq) {
            return self.stays(Answer::Ack);
        }
        // Acceptable though its number is outside: with text that reaches into the window, or at the right edge.
        self.stays(if self.acceptable(s) { Answer::Free } else { Answer::Silent })
    }

    /// The SYN bit: a challenge "irrespective of the sequence number", on purpose in SYN-RECEIVED too. In TIME-WAIT it may
    /// begin a new connection where its number is beyond those of the old one (§3.6.1, MAY-2).
    fn fourth(&self, s: &Segment, now: u64) -> Outcomes {
        let mut outcomes = self.stays(Answer::Ack);
        if self.state == State::TimeWait {
            outcomes[0].0.ends.1 = now + TWO_MSL;
            // RFC 6191 §2 would have one that is not believed dropped in silence.
            outcomes.extend(self.stays(Answer::Silent));
            if self.listening && !s.has_ack && lt(self.rcv_nxt, s.seq) {
                outcomes.push((self.requested(s, now), Answer::SynAck));
            }
        }
        // Figure 7: of two that opened at once, each has the other's SYN already when its SYN,ACK comes.
        if self.state == State::SynReceived && s.has_ack && s.seq == self.irs {
            let rest = Segment { seq: self.rcv_nxt, syn: false, ..*s };
            outcomes.extend(self.fifth(&rest, now));
        }
        outcomes
    }

    fn fifth(&self, s: &Segment, now: u64) -> Outcomes {
        let mut m = self.clone();
        if self.state == State::SynReceived {
            if !(lt(self.una, s.ack) && le(s.ack, self.nxt)) {
                return self.stays(Answer::Rst { seq: s.ack, ack: None });
            }
            m.take_window(s);
            m.answers_left = None;
            m.enter(if m.closed { State::FinWait1 } else { State::Established }, now);
        } else if lt(s.ack, self.una.wrapping_sub(self.max_wnd)) || lt(self.nxt, s.ack) {
            // RFC 5961 §5.2. MAX.SND.WND is not kept in TIME-WAIT (MAY-12 leaves the whole check open).
            let old = self.state == State::TimeWait && lt(s.ack, self.una);
            return self.stays(if old { Answer::Free } else { Answer::Ack });
        }
        let fresh = m.is_fresh(s);
        if lt(self.una, s.ack) {
            m.una = s.ack;
            m.progress = now;
        }
        if le(self.una, s.ack) && fresh {
            m.take_window(s);
        }
        match m.state {
            State::FinWait1 if m.fin_acked() => m.enter(State::FinWait2, now),
            State::Closing if m.fin_acked() => m.enter(State::TimeWait, now),
            State::LastAck if m.fin_acked() => return vec![(self.none(), Answer::Silent)],
            _ => {}
        }
        m.seventh(s, now)
    }

    /// The text, and the FIN after it.
    fn seventh(mut self, s: &Segment, now: u64) -> Outcomes {
        if !matches!(self.state, State::Established | State::FinWait1 | State::FinWait2) {
            return vec![(self, Answer::Free)];
        }
        let past = s.seq.wrapping_add(s.text);
        let start = if lt(s.seq, self.rcv_nxt) { self.rcv_nxt } else { s.seq };
        let end = if lt(self.edge, past) { self.edge } else { past };
        let beyond = lt(self.rcv_nxt, start) && lt(start, end);
        if lt(start, end) {
            if self.orphan {
                // SHLD-3, with the numbers of §3.5.2, which the peer believes whether or not our FIN reached it; before
                // its turn it may also wait.
                let mut outcomes = vec![(self.none(), Answer::Rst { seq: s.ack, ack: None })];
                if beyond {
                    self.held.push((start, end));
                    outcomes.push((self, Answer::Ack));
                }
                return outcomes;
            }
            self.held.push((start, end));
        }
        if s.fin && le(self.rcv_nxt, past) && lt(past, self.edge) {
            self.peer_fin = Some(past);
        }
        while let Some(&(_, end)) = self.held.iter().find(|r| le(r.0, self.rcv_nxt) && lt(self.rcv_nxt, r.1))
        {
            self.advance(end, now);
        }
        let edge = self.rcv_nxt;
        self.held.retain(|r| lt(edge, r.1));
        if self.peer_fin == Some(self.rcv_nxt) {
            self.advance(self.rcv_nxt.wrapping_add(1), now);
            if self.edge == edge {
                self.edge = self.rcv_nxt;
            }
            match self.state {
                State::Established => self.enter(State::CloseWait, now),
                State::FinWait1 => self.enter(State::Closing, now),
                _ => self.enter(State::TimeWait, now),
            }
            return vec![(self, Answer::Ack)];
        }
        // RFC 5681 §4.2: what is out of order is acknowledged at once.
        let answer = if beyond { Answer::Ack } else { Answer::Free };
        vec![(self, answer)]
    }
}
