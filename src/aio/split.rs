//! The two directions of a stream, borrowed: for two futures of one task.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::{Interest, Ready, TcpStream};

/// The reading direction of a [`TcpStream`], from [`split`](TcpStream::split).
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

/// The writing direction of a [`TcpStream`], from [`split`](TcpStream::split). Shutting it down sends a FIN;
/// dropping it does nothing.
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

impl TcpStream {
    /// The two directions. It costs nothing, but both stay in the task that has the stream; see
    /// [`into_split`](Self::into_split).
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }
}

impl WriteHalf<'_> {
    pub(super) fn end(&self) -> io::Result<()> {
        self.0.end()
    }
}

impl AsRef<TcpStream> for TcpStream {
    fn as_ref(&self) -> &TcpStream {
        self
    }
}

impl AsRef<TcpStream> for ReadHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

impl AsRef<TcpStream> for WriteHalf<'_> {
    fn as_ref(&self) -> &TcpStream {
        self.0
    }
}

/// What tokio gives both halves.
macro_rules! half {
    ($type:ty) => {
        impl $type {
            /// Waits for any of what `interest` names, and says which it is: see [`TcpStream::ready`].
            ///
            /// # Errors
            /// Those of an engine that has ended.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.as_ref().ready(interest).await
            }

            /// The peer's address.
            ///
            /// # Errors
            /// `NotConnected`.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.as_ref().peer_addr()
            }

            /// Our own address.
            ///
            /// # Errors
            /// Those of a socket that is gone.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.as_ref().local_addr()
            }
        }
    };
}

/// What tokio gives a half that reads.
macro_rules! read_half {
    ($type:ty) => {
        half!($type);

        impl $type {
            /// Waits for something to read: see [`TcpStream::readable`].
            ///
            /// # Errors
            /// Those of an engine that has ended.
            pub async fn readable(&self) -> io::Result<()> {
                self.as_ref().readable().await
            }

            /// Reads what is there: see [`TcpStream::try_read`].
            ///
            /// # Errors
            /// `WouldBlock`, and those of a read.
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.as_ref().try_read(buf)
            }

            /// Reads what is there into several buffers, in order.
            ///
            /// # Errors
            /// `WouldBlock`, and those of a read.
            pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.as_ref().try_read_vectored(bufs)
            }

            /// Reads what is there to the end of a buffer: see [`TcpStream::try_read_buf`].
            ///
            /// # Errors
            /// `WouldBlock`, and those of a read.
            pub fn try_read_buf(&self, buf: &mut impl bytes::BufMut) -> io::Result<usize> {
                self.as_ref().try_read_buf(buf)
            }

            /// As a read, but what was read stays to be read again.
            ///
            /// # Errors
            /// Those of a read.
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.as_ref().peek(buf).await
            }

            /// A [`peek`](Self::peek) by polling.
            pub fn poll_peek(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
                self.as_ref().poll_peek(cx, buf)
            }
        }
    };
}

/// What tokio gives a half that writes.
macro_rules! write_half {
    ($type:ty) => {
        half!($type);

        impl $type {
            /// Waits for room to write: see [`TcpStream::writable`].
            ///
            /// # Errors
            /// Those of an engine that has ended.
            pub async fn writable(&self) -> io::Result<()> {
                self.as_ref().writable().await
            }

            /// Writes what there is room for: see [`TcpStream::try_write`].
            ///
            /// # Errors
            /// `WouldBlock`, and those of a write.
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.as_ref().try_write(buf)
            }

            /// Writes what there is room for of several buffers, in order.
            ///
            /// # Errors
            /// `WouldBlock`, and those of a write.
            pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.as_ref().try_write_vectored(bufs)
            }
        }
    };
}

read_half!(ReadHalf<'_>);
write_half!(WriteHalf<'_>);

pub(super) use {half, read_half, write_half};
