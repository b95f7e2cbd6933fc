//! What a program may ask of a TCP socket.

use core::ops::Range;

use bytes::Bytes;

use super::{Kind, Own, Socket, SocketId, Stack, Waiting};
use crate::addr::Endpoint;
use crate::error::Error;
use crate::tcp::buffer::spares::Spares;
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::RstReason;
use crate::time::{Duration, Instant};

impl Stack {
    /// The connection that has waited longest.
    ///
    /// # Errors
    /// [`Error::WouldBlock`], [`Error::Invalid`] (does not listen), [`Error::NotSupported`] (not TCP),
    /// [`Error::BadSocket`].
    pub fn try_accept(&mut self, id: SocketId) -> Result<SocketId, Error> {
        self.try_accept_from(id).map(|(connection, _)| connection)
    }

    /// As [`try_accept`](Self::try_accept), with the peer's end. Of several stacks the connection may live in another:
    /// see [`SocketId::shard`].
    ///
    /// # Errors
    /// Those of [`try_accept`](Self::try_accept).
    pub fn try_accept_from(&mut self, id: SocketId) -> Result<(SocketId, Endpoint), Error> {
        let listener = match &mut self.held_mut(id)?.kind {
            Kind::Listener(listener) => listener,
            Kind::Udp(_) | Kind::Ping(_) => return Err(Error::NotSupported),
            _ => return Err(Error::Invalid),
        };
        let Waiting { connection, peer } = listener.pop().ok_or(Error::WouldBlock)?;
        let inherited = self.held(id)?.own & (Own::V6 | Own::ADDRESS_CHOSEN);
        if let Some(socket) = self.slab.get_mut(connection) {
            socket.held = true;
            socket.own = inherited | Own::CONNECTED;
        }
        self.publish(id.index(), false);
        if connection.shard() == id.shard() {
            self.publish(connection.index(), true);
        }
        Ok((connection, peer))
    }

    /// The connection a call is for. Without one there is the error of one that was, once, and then `otherwise`.
    pub(super) fn stream_or(&mut self, id: SocketId, otherwise: Error) -> Result<&mut Tcb, Error> {
        match &mut self.held_mut(id)?.kind {
            Kind::Connection(tcb) => Ok(tcb),
            Kind::Idle(idle) => Err(idle.error.take().unwrap_or(otherwise)),
            Kind::Listener(_) => Err(otherwise),
            _ => Err(Error::NotSupported),
        }
    }

    fn stream_mut(&mut self, id: SocketId) -> Result<&mut Tcb, Error> {
        self.stream_and_spares(id).map(|(tcb, _)| tcb)
    }

    fn stream_and_spares(&mut self, id: SocketId) -> Result<(&mut Tcb, &mut Spares), Error> {
        match self.slab.get_mut(id).filter(|s| s.held).map(|s| &mut s.kind) {
            Some(Kind::Connection(tcb)) => Ok((tcb, &mut self.spares)),
            Some(Kind::Idle(_) | Kind::Listener(_)) => Err(Error::NotConnected),
            Some(_) => Err(Error::NotSupported),
            None => Err(Error::BadSocket),
        }
    }

    /// The connection to write to. Who never was connected has a broken pipe, as in Linux.
    fn writable_mut(&mut self, id: SocketId) -> Result<&mut Tcb, Error> {
        let result = self.stream_or(id, Error::BrokenPipe).map(|_| ());
        if result.is_err() {
            self.publish(id.index(), false);
        }
        result?;
        self.stream_mut(id)
    }

    /// Whether a write of `wanted` octets can be taken, and how many of them at the most.
    fn check_write(tcb: &mut Tcb, wanted: usize) -> Result<usize, Error> {
        if let Some(error) = tcb.error.take() {
            return Err(error);
        }
        if matches!(tcb.state(), State::SynSent | State::SynReceived) && !tcb.is_open_early() {
            return Err(Error::WouldBlock);
        }
        if tcb.is.intersects(Is::FIN_QUEUED | Is::SHUT_WRITE) || !tcb.state().may_send() {
            return Err(Error::BrokenPipe);
        }
        match tcb.room_for(wanted) {
            0 => {
                tcb.is.insert(Is::NO_SPACE);
                Err(Error::WouldBlock)
            }
            room => Ok(room),
        }
    }

    /// The same within what memory allows.
    fn limit_write(
        &mut self,
        id: SocketId,
        room: Result<usize, Error>,
        wanted: usize,
        shared: bool,
    ) -> Result<usize, Error> {
        match self.memory_to_write(id, room?, wanted, shared) {
            0 => Err(Error::WouldBlock),
            room => Ok(room),
        }
    }

    /// Copies octets to the send buffer and says how many.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] (no room, or not connected yet), [`Error::BrokenPipe`] (our side is shut down, or the
    /// connection is gone, or there never was one), [`Error::BadSocket`], and what ended the connection, once.
    pub fn try_write(&mut self, id: SocketId, data: &[u8], now: Instant) -> Result<usize, Error> {
        self.try_write_more(id, data, false, now)
    }

    /// As [`try_write`](Self::try_write). `more` says that more is to be written soon (`MSG_MORE`): what does not fill
    /// a segment waits for it, at most 200 ms, as with the option `cork`, or until something of ours is acknowledged.
    /// What is written so is not pushed (RFC 9293 MAY-15).
    ///
    /// # Errors
    /// Those of [`try_write`](Self::try_write).
    pub fn try_write_more(
        &mut self,
        id: SocketId,
        data: &[u8],
        more: bool,
        now: Instant,
    ) -> Result<usize, Error> {
        if self.open_is_deferred(id) {
            return self.open_or_wait(id, data, now);
        }
        self.look_at_memory(id);
        let room = Self::check_write(self.writable_mut(id)?, data.len());
        let room = self.limit_write(id, room, data.len(), false);
        let (tcb, spares) = self.stream_and_spares(id)?;
        let room = match room {
            // Nothing needs no room.
            Err(Error::WouldBlock) if data.is_empty() && (!tcb.syn_unacked() || tcb.is_open_early()) => Ok(0),
            room => room,
        };
        let result = room.map(|room| {
            tcb.is.set(Is::NO_SPACE, data.len() > room);
            let data = data.get(..room).unwrap_or(data);
            tcb.will_write();
            tcb.send_buffer.write(data, spares);
            tcb.has_written(more);
            data.len()
        });
        self.has_written(id, now);
        result
    }

    /// As [`try_write`](Self::try_write), without a copy: what is taken is split off `data`.
    ///
    /// # Errors
    /// Those of [`try_write`](Self::try_write).
    pub fn try_write_bytes(&mut self, id: SocketId, data: &mut Bytes, now: Instant) -> Result<usize, Error> {
        if self.open_is_deferred(id) {
            let n = self.open_or_wait(id, data, now)?;
            bytes::Buf::advance(data, n);
            return Ok(n);
        }
        self.look_at_memory(id);
        let room = Self::check_write(self.writable_mut(id)?, data.len());
        let room = self.limit_write(id, room, data.len(), true);
        let (tcb, spares) = self.stream_and_spares(id)?;
        let result = room.map(|room| {
            tcb.is.set(Is::NO_SPACE, data.len() > room);
            let taken = data.split_to(room.min(data.len()));
            let n = taken.len();
            tcb.will_write();
            tcb.send_buffer.write_bytes(taken, spares);
            tcb.has_written(false);
            n
        });
        self.has_written(id, now);
        result
    }

    /// As [`try_write`](Self::try_write); the last octet is urgent (`MSG_OOB`, RFC 9293 §3.8.5).
    ///
    /// # Errors
    /// Those of [`try_write`](Self::try_write).
    pub fn try_write_urgent(&mut self, id: SocketId, data: &[u8], now: Instant) -> Result<usize, Error> {
        let n = self.try_write(id, data, now)?;
        let tcb = self.stream_mut(id)?;
        if n == data.len() && n > 0 {
            tcb.snd.up = tcb.data_end();
        }
        Ok(n)
    }

    /// What has been written so far is a record of its own (`MSG_EOR`): no segment, however often sent, has octets of
    /// it and of what is written later. Each such end counts as 256 octets of the send buffer.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::NotSupported`] (not TCP), [`Error::BadSocket`].
    pub fn end_record(&mut self, id: SocketId) -> Result<(), Error> {
        self.stream_mut(id)?.send_buffer.end_record();
        self.recharge(id.index());
        self.publish(id.index(), false);
        Ok(())
    }

    fn has_written(&mut self, id: SocketId, now: Instant) {
        self.settle(id.index(), now, false);
    }

    /// CLOSE (§3.10.4) of both directions by a program that lets go of the handle.
    pub(super) fn close_connection(&mut self, index: u32, now: Instant) {
        self.unbind_tcp(index);
        let Some(socket) = self.slab.by_index_mut(index) else { return };
        socket.held = false;
        let Kind::Connection(tcb) = &mut socket.kind else { return };
        let in_table = !matches!(tcb.state(), State::Closed | State::TimeWait);
        if !in_table {
            self.remove(index);
            return;
        }
        self.orphans += 1;
        let too_many = self.orphans > self.config.tcp.max_orphans;
        self.with_connection(index, now, |tcb, cx| {
            let unread = !tcb.receive_buffer.is_empty();
            tcb.is.insert(Is::ORPHAN);
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
            //= id=SHLD-3
            //# If such a host issues a CLOSE call while received data is still pending in the TCP
            //# connection
            if unread && tcb.state() != State::SynSent {
                // §3.6.1, RFC 2525 §2.17: the peer must learn that its data was not read.
                cx.counters.tcp_abort_on_close += 1;
                tcb.reset(Error::Reset, Event::Abort, RstReason::UnreadData, cx);
            } else if tcb.options.linger == Some(Duration::ZERO) {
                tcb.reset(Error::Reset, Event::Abort, RstReason::Abort, cx);
            } else if too_many {
                cx.counters.tcp_abort_on_memory += 1;
                tcb.reset(Error::Reset, Event::Abort, RstReason::Limit, cx);
            } else {
                //= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
                //= id=MAY-1
                //# A host MAY implement a "half-duplex" TCP close sequence, so that an application that has
                //# called CLOSE cannot continue to read data from the connection (MAY-1).
                tcb.close_send(cx);
                tcb.orphan(cx);
            }
        });
    }

    /// A listener ends: who waits to be accepted is reset; requests are forgotten when they come up.
    pub(super) fn close_listener(&mut self, index: u32, now: Instant) {
        let waiting: alloc::vec::Vec<SocketId> = self.unaccepted(index).collect();
        if let Some(id) = self.slab.id_of(index) {
            self.gather_listener(id);
        }
        self.unbind_tcp(index);
        self.remove(index);
        self.reset_unaccepted(waiting, now);
    }

    pub(super) fn reset_unaccepted(&mut self, waiting: alloc::vec::Vec<SocketId>, now: Instant) {
        for id in waiting {
            if id.shard() != self.number() {
                self.abandon(id);
                continue;
            }
            if self.slab.get(id).is_none() {
                continue;
            }
            self.orphans += 1;
            self.with_connection(id.index(), now, |tcb, cx| {
                tcb.is.insert(Is::ORPHAN);
                if tcb.state() != State::Closed {
                    tcb.reset(Error::Reset, Event::Abort, RstReason::ListenerClosed, cx);
                }
            });
            // One that had ended before is in no table any more, and has still to go.
            if self.slab.get(id).is_some() {
                self.orphans = self.orphans.saturating_sub(1);
                self.remove(id.index());
            }
        }
    }

    /// Whether what a connection receives is acknowledged at once (`TCP_QUICKACK`). It does not last: after a number of
    /// segments acknowledgments are delayed again.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::NotSupported`] (not TCP), [`Error::BadSocket`].
    pub fn set_quick_acks(&mut self, id: SocketId, quick: bool, now: Instant) -> Result<(), Error> {
        let segments = if quick { self.config.tcp.quick_acks.max(1) } else { 0 };
        self.stream_mut(id)?.acks.set_quick(segments);
        self.settle(id.index(), now, false);
        Ok(())
    }

    /// Resets a TCP connection (ABORT, RFC 9293 §3.10.5). The handle stays, to read the error from and to
    /// close.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::NotSupported`] (not TCP), [`Error::BadSocket`].
    pub fn abort(&mut self, id: SocketId, now: Instant) -> Result<(), Error> {
        let tcb = self.stream_mut(id)?;
        if matches!(tcb.state(), State::Closed | State::TimeWait) {
            return Err(Error::NotConnected);
        }
        self.with_connection(id.index(), now, |tcb, cx| {
            tcb.receive_buffer.clear();
            // In CLOSING and LAST-ACK both ends have closed, and the record is deleted without a word.
            if matches!(tcb.state(), State::Closing | State::LastAck) {
                tcb.fail(Error::Aborted, Event::Abort, cx);
            } else {
                tcb.reset(Error::Aborted, Event::Abort, RstReason::Abort, cx);
            }
        });
        Ok(())
    }

    /// Resets the TCP connections in these slots that go on without an owner: the host ends and waits no longer.
    pub fn abort_orphans_in(&mut self, slots: Range<u32>, now: Instant) {
        let is_orphan = |s: &Socket| match &s.kind {
            Kind::Connection(tcb) => !s.held && tcb.is.contains(Is::ORPHAN),
            _ => false,
        };
        for index in slots.start..slots.end.min(self.slots_end()) {
            if self.slab.by_index(index).is_some_and(is_orphan) {
                self.with_connection(index, now, |tcb, cx| {
                    tcb.reset(Error::Aborted, Event::Abort, RstReason::Abort, cx);
                });
            }
        }
    }
}
