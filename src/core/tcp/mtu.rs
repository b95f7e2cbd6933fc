//! Packetization layer path MTU discovery (RFC 4821): where routers do not tell what a path carries, the connection finds
//! out by itself, from what becomes of its segments.
//!
//! A probe is one segment that is larger than the others. Where it arrives, all may be as large; where it alone is lost,
//! the path carries less, and nothing else is wrong. Where nothing arrives any more the path may have become a black hole,
//! which swallows large packets in silence: then small ones are tried.
//!
//! Sizes are those of an MSS: octets of a packet without its headers of IP and TCP, options of TCP included (RFC 9293
//! §3.7.1), so that one number serves both versions of IP.

pub mod probe;

pub mod outcome;

pub mod black_hole;

use crate::config::MtuProbing;
use crate::sockopt::PathMtuDiscovery;
use crate::tcp::congestion::CongestionEvent;
use crate::tcp::context::Context;
use crate::tcp::mtu_search::Search;
use crate::tcp::request::limit_segment;
use crate::tcp::tcb::Tcb;
use crate::time::Instant;

use alloc::boxed::Box;

/// What a connection that probes from its beginning sends at first: packets of 1400 octets, the compromise of RFC 4821
/// §7.2, which nearly all tunnels carry.
const FIRST_PACKET: u16 = 1400;

/// The least that every path of IPv6 carries (RFC 8200 §5).
const LEAST_V6: u16 = 1280;

impl Tcb {
    /// The connection stands: where it is to probe from the beginning, it does.
    pub(in crate::tcp) fn begin_mtu_search(&mut self, cx: &Context<'_>) {
        if cx.config.mtu_probing == MtuProbing::Always && self.forbids_fragments() {
            let first = FIRST_PACKET.saturating_sub(self.header_len());
            //= https://www.rfc-editor.org/rfc/rfc4821#section-7.2
            //# The initial value for search_low SHOULD be configurable.
            //= https://www.rfc-editor.org/rfc/rfc4821#section-7.1
            //= id=rfc4821-7.1-3
            self.mtu = Some(Box::new(Search::new(cx.config.base_mss, self.mss_bound(cx))));
            self.change_mss(self.snd.mss.min(first), cx.now);
        }
    }

    /// A segment may leave soon: whether a probe may, and of what size.
    pub(in crate::tcp) fn tend_mtu_search(&mut self, cx: &Context<'_>) {
        if self.mtu.is_none() {
            return;
        }
        let bound = self.mss_bound(cx);
        let mss = self.snd.mss;
        if let Some(search) = &mut self.mtu {
            search.tend(mss, bound, cx.config, cx.now);
        }
    }

    /// A router says that the path carries no more than `mss`.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.2
    //= id=rfc4821-7.6.2-3
    pub(in crate::tcp) fn bound_mtu_search(&mut self, mss: u16) {
        if let Some(search) = &mut self.mtu {
            search.bound(mss);
        }
    }

    /// What the device, the peer and the program allow.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.2
    //# The initial value for search_high SHOULD be the largest possible packet that might be supported by
    //# the flow.
    fn mss_bound(&self, cx: &Context<'_>) -> u16 {
        let device = cx.mtu.saturating_sub(self.header_len()).max(1);
        limit_segment(device, &self.options).min(self.snd.peer_mss)
    }

    /// Octets of the headers of IP and TCP without options.
    pub(in crate::tcp) const fn header_len(&self) -> u16 {
        if self.quad.remote.address.is_v4() { 40 } else { 60 }
    }

    /// Octets of the largest packet in flight, options of TCP not counted; 0 where nothing is.
    pub(crate) fn largest_in_flight(&self) -> u16 {
        let outstanding = self.snd.nxt.saturating_since(self.snd.una);
        let text = if self.syn_unacked() {
            outstanding.saturating_sub(1)
        } else {
            outstanding.min(self.snd.mss.into())
        };
        if outstanding == 0 {
            0
        } else {
            u16::try_from(text).unwrap_or(u16::MAX).saturating_add(self.header_len())
        }
    }

    /// A packet that routers may cut says nothing of the path.
    pub(in crate::tcp) fn forbids_fragments(&self) -> bool {
        !self.quad.remote.address.is_v4() || self.options.path_mtu_discovery != PathMtuDiscovery::Dont
    }

    /// Segments are of `mss` octets from now on.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-4
    //# Whenever the MTU is raised, the congestion state variables MUST be rescaled so as not to raise the
    //# window size in bytes (or data rate in bytes per seconds).
    //= https://www.rfc-editor.org/rfc/rfc4821#section-4
    //# Whenever the MTU is reduced (e.g., when processing ICMP PTB messages), the congestion state variable
    //# SHOULD be rescaled so as not to raise the window size in packets.
    pub(in crate::tcp) fn change_mss(&mut self, mss: u16, now: Instant) {
        if mss == self.snd.mss {
            return;
        }
        self.snd.mss = mss;
        let (smss, in_flight) = (self.smss(), self.in_flight());
        self.congestion.on_event(CongestionEvent::MssChanged(smss), in_flight, now);
    }
}
