//! What the services need of sockets: the calls of `std::net` and of a poll with edges.

use std::io;
use std::net::SocketAddr;

/// Events that a poll tells at a time.
pub(super) const EVENTS: usize = 256;

/// The sockets of a stack. All calls block but those named otherwise.
pub(super) trait Sockets: 'static {
    type Listener: Send + Sync;
    type Stream: Send;
    type Udp: Send + Sync;
    type Poll;

    fn listen(&self, port: u16) -> io::Result<Self::Listener>;
    fn bind(&self, port: u16) -> io::Result<Self::Udp>;

    /// The stream is without Nagle's algorithm.
    fn accept(listener: &Self::Listener) -> io::Result<Self::Stream>;
    fn read(stream: &Self::Stream, buffer: &mut [u8]) -> io::Result<usize>;
    fn write_all(stream: &Self::Stream, data: &[u8]) -> io::Result<()>;

    fn receive(udp: &Self::Udp, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)>;
    fn send(udp: &Self::Udp, data: &[u8], to: SocketAddr) -> io::Result<usize>;

    fn poll() -> io::Result<Self::Poll>;
    /// Makes it non-blocking, and tells of it by `token`.
    fn watch_listener(poll: &Self::Poll, listener: &mut Self::Listener, token: usize) -> io::Result<()>;
    fn watch(poll: &Self::Poll, stream: &mut Self::Stream, token: usize) -> io::Result<()>;
    /// Waits, and hands over the tokens of what has changed.
    fn wait(poll: &mut Self::Poll, tokens: &mut Vec<usize>) -> io::Result<()>;
}
