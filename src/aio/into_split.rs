//! The two directions of a stream, owned: for two tasks.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::split::{half, read_half, write_half};
use super::{Interest, Ready, TcpStream};

/// The reading direction of a [`TcpStream`], from [`into_split`](TcpStream::into_split). The connection is closed
/// with the second of the halves.
#[derive(Debug)]
pub struct OwnedReadHalf {
    stream: Arc<TcpStream>,
}

/// The writing direction of a [`TcpStream`], from [`into_split`](TcpStream::into_split). Dropped, it sends a FIN after
/// what was written, unless it is [forgotten](Self::forget).
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: Arc<TcpStream>,
    end_on_drop: bool,
}

impl TcpStream {
    /// The two directions, each to live where it likes.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let stream = Arc::new(self);
        (OwnedReadHalf { stream: Arc::clone(&stream) }, OwnedWriteHalf { stream, end_on_drop: true })
    }
}

impl OwnedReadHalf {
    /// Puts the halves of one stream together again.
    ///
    /// # Errors
    /// They are of two streams; the error gives them back.
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Arc::ptr_eq(&self.stream, &other.stream) {
            return Err(ReuniteError(self, other));
        }
        other.forget();
        let stream = Arc::clone(&self.stream);
        drop(self);
        // There were two halves, and nobody clones one.
        Ok(Arc::into_inner(stream).unwrap_or_else(|| unreachable!("a third half")))
    }
}

impl OwnedWriteHalf {
    /// Puts the halves of one stream together again.
    ///
    /// # Errors
    /// They are of two streams; the error gives them back.
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        other.reunite(self)
    }

    /// Drops the half without a FIN: until the other half is dropped too, the peer sees the connection open both ways.
    pub fn forget(mut self) {
        self.end_on_drop = false;
    }

    /// Ends the direction now, so that the drop has nothing left to do.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.end_on_drop = false;
        self.stream.end()
    }
}

impl Drop for OwnedReadHalf {
    fn drop(&mut self) {
        self.stream.socket.leave_reading();
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        self.stream.socket.leave_writing();
        if self.end_on_drop {
            // It fails where the engine has ended, and then there is nobody left to send it.
            let _ = self.stream.end();
        }
    }
}

impl AsRef<TcpStream> for OwnedReadHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsRef<TcpStream> for OwnedWriteHalf {
    fn as_ref(&self) -> &TcpStream {
        &self.stream
    }
}

read_half!(OwnedReadHalf);
write_half!(OwnedWriteHalf);

/// Two halves that are not of one stream, given back.
#[derive(Debug)]
pub struct ReuniteError(
    /// The half that reads.
    pub OwnedReadHalf,
    /// The half that writes.
    pub OwnedWriteHalf,
);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are not of one stream")
    }
}

impl Error for ReuniteError {}
