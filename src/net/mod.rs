//! Sockets in std::net's words.
//!
//! A program that uses `std::net` changes its constructors, which name the engine, and nothing else:
//!
//! ```no_run
//! # use std::io::{self, Read, Write};
//! # use tunstack::{engine::Engine, net::TcpStream};
//! # fn page(engine: Engine) -> io::Result<()> {
//! let mut stream = TcpStream::connect_on(&engine, "10.7.0.1:80")?; // or engine.connect("10.7.0.1:80")
//! stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
//! let mut page = Vec::new();
//! stream.read_to_end(&mut page)?;
//! # Ok(())
//! # }
//! ```
//!
//! Where std takes `ToSocketAddrs`, so do these. Names are resolved by the standard library, that is by the
//! *host's* resolver over the host's network; numeric addresses ask nobody.
//!
//! Each type has beside the blocking calls of std the `try_…` calls, which never wait, and the `poll_…`
//! calls, which take a [`Context`](std::task::Context) and are what asynchronous faces are made of. Any
//! number of threads and tasks may wait on one socket; all that a change concerns look again.

mod addr;

mod tcp_stream;

mod stream_io;

mod tcp_listener;

mod tcp_socket;

mod options;

mod udp;

mod ping;

#[cfg(test)]
pub(crate) mod tests;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

pub use options::TcpKeepalive;
#[cfg(any(feature = "tokio", feature = "futures"))]
pub(crate) use options::tcp_options;
pub use ping::{EchoReply, Ping};
pub use std::net::Shutdown;
#[cfg(any(feature = "tokio", feature = "futures"))]
pub(crate) use stream_io::{read_all_of, write_all_of};
#[cfg(any(feature = "tokio", feature = "futures"))]
pub(crate) use tcp_listener::accept;
pub use tcp_listener::{Incoming, TcpListener};
pub use tcp_socket::TcpSocket;
pub use tcp_stream::TcpStream;
#[cfg(any(feature = "tokio", feature = "futures"))]
pub(crate) use tcp_stream::{Accepted, connect_ended};
pub use udp::{ReceivedDatagram, RecvMessage, SendMessage, UdpSocket};
#[cfg(any(feature = "tokio", feature = "futures"))]
pub(crate) use udp::{receive_batch, send_part};

use crate::engine::Engine;

impl Engine {
    /// Connects to the first address that answers. See [`TcpStream::connect_on`].
    ///
    /// # Errors
    /// That of the last address tried.
    pub fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
        TcpStream::connect_on(self, addr)
    }

    /// Connects, giving up after `timeout`. See [`TcpStream::connect_timeout_on`].
    ///
    /// # Errors
    /// `TimedOut`, or what the attempt met with.
    pub fn connect_timeout(&self, addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        TcpStream::connect_timeout_on(self, addr, timeout)
    }

    /// Listens for TCP connections. See [`TcpListener::bind_on`].
    ///
    /// # Errors
    /// That of the last address tried.
    pub fn listen(&self, addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
        TcpListener::bind_on(self, addr)
    }

    /// A bound UDP socket. See [`UdpSocket::bind_on`].
    ///
    /// # Errors
    /// That of the last address tried.
    pub fn bind_udp(&self, addr: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        UdpSocket::bind_on(self, addr)
    }
}
