//! Shadow descriptors: a kernel descriptor that is ready exactly when our socket is.
//!
//! The program's descriptor is an AF_UNIX socket, and everything that `poll` can say of one is steered from outside:
//!
//! | Shown | Done |
//! |---|---|
//! | `POLLIN` | an octet lies in its queue |
//! | not `POLLOUT` | its send budget, made as small as it gets, is used up by octets that the peer does not read |
//! | `POLLRDHUP` | it is shut down for reading |
//! | `POLLHUP` | it is shut down both ways; or it was never connected: a stream is then `POLLOUT \| POLLHUP`, as a fresh TCP socket is |
//! | `POLLERR` | a stream's peer closed without reading what was sent, a datagram peer went elsewhere |
//! | `POLLPRI` | an octet lies in its queue out of band |
//!
//! Whether the program waits by `select`, by `poll` or by `epoll` in any of its modes is the kernel's affair then. Each
//! change is made under the engine's lock, so when a call returns the descriptor shows what it brought about.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_send_buffer_size, socket_error, socket_peercred};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, connect, connect_unspec, getsockname, listen, recv, send, shutdown, socket_with, socketpair,
};
use rustix::process::{Resource, getpid, getrlimit};
use tunstack_core::stack::Readiness;

use crate::engine::waiters::Observer;

/// Octets that use up a send budget at the most; two do on the kernels of today.
const FILL: usize = 64;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// What the descriptor is behind the scenes.
#[derive(Debug)]
enum Form {
    /// A stream that was never connected.
    Fresh,
    /// Connected to an end of ours, by which it is steered.
    Stream(OwnedFd),
    /// A datagram socket, connected to an end of ours.
    Datagram { peer: OwnedFd, named: bool },
    /// Its peer is gone: all but the error stays as it is.
    Ended,
}

#[derive(Debug)]
struct Steer {
    /// Our own descriptor of the program's end: its number may be closed behind our back.
    own: OwnedFd,
    form: Form,
    /// What was shown last.
    shown: Readiness,
    filled: bool,
}

/// The steering of one descriptor.
#[derive(Debug)]
pub(super) struct Shadow(Mutex<Steer>);

/// A descriptor with a high number, out of the way of those that the program counts.
fn high(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    let least = i32::try_from(limit / 3).unwrap_or(i32::MAX);
    match rustix::io::fcntl_dupfd_cloexec(&fd, least) {
        Err(Errno::MFILE | Errno::INVAL) => Ok(fd),
        other => other,
    }
}

fn high_copy(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    high(rustix::io::fcntl_dupfd_cloexec(fd, 0)?)
}

impl Shadow {
    /// For a TCP socket that is neither connected nor listens: `POLLOUT | POLLHUP`.
    pub(super) fn fresh(cloexec: bool) -> Result<(OwnedFd, Self), Errno> {
        let fd = fresh(cloexec)?;
        let own = high_copy(&fd)?;
        Ok((fd, Self::new(own, Form::Fresh, Readiness::WRITABLE | Readiness::HANG_UP)))
    }

    /// For a TCP connection.
    pub(super) fn connected(cloexec: bool) -> Result<(OwnedFd, Self), Errno> {
        let (fd, own, peer) = pair(SocketType::STREAM, cloexec)?;
        Ok((fd, Self::new(own, Form::Stream(peer), Readiness::WRITABLE)))
    }

    /// For a UDP socket.
    pub(super) fn datagram(cloexec: bool) -> Result<(OwnedFd, Self), Errno> {
        let (fd, own, peer) = pair(SocketType::DGRAM, cloexec)?;
        Ok((fd, Self::new(own, Form::Datagram { peer, named: false }, Readiness::WRITABLE)))
    }

    fn new(own: OwnedFd, form: Form, shown: Readiness) -> Self {
        Self(Mutex::new(Steer { own, form, shown, filled: false }))
    }

    fn steer(&self) -> MutexGuard<'_, Steer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fresh socket listens or connects from now on: no bit is set until it is told one. Registrations with
    /// `epoll` stay, for it is the same descriptor.
    pub(super) fn engage(&self) -> Result<(), Errno> {
        let mut steer = self.steer();
        if !matches!(steer.form, Form::Fresh) {
            return Ok(());
        }
        let peer = high(connect_to_ourselves(&steer.own)?)?;
        steer.form = Form::Stream(peer);
        steer.shown = Readiness::WRITABLE;
        steer.show(Readiness::empty())
    }

    /// Whether it can be engaged: it shows a fresh socket.
    pub(super) fn is_fresh(&self) -> bool {
        matches!(self.steer().form, Form::Fresh)
    }

    /// The socket is fresh again (its connection failed and is forgotten, or it listens no more), which no
    /// connected AF_UNIX socket can be: gives the descriptor that takes the place of the old one.
    pub(super) fn renew(&self) -> Result<OwnedFd, Errno> {
        let mut steer = self.steer();
        let fd = fresh(true)?;
        let own = high_copy(&fd)?;
        // Who waits for the old one is to look again.
        shutdown(&steer.own, Shutdown::Both).or_else(not_connected)?;
        *steer =
            Steer { own, form: Form::Fresh, shown: Readiness::WRITABLE | Readiness::HANG_UP, filled: false };
        Ok(fd)
    }
}

impl Observer for Shadow {
    fn changed(&self, readiness: Readiness) {
        if let Err(error) = self.steer().show(readiness) {
            // Out of kernel memory: the program sees an old state until the next change.
            tracing::warn!(%error, "a descriptor cannot be made to show its socket's readiness");
        }
    }
}

fn fresh(cloexec: bool) -> Result<OwnedFd, Errno> {
    let flags = if cloexec { FLAGS } else { SocketFlags::NONBLOCK };
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    set_socket_send_buffer_size(&fd, 1)?;
    Ok(fd)
}

/// The program's end, our descriptor of it, and the other end.
fn pair(kind: SocketType, cloexec: bool) -> Result<(OwnedFd, OwnedFd, OwnedFd), Errno> {
    let flags = if cloexec { FLAGS } else { SocketFlags::NONBLOCK };
    let (fd, peer) = socketpair(AddressFamily::UNIX, kind, flags, None)?;
    let peer = high(peer)?;
    set_socket_send_buffer_size(&fd, 1)?;
    let own = high_copy(&fd)?;
    Ok((fd, own, peer))
}

/// Connects a stream to a socket that is made for the purpose, and gives the other end. The meeting point is an
/// abstract name, where strangers may knock: they are sent away.
fn connect_to_ourselves(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    let door = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
    bind(&door, &SocketAddrUnix::new_unnamed())?;
    listen(&door, 16)?;
    let name = getsockname(&door)?;
    connect(fd, &name)?;
    loop {
        let peer = accept_with(&door, FLAGS)?;
        // Nobody else in this process knows the name.
        if socket_peercred(&peer)?.pid == getpid() {
            return Ok(peer);
        }
    }
}

fn not_connected(error: Errno) -> Result<(), Errno> {
    if error == Errno::NOTCONN { Ok(()) } else { Err(error) }
}

/// Takes all that lies in a queue.
fn drain(fd: &OwnedFd) -> Result<(), Errno> {
    let mut octets = [0; FILL];
    loop {
        match recv(fd, &mut octets, RecvFlags::DONTWAIT) {
            Ok((0, _)) | Err(Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn put(fd: &OwnedFd, flags: SendFlags) -> Result<(), Errno> {
    loop {
        match send(fd, &[0], flags | SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

impl Steer {
    /// Makes the descriptor show these bits; the same as before are an edge for who has nothing but edges.
    fn show(&mut self, bits: Readiness) -> Result<(), Errno> {
        let was = self.shown;
        self.shown = bits;
        if bits.contains(Readiness::ERROR) != was.contains(Readiness::ERROR) {
            if bits.contains(Readiness::ERROR) {
                self.raise_error()?
            } else {
                socket_error(&self.own)?.ok();
            }
        }
        match self.form {
            Form::Fresh | Form::Ended => Ok(()),
            Form::Stream(_) | Form::Datagram { .. } => {
                self.show_writable(bits.contains(Readiness::WRITABLE))?;
                self.show_urgent(was, bits)?;
                self.show_readable(was, bits)?;
                self.show_closed(was, bits)
            }
        }
    }

    fn peer(&self) -> Option<&OwnedFd> {
        match &self.form {
            Form::Stream(peer) | Form::Datagram { peer, .. } => Some(peer),
            Form::Fresh | Form::Ended => None,
        }
    }

    fn show_writable(&mut self, writable: bool) -> Result<(), Errno> {
        let Some(peer) = self.peer() else { return Ok(()) };
        if writable && self.filled {
            drain(peer)?;
            self.filled = false;
        } else if !writable && !self.filled {
            for _ in 0..FILL {
                match put(&self.own, SendFlags::empty()) {
                    Ok(()) => {}
                    Err(Errno::AGAIN | Errno::NOBUFS) => break,
                    // Shut down for writing, a socket is writable for good.
                    Err(Errno::PIPE) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            self.filled = true;
        }
        Ok(())
    }

    fn show_readable(&mut self, was: Readiness, bits: Readiness) -> Result<(), Errno> {
        let Some(peer) = self.peer() else { return Ok(()) };
        // At the end of the data it is readable for good, and takes no more octets.
        if was.contains(Readiness::READ_CLOSED) {
            return Ok(());
        }
        match (was.contains(Readiness::READABLE), bits.contains(Readiness::READABLE)) {
            (false, true) => put(peer, SendFlags::empty()),
            (true, false) if !bits.contains(Readiness::URGENT) => drain(&self.own),
            (true, true) => {
                // An edge: one octet more, then one less, so that it is never seen unready.
                put(peer, SendFlags::empty())?;
                match recv(&self.own, &mut [0; 1], RecvFlags::DONTWAIT) {
                    Ok(_) | Err(Errno::AGAIN) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            _ => Ok(()),
        }
    }

    fn show_urgent(&mut self, was: Readiness, bits: Readiness) -> Result<(), Errno> {
        let Some(peer) = self.peer() else { return Ok(()) };
        match (was.contains(Readiness::URGENT), bits.contains(Readiness::URGENT)) {
            (false, true) if !was.contains(Readiness::READ_CLOSED) => put(peer, SendFlags::OOB),
            (true, false) => {
                match recv(&self.own, &mut [0; 1], RecvFlags::OOB | RecvFlags::DONTWAIT) {
                    Ok(_) | Err(Errno::INVAL | Errno::AGAIN) => {}
                    Err(error) => return Err(error),
                }
                // What the mark kept in the queue; whether it is readable besides is shown next.
                drain(&self.own)?;
                if was.contains(Readiness::READABLE) && bits.contains(Readiness::READABLE) {
                    return put(self.peer().unwrap_or(&self.own), SendFlags::empty());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn show_closed(&mut self, was: Readiness, bits: Readiness) -> Result<(), Errno> {
        let new = bits - was;
        if new.contains(Readiness::READ_CLOSED) {
            shutdown(&self.own, Shutdown::Read).or_else(not_connected)?;
        }
        if new.contains(Readiness::HANG_UP) {
            // An octet that stays with the peer lets an error be shown even later.
            if !self.filled {
                match put(&self.own, SendFlags::empty()) {
                    Ok(()) | Err(Errno::AGAIN | Errno::PIPE) => {}
                    Err(error) => return Err(error),
                }
            }
            shutdown(&self.own, Shutdown::Write).or_else(not_connected)?;
        }
        Ok(())
    }

    fn raise_error(&mut self) -> Result<(), Errno> {
        match std::mem::replace(&mut self.form, Form::Ended) {
            Form::Fresh => self.form = Form::Fresh,
            Form::Ended => {}
            Form::Stream(peer) => {
                match put(&self.own, SendFlags::empty()) {
                    // Full or shut down: something lies there already.
                    Ok(()) | Err(Errno::AGAIN | Errno::PIPE) => {}
                    Err(error) => return Err(error),
                }
                // With an octet unread it is an error and hang-up in one.
                drop(peer);
            }
            Form::Datagram { peer, named } => {
                if !named {
                    bind(&self.own, &SocketAddrUnix::new_unnamed())?;
                }
                // A peer that goes elsewhere with datagrams unread leaves an error behind.
                match put(&self.own, SendFlags::empty()) {
                    Ok(()) | Err(Errno::AGAIN | Errno::PIPE) => {}
                    Err(error) => return Err(error),
                }
                connect_unspec(&peer)?;
                connect(&peer, &getsockname(&self.own)?)?;
                self.filled = false;
                self.form = Form::Datagram { peer, named: true };
            }
        }
        Ok(())
    }
}
