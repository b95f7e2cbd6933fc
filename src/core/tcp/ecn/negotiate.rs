//! Who uses ECN, and which: the bits of SYN and SYN,ACK (RFC 3168 §6.1.1, RFC 9768 §3.1).

use crate::config::{EcnFeedback, TcpConfig};
use crate::tcp::acc_ecn::{Counters, handshake_code};
use crate::tcp::segment::Segment;
use crate::wire::flags::Flags;
use crate::wire::ip::Ecn;
use crate::wire::options::AccEcn;

/// ECE and CWR of an ECN-setup SYN, as ACE.
const CLASSIC_SYN: u8 = 0b011;
/// ECE of an ECN-setup SYN,ACK.
const CLASSIC_SYN_ACK: u8 = 0b001;

/// The bits of a SYN of ours that has been sent `timeouts` times before.
pub fn syn_flags(config: &TcpConfig, timeouts: u8) -> Flags {
    match config.ecn_outgoing {
        _ if is_plain(config, timeouts) => Flags::empty(),
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
        //# A host that is not willing to use ECN on a TCP connection SHOULD clear both the ECE and CWR flags in all
        //# non-ECN-setup SYN and/or SYN-ACK packets that it sends to indicate this unwillingness.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
        //= id=rfc9768-3.1.5-11
        EcnFeedback::None => Flags::empty(),
        EcnFeedback::Classic => Flags::from_ace(CLASSIC_SYN),
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.1
        //# During the TCP three-way handshake at the start of a connection, to request more Accurate ECN feedback the TCP
        //# Client (host A) MUST set the TCP flags (AE,CWR,ECE) = (1,1,1) in the initial SYN segment.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.3
        //# However, an AccECN Client implementation MUST NOT send a SYN with any combination other than the three listed.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
        //# MUST NOT send a 'Classic' ECN-setup SYN [RFC3168] with (AE,CWR,ECE) = (0,1,1) and a SYN with (AE,CWR,ECE) =
        //# (1,1,1) requesting AccECN feedback within the same connection;
        EcnFeedback::Accurate => Flags::ECN,
    }
}

/// Whether a SYN of ours that has been sent `timeouts` times before asks for nothing any more.
//= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.4.1
//# If the sender of an AccECN SYN (the TCP Client) times out before receiving the SYN/ACK, it SHOULD attempt to negotiate the
//# use of AccECN at least one more time by continuing to set all three TCP-ECN flags (AE,CWR,ECE) = (1,1,1) on the first
//# retransmitted SYN (using the usual retransmission timeouts).
//= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.4.1
//# If this first retransmission also fails to be acknowledged, in deployment scenarios where AccECN path traversal might be
//# problematic, the TCP Client SHOULD send subsequent retransmissions of the SYN with the three TCP-ECN flags cleared
//# (AE,CWR,ECE) = (0,0,0).
pub fn is_plain(config: &TcpConfig, timeouts: u8) -> bool {
    let most = if config.ecn_outgoing == EcnFeedback::Accurate { 1 } else { 0 };
    config.ecn_fallback && timeouts > most
}

/// What a SYN,ACK agrees to, where our SYN asked for `asked` (RFC 9768 §3.1.2 Table 2); and the mark that the SYN came with, as
/// far as it tells.
pub fn on_syn_ack(asked: EcnFeedback, flags: Flags) -> (EcnFeedback, Option<Ecn>) {
    let flags = flags.ace();
    match (asked, flags) {
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.1
        //# Once a TCP Client (A) has sent the above SYN to declare that it supports AccECN, and once it has received the
        //# above SYN/ACK segment that confirms that the TCP Server supports AccECN, the TCP Client MUST set both its
        //# half-connections into AccECN mode.
        (EcnFeedback::Accurate, 0b010 | 0b011 | 0b100 | 0b110) => {
            let came = [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce]
                .into_iter()
                .find(|&e| handshake_code(e) == flags);
            (EcnFeedback::Accurate, came)
        }
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.3
        //# If a TCP Client sent a SYN requesting AccECN feedback with (AE,CWR,ECE) = (1,1,1) and then receives a SYN/ACK
        //# with the currently reserved combination (AE,CWR,ECE) = (1,0,1) but it does not have logic specific to such a
        //# combination, the Client MUST enable AccECN mode as if the SYN/ACK confirmed that the Server supported AccECN
        //# and as if it fed back that the IP-ECN field on the SYN had arrived unchanged.
        (EcnFeedback::Accurate, 0b101) => (EcnFeedback::Accurate, Some(Ecn::NotEct)),
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.2
        //# Therefore, as soon as an AccECN-capable TCP Client (A) receives the SYN/ACK shown, it MUST set both its
        //# half-connections into the feedback mode shown in the rightmost column.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.2
        //= id=rfc9768-3.1.2-2
        (EcnFeedback::Accurate, CLASSIC_SYN_ACK) => (EcnFeedback::Classic, None),
        // RFC 3168 knows no AE. Both of the others set is our own SYN, reflected (§6.1.1.2).
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
        //# Receivers MUST correctly handle all forms of the non-ECN-setup SYN and SYN-ACK packets.
        (EcnFeedback::Classic, CLASSIC_SYN_ACK | 0b101) => (EcnFeedback::Classic, None),
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.2
        //# Such broken TCP Servers (B) cannot support ECN; so as soon as an AccECN-capable TCP Client (A) receives such a
        //# broken SYN/ACK, it MUST fall back to Not ECN mode for both its half-connections and continue with ECN disabled.
        _ => (EcnFeedback::None, None),
    }
}

/// What a SYN of a peer has been promised, in four bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise(u8);

impl Promise {
    /// No ECN.
    pub const NONE: Self = Self(0);
    /// ECN as in RFC 3168.
    pub const CLASSIC: Self = Self(1);
    const ACCURATE: u8 = 8;
    /// With [`ACCURATE`](Self::ACCURATE): a SYN or SYN,ACK without ECN has come or gone, so that we send nothing ECN-capable.
    const NO_ECT: u8 = 4;

    const fn accurate(syn: Ecn, no_ect: u8) -> Self {
        Self(Self::ACCURATE | no_ect | syn as u8)
    }

    /// From its four bits.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 15)
    }

    /// Its four bits.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// What the first SYN gets, of no more than `most`.
    pub fn on_syn(most: EcnFeedback, seg: &Segment<'_>) -> Self {
        let flags = seg.flags.ace();
        match (most, flags) {
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.2
            //# When an AccECN-enabled TCP Server (B) receives a SYN with (AE,CWR,ECE) = (0,0,0), it MUST set both its
            //# half-connections into the Not ECN feedback mode, return a SYN/ACK with (AE,CWR,ECE) = (0,0,0) as shown, and
            //# continue with ECN disabled.
            (EcnFeedback::None, _) | (_, 0) => Self::NONE,
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.2
            //# When an AccECN-enabled TCP Server (B) receives a SYN with (AE,CWR,ECE) = (0,1,1), it MUST do one of the
            //# following:
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.2
            //= id=rfc9768-3.1.2-4
            (_, CLASSIC_SYN) | (EcnFeedback::Classic, 0b111) => Self::CLASSIC,
            //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
            //# Otherwise, it MUST NOT send an ECN-setup SYN-ACK packet.
            (EcnFeedback::Classic, _) => Self::NONE,
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.1
            //# If a TCP Server (host B) that is AccECN-enabled receives a SYN with the above three flags set, it MUST set
            //# both its half-connections into AccECN mode.
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.3
            //# If a TCP Server that implements AccECN receives a SYN with the three TCP header flags (AE,CWR,ECE) set to
            //# any combination other than (0,0,0), (0,1,1), or (1,1,1) and it does not have logic specific to such a
            //# combination, the Server MUST negotiate the use of AccECN as if the three flags had been set to (1,1,1).
            (EcnFeedback::Accurate, _) => Self::accurate(seg.ecn, 0),
        }
    }

    /// What a SYN that comes again gets; `None`: a reset, because nobody could know what was agreed on.
    pub fn on_syn_again(self, most: EcnFeedback, seg: &Segment<'_>) -> Option<Self> {
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
        //= id=rfc9768-3.1.5-1
        let again = Self::on_syn(most.max(self.feedback()), seg);
        Some(match (self.feedback(), again.feedback()) {
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
            //# SHOULD respond to any subsequent valid SYN using a SYN/ACK with (AE,CWR,ECE) = (0,0,0), even if the SYN is
            //# offering to negotiate Classic ECN or AccECN feedback mode.
            (EcnFeedback::None, _) => Self::NONE,
            (EcnFeedback::Classic, EcnFeedback::Classic) => Self::CLASSIC,
            //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
            //# If a host has received at least one non-ECN-setup SYN or non-ECN-setup SYN-ACK packet, then it SHOULD NOT set
            //# ECT on data packets.
            (EcnFeedback::Classic, EcnFeedback::None) => Self::NONE,
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
            //# MUST reset the connection with a RST packet, if it receives a 'Classic' ECN-setup SYN with (AE,CWR,ECE) =
            //# (0,1,1) and a SYN requesting AccECN feedback during the same handshake;
            (EcnFeedback::Classic, EcnFeedback::Accurate) | (EcnFeedback::Accurate, EcnFeedback::Classic) => {
                return None;
            }
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
            //# MUST feed back the IP-ECN field on the latest valid SYN or acceptable SYN/ACK to arrive.
            (EcnFeedback::Accurate, EcnFeedback::Accurate) => Self::accurate(seg.ecn, self.0 & Self::NO_ECT),
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
            //# SHOULD acknowledge a valid SYN arriving with (AE,CWR,ECE) = (0,0,0) by emitting an AccECN SYN/ACK (with the
            //# appropriate combination of TCP-ECN flags to feed back the IP-ECN field of this latest SYN);
            (EcnFeedback::Accurate, EcnFeedback::None) => Self::accurate(seg.ecn, Self::NO_ECT),
        })
    }

    /// What is agreed on.
    pub const fn feedback(self) -> EcnFeedback {
        match self.0 {
            0 => EcnFeedback::None,
            bits if bits & Self::ACCURATE != 0 => EcnFeedback::Accurate,
            _ => EcnFeedback::Classic,
        }
    }

    /// Whether nothing of ours may be ECN-capable.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
    //# MUST NOT set ECT on any packet for the rest of the connection, if it has received or sent at least one valid SYN or
    //# Acceptable SYN/ACK with (AE,CWR,ECE) = (0,0,0) during the handshake.
    pub fn forbids_ect(self, config: &TcpConfig, timeouts: u8) -> bool {
        let accurate = self.feedback() == EcnFeedback::Accurate;
        accurate && (self.0 & Self::NO_ECT != 0 || self.is_plain(config, timeouts))
    }

    const fn is_plain(self, config: &TcpConfig, timeouts: u8) -> bool {
        self.0 & Self::ACCURATE != 0 && config.ecn_fallback && timeouts > 1
    }

    /// The bits of a SYN,ACK that has been sent `timeouts` times before because the timer ran out.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.1
    //= id=rfc9768-3.1.1-4
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.3
    //= id=rfc9768-3.1.3-4
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
    //= id=rfc9768-3.1.5-4
    pub fn syn_ack_flags(self, config: &TcpConfig, timeouts: u8) -> Flags {
        match self.feedback() {
            EcnFeedback::None => Flags::empty(),
            EcnFeedback::Classic => Flags::from_ace(CLASSIC_SYN_ACK),
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.2
            //# If this retransmission times out, to expedite connection setup, the TCP Server SHOULD retransmit the
            //# SYN/ACK with (AE,CWR,ECE) = (0,0,0) and no AccECN Option, but it remains in AccECN feedback mode (per
            //# Section 3.1.5).
            EcnFeedback::Accurate if self.is_plain(config, timeouts) => Flags::empty(),
            EcnFeedback::Accurate => Flags::from_ace(handshake_code(Ecn::from_bits(self.0))),
        }
    }

    /// The bits of an ACK that leaves before the handshake has ended.
    pub const fn ack_flags(self) -> Flags {
        match self.feedback() {
            EcnFeedback::Accurate => Flags::from_ace(Counters::INITIAL.cep as u8),
            EcnFeedback::None | EcnFeedback::Classic => Flags::empty(),
        }
    }

    /// The option for the first SYN,ACK, to see whether the path takes it.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.1
    //# A TCP Server that confirms its support for AccECN (in response to an AccECN SYN from the Client as described in
    //# Section 3.1) SHOULD include an AccECN TCP Option on the SYN/ACK.
    pub fn syn_ack_option(self, config: &TcpConfig, first: bool) -> Option<AccEcn> {
        use crate::config::AccEcnOptions::{Always, Never};
        let accurate = self.feedback() == EcnFeedback::Accurate && config.ecn_options != Never;
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.2
        //# To expedite connection setup in deployment scenarios where AccECN path traversal might be problematic, the TCP
        //# Server SHOULD retransmit the SYN/ACK, but with no AccECN Option.
        let Counters { ceb, e0b, e1b, .. } = Counters::INITIAL;
        let option = || AccEcn { ect_1_first: false, counters: [e0b, ceb, e1b].into() };
        (accurate && (first || config.ecn_options == Always || !config.ecn_fallback)).then(option)
    }
}
