//! The connection state machine: RFC 9293 §3.3.2, Figure 5, as one table.

use core::fmt;

/// The states of RFC 9293 §3.3.2.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// No connection.
    Closed,
    /// Waiting for a connection request from any remote end. A [`Listener`](super::listener::Listener)
    /// stays here; the connections it begets are records of their own.
    Listen,
    /// Waiting for a matching connection request after having sent one.
    SynSent,
    /// Waiting for the acknowledgment of our SYN after having both received and sent one.
    SynReceived,
    /// Open: data flows both ways.
    Established,
    /// We have closed; our FIN is not acknowledged yet.
    FinWait1,
    /// Our FIN is acknowledged; the peer may still send.
    FinWait2,
    /// The peer has closed; we may still send.
    CloseWait,
    /// Both have closed; our FIN is not acknowledged yet.
    Closing,
    /// The peer closed first, then we did; our FIN is not acknowledged yet.
    LastAck,
    /// Waiting for 2 MSL so that the peer surely has the acknowledgment of its FIN.
    TimeWait,
}

/// What moves a connection from state to state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// User call: passive OPEN.
    PassiveOpen,
    /// User call: active OPEN; a SYN will be sent.
    ActiveOpen,
    /// User call: CLOSE; a FIN will be sent once the data before it is.
    Close,
    /// A SYN without an acceptable ACK arrived.
    Syn,
    /// A SYN with an ACK of our SYN arrived.
    SynAck,
    /// Our SYN was acknowledged.
    AckOfSyn,
    /// The peer's FIN arrived, in order.
    Fin,
    /// Our FIN was acknowledged.
    AckOfFin,
    /// An acceptable RST arrived.
    Reset,
    /// User call: ABORT.
    Abort,
    /// Retransmissions, probes or keep-alives went unanswered for too long.
    TimedOut,
    /// 2 MSL have passed.
    TwoMsl,
}

impl State {
    /// Every state, in the order of the RFC's list.
    pub const ALL: [Self; 11] = [
        Self::Closed,
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// The whole of Figure 5 and of §3.10: where `event` leads, or `None` where it cannot happen or is
    /// refused.
    ///
    /// Two arrows of the figure are walked in two steps: FIN-WAIT-1 with a FIN that also acknowledges ours
    /// goes through FIN-WAIT-2, because §3.10.7.4 looks at the ACK (fifth) before the FIN (eighth). And a
    /// reset in SYN-RECEIVED ends that record alone: the listener it came from never left LISTEN.
    #[must_use]
    pub const fn on(self, event: Event) -> Option<Self> {
        use State::*;
        Some(match (self, event) {
            (Closed, Event::PassiveOpen) => Listen,
            (Closed, Event::ActiveOpen) => SynSent,

            (Listen, Event::Syn) => SynReceived,
            (Listen, Event::ActiveOpen) => SynSent,
            (Listen, Event::Close | Event::Abort) => Closed,

            (SynSent, Event::Syn) => SynReceived,
            (SynSent, Event::SynAck) => Established,
            (SynSent, Event::Close) => Closed,

            (SynReceived, Event::AckOfSyn) => Established,
            (SynReceived, Event::Close) => FinWait1,
            (SynReceived, Event::Fin) => CloseWait,

            (Established, Event::Close) => FinWait1,
            (Established, Event::Fin) => CloseWait,

            (FinWait1, Event::AckOfFin) => FinWait2,
            (FinWait1, Event::Fin) => Closing,
            (FinWait2, Event::Fin) => TimeWait,
            (Closing, Event::AckOfFin) => TimeWait,

            (CloseWait, Event::Close) => LastAck,
            (LastAck, Event::AckOfFin) => Closed,

            (TimeWait, Event::TwoMsl) => Closed,

            (Closed | Listen, _) => return None,
            (_, Event::Reset | Event::Abort | Event::TimedOut) => Closed,
            _ => return None,
        })
    }

    /// Both SYNs have been exchanged and acknowledged (§3.3.2).
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, Self::Closed | Self::Listen | Self::SynSent | Self::SynReceived)
    }

    /// The peer may still send data that we take: it has not closed.
    pub const fn may_receive(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// The program may still hand over data to send: it has not closed.
    pub const fn may_send(self) -> bool {
        matches!(self, Self::SynSent | Self::SynReceived | Self::Established | Self::CloseWait)
    }

    /// We have closed: a FIN has been sent or will be.
    pub const fn is_closing(self) -> bool {
        matches!(self, Self::FinWait1 | Self::FinWait2 | Self::Closing | Self::LastAck | Self::TimeWait)
    }

    /// The name as the RFC prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 12] = [
        Self::PassiveOpen,
        Self::ActiveOpen,
        Self::Close,
        Self::Syn,
        Self::SynAck,
        Self::AckOfSyn,
        Self::Fin,
        Self::AckOfFin,
        Self::Reset,
        Self::Abort,
        Self::TimedOut,
        Self::TwoMsl,
    ];

    /// As the labels of Figure 5 have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PassiveOpen => "passive OPEN",
            Self::ActiveOpen => "active OPEN",
            Self::Close => "CLOSE",
            Self::Syn => "rcv SYN",
            Self::SynAck => "rcv SYN,ACK",
            Self::AckOfSyn => "rcv ACK of SYN",
            Self::Fin => "rcv FIN",
            Self::AckOfFin => "rcv ACK of FIN",
            Self::Reset => "rcv RST",
            Self::Abort => "ABORT",
            Self::TimedOut => "timed out",
            Self::TwoMsl => "2 MSL",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Writes the table, a line for each of the 11 × 12 pairs, `-` where the event is refused.
pub fn write_table(out: &mut impl fmt::Write) -> fmt::Result {
    for state in State::ALL {
        for event in Event::ALL {
            let to = state.on(event).map_or("-", State::name);
            writeln!(out, "{state:<13} {event:<15} {to}")?;
        }
    }
    Ok(())
}

/// Writes the drawing in Graphviz's DOT, laid out as Figure 5 is. Resets, aborts and time-outs lead from
/// nearly everywhere to CLOSED and are left out, as in the figure. CLOSED stands twice, also as there: where
/// connections begin, and where those that were open end.
pub fn write_dot(out: &mut impl fmt::Write) -> fmt::Result {
    out.write_str(DOT_HEAD)?;
    for from in State::ALL {
        for event in Event::ALL {
            if matches!(event, Event::Reset | Event::Abort | Event::TimedOut) {
                continue;
            }
            if let Some(to) = from.on(event) {
                let end = if to == State::Closed && from.is_synchronized() { "end" } else { to.name() };
                write!(out, "  \"{from}\" -> \"{end}\" [label=<{DOT_LABEL}{event}</td></tr></table>>")?;
                writeln!(out, "{}{}];", dot_style(event), dot_ports(from, to))?;
            }
        }
    }
    writeln!(out, "}}")
}

/// What the program does, what arrives and what the clock does are told apart.
const fn dot_style(event: Event) -> &'static str {
    match event {
        Event::PassiveOpen | Event::ActiveOpen | Event::Close | Event::Abort => {
            ", color=\"#1f5fa8\", fontcolor=\"#1f5fa8\""
        }
        Event::TwoMsl | Event::TimedOut => ", style=dashed",
        _ => "",
    }
}

/// Where arrows leave and arrive that would lie upon each other or run through a box.
const fn dot_ports(from: State, to: State) -> &'static str {
    match (from, to) {
        (State::Closed, State::Listen) => ", tailport=sw, headport=nw",
        (State::Listen, State::Closed) => ", tailport=ne, headport=se",
        (State::Closed, State::SynSent) => ", tailport=se, headport=nw",
        (State::SynSent, State::Closed) => ", tailport=n, headport=e",
        (State::SynReceived, State::CloseWait) => ", tailport=s, headport=w",
        _ => "",
    }
}

/// A label on white, so that no line runs through its letters.
const DOT_LABEL: &str =
    r#"<table border="0" cellborder="0" cellspacing="0" cellpadding="2" bgcolor="white"><tr><td>"#;

/// The page, with each state in its place.
const DOT_HEAD: &str = r##"digraph tcp {
  graph [layout=neato, splines=true, esep="+6", bgcolor=white, pad=0.3];
  graph [label="\nblue: a call of the program   black: a segment arrives   dashed: time passes\nnot drawn: RST, ABORT and time-outs, which lead to CLOSED"];
  graph [fontname="Helvetica,Arial,sans-serif", fontsize=11];
  node [shape=box, style="rounded,filled", fillcolor="#f4f6f8", width=1.6, height=0.5];
  node [fontname="Helvetica,Arial,sans-serif", fontsize=13];
  edge [fontname="Helvetica,Arial,sans-serif", fontsize=11, arrowsize=0.8];
  "CLOSED" [pos="4.3,8.6!"];
  "LISTEN" [pos="4.3,6.9!"];
  "SYN-RECEIVED" [pos="0,5.3!"];
  "SYN-SENT" [pos="8.6,5.3!"];
  "ESTABLISHED" [pos="4.3,3.9!", fillcolor="#dcefdc", penwidth=1.5];
  "FIN-WAIT-1" [pos="0,2.5!"];
  "CLOSE-WAIT" [pos="8.6,2.5!"];
  "FIN-WAIT-2" [pos="0,1.1!"];
  "CLOSING" [pos="4.3,1.1!"];
  "LAST-ACK" [pos="8.6,1.1!"];
  "TIME-WAIT" [pos="4.3,-0.3!"];
  "end" [pos="8.6,-0.3!", label="CLOSED"];
"##;
