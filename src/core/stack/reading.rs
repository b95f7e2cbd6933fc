//! What a program reads of a TCP connection: the stream, and the urgent octet beside it.

use bytes::Bytes;

use super::{Kind, Socket, SocketId, Stack};
use crate::error::Error;
use crate::tcp::buffer::spares::Spares;
use crate::tcp::state::State;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::AckReason;

/// A read under way.
struct Reading<'a> {
    tcb: &'a mut Tcb,
    spares: &'a mut Spares,
    /// How many octets were passed by.
    skipped: usize,
    /// How many one call may take.
    most: usize,
}

impl Stack {
    /// Whether there is something to read: octets (`true`), the end (`false`), an error or nothing yet.
    fn check_read(tcb: &mut Tcb) -> Result<bool, Error> {
        if tcb.readable_run().1 > 0 {
            return Ok(true);
        }
        // All the peer had to say has been read: what came after that is no matter of reading.
        if tcb.is.contains(Is::PEER_CLOSED) {
            return Ok(false);
        }
        if let Some(error) = tcb.error.take() {
            return Err(error);
        }
        if matches!(tcb.state(), State::Closed | State::TimeWait) || tcb.is.contains(Is::SHUT_READ) {
            return Ok(false);
        }
        Err(Error::WouldBlock)
    }

    /// The connection to read from. Without one there may be an end of file: after a shutdown.
    fn readable_mut(&mut self, id: SocketId) -> Result<(&mut Tcb, &mut Spares), Error> {
        let result = self.stream_or(id, Error::NotConnected).map(|_| ());
        if result.is_err() {
            self.publish(id.index(), false);
        }
        result?;
        match self.slab.get_mut(id) {
            Some(Socket { kind: Kind::Connection(tcb), .. }) => Ok((tcb, &mut self.spares)),
            _ => Err(Error::NotConnected),
        }
    }

    /// Whether a socket without a connection gives the end of file: its reading side has been shut down.
    fn is_at_end(&self, id: SocketId) -> bool {
        match self.held(id).map(|s| &s.kind) {
            Ok(Kind::Idle(idle)) => idle.shut_read && idle.error.is_none(),
            _ => false,
        }
    }

    /// The connection a read is for, with the reader behind an urgent octet that is not part of the stream. Who has no
    /// room passes nothing by.
    fn begin_read(&mut self, id: SocketId, room: usize) -> Result<Reading<'_>, Error> {
        let (tcb, spares) = self.readable_mut(id)?;
        let (skip, most) = tcb.readable_run();
        if skip == 0 || room == 0 {
            return Ok(Reading { tcb, spares, skipped: 0, most });
        }
        tcb.receive_buffer.discard(skip, spares);
        tcb.forget_passed_mark();
        Ok(Reading { tcb, spares, skipped: skip, most })
    }

    /// Takes received octets and says how many. `Ok(0)` with a buffer that is not empty is the end of file.
    ///
    /// No call reads across the urgent mark, so that [`at_mark`](Self::at_mark) can say where it lies.
    ///
    /// # Errors
    /// [`Error::WouldBlock`], [`Error::NotConnected`], [`Error::BadSocket`], and what ended the
    /// connection, once: [`Error::Reset`], [`Error::Refused`], [`Error::TimedOut`], …
    pub fn try_read(&mut self, id: SocketId, buf: &mut [u8]) -> Result<usize, Error> {
        if self.is_at_end(id) {
            return Ok(0);
        }
        let Reading { tcb, spares, skipped, most } = self.begin_read(id, buf.len())?;
        let result = Self::check_read(tcb);
        let room = buf.len().min(most);
        let n = match (&result, buf.get_mut(..room)) {
            (Ok(true), Some(buf)) => tcb.receive_buffer.read(buf, spares),
            _ => 0,
        };
        self.has_read(id, skipped + n, &result);
        result.map(|_| n)
    }

    /// As [`try_read`](Self::try_read), without a copy; empty is the end of file.
    ///
    /// # Errors
    /// Those of [`try_read`](Self::try_read).
    pub fn try_read_bytes(&mut self, id: SocketId, max: usize) -> Result<Bytes, Error> {
        if self.is_at_end(id) {
            return Ok(Bytes::new());
        }
        let Reading { tcb, spares, skipped, most } = self.begin_read(id, max)?;
        let result = Self::check_read(tcb);
        let bytes = match result {
            Ok(true) => tcb.receive_buffer.read_bytes(max.min(most), spares),
            _ => Bytes::new(),
        };
        self.has_read(id, skipped + bytes.len(), &result);
        result.map(|_| bytes)
    }

    /// As [`try_read`](Self::try_read), but leaves the octets.
    ///
    /// # Errors
    /// Those of [`try_read`](Self::try_read).
    pub fn try_peek(&mut self, id: SocketId, buf: &mut [u8]) -> Result<usize, Error> {
        if self.is_at_end(id) {
            return Ok(0);
        }
        let (tcb, _) = self.readable_mut(id)?;
        let (skip, most) = tcb.readable_run();
        let result = Self::check_read(tcb);
        let room = buf.len().min(most);
        let n = match (&result, buf.get_mut(..room)) {
            (Ok(true), Some(buf)) => tcb.receive_buffer.peek_from(skip, buf),
            _ => 0,
        };
        self.publish(id.index(), false);
        result.map(|_| n)
    }

    /// Takes the urgent octet of a socket whose option `oob_inline` is off (`MSG_OOB`); `peek` leaves it. `None`:
    /// the connection ended before it came. Never waits, as in Linux.
    ///
    /// # Errors
    /// [`Error::Invalid`] (none was announced, it has been taken, or it is read in line), [`Error::WouldBlock`]
    /// (announced, but not here yet), [`Error::NotConnected`], [`Error::NotSupported`] (not TCP),
    /// [`Error::BadSocket`].
    pub fn try_read_urgent(&mut self, id: SocketId, peek: bool) -> Result<Option<u8>, Error> {
        let tcb = match &mut self.held_mut(id)?.kind {
            Kind::Connection(tcb) => tcb,
            Kind::Idle(_) => return Err(Error::Invalid),
            Kind::Listener(_) => return Err(Error::NotConnected),
            _ => return Err(Error::NotSupported),
        };
        let announced = tcb.is.contains(Is::URGENT) && !tcb.is.contains(Is::URGENT_TAKEN);
        if tcb.options.oob_inline || !announced {
            return Err(Error::Invalid);
        }
        let over = matches!(tcb.state(), State::Closed | State::TimeWait);
        if over && !tcb.is.contains(Is::PEER_CLOSED) {
            return Err(Error::NotConnected);
        }
        if tcb.is.contains(Is::URGENT_HERE) {
            let octet = tcb.urgent_octet;
            if !peek {
                tcb.is.remove(Is::URGENT_HERE);
                tcb.is.insert(Is::URGENT_TAKEN);
            }
            self.publish(id.index(), false);
            return Ok(Some(octet));
        }
        if over || tcb.is.intersects(Is::PEER_CLOSED | Is::SHUT_READ) {
            return Ok(None);
        }
        Err(Error::WouldBlock)
    }

    /// How many octets lie before the urgent one, which is here or still to come; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::NotSupported`] (not TCP), [`Error::BadSocket`].
    pub fn before_mark(&self, id: SocketId) -> Result<Option<usize>, Error> {
        match &self.held(id)?.kind {
            Kind::Connection(tcb) => Ok(tcb.before_urgent_mark()),
            Kind::Idle(_) | Kind::Listener(_) => Ok(None),
            _ => Err(Error::NotSupported),
        }
    }

    /// Whether the next octet to read is the urgent one (`SIOCATMARK`, sockatmark(3)).
    ///
    /// # Errors
    /// [`Error::NotSupported`] (not TCP), [`Error::BadSocket`].
    pub fn at_mark(&self, id: SocketId) -> Result<bool, Error> {
        match &self.held(id)?.kind {
            Kind::Connection(tcb) => Ok(tcb.at_urgent_mark()),
            Kind::Idle(_) | Kind::Listener(_) => Ok(false),
            _ => Err(Error::NotSupported),
        }
    }

    /// What the next read could give (`FIONREAD`, `SIOCINQ`): for TCP the octets before the urgent mark, or before
    /// the end; for a datagram socket the length of the next datagram, 0 without one.
    ///
    /// # Errors
    /// [`Error::Invalid`] (it listens), [`Error::BadSocket`].
    pub fn unread(&self, id: SocketId) -> Result<usize, Error> {
        match &self.held(id)?.kind {
            Kind::Connection(tcb) => Ok(tcb.unread()),
            Kind::Idle(_) => Ok(0),
            Kind::Udp(socket) => Ok(socket.next_len()),
            Kind::Ping(socket) => Ok(socket.next_len()),
            _ => Err(Error::Invalid),
        }
    }

    /// After `n` octets have left the receive buffer, or what came in place of octets has been told.
    fn has_read(&mut self, id: SocketId, n: usize, told: &Result<bool, Error>) {
        // Who reads until there is no more finds nothing each time, and leaves all as it was. An error is told once.
        if n == 0 && matches!(told, Ok(_) | Err(Error::WouldBlock)) {
            return;
        }
        self.recharge(id.index());
        let Ok(Socket { kind: Kind::Connection(tcb), .. }) = self.held_mut(id) else { return };
        tcb.forget_passed_mark();
        // Only reading makes room, so only here can an update be due with nothing else to say.
        if n > 0 && tcb.window_update_due() {
            tcb.acks.now(AckReason::WindowUpdate);
            self.queue_output(id.index());
        }
        self.publish(id.index(), false);
    }
}
