//! What can be watched: the sockets of `net`, and descriptors of the kernel.

use std::io;
use std::os::fd::AsFd;

use super::event::Source;
use super::interest::{Interest, Token};
use super::registry::Registry;
use crate::net::{Ping, TcpListener, TcpStream, UdpSocket};

/// The clones of a socket are one source: it can be registered once with a poll, and stays so until the last
/// clone is dropped.
macro_rules! socket_source {
    ($($socket:ty),*) => {$(
        impl Source for $socket {
            fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
                registry.add_socket(&self.socket, token, interest)
            }

            fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
                registry.modify_socket(&self.socket, token, interest)
            }

            fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
                registry.remove_socket(&self.socket)
            }
        }
    )*};
}

socket_source!(TcpStream, TcpListener, UdpSocket, Ping);

/// Anything with a descriptor of the kernel's that epoll takes: a pipe, an eventfd, a timer, a terminal, a
/// kernel's socket.
///
/// The descriptor is lent, so that it cannot be closed meanwhile; what is lent can be made again for each
/// call, since it is the descriptor that is registered. Deregister it before it is closed if there are
/// duplicates of it: the kernel watches until the last of them is closed.
///
/// ```
/// use tunstack::poll::{Interest, Poll, SourceFd, Token};
///
/// # fn main() -> std::io::Result<()> {
/// let poll = Poll::new()?;
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// listener.set_nonblocking(true)?;
/// poll.registry().register(&mut SourceFd(&listener), Token(1), Interest::READABLE)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SourceFd<'a, F: AsFd + ?Sized>(pub &'a F);

impl<F: AsFd + ?Sized> Source for SourceFd<'_, F> {
    fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.add_fd(self.0, token, interest)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.modify_fd(self.0, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.remove_fd(self.0)
    }
}
