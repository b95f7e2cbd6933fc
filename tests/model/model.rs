//! A connection as RFC 9293 describes it, and nothing else: the state, the variables of §3.3.1, and for each thing that
//! can happen the connections that may be there afterwards. Written from the text alone, with arithmetic of its own.

use tunstack::core::tcp::state::State;

use crate::rules::Answer;

/// §3.4: "less than" modulo 2^32.
pub(crate) fn lt(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}

/// §3.4: "less than or equal" modulo 2^32.
pub(crate) fn le(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) < 1 << 31
}

/// What arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) has_ack: bool,
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    pub(crate) window: u32,
    pub(crate) text: u32,
}

impl Segment {
    /// SEG.LEN, which counts SYN and FIN (§3.4).
    pub(crate) fn len(&self) -> u32 {
        self.text + u32::from(self.syn) + u32::from(self.fin)
    }
}

/// What may be so after an event, and what must be answered at once.
pub(crate) type Outcomes = Vec<(Model, Answer)>;

/// One pair of sockets and the connection between them, if there is one. Times are milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) state: State,
    /// A passive OPEN stands: where no connection is, the state is LISTEN.
    pub(crate) listening: bool,
    /// The program has given up the connection (§3.6.1: it "cannot continue to read").
    pub(crate) orphan: bool,
    /// CLOSE was called: a FIN follows what was written.
    pub(crate) closed: bool,
    /// Of a connection that the peer began, until its SYN,ACK has been seen, ISS is not known.
    pub(crate) iss: Option<u32>,
    pub(crate) una: u32,
    pub(crate) nxt: u32,
    pub(crate) wnd: u32,
    pub(crate) wl1: u32,
    pub(crate) wl2: u32,
    /// MAX.SND.WND of RFC 5961 §5.
    pub(crate) max_wnd: u32,
    pub(crate) irs: u32,
    pub(crate) rcv_nxt: u32,
    /// RCV.NXT + RCV.WND as the peer was told.
    pub(crate) edge: u32,
    /// The window of our SYN, which has no place before the peer's number is known.
    pub(crate) syn_window: u32,
    /// Text beyond RCV.NXT: first and one past the last.
    pub(crate) held: Vec<(u32, u32)>,
    /// Where the peer's FIN stands, once one came in the window.
    pub(crate) peer_fin: Option<u32>,
    /// Octets that the program wrote and read.
    pub(crate) written: u32,
    pub(crate) read: u32,
    /// When what came must be acknowledged (MUST-40).
    pub(crate) ack_due: Option<u64>,
    /// Since when the connection is in its state, and since when nothing new of ours was acknowledged.
    pub(crate) since: u64,
    pub(crate) progress: u64,
    /// Of a request that a listener holds: how many acknowledgments more it is answered with.
    pub(crate) answers_left: Option<u32>,
    /// TIME-WAIT ends not before and not after.
    pub(crate) ends: (u64, u64),
}

/// 2 MSL as configured.
pub(crate) const TWO_MSL: u64 = 60_000;

/// RFC 5961 §7 lets challenges be held back, and a listener's request does so in its short life.
pub(crate) const REQUEST_ANSWERS: u32 = 15;

/// MUST-40: "delay MUST be less than 0.5 seconds".
const ACK_DELAY: u64 = 500;

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Closed,
            listening: false,
            orphan: false,
            closed: false,
            iss: None,
            una: 0,
            nxt: 0,
            wnd: 0,
            wl1: 0,
            wl2: 0,
            max_wnd: 0,
            irs: 0,
            rcv_nxt: 0,
            edge: 0,
            syn_window: 0,
            held: Vec::new(),
            peer_fin: None,
            written: 0,
            read: 0,
            ack_due: None,
            since: 0,
            progress: 0,
            answers_left: None,
            ends: (0, 0),
        }
    }

    /// No connection: CLOSED, or LISTEN where a passive OPEN stands.
    pub(crate) fn none(&self) -> Self {
        let state = if self.listening { State::Listen } else { State::Closed };
        Self { state, listening: self.listening, ..Self::new() }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self.state, State::Closed | State::Listen)
    }

    /// There are two ends that know of each other, or nearly.
    pub(crate) fn knows_peer(&self) -> bool {
        !self.is_none() && self.state != State::SynSent
    }

    pub(crate) fn enter(&mut self, state: State, now: u64) {
        self.state = state;
        self.since = now;
        if state == State::TimeWait {
            self.ends = (now + TWO_MSL, now + TWO_MSL);
        }
    }

    /// RCV.WND.
    pub(crate) fn rcv_wnd(&self) -> u32 {
        self.edge.wrapping_sub(self.rcv_nxt)
    }

    /// Where our FIN stands, or would.
    pub(crate) fn fin_seq(&self) -> u32 {
        self.iss.unwrap_or(0).wrapping_add(1).wrapping_add(self.written)
    }

    pub(crate) fn fin_acked(&self) -> bool {
        self.closed && self.una == self.fin_seq().wrapping_add(1)
    }

    /// Octets received in order.
    pub(crate) fn received(&self) -> u32 {
        let fin = self.peer_fin.is_some_and(|at| self.rcv_nxt != at && le(at, self.rcv_nxt));
        self.rcv_nxt.wrapping_sub(self.irs).wrapping_sub(1 + u32::from(fin))
    }

    pub(crate) fn unread(&self) -> u32 {
        if self.knows_peer() { self.received() - self.read } else { 0 }
    }

    /// RCV.NXT moves; an acknowledgment is owed.
    pub(crate) fn advance(&mut self, to: u32, now: u64) {
        self.rcv_nxt = to;
        self.ack_due.get_or_insert(now + ACK_DELAY);
    }

    /// §3.10.1: an active OPEN; our SYN will tell ISS.
    pub(crate) fn connect(&self, now: u64) -> Self {
        let mut m = self.none();
        m.enter(State::SynSent, now);
        m.progress = now;
        m
    }

    /// §3.10.4, of the sending side alone.
    pub(crate) fn shutdown(&self, now: u64) -> Outcomes {
        let mut m = self.clone();
        match self.state {
            State::SynSent => return vec![(self.none(), Answer::Silent)],
            State::Established => m.enter(State::FinWait1, now),
            State::CloseWait => m.enter(State::LastAck, now),
            // "otherwise, queue for processing after entering ESTABLISHED state": until the handshake has ended nothing
            // of ours can follow the SYN, so it is always queued.
            State::SynReceived => {}
            _ => return vec![(m, Answer::Silent)],
        }
        m.closed = true;
        if self.una == self.nxt {
            m.progress = now;
        }
        vec![(m, Answer::Free)]
    }

    /// §3.10.4 of both sides; §3.6.1 where something is unread.
    pub(crate) fn close(&self, now: u64) -> Outcomes {
        if self.state == State::TimeWait || self.is_none() {
            return vec![(self.clone(), Answer::Silent)];
        }
        if self.state != State::SynSent && self.unread() > 0 {
            return vec![(self.none(), self.reset())];
        }
        let mut outcomes = self.shutdown(now);
        for (m, _) in &mut outcomes {
            m.orphan = !m.is_none();
        }
        outcomes
    }

    /// §3.10.5. In CLOSING and LAST-ACK the connection is deleted without a word.
    pub(crate) fn abort(&self) -> Outcomes {
        match self.state {
            State::TimeWait => vec![(self.clone(), Answer::Silent)],
            State::SynSent | State::Closing | State::LastAck => vec![(self.none(), Answer::Silent)],
            _ => vec![(self.none(), self.reset())],
        }
    }

    /// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK>`, or at the window's edge where the peer would take nothing beyond it.
    pub(crate) fn reset(&self) -> Answer {
        Answer::Abort { seq: self.nxt, edge: self.una.wrapping_add(self.wnd), ack: self.rcv_nxt }
    }

    /// The clock stands at `now`. Whether the connection may have ended by itself, and whether it must have.
    pub(crate) fn may_have_ended(&self, now: u64) -> (bool, bool) {
        let waited = now - self.since;
        match self.state {
            State::Closed | State::Listen => (true, true),
            State::TimeWait => (now >= self.ends.0, now > self.ends.1),
            // §3.8.3, MUST-23: at least 3 minutes for a SYN.
            State::SynSent => (waited >= 180_000, false),
            // A listener sends its SYN,ACK again five times, with doubled waits; who opened itself is held to MUST-23.
            State::SynReceived => {
                (now - self.progress >= if self.listening { 63_000 } else { 180_000 }, false)
            }
            // Nobody is left to close it: an end that the RFC does not know, as long as 2 MSL.
            State::FinWait2 => (self.orphan && waited >= TWO_MSL, false),
            // §3.8.3, SHLD-11: R2 of at least 100 seconds.
            _ => (self.pending() && now - self.progress >= 100_000, false),
        }
    }

    /// Something of ours waits: for an acknowledgment, or for a window.
    fn pending(&self) -> bool {
        let end = self.fin_seq().wrapping_add(u32::from(self.closed));
        self.una != end
    }
}
