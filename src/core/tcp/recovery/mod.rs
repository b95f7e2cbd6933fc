//! Loss recovery: which sent data is to be sent again, and when.
//!
//! With SACK what is lost is found by time (RACK-TLP, RFC 8985) on a [`scoreboard`], without it by duplicate ACKs
//! (NewReno, RFC 6582). What is found is sent again as the window allows, which [`prr`] brings down (RFC 9937). A recovery
//! that proves to have been without cause is taken back ([`episode`]). How large the window is otherwise is the business
//! of [`congestion`](super::congestion).
//!
//! The phases are those of Linux, which tools show (`tcpi_ca_state`).

pub mod scoreboard;

pub mod board;

pub mod newreno;

pub mod prr;

pub mod episode;

pub mod rack;

pub mod tlp;

use alloc::boxed::Box;

use self::board::Board;
use self::episode::Episode;
use self::newreno::NewReno;
use self::prr::Prr;
use self::rack::Rack;
use self::scoreboard::Mark;
use self::tlp::Tlp;
use super::seq::{Seq, SeqRange};
use super::snd::Send;
use crate::congestion::delivery_rate::Stamp;
use crate::tcp::trace::Reason;

/// What recovery is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// All is well.
    Open,
    /// Duplicate ACKs or SACK blocks came: something is lost, or late.
    Disorder,
    /// The window comes down for a reason other than loss: a congestion mark (RFC 3168 §6.1.2).
    Cwr,
    /// Fast recovery: what is lost is sent again, and new data as the window allows.
    Recovery,
    /// A time-out: what was outstanding is sent again by slow start.
    Loss,
}

impl Phase {
    /// In words; `None` where nothing is lost.
    pub const fn text(self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::Disorder => Some("disorder"),
            Self::Cwr => Some("window reduced"),
            Self::Recovery => Some("fast recovery"),
            Self::Loss => Some("sending again"),
        }
    }
}

/// The most that reordering may be thought to be, segments (sysctl `tcp_max_reordering`).
pub(in crate::tcp) const MAX_REORDERING: u16 = 300;

/// The recovery variables of a connection.
#[derive(Clone, Debug)]
pub struct Recovery {
    pub(in crate::tcp) phase: Phase,
    /// Both sides speak SACK: RACK-TLP finds what is lost.
    pub(in crate::tcp) sack: bool,
    /// The peer reports what comes twice (RFC 2883).
    pub(in crate::tcp) dsack_seen: bool,
    /// How many duplicate ACKs mean a loss, and over how many segments the path was seen to reorder: 3 in RFC 5681 §3.2.
    pub(in crate::tcp) dup_thresh: u16,
    /// SND.NXT when the episode under way began: `recover` of RFC 6582, RecoveryPoint of RFC 6675.
    pub(in crate::tcp) recover: Seq,
    /// Consecutive time-outs without progress.
    pub(in crate::tcp) timeouts: u8,
    /// One segment is to be sent now, whatever the congestion window.
    pub(in crate::tcp) pending: Option<Reason>,
    /// What is in flight.
    pub(in crate::tcp) board: Board,
    pub(in crate::tcp) newreno: NewReno,
    pub(in crate::tcp) rack: Rack,
    pub(in crate::tcp) tlp: Tlp,
    /// What the last episode needs to remember; none before the first.
    pub(in crate::tcp) episode: Option<Box<Episode>>,
}

impl Recovery {
    /// Nothing lost. `dup_thresh` duplicate ACKs will mean a loss; 0 counts as 1.
    pub const fn new(iss: Seq, dup_thresh: u16) -> Self {
        Self {
            phase: Phase::Open,
            sack: false,
            dsack_seen: false,
            dup_thresh: if dup_thresh == 0 { 1 } else { dup_thresh },
            recover: iss,
            timeouts: 0,
            pending: None,
            board: Board::new(),
            newreno: NewReno::new(),
            rack: Rack::new(iss),
            tlp: Tlp::new(),
            episode: None,
        }
    }

    /// What it is about now.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Consecutive time-outs without progress.
    pub const fn timeouts(&self) -> u8 {
        self.timeouts
    }

    /// Duplicate ACKs seen in a row.
    pub const fn dup_acks(&self) -> u16 {
        self.newreno.dup_acks
    }

    /// Over how many segments the path was seen to reorder (`tcpi_reordering`).
    pub const fn reordering(&self) -> u16 {
        self.dup_thresh
    }

    /// How often in all the path was seen to reorder.
    pub const fn reorderings(&self) -> u32 {
        self.rack.reorderings
    }

    /// Segments that the peer has out of order, that are deemed lost, and that are in flight for another time.
    pub fn segments(&self) -> [u32; 3] {
        [Mark::SACKED, Mark::LOST, Mark::RESENT].map(|mark| self.board.segments(mark))
    }

    /// What must be sent again from SND.UNA at once, whatever the congestion window.
    pub const fn pending(&self) -> Option<Reason> {
        self.pending
    }

    /// Asks for one segment from SND.UNA.
    pub const fn request(&mut self, reason: Reason) {
        self.pending = Some(reason);
    }

    /// What is to be sent again as the congestion window allows.
    pub fn next_lost(&self) -> Option<SeqRange> {
        self.board.next_lost()
    }

    /// Why what is lost is sent again now.
    pub fn resend_reason(&self) -> Reason {
        match self.phase {
            Phase::Loss => Reason::LossRecovery,
            _ if self.episode.as_ref().and_then(|e| e.prr).is_some_and(|prr| prr.is_fresh()) => {
                Reason::FastRetransmit
            }
            _ => Reason::SackRecovery,
        }
    }

    /// The handshake is done, and all of it acknowledged.
    pub fn begin(&mut self, una: Seq, sack: bool) {
        self.sack = sack;
        self.timeouts = 0;
        self.pending = None;
        self.phase = Phase::Open;
        self.recover = una.sub(1);
        self.board.acknowledge(una, |_| {});
    }

    /// The SYN or SYN,ACK has left again.
    pub const fn begin_again(&mut self) {
        self.pending = None;
    }

    /// New text, or a FIN, has left in segments of `mss` octets.
    pub fn on_send(&mut self, range: SeqRange, mss: u32, stamp: Stamp) {
        self.board.on_send(range, mss, stamp);
        self.count_out(range.len());
    }

    /// With what has just left a burst ends, and maybe what the program wrote.
    pub fn on_burst_end(&mut self, ends_text: bool) {
        self.board.end_burst(ends_text);
    }

    /// Whether what the program wrote ended behind `seq` and no later than at `end`.
    pub fn pushed_within(&self, seq: Seq, end: Seq) -> bool {
        self.board.pushed_within(seq, end)
    }

    /// Whether a segment up to `end` that is sent again is the last of several that are in one go; none is longer than
    /// `most` octets.
    pub(in crate::tcp) fn ends_burst(&mut self, seq: Seq, end: Seq, most: u32) -> bool {
        let Some(episode) = self.episode.as_deref_mut() else { return false };
        if !episode.burst.contains(seq) {
            let run = self.board.run_from(seq).unwrap_or(SeqRange::new(seq, seq));
            episode.burst = SeqRange::with_len(seq, run.len().min(most));
        }
        end.at_or_after(episode.burst.end) && seq.after(episode.burst.start)
    }

    /// A retransmission has left, while the clock of our timestamps showed `clock`.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
    //= id=rfc8985-7.3-5
    pub fn on_retransmit(&mut self, range: SeqRange, clock: u32, stamp: Stamp) {
        self.pending = None;
        self.board.on_resend(range, stamp);
        self.board.pass(range);
        if let Some(episode) = &mut self.episode {
            episode.undo.on_retransmit(range, clock);
            // No new data could be sent: the conventional recovery goes on (RFC 5682 §3.1, step 2b).
            episode.frto = episode.frto.filter(|step| !matches!(step, episode::Frto::NewData { .. }));
        }
        self.count_out(range.len());
    }

    //= https://www.rfc-editor.org/rfc/rfc9937#section-6.3
    //= id=rfc9937-6.3-s1
    fn count_out(&mut self, len: u32) {
        if let Some(prr) = self.episode.as_mut().and_then(|e| e.prr.as_mut()) {
            prr.on_send(len);
        }
    }

    /// Octets in the network: sent, not acknowledged, and not deemed lost.
    pub fn in_flight(&self, snd: &Send) -> u32 {
        if self.sack || self.phase == Phase::Loss {
            self.board.pipe(snd.outstanding())
        } else {
            snd.outstanding()
        }
    }

    /// The same, for what is to be sent again. Without SACK new data makes way for it that left after a time-out and that
    /// duplicate ACKs may have told of since: what F-RTO sent first would fill the window else, and nothing were repaired before
    /// the next time-out (RFC 5682 §2.1, step 3a). For more new data there is no more room by that (RFC 5681 §2).
    pub(in crate::tcp) fn in_flight_beside_repairs(&self, snd: &Send) -> u32 {
        let arrived = if self.phase == Phase::Loss && !self.sack { self.newreno.inflation } else { 0 };
        self.in_flight(snd).saturating_sub(arrived)
    }

    /// What duplicate ACKs add to the congestion window in fast recovery, octets.
    pub fn inflation(&self) -> u32 {
        if self.phase == Phase::Recovery { self.newreno.inflation } else { 0 }
    }

    /// The congestion window where recovery sizes it.
    pub fn cwnd(&self) -> Option<u32> {
        self.episode.as_ref()?.prr.map(|prr| prr.cwnd())
    }

    /// Whether recovery brings the window down.
    pub fn reduces(&self) -> bool {
        matches!(self.phase, Phase::Cwr | Phase::Recovery)
    }

    /// How much more than the congestion window may be in flight, octets: without SACK, in fast recovery what duplicate
    /// ACKs showed to have left (RFC 5681 §3.2, steps 3 and 4), before it a segment for each of the first two
    /// (limited transmit, RFC 3042); of more, where the threshold is higher, for each below it. With SACK what has left is
    /// not in flight.
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
    //= id=rfc5681-3.2-4, rfc5681-3.2-5, rfc5681-3.2-6, rfc5681-3.2-11
    //= https://www.rfc-editor.org/rfc/rfc3042#section-2
    //= id=rfc3042-2-1, rfc3042-2-2, rfc3042-2-3
    pub fn allowance(&self, mss: u32) -> u32 {
        match self.phase {
            _ if self.sack => 0,
            Phase::Recovery => self.newreno.inflation,
            Phase::Loss => 0,
            _ => u32::from(self.newreno.dup_acks.min(self.dup_thresh - 1)).saturating_mul(mss),
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc9937#section-6.4
    //= id=rfc9937-6.4-s1
    pub(in crate::tcp) fn end_episode(&mut self) {
        if let Some(episode) = &mut self.episode {
            episode.prr = None;
            episode.frto = None;
        }
        self.newreno.inflation = 0;
    }
}

impl Recovery {
    pub(in crate::tcp) fn prr(&mut self) -> Option<&mut Prr> {
        self.episode.as_mut().and_then(|e| e.prr.as_mut())
    }

    pub(in crate::tcp) fn set_episode(&mut self, new: Episode) {
        match &mut self.episode {
            Some(episode) => **episode = new,
            None => self.episode = Some(Box::new(new)),
        }
    }
}

#[cfg(test)]
impl Recovery {
    /// What is in flight.
    pub(crate) fn board(&self) -> &scoreboard::Scoreboard {
        &self.board
    }

    /// All of it is lost, and the window is so small.
    pub(crate) fn starve(&mut self, cwnd: u32) {
        self.board.mark_lost(|_| true);
        if let Some(prr) = self.prr() {
            *prr = Prr::new(cwnd, 0, 0, cwnd);
        }
    }

    /// `recover`.
    pub(crate) const fn recover(&self) -> Seq {
        self.recover
    }

    /// RACK.reo_wnd_mult and RACK.dsack_round.
    pub(crate) const fn widening(&self) -> (u8, Option<Seq>) {
        (self.rack.steps, self.rack.dsack_round)
    }

    /// How many pieces of what was sent again are remembered for an undo.
    pub(crate) fn undo_ranges(&self) -> usize {
        self.episode.as_ref().map_or(0, |e| e.undo.resent.len())
    }

    /// RetransmitTS, and whether the cause of a time-out is in doubt.
    pub(crate) fn doubts(&self) -> (Option<u32>, bool) {
        self.episode.as_ref().map_or((None, false), |e| (e.undo.stamp, e.frto.is_some()))
    }
}
