//! Reading from and writing to a TCP connection: waiting, trying, polling.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::task::{Context, Poll};

use bytes::Bytes;
use tunstack_core::error::Error;
use tunstack_core::stack::{Readiness, SocketId, Stack};
use tunstack_core::time::Instant;

use super::TcpStream;
use crate::engine::Interest;

impl TcpStream {
    /// As a read, but what was read stays to be read again.
    ///
    /// # Errors
    /// Those of a read.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.wait(Interest::Readable, |stack, id, _| stack.try_peek(id, buf))
    }

    /// Up to `max` octets without a copy where they arrived in one piece; empty is the end of the data.
    /// Waits as a read does.
    ///
    /// # Errors
    /// Those of a read.
    pub fn read_bytes(&self, max: usize) -> io::Result<Bytes> {
        self.socket.wait(Interest::Readable, |stack, id, _| stack.try_read_bytes(id, max))
    }

    /// Hands octets over without a copy: what is taken, at least one octet, is split off `data`. Waits as a
    /// write does.
    ///
    /// # Errors
    /// Those of a write.
    pub fn write_bytes(&self, data: &mut Bytes) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        self.socket.wait(Interest::Writable, |stack, id, now| stack.try_write_bytes(id, data, now))
    }

    /// A read that never waits, whatever the socket's mode.
    ///
    /// # Errors
    /// `WouldBlock`, and those of a read.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.call(|stack, id, _| stack.try_read(id, buf))
    }

    /// A peek that never waits, whatever the socket's mode.
    ///
    /// # Errors
    /// `WouldBlock`, and those of a read.
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.call(|stack, id, _| stack.try_peek(id, buf))
    }

    /// A write that never waits, whatever the socket's mode.
    ///
    /// # Errors
    /// `WouldBlock`, and those of a write.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.call(|stack, id, now| stack.try_write(id, buf, now))
    }

    /// A read by a task: pending until there is something.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.socket.poll(Interest::Readable, cx, |stack, id, _| stack.try_read(id, buf))
    }

    /// A peek by a task.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.socket.poll(Interest::Readable, cx, |stack, id, _| stack.try_peek(id, buf))
    }

    /// A read by a task, without a copy: see [`read_bytes`](Self::read_bytes).
    pub fn poll_read_bytes(&self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Bytes>> {
        self.socket.poll(Interest::Readable, cx, |stack, id, _| stack.try_read_bytes(id, max))
    }

    /// A write by a task: pending until there is room.
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll(Interest::Writable, cx, |stack, id, now| stack.try_write(id, buf, now))
    }

    /// A write of several buffers by a task.
    pub fn poll_write_vectored(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.socket.poll(Interest::Writable, cx, |stack, id, now| write_all_of(stack, id, bufs, now))
    }

    /// A write by a task, without a copy: see [`write_bytes`](Self::write_bytes).
    pub fn poll_write_bytes(&self, cx: &mut Context<'_>, data: &mut Bytes) -> Poll<io::Result<usize>> {
        self.socket.poll(Interest::Writable, cx, |stack, id, now| stack.try_write_bytes(id, data, now))
    }

    /// Ends the sending side. It never waits, so it is always ready; the signature is that of the
    /// asynchronous traits. A connection that is gone already is fine: there is nothing left to end.
    pub fn poll_shutdown(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        })
    }

    /// Pending until the stream is ready for `interest`. Nothing is taken, so somebody else may be quicker:
    /// follow it with a `try_…` call and come back when that gives `WouldBlock`.
    pub fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(interest, cx)
    }

    fn wait_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.wait(Interest::Writable, |stack, id, now| stack.try_write(id, buf, now))
    }
}

/// Fills the buffers in order with what is there. Only the first may give an error: with octets in hand the
/// error is left for the next call.
pub(crate) fn read_all_of(
    stack: &mut Stack,
    id: SocketId,
    bufs: &mut [IoSliceMut<'_>],
) -> Result<usize, Error> {
    let mut total = 0;
    for buf in bufs.iter_mut().filter(|b| !b.is_empty()) {
        if total > 0 && !may_go_on(stack, id, Readiness::READABLE) {
            break;
        }
        let count = stack.try_read(id, buf)?;
        total += count;
        if count < buf.len() {
            break;
        }
    }
    Ok(total)
}

/// Takes from the buffers in order as long as there is room. Only the first may give an error.
pub(crate) fn write_all_of(
    stack: &mut Stack,
    id: SocketId,
    bufs: &[IoSlice<'_>],
    now: Instant,
) -> Result<usize, Error> {
    let mut total = 0;
    for buf in bufs.iter().filter(|b| !b.is_empty()) {
        if total > 0 && !may_go_on(stack, id, Readiness::WRITABLE) {
            break;
        }
        let count = match stack.try_write(id, buf, now) {
            Err(Error::WouldBlock) if total > 0 => break,
            other => other?,
        };
        total += count;
        if count < buf.len() {
            break;
        }
    }
    Ok(total)
}

fn may_go_on(stack: &Stack, id: SocketId, wanted: Readiness) -> bool {
    let readiness = stack.readiness(id);
    readiness.contains(wanted) && !readiness.intersects(Readiness::ERROR | Readiness::HANG_UP)
}

impl Read for &TcpStream {
    /// Waits for octets unless the stream is non-blocking. `Ok(0)` is the end of the data.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.socket.wait(Interest::Readable, |stack, id, _| stack.try_read(id, buf))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|b| b.is_empty()) {
            return Ok(0);
        }
        self.socket.wait(Interest::Readable, |stack, id, _| read_all_of(stack, id, bufs))
    }
}

impl Write for &TcpStream {
    /// Waits for room for at least one octet unless the stream is non-blocking.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.wait_write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|b| b.is_empty()) {
            return self.wait_write(&[]);
        }
        self.socket.wait(Interest::Writable, |stack, id, now| write_all_of(stack, id, bufs, now))
    }

    /// Nothing to do: what was written is on its way already.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
