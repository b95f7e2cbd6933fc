//! The one door for bytes out: control segments, ready packets, then connections in turn.

use alloc::vec::Vec;

use super::departures::Departure;
use super::{Body, Checksum, Datagram, Inbound, Kind, Sent, Socket, Stack, Trust};
use crate::addr::Quad;
use crate::sockopt::PathMtuDiscovery;
use crate::tcp::context::ControlSegment;
use crate::tcp::output::Outgoing;
use crate::tcp::trace::{TcpEvent, What};
use crate::time::Instant;
use crate::wire::ip::{self, protocol};
use crate::wire::tcp;

/// What leaves next.
enum Next {
    Control(ControlSegment),
    Packet(Departure),
    Segment(u32, Outgoing),
}

impl Stack {
    /// The next packet to send, until there is none.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Datagram<'_>> {
        loop {
            let Some(next) = self.next_to_send(now) else {
                // What we sent to ourselves has to be answered before there is truly nothing to send.
                let (packet, gso_size) = self.looped.pop_front()?;
                self.receive_looped(now, &packet, gso_size);
                continue;
            };
            let (checksum, event) = self.build_head(&next);
            let gso_size = match &next {
                Next::Segment(_, outgoing) => outgoing.gso_size,
                Next::Packet(packet) => packet.gso_size,
                Next::Control(_) => 0,
            };
            self.counters.ip_out_requests += 1;
            if self.goes_to_ourselves(&next) {
                let (head, body) = self.octets_of(&next);
                let mut packet = Vec::with_capacity(head.len() + body.len());
                packet.extend_from_slice(head);
                for piece in body.pieces() {
                    packet.extend_from_slice(piece);
                }
                self.looped.push_back((packet, gso_size));
                continue;
            }
            let (head, body) = self.octets_of(&next);
            return Some(Datagram { head, body, gso_size, checksum, event });
        }
    }

    fn next_to_send(&mut self, now: Instant) -> Option<Next> {
        if let Some(segment) = self.control.pop() {
            return Some(Next::Control(segment));
        }
        if let Some(packet) = self.departures.pop() {
            return Some(Next::Packet(packet));
        }
        while let Some(&index) = self.output.front() {
            let Some(socket) = self.slab.by_index_mut(index) else {
                self.output.pop_front();
                continue;
            };
            if let Kind::Connection(tcb) = &mut socket.kind {
                let outgoing = tcb.poll_transmit(&mut context!(self, now));
                let watches_unsent = tcb.options.unsent_limit().is_some();
                if let Some(outgoing) = outgoing {
                    if watches_unsent {
                        self.publish(index, false);
                    }
                    // Each connection has its turn: one segment, then to the back of the queue.
                    self.output.rotate_left(1);
                    return Some(Next::Segment(index, outgoing));
                }
                if let Some(deadline) = tcb.timers.earliest() {
                    self.wheel.arm(index, deadline);
                }
            }
            socket.queued = false;
            self.output.pop_front();
        }
        None
    }

    /// The head of what leaves, which was built if it was not ready, and the text behind it.
    fn octets_of(&self, next: &Next) -> (&[u8], Body<'_>) {
        match next {
            Next::Segment(index, outgoing) => match self.slab.by_index(*index).map(|s| &s.kind) {
                Some(Kind::Connection(tcb)) => {
                    (&self.head, tcb.send_buffer.slice(outgoing.offset, outgoing.len))
                }
                _ => (&self.head, Body::EMPTY),
            },
            Next::Control(_) => (&self.head, Body::EMPTY),
            Next::Packet(packet) => self.departures.octets_of(packet),
        }
    }

    fn build_head(&mut self, next: &Next) -> (Checksum, Option<Sent>) {
        match next {
            Next::Packet(packet) => (packet.checksum, self.config.trace.then_some(Sent::Other(packet.event))),
            Next::Control(segment) => {
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
                let event = self.config.trace.then_some(Sent::Tcp(TcpEvent {
                    quad: segment.quad,
                    state: segment.state,
                    what: What::Sent(segment.reason),
                    change: None,
                    variables: segment.variables,
                }));
                (checksum, event)
            }
            Next::Segment(index, outgoing) => self.build_segment(*index, outgoing),
        }
    }

    fn build_segment(&mut self, index: u32, outgoing: &Outgoing) -> (Checksum, Option<Sent>) {
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index(index) else {
            return (Checksum::Complete, None);
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
        let body = tcb.send_buffer.slice(outgoing.offset, outgoing.len);
        let checksum = tcp::emit(
            &ip,
            &outgoing.header,
            &outgoing.options,
            body.pieces(),
            body.len(),
            id,
            // A packet that the device cuts gets the sums of its parts there.
            self.config.offload.checksum || outgoing.gso_size > 0,
            &mut self.head,
        );
        let event = self.config.trace.then(|| {
            Sent::Tcp(TcpEvent {
                quad: tcb.quad,
                state: tcb.state(),
                what: What::Sent(outgoing.reason),
                change: None,
                variables: Some(tcb.variables()),
            })
        });
        (checksum, event)
    }

    fn ip_header(&self, quad: Quad, hop_limit: u8, traffic_class: u8) -> ip::Header {
        let hop_limit = if hop_limit == 0 { self.config.hop_limit } else { hop_limit };
        header(quad, hop_limit, traffic_class, self.keys.flow_label(&quad))
    }

    /// Whether a packet is for one of our own addresses.
    fn goes_to_ourselves(&self, next: &Next) -> bool {
        ip::destination(self.octets_of(next).0).is_some_and(|dst| self.routes.is_local(dst))
    }

    fn receive_looped(&mut self, now: Instant, packet: &[u8], gso_size: u16) {
        let inbound = Inbound { trust: Trust::Trusted, gso_size, ..Inbound::plain(packet) };
        self.receive_from_ourselves(now, inbound);
    }
}

/// The IP header of a segment: DF is set unless the program says otherwise, because path MTU discovery finds the size that fits (RFC 1191 §6).
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
