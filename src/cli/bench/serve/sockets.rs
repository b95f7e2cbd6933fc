//! What the servers need of sockets: those of `std::net`, and a poll with edges.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use tunstack::poll::Interest;

/// Events that a poll tells at a time.
pub(super) const EVENTS: usize = 256;

/// What a poll tells of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Change {
    pub(super) token: usize,
    /// There is something to read, or the end.
    pub(super) comes: bool,
    /// Nothing more will come beyond what is there already, or the connection has failed: no edge tells that again.
    pub(super) last: bool,
}

/// The sockets of a stack. Streams and listeners never block; those of UDP do.
pub(super) trait Sockets: 'static {
    type Listener: Send;
    type Stream: Read + Write + Send;
    type Udp: Send;
    type Poll;

    /// Its streams are without Nagle's algorithm.
    fn listen(&self, port: u16) -> io::Result<Self::Listener>;
    fn bind(&self, port: u16) -> io::Result<Self::Udp>;

    fn accept(listener: &Self::Listener) -> io::Result<Self::Stream>;

    fn receive(udp: &Self::Udp, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)>;
    fn send(udp: &Self::Udp, data: &[u8], to: SocketAddr) -> io::Result<usize>;

    fn poll() -> io::Result<Self::Poll>;
    fn watch_listener(poll: &Self::Poll, listener: &mut Self::Listener, token: usize) -> io::Result<()>;
    fn watch(poll: &Self::Poll, stream: &mut Self::Stream, token: usize, what: Interest) -> io::Result<()>;
    /// Waits, no longer than `timeout`, and hands over what has changed since it was told.
    fn wait(poll: &mut Self::Poll, changes: &mut Vec<Change>, timeout: Option<Duration>) -> io::Result<()>;
}
