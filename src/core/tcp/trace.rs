//! What TCP did and why, as values: read by capture comments, logs, plots and tests.

use core::fmt;

use crate::addr::Quad;
use crate::seq::Seq;
use crate::tcp::state::State;
use crate::time::Duration;

/// Why a segment leaves. There is one door for bytes out, and it asks for one of these.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// Our connection request.
    Syn,
    /// Answer to a connection request.
    SynAck,
    /// The SYN or SYN,ACK again: the retransmission timer ran out.
    SynTimeout,
    /// New data, within both windows.
    Data,
    /// New data beyond the congestion window: a duplicate ACK says that something left the network
    /// (RFC 3042).
    LimitedTransmit,
    /// The end of our data.
    Fin,
    /// The oldest unacknowledged data again: the retransmission timer ran out (RFC 6298 §5.4).
    RetransmissionTimeout,
    /// What the time-out declared lost, again, as slow start allows.
    LossRecovery,
    /// Three duplicate ACKs (RFC 5681 §3.2).
    FastRetransmit,
    /// A partial ACK during fast recovery shows the next hole (RFC 6582 §3.2).
    PartialAck,
    /// What RACK found lost, again, as the window allows (RFC 8985 §6, RFC 9937).
    SackRecovery,
    /// Nothing heard of the last segments: they, or something new, to learn whether they arrived (RFC 8985 §7).
    TailLossProbe,
    /// New data in a segment larger than the others: does the path carry it? (RFC 4821 §7.5)
    MtuProbe,
    /// The path did not: its text again, in segments of the usual size.
    MtuProbeLost,
    /// The path MTU fell: the data again, in smaller segments (RFC 1191 §6.5).
    PathMtu,
    /// What a closed window kept out, again now that it has opened.
    WindowOpened,
    /// What went with the SYN and was not taken, again now that the handshake is done (RFC 7413 §4.2.2).
    SynTextRefused,
    /// The peer's window is closed: is it still? (RFC 9293 §3.8.6.1)
    WindowProbe,
    /// Nothing heard for long: is the peer still there? (RFC 9293 §3.8.4)
    KeepAlive,
    /// An acknowledgment alone.
    Ack(AckReason),
    /// A reset.
    Rst(RstReason),
}

/// Why an acknowledgment leaves alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AckReason {
    /// Third step of the handshake.
    Handshake,
    /// More than a full segment's worth of data has come (RFC 9293 SHLD-19).
    EverySecond,
    /// The delayed-ACK timer ran out (RFC 9293 MUST-40).
    Delayed,
    /// Early in a connection each segment is acknowledged, so that the peer's window grows.
    Quick,
    /// Data beyond a gap: a duplicate ACK, at once (RFC 5681 §4.2).
    OutOfOrder,
    /// A gap was filled, wholly or in part (RFC 5681 §4.2).
    GapFilled,
    /// Data that we have already (D-SACK, RFC 2883).
    Duplicate,
    /// The segment was not acceptable (RFC 9293 §3.10.7.4, first).
    NotAcceptable,
    /// Its timestamp was too old (RFC 7323 §5.3).
    Paws,
    /// A challenge: SYN, RST or ACK out of place (RFC 5961).
    Challenge,
    /// The peer's FIN.
    Fin,
    /// A congestion mark came, or the word that one has been answered (RFC 3168 §6.1.3, RFC 9768 §3.2.2.5).
    Mark,
    /// The program has read, and the window opens.
    WindowUpdate,
    /// Text was thrown away for want of memory.
    NoMemory,
    /// Something must be answered, such as a FIN seen again in TIME-WAIT.
    Again,
}

/// Why a reset leaves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RstReason {
    /// Nobody listens there, or no such connection.
    NoSocket,
    /// The ACK acknowledges what was never sent (SYN-SENT, SYN-RECEIVED, LISTEN).
    BadAck,
    /// The program closed with data unread (RFC 9293 §3.6.1).
    UnreadData,
    /// Data arrived after the program had closed (RFC 9293 SHLD-3).
    DataAfterClose,
    /// The program aborted, or closed with a linger time of zero.
    Abort,
    /// The listener was closed before the connection was accepted.
    ListenerClosed,
    /// A limit of the stack: too many connections without an owner.
    Limit,
    /// Keep-alive or user timeout ended the connection.
    TimedOut,
    /// The peer's SYNs ask for ECN in two ways that cannot be told apart later (RFC 9768 §3.1.5).
    EcnMixed,
}

/// What became of an arriving segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// All steps were walked.
    Accepted,
    /// A connection request, now waiting for the handshake to end.
    Request,
    /// Its text waits for what comes before it.
    OutOfOrder,
    /// We had it already.
    Duplicate,
    /// No part of it lies in the window (first).
    NotAcceptable,
    /// Its timestamp was too old (RFC 7323 §5.3).
    Paws,
    /// Timestamps were negotiated and it has none (RFC 7323 §3.2).
    MissingTimestamp,
    /// A reset, exact: the connection is gone (second).
    Reset,
    /// A reset inside the window but not exact: challenged (RFC 5961 §3.2).
    ResetChallenged,
    /// A reset that cannot be meant for this state or window.
    ResetIgnored,
    /// A SYN in a synchronised state: challenged (fourth).
    SynChallenged,
    /// No ACK bit where one must be (fifth).
    NoAck,
    /// An ACK of what was never sent (fifth).
    AckTooHigh,
    /// An ACK far below what is outstanding (RFC 5961 §5.2).
    AckTooOld,
    /// Data after our close: the connection is reset.
    DataAfterClose,
    /// Answered with a reset: nobody is there.
    NoSocket,
    /// A connection request, answered with a SYN cookie and forgotten.
    SynCookie,
    /// The queue of connection requests is full.
    SynQueueFull,
    /// The queue of connections to accept is full.
    AcceptQueueFull,
    /// It would end the handshake, but the listener waits for data (`TCP_DEFER_ACCEPT`).
    AcceptDeferred,
    /// A SYN that TIME-WAIT does not believe (RFC 6191).
    OldSyn,
    /// TIME-WAIT took note of it.
    TimeWait,
    /// It asks for another kind of ECN than before (RFC 9768 §3.1.5): the request is reset.
    EcnMixed,
    /// No memory for it in the budget.
    NoMemory,
    /// Without a meaning in this state.
    Ignored,
}

/// The variables that matter, at the moment of the event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Variables {
    /// Our initial sequence number.
    pub iss: Seq,
    /// SND.UNA.
    pub una: Seq,
    /// SND.NXT.
    pub snd_nxt: Seq,
    /// SND.WND, octets.
    pub snd_wnd: u32,
    /// The peer's initial sequence number.
    pub irs: Seq,
    /// RCV.NXT.
    pub rcv_nxt: Seq,
    /// RCV.WND, octets.
    pub rcv_wnd: u32,
    /// Congestion window, octets; in fast recovery with what duplicate ACKs add (RFC 5681 §3.2). 0: there is none.
    pub cwnd: u32,
    /// Slow start threshold, octets; `u32::MAX` before the first loss.
    pub ssthresh: u32,
    /// Smoothed round trip time, once there is a sample.
    pub srtt: Option<Duration>,
    /// Retransmission timeout.
    pub rto: Duration,
    /// Octets sent and neither acknowledged nor deemed lost.
    pub in_flight: u32,
    /// Duplicate ACKs in a row.
    pub dup_acks: u16,
    /// Which loss recovery is under way, in words.
    pub recovery: Option<&'static str>,
}

/// What happened to one segment of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpEvent {
    /// The connection.
    pub quad: Quad,
    /// Its state after the event.
    pub state: State,
    /// What an arriving segment changed.
    pub change: Option<Change>,
    /// Sent and why, or received and what became of it.
    pub what: What,
    /// The variables after the event; none where there is no connection (a reset of a stray segment).
    pub variables: Option<Variables>,
}

/// What an arriving segment changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The state before.
    pub from: State,
    /// How far SND.UNA moved, octets.
    pub una: u32,
    /// How far RCV.NXT moved, octets.
    pub rcv_nxt: u32,
    /// SND.WND before.
    pub snd_wnd: u32,
    /// Duplicate ACKs before.
    pub dup_acks: u16,
}

impl Change {
    /// From what was to what is. Sequence numbers are only compared within a connection: before, there were none.
    pub fn new(from: State, before: Option<&Variables>, after: Option<&Variables>) -> Self {
        let same = match (before, after) {
            (Some(b), Some(a)) if b.iss == a.iss && b.irs == a.irs => Some((b, a)),
            _ => None,
        };
        Self {
            from,
            una: same.map_or(0, |(b, a)| a.una.saturating_since(b.una)),
            rcv_nxt: same.map_or(0, |(b, a)| a.rcv_nxt.saturating_since(b.rcv_nxt)),
            snd_wnd: same.map_or_else(|| after.map_or(0, |a| a.snd_wnd), |(b, _)| b.snd_wnd),
            dup_acks: same.map_or(0, |(b, _)| b.dup_acks),
        }
    }
}

/// The two directions of a [`TcpEvent`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum What {
    /// A segment left.
    Sent(Reason),
    /// A segment came.
    Received(Verdict),
}

impl Reason {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Syn => "connection request",
            Self::SynAck => "answer to a connection request",
            Self::SynTimeout => "handshake again: no answer in time",
            Self::Data => "new data",
            Self::LimitedTransmit => "new data on a duplicate ACK (limited transmit)",
            Self::Fin => "end of our data",
            Self::RetransmissionTimeout => "retransmission: timer ran out",
            Self::LossRecovery => "retransmission: lost with what timed out",
            Self::FastRetransmit => "fast retransmit: what followed has arrived",
            Self::SackRecovery => "retransmission: found lost by SACK",
            Self::TailLossProbe => "tail loss probe",
            Self::PartialAck => "retransmission: partial ACK in fast recovery",
            Self::MtuProbe => "probe of the path MTU",
            Self::MtuProbeLost => "retransmission: probe of the path MTU lost",
            Self::PathMtu => "retransmission: path MTU fell",
            Self::WindowOpened => "retransmission: the window has opened",
            Self::SynTextRefused => "retransmission: did not arrive with the SYN",
            Self::WindowProbe => "zero-window probe",
            Self::KeepAlive => "keep-alive",
            Self::Ack(r) => r.text(),
            Self::Rst(r) => r.text(),
        }
    }
}

impl AckReason {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Handshake => "ACK: handshake done",
            Self::EverySecond => "ACK: more than a full segment came",
            Self::Delayed => "ACK: delayed-ACK timer",
            Self::Quick => "ACK: quick, connection is young",
            Self::OutOfOrder => "ACK: data beyond a gap (duplicate ACK)",
            Self::GapFilled => "ACK: gap filled",
            Self::Duplicate => "ACK: data came twice (D-SACK)",
            Self::NotAcceptable => "ACK: segment outside the window",
            Self::Paws => "ACK: timestamp too old (PAWS)",
            Self::Challenge => "challenge ACK",
            Self::Fin => "ACK: of the peer's FIN",
            Self::Mark => "ACK: congestion was marked, or has been answered",
            Self::WindowUpdate => "window update",
            Self::NoMemory => "no memory",
            Self::Again => "ACK: again",
        }
    }
}

impl RstReason {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoSocket => "reset: nobody listens there",
            Self::BadAck => "reset: acknowledges what was never sent",
            Self::UnreadData => "reset: closed with data unread",
            Self::DataAfterClose => "reset: data after close",
            Self::Abort => "reset: aborted by the program",
            Self::ListenerClosed => "reset: listener closed before accept",
            Self::Limit => "reset: too many orphans",
            Self::TimedOut => "reset: peer silent for too long",
            Self::EcnMixed => "reset: SYNs that ask for different ECN",
        }
    }
}

impl Verdict {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Request => "connection request taken",
            Self::OutOfOrder => "kept: waits for a gap to fill",
            Self::Duplicate => "had it already",
            Self::NotAcceptable => "dropped: outside the window",
            Self::Paws => "dropped: timestamp too old (PAWS)",
            Self::MissingTimestamp => "dropped: timestamp missing",
            Self::Reset => "reset: connection gone",
            Self::ResetChallenged => "reset in window but not exact: challenged",
            Self::ResetIgnored => "reset ignored",
            Self::SynChallenged => "SYN in a synchronised state: challenged",
            Self::NoAck => "dropped: no ACK bit",
            Self::AckTooHigh => "dropped: acknowledges what was never sent",
            Self::AckTooOld => "dropped: acknowledges what is long past",
            Self::DataAfterClose => "dropped: data after our close, connection reset",
            Self::NoSocket => "dropped: nobody listens there",
            Self::SynCookie => "connection request answered with a SYN cookie",
            Self::SynQueueFull => "dropped: SYN queue full",
            Self::AcceptQueueFull => "dropped: accept queue full",
            Self::AcceptDeferred => "dropped: the listener waits for data",
            Self::OldSyn => "dropped: SYN of an older connection",
            Self::TimeWait => "seen in TIME-WAIT",
            Self::EcnMixed => "asks for another ECN than before: reset",
            Self::NoMemory => "dropped: no room for it",
            Self::Ignored => "dropped: without meaning in this state",
        }
    }
}

/// One line for a capture's comment or a log. Sequence numbers are relative, as Wireshark shows them.
impl fmt::Display for TcpEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.what {
            What::Sent(reason) => reason.text(),
            What::Received(verdict) => verdict.text(),
        };
        f.write_str(text)?;
        if let (Some(c), Some(v)) = (self.change, self.variables) {
            // The first of these says what the segment was about.
            match () {
                () if c.una > 0 && c.rcv_nxt > 0 => {
                    write!(f, ": snd.una moves by {}, rcv.nxt by {}", c.una, c.rcv_nxt)?;
                }
                () if c.una > 0 => write!(f, ": snd.una moves by {}", c.una)?,
                () if c.rcv_nxt > 0 => write!(f, ": rcv.nxt moves by {}", c.rcv_nxt)?,
                () if v.dup_acks > c.dup_acks => write!(f, ": duplicate ACK number {}", v.dup_acks)?,
                () if v.snd_wnd != c.snd_wnd => {
                    write!(f, ": snd.wnd from {} to {}", c.snd_wnd, v.snd_wnd)?;
                }
                () => {}
            }
        }
        match self.change {
            Some(c) if c.from != self.state => write!(f, " | {} -> {}", c.from, self.state)?,
            _ => write!(f, " | {}", self.state)?,
        }
        let Some(v) = self.variables else { return Ok(()) };
        write!(
            f,
            " | snd.una={} snd.nxt={} snd.wnd={} | rcv.nxt={} rcv.wnd={}",
            v.una.since(v.iss),
            v.snd_nxt.since(v.iss),
            v.snd_wnd,
            v.rcv_nxt.since(v.irs),
            v.rcv_wnd
        )?;
        f.write_str(" |")?;
        if v.cwnd > 0 {
            write!(f, " cwnd={} ssthresh=", v.cwnd)?;
            match v.ssthresh {
                u32::MAX => f.write_str("inf")?,
                n => write!(f, "{n}")?,
            }
        }
        write!(f, " in_flight={}", v.in_flight)?;
        if v.dup_acks > 0 {
            write!(f, " dup_acks={}", v.dup_acks)?;
        }
        if let Some(recovery) = v.recovery {
            write!(f, " ({recovery})")?;
        }
        match v.srtt {
            Some(t) => write!(f, " | srtt={}", Millis(t))?,
            None => f.write_str(" | srtt=none")?,
        }
        write!(f, " rto={}", Millis(v.rto))
    }
}

/// A time in milliseconds, to the microsecond where it has any.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (millis, micros) = (self.0.as_millis(), self.0.subsec_micros() % 1000);
        match micros {
            0 => write!(f, "{millis}ms"),
            _ => write!(f, "{millis}.{micros:03}ms"),
        }
    }
}
