//! Explicit Congestion Notification (RFC 3168, RFC 9768): which packets say that they may be marked, how a mark that came is
//! told, and what is done about one that went.
//!
//! ```text
//!   data, ECT(0) ──► a queue grows: CE ──► ECE on each ACK … ──► window reduced, CWR on new data ──► ECE no more
//! ```
//!
//! Who uses it is agreed on by [`negotiate`]; what RFC 9768 counts is in [`acc_ecn`](super::acc_ecn). Here both meet the
//! connection: the other files of TCP have a line each for what is to be done when a segment comes or goes.

pub mod negotiate;

use alloc::boxed::Box;

use self::negotiate::Promise;
use super::acc_ecn::{Accurate, Counters};
use super::seq::Seq;
use crate::config::{EcnFeedback, TcpConfig};
use crate::time::Instant;
use crate::wire::flags::Flags;

bitflags::bitflags! {
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub(in crate::tcp) struct Is: u16 {
        /// Nothing of ours is ECN-capable, although ECN was agreed on.
        const NO_ECT = 1 << 0;
        /// CE has come, and no CWR since (RFC 3168 §6.1.3).
        const ECHOING = 1 << 1;
        /// The next new data says that the window has been reduced (RFC 3168 §6.1.2).
        const CWR_DUE = 1 << 2;
        /// A mark has been answered, and what was sent before is not acknowledged yet.
        const REDUCING = 1 << 3;
        /// The segment in hand tells of a mark.
        const TELLS = 1 << 4;
        /// The segment in hand is or was a SYN.
        const SYN = 1 << 5;
        /// A packet has come that was ECN-capable.
        const SEEN = 1 << 6;
        /// A mark came at a window of one segment: nothing new leaves before the timer says so (RFC 3168 §6.1.2).
        const HOLDING = 1 << 7;
        /// Our SYN,ACK has not been acknowledged (RFC 9768 §3.2.2.1).
        const AWAITS_ACK = 1 << 8;
        /// What the peer tells is not believed (RFC 9768 §3.2.2.1 note 1, §3.2.2.3).
        const DEAF = 1 << 9;
    }
}

/// What a connection has to do with ECN.
#[derive(Clone, Debug)]
pub struct Ecn {
    /// While a mark is being answered: SND.NXT when that began.
    pub(in crate::tcp) recover: Seq,
    pub(in crate::tcp) is: Is,
    pub(in crate::tcp) feedback: EcnFeedback,
    /// Packets of ours that the peer told to have come with CE.
    pub(in crate::tcp) delivered_ce: u32,
    /// Octets that came there with CE, for the algorithm.
    pub(in crate::tcp) marked: u32,
    pub(in crate::tcp) accurate: Option<Box<Accurate>>,
}

/// ECN of a connection, for those who watch it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EcnInfo {
    /// What was agreed on.
    pub feedback: EcnFeedback,
    /// Whether our data is ECN-capable.
    pub capable: bool,
    /// Whether a packet has come that was.
    pub seen: bool,
    /// Packets of ours that came there with CE, as far as the peer tells.
    pub delivered_ce: u32,
    /// What came there, beyond what the counters begin with. 0 without RFC 9768.
    pub delivered: Counters,
    /// What came here, the same way.
    pub received: Counters,
    /// AccECN options have come, and were not zeroed.
    pub options_seen: bool,
    /// AccECN options are not sent because the path seems to drop them.
    pub options_blocked: bool,
    /// What the peer tells is not believed.
    pub deaf: bool,
}

impl Default for Ecn {
    fn default() -> Self {
        Self::new()
    }
}

impl Ecn {
    /// Nothing agreed on.
    pub const fn new() -> Self {
        Self {
            recover: Seq::new(0),
            is: Is::empty(),
            feedback: EcnFeedback::None,
            delivered_ce: 0,
            marked: 0,
            accurate: None,
        }
    }

    /// What was agreed on.
    pub const fn feedback(&self) -> EcnFeedback {
        self.feedback
    }

    /// `ack` is acknowledged: a mark told of from here on may be of another window of data.
    pub fn pass(&mut self, ack: Seq) {
        if self.is.contains(Is::REDUCING) && ack.after(self.recover) {
            self.is.remove(Is::REDUCING);
        }
    }

    /// The window has been reduced, whatever for: with RFC 3168 the peer is told.
    pub fn window_reduced(&mut self) {
        self.is.set(Is::CWR_DUE, self.feedback == EcnFeedback::Classic);
    }

    /// What was reduced is given back before the peer was told.
    pub fn reduction_undone(&mut self) {
        self.is.remove(Is::CWR_DUE);
    }

    /// Whether the segment in hand tells of a mark.
    pub const fn tells(&self) -> bool {
        self.is.contains(Is::TELLS)
    }

    /// Whether each acknowledgment tells of marks.
    pub const fn echoes(&self) -> bool {
        self.accurate.is_some() || self.is.contains(Is::ECHOING)
    }

    /// The retransmission timer ran out, or what stands for it while nothing is outstanding.
    pub fn timer_ran_out(&mut self) {
        self.is.remove(Is::HOLDING | Is::REDUCING);
    }

    /// Whether nothing new may leave: see RFC 3168 §6.1.2 on a window of one segment.
    //= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
    //= id=rfc9438-4.6-6
    pub const fn holds(&self) -> bool {
        self.is.contains(Is::HOLDING)
    }

    /// Takes the octets that came there with CE since it was asked last.
    pub fn take_marked(&mut self) -> u32 {
        core::mem::take(&mut self.marked)
    }

    /// The three bits of a segment without SYN that some other than the connection sends for it.
    pub fn flags(&self) -> Flags {
        match &self.accurate {
            Some(accurate) => Flags::from_ace(accurate.ace()),
            None if self.is.contains(Is::ECHOING) => Flags::ECE,
            None => Flags::empty(),
        }
    }

    /// How it stands.
    pub fn info(&self) -> EcnInfo {
        let zero = Counters { cep: 0, ceb: 0, e0b: 0, e1b: 0 };
        let accurate = self.accurate.as_deref();
        let (seen, zeroed) = accurate.map_or((false, false), Accurate::peers_option);
        EcnInfo {
            feedback: self.feedback,
            capable: self.feedback != EcnFeedback::None && !self.is.contains(Is::NO_ECT),
            seen: self.is.contains(Is::SEEN),
            delivered_ce: self.delivered_ce,
            delivered: accurate.map_or(zero, |a| a.sent.counted()),
            received: accurate.map_or(zero, |a| a.received.counted()),
            options_seen: seen && !zeroed,
            options_blocked: accurate.is_some_and(Accurate::option_is_blocked),
            deaf: self.is.contains(Is::DEAF),
        }
    }

    pub(in crate::tcp) fn agree(&mut self, feedback: EcnFeedback, iss: Seq, now: Instant) {
        self.feedback = feedback;
        if feedback == EcnFeedback::Accurate {
            self.accurate = Some(Box::new(Accurate::new(iss.add(1), now)));
        }
    }

    /// The connection comes of a request whose SYN,ACK has been sent `timeouts` times more.
    pub fn from_promise(promise: Promise, timeouts: u8, iss: Seq, config: &TcpConfig, now: Instant) -> Self {
        let mut ecn = Self::new();
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.2
        //= id=rfc9768-3.2.2.2-2
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.1
        //= id=rfc9768-3.2.3.2.1-2
        ecn.agree(promise.feedback(), iss, now);
        ecn.is.set(Is::NO_ECT, promise.forbids_ect(config, timeouts));
        ecn.is.insert(Is::AWAITS_ACK);
        if let Some(accurate) = &mut ecn.accurate
            && timeouts > 0
        {
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.2
            //# The TCP Server MAY try to send another packet with an AccECN Option at a later point during the
            //# connection but it ought to monitor if that packet got lost as well, in which case it SHOULD disable the
            //# sending of AccECN Options for this half-connection.
            accurate.block_option(config.ecn_options);
        }
        ecn
    }
}
