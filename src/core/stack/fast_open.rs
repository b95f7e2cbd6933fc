//! Fast Open (RFC 7413), as a stack does it: connections with data in their SYN, and listeners that take it.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::{Kind, Own, Socket, SocketId, Stack};
use crate::addr::{Endpoint, Quad};
use crate::error::Error;
use crate::sockopt::SocketOptions;
use crate::tcp::context::Context;
use crate::tcp::fast_open::Modes;
use crate::tcp::fast_open::secret::{Match, Secrets};
use crate::tcp::request::{self, Request};
use crate::tcp::segment::Segment;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::Verdict;
use crate::time::Instant;
use crate::wire::fast_open::FastOpen;

/// What keeping the text of a SYN costs beside twice its length.
const SYN_TEXT: usize = 512;

/// What becomes of a SYN, and the option that goes with the answer.
pub(super) enum Answer {
    /// A connection that the program has at once.
    Open(Option<FastOpen>),
    /// A request that waits for the handshake's end; its text is dropped.
    Wait(Option<FastOpen>),
}

impl Stack {
    /// Begins a connection with `data`, or the front of it, in its SYN (`MSG_FASTOPEN`): as many octets as the server was
    /// found to take, where it has given a cookie before. Where it has not, the SYN asks for one.
    ///
    /// Nothing of it (`Ok(0)`) where the socket was connecting before, and is connected now: `data` is to be written then.
    ///
    /// # Errors
    /// [`Error::InProgress`]: it has begun, without data. [`Error::NotSupported`]: not TCP, or Fast Open is not allowed to
    /// clients. Those of [`connect`](Self::connect), which it is for a socket that has a connection, or one under way.
    pub fn connect_with_data(
        &mut self,
        id: SocketId,
        remote: Endpoint,
        data: &[u8],
        now: Instant,
    ) -> Result<usize, Error> {
        if !self.config.tcp.fast_open.contains(Modes::CLIENT) {
            return Err(Error::NotSupported);
        }
        let socket = self.held(id)?;
        match &socket.kind {
            Kind::Idle(_) if !socket.own.contains(Own::STUCK) => {
                self.begin_connecting(id, remote, Some(data), now)
            }
            Kind::Idle(_) | Kind::Connection(_) | Kind::Listener(_) => {
                self.connect(id, remote, now).map(|()| 0)
            }
            _ => Err(Error::NotSupported),
        }
    }

    /// A connection is made: does its SYN leave now, and with how much of `data`? `Ok` without data: not before the
    /// program writes.
    pub(super) fn begin_fast_open(
        tcb: &mut Tcb,
        data: Option<&[u8]>,
        cx: &mut Context<'_>,
    ) -> Result<usize, Error> {
        let data = data.filter(|_| !tcb.is.contains(Is::SHUT_WRITE));
        match data {
            None if tcb.options.fast_open_connect && tcb.may_open_fast(cx) => {
                tcb.defer_open();
                Ok(0)
            }
            None if !tcb.options.fast_open_connect => Err(Error::InProgress),
            data => match tcb.open_fast(data.unwrap_or_default(), cx) {
                0 => Err(Error::InProgress),
                n => Ok(n),
            },
        }
    }

    /// Whether `connect` has said that all is well although nothing has been sent: the SYN waits for the first octets
    /// (`TCP_FASTOPEN_CONNECT`).
    pub fn open_is_deferred(&self, id: SocketId) -> bool {
        matches!(self.held(id), Ok(Socket { kind: Kind::Connection(tcb), .. }) if tcb.open_is_deferred())
    }

    /// The first octets are here: as [`connect_with_data`](Self::connect_with_data), of a socket for which
    /// [`open_is_deferred`](Self::open_is_deferred).
    ///
    /// # Errors
    /// [`Error::InProgress`]: the SYN has left without data. [`Error::BrokenPipe`], [`Error::BadSocket`].
    pub fn open_deferred(&mut self, id: SocketId, data: &[u8], now: Instant) -> Result<usize, Error> {
        let opened = self.with_connection(id.index(), now, |tcb, cx| {
            if tcb.is.contains(Is::SHUT_WRITE) {
                return Err(Error::BrokenPipe);
            }
            match tcb.open_fast(data, cx) {
                0 => Err(Error::InProgress),
                n => Ok(n),
            }
        });
        opened.unwrap_or(Err(Error::BadSocket))
    }

    /// The caller waits for the handshake to write the rest of what it had for the SYN: the last segment of the handshake
    /// need not leave before that.
    pub fn rest_waits(&mut self, id: SocketId) {
        if let Ok(Socket { kind: Kind::Connection(tcb), .. }) = self.held_mut(id) {
            tcb.rest_waits();
        }
    }

    /// The first octets are here, of a program that writes to what it takes for a connection: where they cannot go with the
    /// SYN, they wait for the handshake.
    pub(super) fn open_or_wait(&mut self, id: SocketId, data: &[u8], now: Instant) -> Result<usize, Error> {
        match self.open_deferred(id, data, now) {
            Err(Error::InProgress) => Err(Error::WouldBlock),
            other => other,
        }
    }

    /// Gives a fresh socket or a listener secrets of its own to make cookies with (`TCP_FASTOPEN_KEY`).
    ///
    /// # Errors
    /// [`Error::Invalid`] (it has a connection), [`Error::NotSupported`] (not TCP), [`Error::BadSocket`].
    pub fn set_fast_open_secrets(&mut self, id: SocketId, secrets: Secrets) -> Result<(), Error> {
        let place = match &mut self.held_mut(id)?.kind {
            Kind::Idle(idle) => &mut idle.secrets,
            Kind::Listener(listener) => &mut listener.fast_open.secrets,
            Kind::Connection(_) => return Err(Error::Invalid),
            _ => return Err(Error::NotSupported),
        };
        *place = Some(Box::new(secrets));
        self.spread_listener(id);
        Ok(())
    }

    /// The secrets that a socket's cookies are made with: its own, those configured, or the stack's.
    ///
    /// # Errors
    /// [`Error::NotSupported`] (not TCP), [`Error::BadSocket`].
    pub fn fast_open_secrets(&self, id: SocketId) -> Result<Secrets, Error> {
        let own = match &self.held(id)?.kind {
            Kind::Idle(idle) => idle.secrets.as_deref(),
            Kind::Listener(listener) => listener.fast_open.secrets.as_deref(),
            Kind::Connection(_) => None,
            _ => return Err(Error::NotSupported),
        };
        let usual = || self.fast_open.secrets(self.config.tcp.fast_open_secrets);
        Ok(own.copied().unwrap_or_else(usual))
    }

    /// Forgets all cookies, and where data in a SYN came to grief.
    pub fn forget_fast_open(&mut self) {
        self.fast_open.cache.clear();
    }

    /// A SYN came to a listener (RFC 7413 §4.2.2, server).
    pub(super) fn judge_fast_open(
        &mut self,
        index: u32,
        quad: Quad,
        segment: &Segment<'_>,
        now: Instant,
    ) -> Answer {
        let asked = segment.options.fast_open.as_ref();
        if asked.is_none() && segment.text.is_empty() {
            return Answer::Wait(None);
        }
        let (mode, usual) = (self.config.tcp.fast_open, self.config.tcp.fast_open_secrets);
        let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.by_index_mut(index) else {
            return Answer::Wait(None);
        };
        //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2
        //= id=rfc7413-4.2-2
        //# When this flag is off, the server does not perform any TFO-related operations and MUST ignore all
        //# cookie options.
        let shards = self.share.as_ref().map_or(1, |share| share.placement.count());
        let limit = listener.options.fast_open_queue.div_ceil(shards);
        if !mode.contains(Modes::SERVER) || limit == 0 {
            return Answer::Wait(None);
        }
        let asks = asked.is_some_and(|option| option.cookie.is_empty());
        self.counters.tcp_fast_open_cookie_reqd += u64::from(asks);
        // Without memory for its text it waits for the handshake, after which the client sends that again.
        if self.memory.is_bounded() && 2 * segment.text.len() + SYN_TEXT > self.memory.room_to_receive() {
            return Answer::Wait(None);
        }
        if !listener.fast_open.admits(limit.into(), now) {
            self.counters.tcp_fast_open_listen_overflow += 1;
            return Answer::Wait(None);
        }
        if listener.options.fast_open_no_cookie || mode.contains(Modes::SERVER_NO_COOKIE) {
            return Answer::Open(None);
        }
        let Some(asked) = asked else { return Answer::Wait(None) };
        let own = listener.fast_open.secrets.as_deref().copied();
        let secrets = own.unwrap_or_else(|| self.fast_open.secrets(usual));
        let fresh = || Some(FastOpen { cookie: secrets.cookie(&quad), experimental: asked.experimental });
        if asks {
            return Answer::Wait(fresh());
        }
        match secrets.recognise(&quad, &asked.cookie) {
            Some(Match::Primary) => Answer::Open(None),
            Some(Match::Backup) => {
                self.counters.tcp_fast_open_passive_alt_key += 1;
                Answer::Open(fresh())
            }
            None => {
                self.counters.tcp_fast_open_passive_fail += 1;
                Answer::Wait(fresh())
            }
        }
    }

    /// A connection that the program has at once: it waits to be accepted although its handshake is not done.
    pub(super) fn open_early(
        &mut self,
        request: Request,
        options: Arc<SocketOptions>,
        option: Option<FastOpen>,
        segment: &Segment<'_>,
        now: Instant,
    ) -> (Verdict, Option<u32>) {
        let listener = request.listener();
        //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2
        //= id=rfc7413-4.2.2-5
        //# If the FastOpened flag is set, the server MUST follow [RFC5681] (based on [RFC3390]) to set the
        //# initial congestion window for sending more data packets.
        let mss = request::limit_segment(self.path_mss(request.quad, now), &options);
        let mut cx = context!(self, now);
        let mut tcb = request.establish(options.clone(), mss, &mut cx);
        tcb.mss_offered = request::mss_to_offer(request.quad.local.address.ip(), self.config.mtu, &options);
        tcb.open_early(segment, (listener, request.promise()), option, &mut cx);
        self.counters.tcp_fast_open_passive += 1;
        let id = self.slab.insert(Socket::new(Kind::Connection(tcb), Own::empty(), false));
        if let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.by_index_mut(listener.0) {
            listener.take_any_place();
            listener.fast_open.began();
        }
        self.wait_for_accept(listener.0, id, request.quad.remote);
        self.remember_quad(request.quad, id.index());
        self.settle(id.index(), now, true);
        self.publish(listener.0, true);
        (Verdict::Request, Some(id.index()))
    }

    /// A connection that was open early may have ceased to be pending.
    pub(super) fn settle_pending(&mut self, index: u32, now: Instant) {
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index_mut(index) else { return };
        let Some(((listener, generation), was_reset)) = tcb.no_longer_pending() else { return };
        // The listener may be gone, and its slot another's.
        let id = self.slab.id_of(listener).filter(|id| id.generation() as u8 == generation);
        if let Some(Socket { kind: Kind::Listener(listener), .. }) = id.and_then(|id| self.slab.get_mut(id)) {
            listener.fast_open.ended(was_reset, now);
        }
    }
}
