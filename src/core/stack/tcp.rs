//! From a segment to what it is for: a connection, a request, a record in TIME-WAIT, a listener, or nobody.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::fast_open::Answer;
use super::flows::Flow;
use super::settle::quad_of;
use super::{Inbound, Kind, Own, Readiness, Received, Socket, SocketId, Stack};
use crate::addr::{Address, Endpoint, Quad};
use crate::ip::input::Delivery;
use crate::memory::Record;
use crate::seq::{Seq, WindowScale};
use crate::sockopt::SocketOptions;
use crate::tcp::input::closed;
use crate::tcp::request::{self, Request};
use crate::tcp::segment::Segment;
use crate::tcp::state::State;
use crate::tcp::tcb::Is;
use crate::tcp::time_wait;
use crate::tcp::trace::{Change, Reason, RstReason, TcpEvent, Variables, Verdict, What};
use crate::time::Instant;
use crate::wire::WireError;
use crate::wire::fast_open::FastOpen;
use crate::wire::ip::{self, protocol};
use crate::wire::options::MAX_OPTIONS_LEN;
use crate::wire::tcp;

/// From so many octets of text on a segment is taken for a full one: what every path of IPv6 carries, beside as many options
/// as there may be.
const FULL: usize = 1220 - MAX_OPTIONS_LEN;

impl Stack {
    /// A packet of TCP came in.
    pub(super) fn receive_tcp(
        &mut self,
        now: Instant,
        header: &ip::Header,
        payload: &[u8],
        inbound: Inbound<'_>,
    ) -> Received {
        let packet = tcp::parse(header, payload, inbound.trust);
        let packet = match &packet {
            Ok(packet) => packet,
            Err(error) => {
                self.counters.tcp_in_segs += 1;
                self.counters.tcp_in_errs += 1;
                self.counters.tcp_in_csum_errors += u64::from(*error == WireError::Checksum);
                return Received::Dropped(match error {
                    WireError::Checksum => "bad TCP checksum",
                    _ => "malformed TCP header",
                });
            }
        };
        let scale_beyond_limit = packet.options.window_scale.is_some_and(|s| s > WindowScale::MAX.shift());
        self.counters.tcp_in_bad_options += u64::from(packet.options.malformed || scale_beyond_limit);
        let quad = Quad {
            local: Endpoint::new(header.dst, packet.header.dst_port),
            remote: Endpoint::new(header.src, packet.header.src_port),
        };
        let mut segment = Segment::new(packet, header.ecn(), inbound.backing, inbound.lent);
        segment.joined = inbound.gso_size;
        self.counters.tcp_in_segs += u64::from(segment.segments());
        let before = self.predicted.take();
        let event = self.on_tcp(quad, &segment, now);
        // Of a second one there are mostly more, and behind a full one.
        let full = segment.text.len() >= FULL && segment.joined == 0;
        let more = self.predicted.filter(|_| self.predicted == before || full);
        let well_formed = !packet.options.malformed && packet.options.window_scale.is_none();
        // What comes from ourselves must not let in what says so and comes from outside.
        let flow = self.flows.last().and_then(|flow| flow.index);
        let from_outside = flow.is_some_and(|at| more.is_some_and(|(index, _)| at == index));
        if let Some((index, _)) = more.filter(|_| well_formed && from_outside) {
            self.expect_another(index, inbound.packet, &segment, now);
        }
        match event {
            // Mostly there is none. To move what may be one costs each segment 26 to 42 instructions (`benches`, instructions).
            None => Received::Tcp(None),
            told => Received::Tcp(told),
        }
    }

    /// A segment arrived for `quad`. Gives what became of it, and the slot that dealt with it.
    fn on_tcp(&mut self, quad: Quad, segment: &Segment<'_>, now: Instant) -> Option<TcpEvent> {
        let found = self.find(&quad);
        let before = self.config.trace.then(|| self.seen(found, now));
        let mut seen = None;
        let (verdict, index) = match found {
            Some(index) => (self.on_known(index, segment, now, &mut seen), Some(index)),
            None => self.on_unknown(quad, segment, now),
        };
        let (from, before) = before?;
        let (state, variables) = seen.unwrap_or_else(|| self.seen(index, now));
        let from = match (found, verdict) {
            (Some(_), _) => from,
            (None, Verdict::Request) => State::Listen,
            // Nothing was there to change.
            (None, _) => state,
        };
        let change = Change::new(from, before.as_ref(), variables.as_ref());
        Some(TcpEvent { quad, state, change: Some(change), what: What::Received(verdict), variables })
    }

    fn find(&mut self, quad: &Quad) -> Option<u32> {
        if let Some(flow) = self.flows.find(quad) {
            return flow.index;
        }
        let key = self.table.key(quad);
        let index = self.table.find_at(key, quad, quad_of(&self.slab, &self.time_waits));
        // Of what we send to ourselves there is nothing to remember: none of it may come from outside.
        if !self.routes.is_local(quad.remote.address) {
            self.flows.put(Flow { quad: *quad, key, index });
        }
        index
    }

    /// Those that sent a packet to one host by TCP may send another.
    pub(super) fn remember_let_in(&mut self, header: &ip::Header, delivery: Delivery) {
        if (header.protocol, delivery) == (protocol::TCP, Delivery::Unicast) {
            self.let_in = Some((header.src, header.dst));
        }
    }

    /// Whether a segment with these addresses may come in, as one before it could.
    pub(super) fn is_let_in(&self, header: &ip::Header) -> bool {
        header.protocol == protocol::TCP
            && self.let_in.as_ref().is_some_and(|(src, dst)| *src == header.src && *dst == header.dst)
    }

    /// What a slot has to say of itself for a [`TcpEvent`].
    fn seen(&mut self, index: Option<u32>, now: Instant) -> (State, Option<Variables>) {
        match index.and_then(|i| self.slab.by_index(i)).map(|s| &s.kind) {
            Some(Kind::Connection(tcb)) => (tcb.state(), Some(tcb.variables())),
            Some(Kind::Request(request)) => {
                let variables = request.variables(&context!(self, now));
                (State::SynReceived, Some(variables))
            }
            Some(Kind::Listener(_)) => (State::Listen, None),
            Some(Kind::TimeWait(_)) => (State::TimeWait, None),
            _ => (State::Closed, None),
        }
    }

    fn on_known(
        &mut self,
        index: u32,
        segment: &Segment<'_>,
        now: Instant,
        seen: &mut Option<(State, Option<Variables>)>,
    ) -> Verdict {
        let Some(socket) = self.slab.by_index_mut(index) else { return Verdict::Ignored };
        match &mut socket.kind {
            Kind::Connection(tcb) => {
                let before = tcb.rcv.nxt;
                let urgent_before = tcb.rcv.up;
                let mut cx = context!(self, now);
                if let Some(verdict) = tcb.on_predicted(segment, &mut cx) {
                    if self.config.trace {
                        *seen = Some((tcb.state(), Some(tcb.variables())));
                    }
                    let news = verdict == Verdict::Accepted;
                    self.settle(index, now, news);
                    self.predicted = news.then_some((index, now));
                    return verdict;
                }
                let verdict = tcb.on_segment(segment, &mut cx);
                let news = tcb.rcv.nxt != before;
                let urgent_news = tcb.is.contains(Is::URGENT) && tcb.rcv.up != urgent_before;
                if self.config.trace {
                    // Before it is settled: one that is over leaves its slot.
                    *seen = Some((tcb.state(), Some(tcb.variables())));
                }
                self.settle(index, now, news);
                //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.5
                //# inform the application layer asynchronously whenever it receives an urgent pointer and
                //# there was previously no pending urgent data, or whenever the urgent pointer advances in
                //# the data stream.
                if urgent_news {
                    self.report_again(index, Readiness::URGENT_AHEAD);
                }
                verdict
            }
            Kind::Request(request) => {
                let request = **request;
                self.on_request(index, request, segment, now)
            }
            Kind::TimeWait(at) => match self
                .time_waits
                .get_mut(*at)
                .map(|record| (record.quad, record.on_segment(segment, &mut context!(self, now))))
            {
                None => Verdict::Ignored,
                Some((_, time_wait::Outcome::Stay(verdict))) => verdict,
                Some((_, time_wait::Outcome::Restart(verdict))) => {
                    self.wheel.disarm(index);
                    self.wheel.arm(index, now + self.config.tcp.msl.saturating_mul(2));
                    verdict
                }
                Some((quad, time_wait::Outcome::Reuse { iss_after })) => {
                    let Some(listener) = self.listener_for(quad) else { return Verdict::OldSyn };
                    if let Some(verdict) = self.no_room_for_request(listener) {
                        return verdict;
                    }
                    self.counters.tcp_tw_recycled += 1;
                    self.remove(index);
                    self.on_listen(listener, quad, segment, Some(iss_after), now).0
                }
            },
            _ => Verdict::Ignored,
        }
    }

    fn on_unknown(&mut self, quad: Quad, segment: &Segment<'_>, now: Instant) -> (Verdict, Option<u32>) {
        if self.was_ceded(&quad) {
            return (Verdict::Ignored, None);
        }
        match self.listener_for(quad) {
            Some(listener) => self.on_listen(listener, quad, segment, None, now),
            None => (closed::on_segment(quad, segment, &mut context!(self, now)), None),
        }
    }

    /// The listener for a connection: one bound to the very address before one bound to any of its family, and that
    /// before one of both. Those that fit alike share what comes by a hash of the quad (`SO_REUSEPORT`).
    pub(super) fn listener_for(&self, quad: Quad) -> Option<u32> {
        let mut best: smallvec::SmallVec<[u32; 4]> = smallvec::SmallVec::new();
        let mut highest = 0;
        for &index in self.tcp_bound.at(quad.local.port) {
            let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.by_index(index) else {
                continue;
            };
            let (bound, v4) = (listener.local.address, quad.local.address.is_v4());
            let score = if bound == quad.local.address {
                3
            } else if bound == Address::UNSPECIFIED_V4 && v4 {
                2
            } else if bound == Address::UNSPECIFIED && !(listener.options.v6_only && v4) {
                1
            } else {
                continue;
            };
            if score > highest {
                highest = score;
                best.clear();
            }
            if score == highest {
                best.push(index);
            }
        }
        best.get(self.table.share(&quad, best.len())).copied()
    }

    /// §3.10.7.2: LISTEN.
    fn on_listen(
        &mut self,
        index: u32,
        quad: Quad,
        segment: &Segment<'_>,
        iss_after: Option<Seq>,
        now: Instant,
    ) -> (Verdict, Option<u32>) {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.2
        //= id=STEP-3.10.7.2-1
        //# An incoming RST should be ignored.
        if segment.rst() {
            return (Verdict::ResetIgnored, Some(index));
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.2
        //= id=STEP-3.10.7.2-2
        //# An acceptable reset segment should be formed for any arriving ACK-bearing segment.
        if segment.has_ack() {
            if let Some(request) = self.request_from_cookie(index, quad, segment, now) {
                return self.establish_from_cookie(index, request, segment, now);
            }
            closed::refuse(quad, State::Listen, segment, RstReason::BadAck, &mut context!(self, now));
            return (Verdict::AckTooHigh, Some(index));
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.2
        //= id=STEP-3.10.7.2-6
        //# This should not be reached. Drop the segment and return.
        if !segment.syn() {
            self.counters.tcp_ignored += 1;
            return (Verdict::Ignored, Some(index));
        }
        // A cookie cannot lie beyond the numbers of an earlier connection.
        if iss_after.is_none() && self.wants_cookie(index) {
            return (self.answer_with_cookie(index, quad, segment, now), Some(index));
        }
        if let Some(verdict) = self.no_room_for_request(index) {
            return (verdict, Some(index));
        }
        let answer = self.judge_fast_open(index, quad, segment, now);
        let path = self.path_mss(quad, now);
        let generation = self.slab.id_of(index).map_or(0, |id| id.generation() as u8);
        let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.by_index_mut(index) else {
            return (Verdict::Ignored, None);
        };
        self.counters.tcp_passive_opens += 1;
        let options = listener.options.clone();
        let listener = (index, generation);
        let path = request::limit_segment(path, &options);
        let mut cx = context!(self, now);
        let request = Request::new(quad, listener, &options, path, iss_after, segment, &mut cx);
        let option = match answer {
            Answer::Open(option) => return self.open_early(request, options, option, segment, now),
            Answer::Wait(option) => option,
        };
        let wait = request.wait(&context!(self, now));
        if let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.by_index_mut(index) {
            listener.request_began();
        }
        let id = self.slab.insert(Socket::new(Kind::Request(Box::new(request)), Own::empty(), false));
        self.memory.add_record(Record::Request, &mut self.counters);
        self.remember_quad(quad, id.index());
        self.wheel.arm(id.index(), now + wait);
        self.send_syn_ack_of(&options, &request, Reason::SynAck, option, now);
        (Verdict::Request, Some(id.index()))
    }

    /// Why a listener can take no further request, if it cannot.
    fn no_room_for_request(&mut self, listener: u32) -> Option<Verdict> {
        let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.by_index(listener) else {
            return Some(Verdict::Ignored);
        };
        if listener.accept_queue_is_full() {
            self.counters.tcp_listen_overflows += 1;
            self.counters.tcp_listen_drops += 1;
            return Some(Verdict::AcceptQueueFull);
        }
        let full = listener.syn_queue_is_full(&self.config.tcp) || !self.memory.has_room_for_request();
        if full || !self.make_room_for_record() {
            self.counters.tcp_req_q_full_drop += 1;
            self.counters.tcp_listen_drops += 1;
            return Some(Verdict::SynQueueFull);
        }
        None
    }

    pub(super) fn send_syn_ack(
        &mut self,
        request: &Request,
        reason: Reason,
        fast_open: Option<FastOpen>,
        now: Instant,
    ) {
        if let Some((_, options)) = self.listener_of(request) {
            self.send_syn_ack_of(&options, request, reason, fast_open, now);
        }
    }

    /// The same, where the options of the listener are at hand.
    fn send_syn_ack_of(
        &mut self,
        options: &SocketOptions,
        request: &Request,
        reason: Reason,
        fast_open: Option<FastOpen>,
        now: Instant,
    ) {
        let mss = request::mss_to_offer(request.quad.local.address.ip(), self.config.mtu, options);
        request.send_syn_ack(reason, mss, fast_open, options, &mut context!(self, now));
    }

    /// The listener a request came to, if it still listens: its slot may have been given to another.
    pub(super) fn listener_of(&self, request: &Request) -> Option<(u32, Arc<SocketOptions>)> {
        let (index, generation) = request.listener();
        let id = self.slab.id_of(index).filter(|id| id.generation() as u8 == generation)?;
        match self.slab.get(id)? {
            Socket { kind: Kind::Listener(l), .. } if l.local.port == request.quad.local.port => {
                Some((index, l.options.clone()))
            }
            _ => None,
        }
    }

    fn on_request(
        &mut self,
        index: u32,
        mut request: Request,
        segment: &Segment<'_>,
        now: Instant,
    ) -> Verdict {
        let Some((listener, options)) = self.listener_of(&request) else {
            // The listener is gone, and with it what it had promised.
            self.remove(index);
            return closed::on_segment(request.quad, segment, &mut context!(self, now));
        };
        let mss = request::mss_to_offer(request.quad.local.address.ip(), self.config.mtu, &options);
        match request.on_segment(segment, mss, &options, &mut context!(self, now)) {
            request::Outcome::Stay(verdict) => {
                if let Some(Socket { kind: Kind::Request(kept), .. }) = self.slab.by_index_mut(index) {
                    **kept = request;
                }
                verdict
            }
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.5
            //# Note that a TCP implementation MUST keep track of whether a connection has reached
            //# SYN-RECEIVED state as the result of a passive OPEN or an active OPEN (MUST-11).
            request::Outcome::Over(verdict) => {
                self.end_request(index);
                verdict
            }
            request::Outcome::Establish => self.establish(index, listener, &request, options, segment, now),
        }
    }

    pub(super) fn establish(
        &mut self,
        index: u32,
        listener: u32,
        request: &Request,
        options: Arc<SocketOptions>,
        segment: &Segment<'_>,
        now: Instant,
    ) -> Verdict {
        let Some(id) = self.slab.id_of(index) else { return Verdict::Ignored };
        let Some(Socket { kind: Kind::Listener(l), .. }) = self.slab.by_index_mut(listener) else {
            return Verdict::Ignored;
        };
        if !l.take_place() {
            // The ACK is dropped; our SYN,ACK, sent again, will provoke another.
            self.counters.tcp_listen_overflows += 1;
            self.counters.tcp_listen_drops += 1;
            if self.config.tcp.abort_on_overflow {
                let (state, reason) = (State::SynReceived, RstReason::Limit);
                closed::refuse(request.quad, state, segment, reason, &mut context!(self, now));
                self.end_request(index);
            }
            return Verdict::AcceptQueueFull;
        }
        l.request_ended();
        self.wait_for_accept(listener, id, request.quad.remote);
        let mss = request::limit_segment(self.path_mss(request.quad, now), &options);
        let mut cx = context!(self, now);
        let mut tcb = request.establish(options.clone(), mss, &mut cx);
        tcb.mss_offered = request::mss_to_offer(request.quad.local.address.ip(), self.config.mtu, &options);
        let verdict = tcb.on_segment(segment, &mut cx);
        self.discharge(index);
        if let Some(socket) = self.slab.by_index_mut(index) {
            socket.kind = Kind::Connection(tcb);
        }
        self.hold_port(index);
        self.settle(index, now, true);
        self.publish(listener, true);
        verdict
    }

    /// A request is over without a connection.
    pub(super) fn end_request(&mut self, index: u32) {
        if let Some(Socket { kind: Kind::Request(request), .. }) = self.slab.by_index(index)
            && let Some((listener, _)) = self.listener_of(request)
            && let Some(Socket { kind: Kind::Listener(l), .. }) = self.slab.by_index_mut(listener)
        {
            l.request_ended();
        }
        self.remove(index);
    }

    /// The largest segment the path to the other end carries, options included.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.3
    //= id=rfc1122-3.3.3-1
    //# A host MUST implement a mechanism to allow the transport layer to learn MMS_S, the maximum
    //# transport-layer message size that may be sent for a given {source, destination, TOS} triplet (see
    //# GET_MAXSIZES call in Section 3.4).
    pub(super) fn path_mss(&mut self, quad: Quad, now: Instant) -> u16 {
        //= https://www.rfc-editor.org/rfc/rfc8200#section-8.3
        //= id=rfc8200-8.3-1
        //# When computing the maximum payload size available for upper-layer data, an upper-layer protocol
        //# must take into account the larger size of the IPv6 header relative to the IPv4 header.
        let headers = if quad.remote.address.is_v4() { 40 } else { 60 };
        //= https://www.rfc-editor.org/rfc/rfc8201#section-3
        //= id=rfc8201-3-2
        //# Note that Path MTU Discovery must be performed even in cases where a node "thinks" a destination is
        //# attached to the same link as itself, as it might have a PMTU lower than the link MTU.
        let mtu = self.path_mtu.get(quad.remote.address, now, self.config.mtu);
        mtu.saturating_sub(headers).max(1)
    }

    /// An ICMP error about one of our segments has been found genuine.
    pub(super) fn on_tcp_error(
        &mut self,
        quad: Quad,
        seq: Seq,
        hard: bool,
        error: crate::error::Error,
        packet_too_big: Option<u16>,
        now: Instant,
    ) -> bool {
        let Some(index) = self.table.find(&quad, quad_of(&self.slab, &self.time_waits)) else { return false };
        if let Some(Socket { kind: Kind::Request(request), .. }) = self.slab.by_index(index) {
            // No program knows of it yet: it is forgotten without a word (RFC 9293 §3.9.2.2, SHLD-26).
            let aborts = hard && seq == request.iss();
            if aborts {
                self.end_request(index);
            }
            return aborts;
        }
        let path = packet_too_big.map(|_| self.path_mss(quad, now));
        let believed = self.with_connection(index, now, |tcb, cx| {
            // RFC 5927 §4.1: only what is in flight can have come to grief.
            let outstanding = seq.at_or_after(tcb.snd.una) && seq.before(tcb.snd.nxt);
            if !outstanding {
                return false;
            }
            match path {
                //= https://www.rfc-editor.org/rfc/rfc8201#section-4
                //= id=rfc8201-4-7
                //# Because each of these messages (and the dropped packets they respond to) consume network
                //# resources, nodes using Path MTU Discovery must detect decreases in PMTU as fast as possible.
                //= https://www.rfc-editor.org/rfc/rfc8201#section-5.2
                //= id=rfc8201-5.2-6
                //# The packetization layers must be notified about decreases in the PMTU.
                //= https://www.rfc-editor.org/rfc/rfc1191#section-3
                //= id=rfc1191-3-4
                //# Hosts using PMTU Discovery MUST detect decreases in Path MTU as fast as possible.
                Some(mss) => tcb.path_mss(mss, cx.now),
                //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.1
                //= id=rfc1122-3.2.2.1-3, rfc1122-3.2.2.1-4
                None => tcb.on_network_error(error, hard, cx),
            }
            true
        });
        if believed == Some(true) {
            self.report_again(index, Readiness::SOFT_ERROR);
        }
        believed.unwrap_or(false)
    }

    /// The connection a handle names while it waits to be accepted, for the listener's end.
    pub(super) fn unaccepted(&self, index: u32) -> impl Iterator<Item = SocketId> + '_ {
        let listener = match self.slab.by_index(index).map(|s| &s.kind) {
            Some(Kind::Listener(l)) => Some(l),
            _ => None,
        };
        listener.into_iter().flat_map(|l| l.waiting().map(|waiting| waiting.connection))
    }

    /// Whether `seq` is of something that we have sent to this peer and that is not acknowledged.
    pub(super) fn is_in_flight(&self, quad: Quad, seq: Seq) -> bool {
        let index = self.table.find(&quad, quad_of(&self.slab, &self.time_waits));
        match index.and_then(|i| self.slab.by_index(i)) {
            Some(Socket { kind: Kind::Connection(tcb), .. }) => {
                seq.at_or_after(tcb.snd.una) && seq.before(tcb.snd.nxt)
            }
            Some(Socket { kind: Kind::Request(request), .. }) => seq == request.iss(),
            _ => false,
        }
    }
}
