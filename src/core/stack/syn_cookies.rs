//! When a listener answers requests with SYN cookies, and how they come back (RFC 4987 §3.6).

use alloc::boxed::Box;

use super::{Kind, Own, Socket, Stack};
use crate::addr::Quad;
use crate::config::SynCookies;
use crate::memory::Record;
use crate::tcp::request::{self, Request};
use crate::tcp::segment::Segment;
use crate::tcp::syn_cookie;
use crate::tcp::trace::{Reason, Verdict};
use crate::time::Instant;
use crate::wire::options::{Options, Timestamps};

impl Stack {
    /// Whether a request is to be answered with a cookie, and not kept.
    //= https://www.rfc-editor.org/rfc/rfc4987#section-4
    //= id=rfc4987-4-1, rfc4987-4-2
    //= https://www.rfc-editor.org/rfc/rfc4987#section-3.7
    //= id=rfc4987-3.7-s1
    pub(super) fn wants_cookie(&self, listener: u32) -> bool {
        let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.by_index(listener) else {
            return false;
        };
        let wants = match self.config.tcp.syn_cookies {
            SynCookies::Never => false,
            SynCookies::WhenFull => {
                listener.syn_queue_is_full(&self.config.tcp) || !self.memory.has_room_for_request()
            }
            SynCookies::Always => true,
        };
        // Where nobody can be accepted no handshake is worth beginning.
        wants && !listener.accept_queue_is_full()
    }

    /// Answers a request with a cookie. Nothing of it is kept but that there was one.
    pub(super) fn answer_with_cookie(
        &mut self,
        index: u32,
        quad: Quad,
        segment: &Segment<'_>,
        now: Instant,
    ) -> Verdict {
        let path = self.path_mss(quad, now);
        let generation = self.slab.id_of(index).map_or(0, |id| id.generation() as u8);
        let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.by_index_mut(index) else {
            return Verdict::Ignored;
        };
        let options = listener.options.clone();
        let full = listener.syn_queue_is_full(&self.config.tcp) || !self.memory.has_room_for_request();
        let path = request::limit_segment(path, &options);
        let mut cx = context!(self, now);
        let request = Request::new(quad, (index, generation), &options, path, None, segment, &mut cx);
        let request = request.with_cookie(segment, &cx);
        if let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.by_index_mut(index) {
            listener.cookie_left(now);
        }
        self.counters.tcp_req_q_full_do_cookies += u64::from(full);
        self.counters.tcp_syncookies_sent += 1;
        self.send_syn_ack(&request, Reason::SynAck, None, now);
        Verdict::SynCookie
    }

    /// The request that an ACK brings back to a listener which answered with cookies lately.
    pub(super) fn request_from_cookie(
        &mut self,
        index: u32,
        quad: Quad,
        segment: &Segment<'_>,
        now: Instant,
    ) -> Option<Request> {
        let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.by_index(index) else {
            return None;
        };
        let lately =
            listener.cookie_left_at().is_some_and(|at| now.saturating_since(at) < syn_cookie::LIFETIME);
        if !lately || segment.syn() || segment.rst() || self.config.tcp.syn_cookies == SynCookies::Never {
            return None;
        }
        let options = listener.options.clone();
        let generation = self.slab.id_of(index)?.generation() as u8;
        let path = request::limit_segment(self.path_mss(quad, now), &options);
        let cx = context!(self, now);
        let request = Request::from_cookie(quad, (index, generation), &options, path, segment, &cx);
        if request.is_none() {
            self.counters.tcp_syncookies_failed += 1;
        }
        request
    }

    /// A connection from a cookie that came back.
    pub(super) fn establish_from_cookie(
        &mut self,
        listener: u32,
        request: Request,
        segment: &Segment<'_>,
        now: Instant,
    ) -> (Verdict, Option<u32>) {
        let Some(Socket { kind: Kind::Listener(l), .. }) = self.slab.by_index_mut(listener) else {
            return (Verdict::Ignored, None);
        };
        if l.accept_queue_is_full() && !self.config.tcp.abort_on_overflow {
            // No SYN,ACK will go again; what the peer sends next brings the cookie back once more.
            self.counters.tcp_listen_overflows += 1;
            self.counters.tcp_listen_drops += 1;
            return (Verdict::AcceptQueueFull, Some(listener));
        }
        l.request_began();
        let options = l.options.clone();
        self.counters.tcp_syncookies_recv += 1;
        self.counters.tcp_passive_opens += 1;
        let quad = request.quad;
        let index =
            self.slab.insert(Socket::new(Kind::Request(Box::new(request)), Own::empty(), false)).index();
        self.memory.add_record(Record::Request, &mut self.counters);
        self.remember_quad(quad, index);
        // Our timestamp said what was agreed on instead of the time: its echo measures nothing.
        let timestamps = segment.timestamps().map(|ts| Timestamps { echo: 0, ..ts });
        let seen = Options { timestamps, ..segment.options.clone() };
        let segment = Segment { options: &seen, ..*segment };
        let verdict = self.establish(index, listener, &request, options, &segment, now);
        if verdict == Verdict::AcceptQueueFull && self.slab.by_index(index).is_some() {
            // Another shard's connection has taken the last place. What a cookie stood for leaves no record behind.
            self.end_request(index);
            return (verdict, Some(listener));
        }
        (verdict, Some(index))
    }
}
