//! What holds for every segment that is sent, whatever brought it about.

use tunstack::core::tcp::state::State;

use crate::model::{Model, le, lt};

/// What an event must be answered with at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// Nothing at all.
    Silent,
    /// Nothing in particular, but no reset.
    Free,
    /// An acknowledgment of RCV.NXT, alone or with something else.
    Ack,
    /// A SYN with an ACK.
    SynAck,
    /// One reset, its numbers by §3.5.2.
    Rst { seq: u32, ack: Option<u32> },
    /// One reset of a connection that there was (§3.10.5).
    Abort { seq: u32, edge: u32, ack: u32 },
}

/// What leaves.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) has_ack: bool,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    pub(crate) window: u32,
    pub(crate) text: Vec<u8>,
}

/// The octet that either side has at a place of what it writes.
pub(crate) fn octet(place: u32) -> u8 {
    (place.wrapping_mul(31).wrapping_add(place >> 8)) as u8
}

impl Answer {
    fn is_given(self, sent: &[Out], rcv_nxt: u32) -> bool {
        let reset = match sent {
            [one] if one.rst && !one.syn && !one.fin && one.text.is_empty() => Some(one),
            _ => None,
        };
        match self {
            Self::Silent => sent.is_empty(),
            Self::Free => true,
            Self::Ack => sent.iter().any(|o| o.has_ack && o.ack == rcv_nxt && !o.rst),
            Self::SynAck => sent.iter().any(|o| o.syn && o.has_ack),
            Self::Rst { seq, ack } => {
                // Text that was here before is acknowledged all the same.
                let (resets, others): (Vec<&Out>, Vec<&Out>) = sent.iter().partition(|o| o.rst);
                others.iter().all(|o| o.has_ack && o.ack == rcv_nxt && !o.syn && !o.fin && o.text.is_empty())
                    && matches!(resets[..], [o] if o.seq == seq && o.has_ack == ack.is_some()
                        && ack.is_none_or(|a| a == o.ack) && o.text.is_empty())
            }
            Self::Abort { seq, edge, ack } => reset.is_some_and(|o| {
                (o.seq == seq || lt(edge, seq) && o.seq == edge) && (!o.has_ack || o.ack == ack)
            }),
        }
    }
}

impl Model {
    /// Takes note of what was sent after an event that asks for `answer`, or says what is wrong with it.
    pub(crate) fn sent(&mut self, answer: Answer, sent: &[Out], now: u64, buffer: u32) -> Result<(), String> {
        if !answer.is_given(sent, self.rcv_nxt) {
            return Err(format!("{answer:?} is due, not {sent:?}"));
        }
        let due = matches!(answer, Answer::Rst { .. } | Answer::Abort { .. });
        for one in sent.iter().filter(|o| !(due && o.rst)) {
            self.sends(one, now, buffer).map_err(|why| format!("{why}: {one:?}"))?;
        }
        Ok(())
    }

    fn sends(&mut self, o: &Out, now: u64, buffer: u32) -> Result<(), &'static str> {
        if o.rst {
            return Err("a reset that nothing asks for (§3.5.2)");
        }
        if self.is_none() {
            return Err("a segment without a connection");
        }
        // In SYN-RECEIVED an acknowledgment may leave alone, `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`, but nothing else.
        let bare = o.text.is_empty() && !o.fin;
        let right = match self.state {
            State::SynSent => o.syn && bare,
            State::SynReceived => bare,
            _ => !o.syn,
        };
        if !right {
            return Err("SYN where none may be, or none where it must");
        }
        if self.state == State::SynSent {
            self.syn_window = o.window;
            return if o.has_ack { Err("an ACK of nothing") } else { self.own_syn(o) };
        }
        self.acknowledges(o, now, buffer)?;
        if o.syn { self.own_syn(o) } else { self.occupies(o) }
    }

    fn own_syn(&mut self, o: &Out) -> Result<(), &'static str> {
        if self.iss.is_none() {
            self.iss = Some(o.seq);
            self.una = o.seq;
            self.nxt = o.seq.wrapping_add(1);
        }
        if self.iss != Some(o.seq) { Err("a SYN that is not at ISS") } else { Ok(()) }
    }

    /// ACK and window of what is sent.
    fn acknowledges(&mut self, o: &Out, now: u64, buffer: u32) -> Result<(), &'static str> {
        if !o.has_ack || o.ack != self.rcv_nxt {
            return Err("SEG.ACK is not RCV.NXT");
        }
        if self.ack_due.take().is_some_and(|due| now >= due) {
            return Err("acknowledged too late (MUST-40)");
        }
        let edge = o.ack.wrapping_add(o.window);
        if lt(edge, self.edge) {
            return Err("the right window edge moves left (§3.8.6, SHLD-14)");
        }
        let taken = self.irs.wrapping_add(1).wrapping_add(self.read);
        if edge.wrapping_sub(taken) > buffer + 1 {
            return Err("more offered than there is room for");
        }
        self.edge = edge;
        Ok(())
    }

    /// The sequence numbers of what is sent.
    fn occupies(&mut self, o: &Out) -> Result<(), &'static str> {
        let right = self.una.wrapping_add(self.wnd);
        let past = o.seq.wrapping_add(o.text.len() as u32);
        let end = past.wrapping_add(u32::from(o.fin));
        if end == o.seq {
            // What the peer's first check would throw away carries no ACK: from the edge of a window that shrank.
            let usual = o.seq == self.nxt || lt(right, self.nxt) && o.seq == right;
            return if usual { Ok(()) } else { Err("an empty segment that is not at SND.NXT") };
        }
        if matches!(self.state, State::FinWait2 | State::TimeWait) {
            return Err("text or FIN after our FIN was acknowledged");
        }
        if o.fin && !(self.closed && past == self.fin_seq()) {
            return Err("a FIN that is not at the end of what was written");
        }
        if !le(self.una, o.seq) || !le(past, self.fin_seq()) || !le(o.seq, self.nxt) {
            return Err("text that was not written, or is acknowledged, or leaves a gap");
        }
        let first = self.fin_seq().wrapping_sub(self.written);
        let place = o.seq.wrapping_sub(first);
        if o.text.iter().zip(place..).any(|(&is, place)| is != octet(place)) {
            return Err("not what was written there");
        }
        if lt(self.nxt, end) {
            let probe = self.wnd == 0 && end == o.seq.wrapping_add(1);
            if lt(right, end) && !probe {
                return Err("beyond SND.UNA + SND.WND (§3.8.6)");
            }
            self.nxt = end;
        }
        Ok(())
    }
}
