//! The streams as `AsyncRead` and `AsyncWrite` of futures-io.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};

macro_rules! async_read {
    ($type:ty) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let stream: &TcpStream = (*self).as_ref();
                stream.poll_read_into(cx, buf)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let stream: &TcpStream = (*self).as_ref();
                stream.poll_read_vectored(cx, bufs)
            }
        }
    };
}

macro_rules! async_write {
    ($type:ty) => {
        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                let stream: &TcpStream = (*self).as_ref();
                stream.poll_write_from(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let stream: &TcpStream = (*self).as_ref();
                stream.poll_write_vectored(cx, bufs)
            }

            /// Nothing to do: what was written is on its way already.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Sends a FIN after what was written. It never waits, and reading goes on.
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.get_mut().end())
            }
        }
    };
}

async_read!(TcpStream);
async_read!(ReadHalf<'_>);
async_read!(OwnedReadHalf);

async_write!(TcpStream);
async_write!(WriteHalf<'_>);
async_write!(OwnedWriteHalf);
