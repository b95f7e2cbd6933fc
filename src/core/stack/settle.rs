//! After any change to a socket: its place in the table, its timer, its readiness and its turn to send.

use super::{Key, Kind, Own, Readiness, Socket, Stack};
use crate::tcp::context::Context;
use crate::tcp::request::{Request, Wait};
use crate::tcp::state::State;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::time_wait::TimeWait;
use crate::tcp::trace::Reason;
use crate::time::{Duration, Instant};

impl Stack {
    /// Makes everything that depends on the socket true again. `news` says that something arrived for it: it is
    /// then reported as ready even where it was before, so that those who wait for the edge see one.
    pub(super) fn settle(&mut self, index: u32, now: Instant, news: bool) {
        self.recharge(index);
        let Some(mut socket) = self.slab.by_index_mut(index) else { return };
        if may_have_ended(socket) {
            self.settle_pending(index, now);
            if let Some(state) = self.is_over(index) {
                self.leave_table(index, now, state);
            }
            let Some(left) = self.slab.by_index_mut(index) else { return };
            socket = left;
        }
        if let Kind::Connection(tcb) = &socket.kind {
            if !core::mem::replace(&mut socket.queued, true) {
                self.turns.push(index);
            }
            if let Some(deadline) = tcb.timers.earliest() {
                // Never in this very instant, or a timer that re-arms itself could spin.
                self.wheel.arm(index, deadline.max(now + Duration::from_nanos(1)));
            }
        }
        if tell(socket, news) {
            self.changed.push_back(index);
        }
    }

    /// The state of a connection that has ended but stands in the table.
    fn is_over(&self, index: u32) -> Option<State> {
        let Some(Socket { kind: Kind::Connection(tcb), tabled: true, .. }) = self.slab.by_index(index) else {
            return None;
        };
        Some(tcb.state()).filter(|state| matches!(state, State::Closed | State::TimeWait))
    }

    /// A connection has ended: its quad is free again, or TIME-WAIT keeps it.
    fn leave_table(&mut self, index: u32, now: Instant, state: State) {
        let Some(Socket { kind: Kind::Connection(tcb), held, .. }) = self.slab.by_index(index) else {
            return;
        };
        let (quad, orphan) = (tcb.quad, tcb.is.contains(Is::ORPHAN));
        // One that waits to be accepted has no owner yet, but will.
        let keep = *held || !orphan;
        let mut record = None;
        if state == State::TimeWait {
            // Made in any case: the peer's FIN is to be acknowledged also where there is no room to remember it.
            let made = TimeWait::new(tcb, &mut context!(self, now));
            if self.time_waits.len() < self.config.tcp.max_time_wait && self.make_room_for_record() {
                self.counters.tcp_tw += 1;
                record = Some(made);
            } else {
                self.counters.tcp_tw_overflow += 1;
            }
        }
        if orphan {
            self.orphans = self.orphans.saturating_sub(1);
        }
        // What goes on here must not be looked for elsewhere in between.
        let stray = record.is_some() && self.strays(&quad);
        self.forget_quad(index);
        if !keep {
            self.remove(index);
        }
        if let Some(record) = record {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
            //# When a connection is closed actively, it MUST linger in the TIME-WAIT state for a time 2xMSL
            //# (Maximum Segment Lifetime) (MUST-13).
            let deadline = now + self.config.tcp.msl.saturating_mul(2);
            let kind = Kind::TimeWait(self.time_waits.insert(record));
            let id = self.slab.insert(Socket::new(kind, Own::empty(), false));
            self.remember_quad(quad, id.index());
            self.wheel.arm(id.index(), deadline);
            self.aged(id);
        }
        if stray {
            self.stray_ends(&quad);
        }
    }

    /// Of several shards, has packets find a connection here that the hash places elsewhere; says whether it does.
    fn strays(&self, quad: &crate::addr::Quad) -> bool {
        let Some(share) = self.share.as_ref().filter(|share| !share.owns(quad)) else { return false };
        share.placement.strays(quad, share.number)
    }

    fn stray_ends(&self, quad: &crate::addr::Quad) {
        if let Some(share) = self.share.as_ref().filter(|share| !share.owns(quad)) {
            share.placement.stray_ends(quad);
        }
    }

    /// One more holds an end, here and so in the host.
    fn add_holder(&mut self, end: crate::addr::Endpoint, reuse: crate::sockopt::Reuse) {
        self.tcp_ports.add(end, reuse);
        if let Some(share) = &self.share {
            share.placement.with(|all| all.hold(end, reuse));
        }
    }

    fn remove_holder(&mut self, end: crate::addr::Endpoint, reuse: crate::sockopt::Reuse) {
        self.tcp_ports.remove(end, reuse);
        if let Some(share) = &self.share {
            share.placement.with(|all| all.release(end, reuse));
        }
    }

    /// Enters a slot in the connection table.
    pub(super) fn remember_quad(&mut self, quad: crate::addr::Quad, index: u32) {
        self.strays(&quad);
        let key = self.note_slot(&quad, Some(index));
        self.table.insert(key, index, quad_of(&self.slab, &self.time_waits));
        if let Some(socket) = self.slab.by_index_mut(index) {
            socket.tabled = true;
        }
        self.hold_port(index);
    }

    /// Notes the slot that a quad has from now on, if any, and gives its place in the table.
    fn note_slot(&mut self, quad: &crate::addr::Quad, index: Option<u32>) -> Key {
        match self.flows.get(quad) {
            Some(flow) => {
                flow.index = index;
                flow.key
            }
            None => self.table.key(quad),
        }
    }

    /// Takes a slot out of the connection table, if it stands there.
    pub(super) fn forget_quad(&mut self, index: u32) {
        let Some(socket) = self.slab.by_index_mut(index).filter(|socket| socket.tabled) else { return };
        socket.tabled = false;
        let holds = socket.holds(&self.time_waits);
        if let Some(quad) = socket.quad(&self.time_waits) {
            let key = self.note_slot(&quad, None);
            let removed = self.table.remove(key, index);
            debug_assert!(removed, "{quad}: a socket that stands in the table was not found there");
            self.stray_ends(&quad);
        }
        if let Some((held, reuse)) = holds {
            self.remove_holder(held, reuse);
        }
    }

    /// Counts a slot that has entered the table, or has become a connection there, as a holder of its end.
    pub(super) fn hold_port(&mut self, index: u32) {
        if let Some((held, reuse)) = self.slab.by_index(index).and_then(|s| s.holds(&self.time_waits)) {
            self.add_holder(held, reuse);
        }
    }

    /// Changes the options of a connection, and what its end allows others with them.
    pub(super) fn set_connection_options(
        &mut self,
        index: u32,
        options: crate::sockopt::SocketOptions,
        now: Instant,
    ) {
        let Some(socket) = self.slab.by_index(index) else { return };
        if socket.tabled
            && let Some((held, before)) = socket.holds(&self.time_waits)
            && before != options.reuse()
        {
            self.remove_holder(held, before);
            self.add_holder(held, options.reuse());
        }
        let options = self.shared(options);
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index_mut(index) else { return };
        if tcb.is_quiet_change(&options) {
            tcb.options = options;
            return;
        }
        self.with_connection(index, now, |tcb, cx| tcb.set_options(options, cx));
    }

    /// Frees a slot and all that points to it.
    pub(super) fn remove(&mut self, index: u32) {
        self.forget_quad(index);
        let Some(id) = self.slab.id_of(index) else { return };
        self.wheel.disarm(index);
        self.discharge(index);
        if let Some(Socket { kind: Kind::TimeWait(at), .. }) = self.slab.remove(id) {
            self.time_waits.remove(at);
        }
    }

    /// Gives a connection its turn to send.
    pub(super) fn queue_output(&mut self, index: u32) {
        let Some(socket) = self.slab.by_index_mut(index) else { return };
        if !core::mem::replace(&mut socket.queued, true) {
            self.turns.push(index);
        }
    }

    /// Has something told as new that may have stood before, and nothing else with it.
    pub(super) fn report_again(&mut self, index: u32, what: Readiness) {
        if let Some(socket) = self.slab.by_index_mut(index) {
            socket.published.remove(what);
        }
        self.publish(index, false);
    }

    /// Tells the program of a changed readiness.
    pub(super) fn publish(&mut self, index: u32, news: bool) {
        let Some(socket) = self.slab.by_index_mut(index) else { return };
        if tell(socket, news) {
            self.changed.push_back(index);
        }
    }

    /// A slot's entry in the wheel came up.
    pub(super) fn socket_timeout(&mut self, index: u32, now: Instant) {
        let Some(socket) = self.slab.by_index_mut(index) else { return };
        match &mut socket.kind {
            Kind::Connection(tcb) => {
                // The wheel is told only of earlier deadlines, so this is mostly one that moved on or is no more: each request
                // that was replied to leaves one behind. Nothing has changed then.
                match tcb.timers.earliest() {
                    Some(due) if due <= now => {
                        tcb.handle_timeout(&mut context!(self, now));
                        self.settle(index, now, false);
                    }
                    Some(later) => self.wheel.arm(index, later),
                    None => {}
                }
            }
            Kind::Request(request) => {
                let mut request = **request;
                self.request_timeout(index, &mut request, now);
            }
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.8
            //= id=STEP-3.10.8-3
            //# If the time-wait timeout expires on a connection, delete the TCB, enter the CLOSED state,
            //# and return.
            Kind::TimeWait(_) => self.remove(index),
            Kind::Idle(_) | Kind::Listener(_) | Kind::Udp(_) | Kind::Ping(_) => {}
        }
    }
}

impl Stack {
    fn request_timeout(&mut self, index: u32, request: &mut Request, now: Instant) {
        let listener = self.listener_of(request);
        let defer_accept = listener.as_ref().map_or(0, |(_, options)| options.defer_accept);
        let what = request.timed_out(defer_accept, &context!(self, now));
        if what == Wait::Over || listener.is_none() {
            self.counters.tcp_attempt_fails += 1;
            return self.end_request(index);
        }
        if let Some(Socket { kind: Kind::Request(kept), .. }) = self.slab.by_index_mut(index) {
            **kept = *request;
        }
        if what == Wait::Resend {
            self.send_syn_ack(request, Reason::SynTimeout, None, now);
        }
        let wait = request.wait(&context!(self, now));
        self.wheel.arm(index, now + wait);
    }
}

/// Whether a connection may have ended, or have ceased to be pending.
fn may_have_ended(socket: &Socket) -> bool {
    match &socket.kind {
        Kind::Connection(tcb) => {
            matches!(tcb.state(), State::Closed | State::TimeWait) || tcb.is.contains(Is::OPEN_EARLY)
        }
        _ => false,
    }
}

/// Notes how a socket stands now for whoever holds it. Says whether it is to stand among those that have changed, where it did
/// not before.
fn tell(socket: &mut Socket, news: bool) -> bool {
    if !socket.held {
        return false;
    }
    let readiness = readiness(&socket.kind);
    let edge = news && !readiness.is_empty();
    if readiness == socket.published && !edge {
        return false;
    }
    socket.edges |= readiness.difference(socket.published);
    if edge {
        socket.edges |= readiness & Readiness::ARRIVALS;
    }
    // What came and went again is no news.
    socket.edges &= readiness;
    socket.published = readiness;
    !core::mem::replace(&mut socket.changed, true)
}

/// Where the table finds the quad of a slot.
pub(super) fn quad_of<'a>(
    slab: &'a super::Slab<Socket>,
    records: &'a super::Pages<TimeWait>,
) -> impl Fn(u32) -> crate::addr::Quad + 'a {
    |index| {
        // The table only holds slots of these kinds; any other answer would be found by no segment.
        slab.by_index(index).and_then(|socket| socket.quad(records)).unwrap_or(crate::addr::Quad {
            local: crate::addr::Endpoint::UNSPECIFIED,
            remote: crate::addr::Endpoint::UNSPECIFIED,
        })
    }
}

/// How a socket stands, as Linux's `poll` would say.
pub(super) fn readiness(kind: &Kind) -> Readiness {
    match kind {
        Kind::Idle(idle) => idle_readiness(idle),
        Kind::Listener(listener) if listener.has_waiting() => Readiness::READABLE,
        Kind::Connection(tcb) => stream_readiness(tcb),
        Kind::Udp(socket) => datagram_readiness(socket.is_readable(), socket.closed(), socket.has_error()),
        Kind::Ping(socket) => datagram_readiness(socket.is_readable(), socket.closed(), socket.has_error()),
        Kind::Listener(_) | Kind::Request(_) | Kind::TimeWait(_) => Readiness::empty(),
    }
}

fn idle_readiness(idle: &super::Idle) -> Readiness {
    let mut readiness = Readiness::WRITABLE | Readiness::HANG_UP;
    readiness.set(Readiness::READABLE | Readiness::READ_CLOSED, idle.shut_read);
    readiness.set(Readiness::ERROR, idle.error.is_some());
    readiness
}

/// `closed` is reading and writing.
fn datagram_readiness(readable: bool, closed: (bool, bool), error: bool) -> Readiness {
    let mut readiness = Readiness::WRITABLE;
    readiness.set(Readiness::READABLE, readable);
    readiness.set(Readiness::READ_CLOSED, closed.0);
    readiness.set(Readiness::HANG_UP, closed.0 && closed.1);
    readiness.set(Readiness::ERROR, error);
    readiness
}

/// What would have more to be said of a connection that stands than whether it can be read from and written to.
const UNUSUAL: Is = Is::URGENT
    .union(Is::URGENT_HERE)
    .union(Is::PEER_CLOSED)
    .union(Is::SHUT_READ)
    .union(Is::FIN_QUEUED)
    .union(Is::SHUT_WRITE);

fn stream_readiness(tcb: &Tcb) -> Readiness {
    let state = tcb.state();
    let mut readiness = Readiness::empty();
    if state == State::Established
        && tcb.error.is_none()
        && tcb.soft_error.is_none()
        && !tcb.is.intersects(UNUSUAL)
    {
        readiness.set(Readiness::READABLE, enough_to_read(tcb));
        readiness.set(Readiness::WRITABLE, tcb.has_space());
        return readiness;
    }
    readiness.set(Readiness::ERROR, tcb.error.is_some());
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.8
    //= id=MUST-47, rfc9293-3.9.1.8-1
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
    //= id=SHLD-25
    readiness.set(Readiness::SOFT_ERROR, tcb.soft_error.is_some() && state != State::Closed);
    readiness.set(Readiness::URGENT_AHEAD, tcb.is.contains(Is::URGENT));
    let closed = matches!(state, State::Closed | State::TimeWait);
    let read_closed = closed || tcb.is.intersects(Is::PEER_CLOSED | Is::SHUT_READ);
    let write_closed = closed || tcb.is.intersects(Is::FIN_QUEUED | Is::SHUT_WRITE);
    readiness.set(Readiness::READ_CLOSED, read_closed);
    readiness.set(Readiness::HANG_UP, read_closed && write_closed);
    if matches!(state, State::SynSent | State::SynReceived) && !tcb.is_open_early() {
        // Nothing but what was shut down before it began.
        readiness.set(Readiness::READABLE, read_closed);
        readiness.set(Readiness::WRITABLE, tcb.open_is_deferred());
        return readiness;
    }
    readiness.set(Readiness::READABLE, read_closed || tcb.error.is_some() || enough_to_read(tcb));
    readiness.set(Readiness::WRITABLE, write_closed || tcb.error.is_some() || tcb.has_space());
    readiness.set(Readiness::URGENT, tcb.is.contains(Is::URGENT_HERE));
    readiness
}

/// Whether as many octets wait as the program wants to be told of, or as many as there can be. An urgent octet that
/// is not part of the stream does not count where it comes next, which is as exact as Linux is.
fn enough_to_read(tcb: &Tcb) -> bool {
    let unread = tcb.receive_buffer.len();
    let beside = usize::from(!tcb.options.oob_inline && tcb.at_urgent_mark());
    let target = (tcb.options.receive_low_water.max(1) as usize).saturating_add(beside);
    // What a field cannot tell is no room that the peer would fill (RFC 7323 §2.3).
    let (size, scale) = (tcb.options.receive_buffer, tcb.rcv.scale);
    let told = scale.octets(scale.field(size.saturating_sub(unread as u32)));
    unread >= target || unread > beside && told <= u32::from(tcb.rcv.mss)
}

impl Stack {
    /// Runs `change` on a connection and settles it.
    pub(super) fn with_connection<T>(
        &mut self,
        index: u32,
        now: Instant,
        change: impl FnOnce(&mut Tcb, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index_mut(index) else {
            return None;
        };
        let result = change(tcb, &mut context!(self, now));
        self.settle(index, now, false);
        Some(result)
    }
}
