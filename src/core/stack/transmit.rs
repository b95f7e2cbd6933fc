//! The one door for bytes out: control segments, ready packets, then connections in turn.

use alloc::vec::Vec;

use super::departures::Departure;
use super::{Body, Checksum, Datagram, Inbound, Kind, Sent, Socket, Stack, Trust};
use crate::addr::Quad;
use crate::sockopt::PathMtuDiscovery;
use crate::tcp::buffer::send::Place;
use crate::tcp::context::ControlSegment;
use crate::tcp::output::Outgoing;
use crate::tcp::tcb::Tcb;
use crate::tcp::trace::{Reason, TcpEvent, What};
use crate::time::Instant;
use crate::wire::ip::{self, protocol};
use crate::wire::tcp;

/// What leaves next: its head has been built.
#[derive(Clone, Copy)]
struct Next {
    checksum: Checksum,
    octets: Octets,
    gso_size: u16,
}

/// Where the octets of a packet lie.
#[derive(Clone, Copy)]
enum Octets {
    /// The head alone.
    Head,
    /// The head, and text in the send buffer of the connection in a slot: where, in which place if that is known, and how much.
    Segment(u32, usize, Option<Place>, usize),
    /// The same, to be lent.
    Lent(u32, usize, usize),
    /// All among the departures.
    Ready(Departure),
}

impl Stack {
    /// The next packet to send, until there is none.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Datagram<'_>> {
        if self.train_goes_on(now) {
            self.counters.ip_out_requests += 1;
            return self.next_of_train(now);
        }
        self.train = None;
        if !self.may_transmit() {
            return None;
        }
        self.poll_transmit_anew(now)
    }

    /// The same where what left before says nothing of it.
    #[inline(never)]
    fn poll_transmit_anew(&mut self, now: Instant) -> Option<Datagram<'_>> {
        let mut event = None;
        loop {
            let Some(next) = self.next_to_send(now, &mut event) else {
                // What we sent to ourselves has to be answered before there is truly nothing to send.
                if self.feed(now) || self.receive_first_looped(now) {
                    continue;
                }
                return None;
            };
            let gso_size = next.gso_size;
            self.counters.ip_out_requests += 1;
            if self.goes_to_ourselves(&next) {
                let (head, body) = self.octets_of(&next);
                let mut packet = Vec::with_capacity(head.len() + body.len());
                packet.extend_from_slice(head);
                for piece in body.pieces() {
                    packet.extend_from_slice(piece);
                }
                self.loop_back(now, packet, gso_size);
                self.train = None;
                continue;
            }
            if self.config.trace {
                self.told = event;
            }
            let (checksum, event) = (next.checksum, self.told.as_ref().filter(|_| self.config.trace));
            if matches!(next.octets, Octets::Head) {
                return Some(Datagram { head: &self.head, body: Body::EMPTY, gso_size, checksum, event });
            }
            let (head, body) = self.octets_of(&next);
            return Some(Datagram { head, body, gso_size, checksum, event });
        }
    }

    /// Builds the head of what is to leave next; `event` says why it does, when tracing is on.
    fn next_to_send(&mut self, now: Instant, event: &mut Option<Sent>) -> Option<Next> {
        if let Some(segment) = self.control.pop() {
            let checksum = self.build_control(&segment, event);
            return Some(Next { checksum, octets: Octets::Head, gso_size: 0 });
        }
        if let Some(packet) = self.departures.pop() {
            *event = self.config.trace.then_some(Sent::Other(packet.event));
            let (checksum, gso_size) = (packet.checksum, packet.gso_size);
            return Some(Next { checksum, octets: Octets::Ready(packet), gso_size });
        }
        while let Some(index) = self.turns.current() {
            let Some(socket) = self.slab.by_index_mut(index) else {
                self.turns.end(index);
                continue;
            };
            if let Kind::Connection(tcb) = &mut socket.kind {
                let mut cx = context!(self, now);
                let ack = tcb.poll_predicted_ack(&mut cx);
                if let Some(ack) = &ack {
                    // It was all: the turn is over.
                    if let Some(deadline) = tcb.timers.earliest() {
                        self.wheel.arm(index, deadline);
                    }
                    socket.queued = false;
                    self.turns.sent(0);
                    self.turns.end(index);
                    let checksum = self.build_segment(index, ack, event);
                    return Some(Next { checksum, octets: Octets::Head, gso_size: 0 });
                }
                let outgoing = tcb.poll_transmit(&mut cx);
                if let Some(outgoing) = &outgoing {
                    self.turns.sent(outgoing.len);
                    let over = tcb.was_all(&cx);
                    if over {
                        if let Some(deadline) = tcb.timers.earliest() {
                            self.wheel.arm(index, deadline);
                        }
                        socket.queued = false;
                        self.turns.end(index);
                    } else {
                        self.turns.has_more(tcb.is_near());
                    }
                    if tcb.options.unsent_limit().is_some() {
                        self.publish(index, false);
                    }
                    let checksum = self.build_segment(index, outgoing, event);
                    let (offset, len) = (outgoing.offset, outgoing.len);
                    let octets = if len == 0 {
                        Octets::Head
                    } else if self.config.lends && self.can_lend(index, offset, len) {
                        Octets::Lent(index, offset, len)
                    } else {
                        if !over {
                            self.couple(index, outgoing, checksum, now);
                        }
                        Octets::Segment(index, offset, outgoing.place, len)
                    };
                    return Some(Next { checksum, octets, gso_size: outgoing.gso_size });
                }
                if tcb.acks.is_held() {
                    let latest = now + self.config.tcp.delayed_ack;
                    if !self.replies.note(index, latest) {
                        tcb.acks.let_go();
                        continue;
                    }
                }
                if let Some(deadline) = tcb.timers.earliest() {
                    self.wheel.arm(index, deadline);
                }
            }
            socket.queued = false;
            self.turns.end(index);
        }
        None
    }

    /// Makes text ready to be lent, where that is worth while.
    fn can_lend(&mut self, index: u32, offset: usize, len: usize) -> bool {
        match self.slab.by_index_mut(index) {
            Some(Socket { kind: Kind::Connection(tcb), .. }) => tcb.send_buffer.freeze(offset, len),
            _ => false,
        }
    }

    /// The head of what leaves, and the text behind it.
    fn octets_of(&self, next: &Next) -> (&[u8], Body<'_>) {
        let body = match next.octets {
            Octets::Head => Body::EMPTY,
            Octets::Ready(packet) => return self.departures.octets_of(&packet),
            Octets::Segment(index, offset, place, len) => match self.slab.by_index(index).map(|s| &s.kind) {
                Some(Kind::Connection(tcb)) => tcb.send_buffer.body(place, offset, len),
                _ => Body::EMPTY,
            },
            Octets::Lent(index, offset, len) => match self.slab.by_index(index).map(|s| &s.kind) {
                Some(Kind::Connection(tcb)) => tcb.send_buffer.to_lend(offset, len),
                _ => Body::EMPTY,
            },
        };
        (&self.head, body)
    }

    fn build_control(&mut self, segment: &ControlSegment, event: &mut Option<Sent>) -> Checksum {
        let header = tcp::Header {
            src_port: segment.quad.local.port,
            dst_port: segment.quad.remote.port,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            window: segment.window,
            urgent: 0,
        };
        let ip = self.ip_header(segment.quad, segment.hop_limit, segment.traffic_class & !3);
        let none = core::iter::empty();
        let partial = self.config.offload.checksum;
        let checksum = tcp::emit(&ip, &header, &segment.options, none, 0, 0, partial, &mut self.head);
        *event = self.config.trace.then_some(Sent::Tcp(TcpEvent {
            quad: segment.quad,
            state: segment.state,
            what: What::Sent(segment.reason),
            change: None,
            variables: segment.variables,
        }));
        checksum
    }

    fn build_segment(&mut self, index: u32, outgoing: &Outgoing, event: &mut Option<Sent>) -> Checksum {
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index(index) else {
            return Checksum::Complete;
        };
        let mut ip = header(
            tcb.quad,
            if tcb.options.hop_limit == 0 { self.config.hop_limit } else { tcb.options.hop_limit },
            tcb.options.traffic_class & !3 | outgoing.ecn as u8,
            self.keys.flow_label(&tcb.quad),
        );
        ip.dont_fragment = tcb.options.path_mtu_discovery != PathMtuDiscovery::Dont;
        // What no router cuts needs no number to be put together again by (RFC 6864 §4.1).
        let atomic = ip.dont_fragment || !tcb.quad.local.address.is_v4();
        let id =
            if atomic { 0 } else { self.ids.next(tcb.quad.local.address, tcb.quad.remote.address) as u16 };
        // A packet that the device cuts gets the sums of its parts there.
        let partial = self.config.offload.checksum || outgoing.gso_size > 0;
        let summed = if partial { 0 } else { outgoing.len };
        let checksum = tcp::emit(
            &ip,
            &outgoing.header,
            &outgoing.options,
            tcb.send_buffer.slice(outgoing.offset, summed).pieces(),
            outgoing.len,
            id,
            partial,
            &mut self.head,
        );
        *event = self.config.trace.then(|| sent(tcb, outgoing.reason));
        checksum
    }

    fn ip_header(&self, quad: Quad, hop_limit: u8, traffic_class: u8) -> ip::Header {
        let hop_limit = if hop_limit == 0 { self.config.hop_limit } else { hop_limit };
        header(quad, hop_limit, traffic_class, self.keys.flow_label(&quad))
    }

    fn goes_to_ourselves(&self, next: &Next) -> bool {
        let head = match &next.octets {
            Octets::Ready(packet) => self.departures.octets_of(packet).0,
            Octets::Head | Octets::Segment(..) | Octets::Lent(..) => &self.head,
        };
        ip::destination(head).is_some_and(|dst| self.routes.is_local(dst))
    }

    pub(super) fn receive_looped(&mut self, now: Instant, packet: &[u8], gso_size: u16) {
        if self.post_packet(packet, gso_size, true) {
            return;
        }
        let inbound = Inbound { trust: Trust::Trusted, gso_size, ..Inbound::plain(packet) };
        self.receive_from_ourselves(now, inbound);
    }
}

/// Why a segment of a connection has left.
pub(super) fn sent(tcb: &Tcb, reason: Reason) -> Sent {
    Sent::Tcp(TcpEvent {
        quad: tcb.quad,
        state: tcb.state(),
        what: What::Sent(reason),
        change: None,
        variables: Some(tcb.variables()),
    })
}

/// The IP header of a segment: DF is set unless the program says otherwise, because path MTU discovery finds the size
/// that fits (RFC 1191 §6).
fn header(quad: Quad, hop_limit: u8, traffic_class: u8, flow_label: u32) -> ip::Header {
    let v6 = !quad.local.address.is_v4();
    ip::Header {
        src: quad.local.address,
        dst: quad.remote.address,
        protocol: protocol::TCP,
        hop_limit,
        traffic_class,
        flow_label: if v6 { flow_label } else { 0 },
        dont_fragment: true,
        fragment: None,
    }
}
