//! More Accurate ECN (RFC 9768): the counters of both ends, the three bits and the options that carry them.
//!
//! ```text
//!          data ──► r.cep r.ceb r.e0b r.e1b ──► ACE (3 bits), AccECN option (24 bits each)
//!    Data Sender                Data Receiver                  │
//!          s.cep s.ceb s.e0b s.e1b ◄───────────────────────────┘
//! ```
//!
//! Which connection has them, and what a count is worth, is the business of [`ecn`](super::ecn).

use arrayvec::ArrayVec;

use crate::config::AccEcnOptions;
use crate::seq::Seq;
use crate::tcp::segment::Segment;
use crate::time::Instant;
use crate::wire::ip::Ecn;
use crate::wire::options::AccEcn;

bitflags::bitflags! {
    /// Some of the three counters of octets.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    struct Octets: u8 {
        const ECT_0 = 1 << 0;
        const CE = 1 << 1;
        const ECT_1 = 1 << 2;
    }
}

/// The four counters, as one end has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counters {
    /// Packets with CE: r.cep, s.cep.
    pub cep: u32,
    /// Octets of text with CE: r.ceb, s.ceb.
    pub ceb: u32,
    /// Octets of text with ECT(0): r.e0b, s.e0b.
    pub e0b: u32,
    /// Octets of text with ECT(1): r.e1b, s.e1b.
    pub e1b: u32,
}

impl Counters {
    /// What they begin with (RFC 9768 §3.2.1): not 0, so that who sets them to 0 on the way is found out.
    pub const INITIAL: Self = Self { cep: 5, ceb: 0, e0b: 1, e1b: 1 };

    /// How much each has counted.
    pub const fn counted(self) -> Self {
        let of = u32::wrapping_sub;
        let first = Self::INITIAL;
        Self {
            cep: of(self.cep, first.cep),
            ceb: of(self.ceb, first.ceb),
            e0b: of(self.e0b, first.e0b),
            e1b: of(self.e1b, first.e1b),
        }
    }
}

/// What an acknowledgment told of marks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// Packets that arrived with CE.
    pub packets: u32,
    /// Octets of text that did; estimated where there is no option.
    pub octets: u32,
    /// Octets came with CE, but no packet did: somebody rewrites the feedback (§3.2.3.2.5).
    pub mangled: bool,
    /// In the first rounds each packet came with CE: somebody rewrites the mark (§3.2.2.3).
    pub continuous: bool,
}

/// Rounds with nothing but marks after which they are not believed (RFC 9768 §3.2.2.3: three or four).
const CONTINUOUS_ROUNDS: u8 = 4;

/// One end of a connection in AccECN mode.
#[derive(Clone, Debug)]
pub struct Accurate {
    /// What has come here: those of the Data Receiver.
    pub received: Counters,
    /// What has come there, as the peer tells: those of the Data Sender.
    pub sent: Counters,
    /// s.cep when the last option came.
    cep_at_option: u32,
    /// Packets acknowledged since then.
    since_cep: u32,
    /// SEG.ACK and the lengths of the SACK blocks, together, at their highest: what was acknowledged, one way or another.
    told: Seq,
    /// TSval of the last ACK whose feedback was taken.
    stamp: u32,
    /// When an option left last.
    option_sent: Instant,
    /// Octets that came with a mark since then.
    since_option: u32,
    /// The counters that have ever moved.
    ever: Octets,
    /// Those that have since the last option.
    moved: Octets,
    /// The one that moved last.
    last: Octets,
    /// CE marks since the last ACK.
    unreported: u8,
    /// How many more options are due because another counter moved.
    demand: u8,
    /// ACE of the next pure ACK, where that acknowledges a SYN,ACK (§3.2.2.1).
    handshake: Option<u8>,
    /// Packets that an ACK acknowledges, on average, in sixteenths.
    thinning: u16,
    /// Where the round that is being watched for continuous marks ends, what was acknowledged and marked in it, and how
    /// many rounds had nothing else; `None` once one had.
    round: Option<(Seq, u32, u32, u8)>,
    is: Is,
}

bitflags::bitflags! {
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    struct Is: u8 {
        /// The last packet came with CE.
        const CE_LAST = 1 << 0;
        /// The next segment carries the option.
        const OPTION_DUE = 1 << 1;
        /// The first data segment carries the option.
        const OPTION_ON_DATA = 1 << 2;
        /// The option seems to be dropped on the way: none is sent.
        const OPTION_BLOCKED = 1 << 3;
        /// The peer's options have been zeroed on the way: they are not read.
        const OPTION_ZEROED = 1 << 4;
        /// An option has come.
        const OPTION_SEEN = 1 << 5;
        /// A SYN,ACK with CE has been counted.
        const SYN_ACK_COUNTED = 1 << 6;
        /// The first data segment has left with the option.
        const DATA_WITH_OPTION = 1 << 7;
    }
}

/// The code that tells which mark the peer's SYN or SYN,ACK came with (§3.1.1 Table 2, §3.2.2.1 Table 3).
//= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.1
//# Then it MUST set the AE, CWR, and ECE TCP flags on the SYN/ACK to the combination in the top block of Table 2
//# that feeds back the IP-ECN field that arrived on the SYN.
pub const fn handshake_code(ecn: Ecn) -> u8 {
    match ecn {
        Ecn::NotEct => 0b010,
        Ecn::Ect1 => 0b011,
        Ecn::Ect0 => 0b100,
        Ecn::Ce => 0b110,
    }
}

impl Accurate {
    /// A connection whose SYNs have agreed on it. `first` is the sequence number after our SYN.
    pub const fn new(first: Seq, now: Instant) -> Self {
        Self {
            received: Counters::INITIAL,
            sent: Counters::INITIAL,
            cep_at_option: Counters::INITIAL.cep,
            since_cep: 0,
            told: first,
            stamp: 0,
            option_sent: now,
            since_option: 0,
            ever: Octets::empty(),
            moved: Octets::empty(),
            last: Octets::empty(),
            unreported: 0,
            demand: 0,
            handshake: None,
            thinning: 16,
            round: Some((first, 0, 0, 0)),
            is: Is::empty(),
        }
    }

    /// The program is a client: its first ACK and its first data test whether the path takes the option.
    pub fn test_option(&mut self, usage: AccEcnOptions) {
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.1
        //# A TCP Client that has successfully negotiated AccECN SHOULD include an AccECN Option in the first ACK at
        //# the end of the three-way handshake.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.1
        //# However, this first ACK is not delivered reliably, so the TCP Client SHOULD also include an AccECN Option
        //# on the first data segment it sends (if it ever sends one).
        self.is.set(Is::OPTION_DUE | Is::OPTION_ON_DATA, usage > AccEcnOptions::Never);
    }

    /// A SYN,ACK came, which the next pure ACK answers with the mark that it had.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
    //# MUST feed back the IP-ECN field on the latest valid SYN or acceptable SYN/ACK to arrive.
    pub fn on_syn_ack(&mut self, ecn: Ecn) {
        self.handshake = Some(handshake_code(ecn));
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.2
        //# If a TCP Client in AccECN mode receives a CE mark in the IP-ECN field of a SYN/ACK, it MUST increment
        //# r.cep, but no more than once no matter how many CE-marked SYN/ACKs it receives (i.e., incremented from 5
        //# to 6, but no further).
        if ecn == Ecn::Ce && !self.is.contains(Is::SYN_ACK_COUNTED) {
            self.is.insert(Is::SYN_ACK_COUNTED);
            self.received.cep = self.received.cep.wrapping_add(1);
        }
    }

    /// Whether the next acknowledgment is to leave without text, because it tells of a SYN,ACK.
    pub const fn owes_handshake(&self) -> bool {
        self.handshake.is_some()
    }

    /// `packets` came, with `octets` of text together, all with this mark. `unacknowledged`: there is text that has not been
    /// acknowledged. Gives whether an ACK is due at once.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2
    //# The Data Receiver MUST increment the CE packet counter (r.cep), for every Acceptable packet that it receives with
    //# the CE code point in the IP-ECN field, including CE-marked control packets and retransmissions but excluding CE
    //# on SYN packets (SYN=1; ACK=0).
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2
    //# A Data Receiver that supports sending of AccECN TCP Options MUST increment the r.ceb, r.e0b, or r.e1b byte
    //# counters by the number of TCP payload octets in Acceptable packets marked with the CE, ECT(0), and ECT(1)
    //# codepoint in their IP-ECN field, including any payload octets on control packets and retransmissions, but not
    //# including any payload octets on SYN packets (SYN=1; ACK=0).
    pub fn on_packets(&mut self, ecn: Ecn, packets: u32, octets: u32, unacknowledged: bool) -> bool {
        let ce = ecn == Ecn::Ce;
        let begins = ce && octets > 0 && !self.is.contains(Is::CE_LAST);
        self.is.set(Is::CE_LAST, ce);
        if ce {
            self.received.cep = self.received.cep.wrapping_add(packets);
            self.unreported = self.unreported.saturating_add(u8::try_from(packets).unwrap_or(u8::MAX));
        }
        let (counter, which) = match ecn {
            Ecn::Ect0 => (&mut self.received.e0b, Octets::ECT_0),
            Ecn::Ect1 => (&mut self.received.e1b, Octets::ECT_1),
            Ecn::Ce => (&mut self.received.ceb, Octets::CE),
            Ecn::NotEct => return false,
        };
        if octets > 0 {
            *counter = counter.wrapping_add(octets);
            self.since_option = self.since_option.saturating_add(octets);
            self.ever |= which;
            self.moved |= which;
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
            //# If an arriving packet increments a different byte counter to that incremented by the previous packet,
            //# the Data Receiver SHOULD feed it back in an AccECN Option on the next scheduled ACK.
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
            //# the Data Receiver SHOULD include a counter that has continued to increment on the next scheduled ACK
            //# following a change-triggered AccECN TCP Option;
            if self.last != which {
                self.demand = 2;
            }
            self.last = which;
        }
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.5.1
        //# An AccECN Data Receiver SHOULD emit an ACK whenever a data packet marked CE arrives after the previous packet
        //# was not CE.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.5.1
        //# An AccECN receiver of a packet MUST emit an ACK if 'n' CE marks have arrived since the previous ACK.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.5.1
        //# If there is unacknowledged data at the receiver, 'n' SHOULD be 2.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.5.1
        //# If there is no unacknowledged data at the receiver, 'n' SHOULD be 3 and MUST be no less than 3.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.5.1
        //# In either case, 'n' MUST be no greater than 7.
        begins || self.unreported >= if unacknowledged { 2 } else { 3 }
    }

    /// Decides whether the next segment carries the option. `beacon`: so long has passed since the last one that a counter
    /// which goes on moving is told again.
    pub fn ask_option(&mut self, usage: AccEcnOptions, beacon: bool) {
        let due = match usage {
            AccEcnOptions::Never => false,
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
            //# it SHOULD always include an AccECN Option if the r.ceb counter is incrementing and it MAY include an
            //# AccECN Option if r.e0b or r.e1b is incrementing;
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
            //# while the same counter continues to increment, it SHOULD include the counter every n ACKs as
            //# consistently as possible, where n can be chosen by the implementer;
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
            //# it SHOULD include each counter at least once for every 2^22 bytes incremented to prevent overflow during
            //# continual repetition.
            AccEcnOptions::Sparing => {
                let long_ago = beacon || self.since_option >= 1 << 20;
                self.moved.contains(Octets::CE) || !self.moved.is_empty() && (self.demand > 0 || long_ago)
            }
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
            //# The Data Receiver SHOULD include an AccECN TCP Option on every scheduled ACK if any byte counter has
            //# incremented since the last ACK.
            AccEcnOptions::Changes | AccEcnOptions::Always => !self.moved.is_empty(),
        };
        if due {
            self.is.insert(Is::OPTION_DUE);
        }
    }

    /// When an option left last.
    pub const fn option_sent(&self) -> Instant {
        self.option_sent
    }

    /// The option for the next segment, where one is due that fits in `room` octets. `first_data`: it is our first with text.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3
    //= id=rfc9768-3.2.3-5, rfc9768-3.2.3-6, rfc9768-3.2.3-7
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.3
    //= id=rfc9768-3.2.3.2.3-2
    pub fn option(&self, room: usize, first_data: bool) -> Option<AccEcn> {
        let due = self.is.contains(Is::OPTION_DUE) || first_data && self.is.contains(Is::OPTION_ON_DATA);
        if !due || self.is.contains(Is::OPTION_BLOCKED) {
            return None;
        }
        if self.ever.is_empty() {
            // It tests the path: as many as fit, for who looks whether they are 0.
            return (0..=3).rev().map(|n| self.fields(false, n)).find(|o| emitted(o) <= room);
        }
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
        //# Whenever possible, it SHOULD include a field for every byte counter that has changed at some time during the
        //# connection (see examples later).
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
        //# If there is insufficient space to include an AccECN TCP Option containing the counter(s) that have changed
        //# since the previous AccECN TCP Option, then the entire AccECN TCP Option MUST be omitted.
        [self.ever, self.moved].into_iter().map(|which| self.shortest(which)).find(|o| emitted(o) <= room)
    }

    /// The shortest option with these counters.
    fn shortest(&self, which: Octets) -> AccEcn {
        let last =
            |order: [Octets; 3]| order.iter().rposition(|one| which.contains(*one)).map_or(0, |at| at + 1);
        let ect_0_first = last([Octets::ECT_0, Octets::CE, Octets::ECT_1]);
        let ect_1_first = last([Octets::ECT_1, Octets::CE, Octets::ECT_0]);
        if ect_0_first <= ect_1_first {
            self.fields(false, ect_0_first)
        } else {
            self.fields(true, ect_1_first)
        }
    }

    fn fields(&self, ect_1_first: bool, n: usize) -> AccEcn {
        let Counters { ceb, e0b, e1b, .. } = self.received;
        let counters = if ect_1_first { [e1b, ceb, e0b] } else { [e0b, ceb, e1b] };
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.1
        //# Whenever the Data Receiver includes any of the counter fields (ECEB, EE0B, EE1B) in an AccECN Option, it MUST
        //# encode the 24 least significant bits of the current value of the associated counter into the field
        //# (respectively r.ceb, r.e0b, r.e1b).
        AccEcn {
            ect_1_first,
            counters: counters.iter().take(n).map(|c| c & 0xff_ffff).collect::<ArrayVec<_, 3>>(),
        }
    }

    /// A segment without SYN leaves: gives its ACE. `pure`: it is an ACK with neither text nor SACK blocks.
    pub fn leaves(&mut self, pure: bool, option: bool, data: bool, now: Instant) -> u8 {
        self.unreported = 0;
        if data && self.is.contains(Is::OPTION_ON_DATA) {
            self.is.remove(Is::OPTION_ON_DATA);
            self.is.set(Is::DATA_WITH_OPTION, option);
        }
        if option {
            self.is.remove(Is::OPTION_DUE);
            self.moved = Octets::empty();
            self.demand = self.demand.saturating_sub(1);
            self.since_option = 0;
            self.option_sent = now;
        }
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.1
        //# If the TCP Client (A) in AccECN mode uses a pure ACK with no SACK blocks to acknowledge the SYN/ACK, it MUST
        //# use the binary encoding in Table 3 when writing the ACE field (which is the same as the encoding used on the
        //# SYN/ACK in Table 2).
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.2
        //# Whenever the Data Receiver sends an ACK with SYN=0 (with or without data), unless the handshake encoding in
        //# Section 3.2.2.1 applies, the Data Receiver MUST encode the least significant 3 bits of its r.cep counter into
        //# the ACE field (see Appendix A.2).
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2
        //= id=rfc9768-3.2-3
        self.handshake.take().filter(|_| pure).unwrap_or_else(|| self.ace())
    }

    /// ACE as it stands.
    pub const fn ace(&self) -> u8 {
        (self.received.cep & 7) as u8
    }

    /// The option does not come through: no more of them.
    pub fn block_option(&mut self, usage: AccEcnOptions) {
        self.is.set(Is::OPTION_BLOCKED, usage != AccEcnOptions::Always);
    }

    /// The first segment with text is sent again.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.2
    //# If the TCP Client detects that the first data segment it sent with an AccECN Option was lost, in deployment scenarios
    //# where AccECN path traversal might be problematic, it SHOULD fall back to no AccECN Option on the retransmission.
    pub fn first_data_lost(&mut self, usage: AccEcnOptions) {
        if self.is.contains(Is::DATA_WITH_OPTION) {
            self.block_option(usage);
        }
    }

    /// The first segment came that may carry the peer's option: whether that is there, and not zeroed.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.4
    //# the TCP Server MAY check that the initial value of the EE0B field or the EE1B field is non-zero in the first segment
    //# that acknowledges sequence space that at least covers the ISN plus 1.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.4
    //# the TCP Client MAY check that the initial value of the EE0B field or the EE1B field is non-zero on the SYN/ACK.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.4
    //# Note that the Data Sender MUST NOT test whether the arriving byte counters in an initial AccECN Option have been
    //# initialized to specific valid values -- the above checks solely test whether these fields have been incorrectly
    //# zeroed.
    pub fn test_peers_option(&mut self, option: Option<&AccEcn>) {
        if option.is_some_and(|o| o.ect_0() == Some(0) || o.ect_1() == Some(0)) {
            self.is.insert(Is::OPTION_ZEROED);
        }
    }

    /// Whether an option has come, and whether it had been zeroed.
    pub const fn peers_option(&self) -> (bool, bool) {
        (self.is.contains(Is::OPTION_SEEN), self.is.contains(Is::OPTION_ZEROED))
    }

    /// Whether none is sent because the path seems to drop it.
    pub const fn option_is_blocked(&self) -> bool {
        self.is.contains(Is::OPTION_BLOCKED)
    }

    /// The ACK of our SYN,ACK came, a pure one. Gives whether the peer's feedback may be used, and sets s.cep (§3.2.2.1
    /// Table 4).
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.1
    //# When an AccECN Server in SYN-RCVD state receives a pure ACK with SYN=0 and no SACK blocks, it MUST infer the meaning
    //# of each possible value of the ACE field from Table 4 instead of treating the ACE field as a counter.
    pub fn on_ack_of_syn_ack(&mut self, ace: u8) {
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.1
        //# As a result, an AccECN Server MUST set s.cep to the respective value, also shown in Table 4.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.2
        //# If a TCP Server in AccECN mode and in SYN-RCVD state receives CE feedback in the TCP flags of a pure ACK with
        //# no SACK blocks, it MUST increment s.cep (from 5 to 6).
        self.sent.cep = if ace == 0b110 { 6 } else { 5 };
        self.cep_at_option = self.sent.cep;
    }

    /// Takes the feedback of an ACK that is acceptable, of text up to SND.NXT. `stamped`: timestamps are in use. `certain`:
    /// nothing of ours can have been marked that ACE does not show, because nothing leaves ECN-capable.
    pub fn on_feedback(
        &mut self,
        seg: &Segment<'_>,
        nxt: Seq,
        mss: u32,
        stamped: bool,
        certain: bool,
    ) -> Option<Told> {
        let blocks = seg.options.sack.iter().enumerate().filter(|&(i, block)| {
            // The first may be a D-SACK: below the ACK, or within the next (RFC 2883 §4).
            let again = seg.options.sack.get(1).filter(|_| i == 0);
            let within =
                again.is_some_and(|n| n.start.at_or_before(block.start) && block.end.at_or_before(n.end));
            block.start.after(seg.ack)
                && block.end.after(block.start)
                && block.end.at_or_before(nxt)
                && !within
        });
        let told = blocks.fold(seg.ack, |told, (_, block)| told.add(block.end.since(block.start))).min(nxt);
        let octets = told.saturating_since(self.told);
        let stamp = seg.timestamps().filter(|_| stamped).map(|ts| ts.value);
        let newer = stamp.is_some_and(|value| (value.wrapping_sub(self.stamp) as i32) > 0);
        // Superseded, or no way to know (Appendix A.1).
        if octets == 0 && !newer {
            return None;
        }
        self.told = self.told.max(told);
        self.stamp = stamp.unwrap_or(self.stamp);
        let packets = octets.div_ceil(mss.max(1));
        let new_ce = self.take_option(seg.options.acc_ecn.as_ref());
        let mut marked = self.take_ace(seg.flags.ace(), packets, new_ce, mss, certain);
        self.since_cep = self.since_cep.saturating_add(packets);
        let mut mangled = false;
        if let Some(new_ce) = new_ce {
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.5
            //# An endpoint using AccECN feedback MUST always reconcile the information provided in the ACE field with that
            //# in any AccECN Option, so that the state of the ACE-related packet counter can be relied on if future
            //# feedback does not carry an AccECN Option.
            if new_ce > 0 && self.sent.cep == self.cep_at_option {
                // Since the last option, or ACE has gone round unseen.
                mangled = self.since_cep < 8;
                if !mangled {
                    marked = marked.saturating_add(8);
                    self.sent.cep = self.sent.cep.wrapping_add(8);
                }
            }
            (self.cep_at_option, self.since_cep) = (self.sent.cep, 0);
        }
        let mut told = Told { packets: marked, mangled, ..Told::default() };
        told.octets = new_ce.unwrap_or_else(|| marked.saturating_mul(mss).min(octets));
        told.continuous = self.watch_round(told.packets, packets, seg.ack, nxt);
        Some(told)
    }

    /// The option's news: how many more octets came with CE, where it tells.
    fn take_option(&mut self, option: Option<&AccEcn>) -> Option<u32> {
        let option = option.filter(|_| !self.is.contains(Is::OPTION_ZEROED))?;
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.3
        //# If a host is in the mode that assumes incoming AccECN Options are not available, but it receives an AccECN
        //# Option at any later point during the connection, this clearly indicates that AccECN Options are no longer
        //# blocked on the respective path, and the AccECN endpoint MAY switch out of the mode that assumes AccECN Options
        //# are not available for this half-connection.
        self.is.insert(Is::OPTION_SEEN);
        let advance = |counter: &mut u32, field: Option<u32>| {
            let more = field.map_or(0, |field| field.wrapping_sub(*counter) & 0xff_ffff);
            *counter = counter.wrapping_add(more);
            more
        };
        advance(&mut self.sent.e0b, option.ect_0());
        advance(&mut self.sent.e1b, option.ect_1());
        // What is left out has not moved (§3.2.3.3), unless there is nothing in it at all.
        let more = advance(&mut self.sent.ceb, option.ce());
        (!option.counters.is_empty()).then_some(more)
    }

    /// Advances s.cep by the safest likely number of marks (§3.2.2.5.2, Appendix A.2).
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.5.2
    //# If the Data Sender has not received AccECN TCP Options to give it more dependable information, and it detects that the
    //# ACE field could have cycled, it SHOULD deem whether it cycled by taking the safest likely case under the prevailing
    //# conditions.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.3
    //= id=rfc9768-3.2.3.2.3-1
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.4
    //= id=rfc9768-3.2.3.2.4-3
    fn take_ace(&mut self, ace: u8, packets: u32, new_ce: Option<u32>, mss: u32, certain: bool) -> u32 {
        let least = u32::from(ace).wrapping_sub(self.sent.cep) & 7;
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.5.2
        //# If the ACE counter on an ACK seems to imply that the minimum number of newly CE-marked packets is greater than
        //# the number of newly acknowledged packets, the Data Sender SHOULD consider the ACE counter to be correct (and its
        //# count of control packets to be incomplete), unless it can be sure that it is counting all control packets
        //# correctly.
        let safe = if least > packets { least } else { packets - ((packets - least) & 7) };
        let marked = if safe == least || certain {
            least
        } else if let Some(octets) = new_ce {
            // Of the two the one that gives segments of a likely size.
            let by_least = u64::from(octets) <= u64::from(mss) * u64::from(least);
            if by_least && octets / safe.max(1) < mss / 2 { least } else { safe }
        } else if self.thinning >= 4 * 16 {
            // ACKs for many packets each are what comes anyway: none has gone missing.
            least
        } else {
            safe
        };
        let average = i64::from(self.thinning);
        let now = i64::from(packets.min(256)) * 16;
        if packets > 0 {
            self.thinning = (average + (now - average) / 8) as u16;
        }
        self.sent.cep = self.sent.cep.wrapping_add(marked);
        marked
    }

    /// Whether each packet of the first rounds has come with CE.
    fn watch_round(&mut self, marked: u32, packets: u32, ack: Seq, nxt: Seq) -> bool {
        let Some((end, acknowledged, marks, rounds)) = &mut self.round else { return false };
        *acknowledged = acknowledged.saturating_add(packets);
        *marks = marks.saturating_add(marked);
        if !ack.after(*end) {
            return false;
        }
        if *marks < *acknowledged {
            self.round = None;
            return false;
        }
        (*end, *acknowledged, *marks) = (nxt, 0, 0);
        *rounds += 1;
        let continuous = *rounds >= CONTINUOUS_ROUNDS;
        if continuous {
            self.round = None;
        }
        continuous
    }
}

fn emitted(option: &AccEcn) -> usize {
    AccEcn::emitted_len(option.counters.len())
}

#[cfg(test)]
mod tests;
