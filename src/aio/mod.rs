//! Sockets for tasks, in tokio's words.
//!
//! A program that uses `tokio::net` changes its constructors, which name the engine, and nothing else:
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn echo(engine: tunstack::engine::Engine) -> std::io::Result<()> {
//! use tunstack::aio::TcpListener;
//!
//! let listener = TcpListener::bind_on(&engine, "[::]:7").await?;
//! loop {
//!     let (mut stream, _) = listener.accept().await?;
//!     tokio::spawn(async move {
//!         let (mut reader, mut writer) = stream.split();
//!         tokio::io::copy(&mut reader, &mut writer).await
//!     });
//! }
//! # }
//! ```
//!
//! Feature `tokio` gives the streams `AsyncRead` and `AsyncWrite` of tokio, feature `futures` those of futures-io,
//! feature `axum` makes [`TcpListener`] one that `axum::serve` takes. The engine's thread wakes the tasks, so that no
//! reactor is needed and any executor will do; within a runtime of tokio's these sockets spend of a task's budget as
//! tokio's own do.
//!
//! # Waiting
//!
//! Every future has a place of its own among those who wait for its socket: any number may wait, in each direction,
//! all that a change concerns look again, and one that is dropped leaves nothing behind. The `poll_…` calls and the
//! `AsyncRead` and `AsyncWrite` of a handle have *one* place for each direction, as in tokio: of several tasks that
//! poll one handle the last to ask is woken.
//!
//! Readiness tells how things stand, it is not kept: [`TcpStream::readable`] that has once been ready and a
//! [`try_read`](TcpStream::try_read) that gives `WouldBlock` need no clearing.
//!
//! # Dropping a future
//!
//! Whatever future is dropped before it was ready has done nothing: no octet, datagram or connection is lost.
//! A connection attempt that is dropped is given up.

mod interest;

mod budget;

mod handle;

mod lookup;

mod stream;

mod split;

mod into_split;

#[cfg(feature = "tokio")]
mod tokio_io;

#[cfg(feature = "futures")]
mod futures_io;

mod listener;

#[cfg(feature = "axum")]
mod axum;

mod socket;

mod udp;

#[cfg(test)]
mod tests;

pub use interest::{Interest, Ready};
pub use into_split::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use listener::TcpListener;
pub use lookup::ToSocketAddrs;
pub use socket::TcpSocket;
pub use split::{ReadHalf, WriteHalf};
pub use stream::TcpStream;
pub use udp::UdpSocket;
