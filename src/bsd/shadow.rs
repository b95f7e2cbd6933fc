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
//! What cannot be shown: an octet out of band lies in the same queue, so `POLLPRI` comes with `POLLIN`. (Whoever reads
//! because of that finds nothing and passes the octet by, as on Linux, so it is not told without end.) And an error of
//! a stream is its end, as an error of TCP is.
//!
//! Whether the program waits by `select`, by `poll` or by `epoll` in any of its modes is the kernel's affair then. Each
//! change is made under the engine's lock, so when a call returns the descriptor shows what it brought about.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::sockopt::{set_socket_send_buffer_size, socket_error, socket_peercred};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, connect, connect_unspec, getsockname, listen, recv, send, shutdown, socket_with, socketpair,
};
use rustix::process::{Resource, getpid, getrlimit};
use tunstack_core::stack::Readiness;

use crate::engine::waiters::Observer;

/// Uses up a send budget: a socket is writable while four times what it has sent fits in it, and the least that the
/// kernel allows is 4,608 octets.
static FILL: [u8; 2048] = [0; 2048];

/// How a fresh stream stands.
pub(super) const FRESH: Readiness = Readiness::WRITABLE.union(Readiness::HANG_UP);

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
    /// Our own descriptor of the program's end: its number may be closed behind our back. It goes before the other
    /// end does, or who watches would see that one go.
    own: OwnedFd,
    form: Form,
    /// What was shown last.
    shown: Readiness,
    /// The send budget is used up.
    filled: bool,
}

/// The steering of one descriptor; `None` once the socket is closed.
#[derive(Debug)]
pub(super) struct Shadow(Mutex<Option<Steer>>);

/// Descriptors for what comes next, made before the stack is asked: a process that has none left hears of it while
/// nothing has happened yet.
#[derive(Debug)]
pub(super) enum Spare {
    /// Nothing has to be made.
    None,
    /// A listener for a fresh stream to connect to, and a number kept for the other end.
    Door { door: OwnedFd, room: OwnedFd },
    /// A stream to take the place of one that has ended.
    Pair { fd: OwnedFd, own: OwnedFd, peer: OwnedFd },
}

/// Another file takes the place of the one that the program's numbers stand for.
#[derive(Debug)]
pub(super) struct Renewed {
    /// What the numbers stand for from now on.
    pub(super) fd: OwnedFd,
    /// What they stood for. While it is held, so are the registrations of those who watch it.
    pub(super) old: OwnedFd,
    /// Its other end, which goes after it.
    _peer: Option<OwnedFd>,
}

impl Shadow {
    /// For a TCP socket that is neither connected nor listens: `POLLOUT | POLLHUP`.
    pub(super) fn fresh(cloexec: bool) -> Result<(OwnedFd, Self), Errno> {
        let fd = fresh(cloexec)?;
        let own = high_copy(&fd)?;
        Ok((fd, Self::new(own, Form::Fresh, FRESH)))
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
        Self(Mutex::new(Some(Steer { own, form, shown, filled: false })))
    }

    fn steer(&self) -> MutexGuard<'_, Option<Steer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it shows a fresh socket.
    pub(super) fn is_fresh(&self) -> bool {
        matches!(&*self.steer(), Some(Steer { form: Form::Fresh, .. }))
    }

    /// What [`engage`](Self::engage) will need.
    pub(super) fn prepare(&self) -> Result<Spare, Errno> {
        match &*self.steer() {
            Some(steer) => steer.prepare(),
            None => Err(Errno::BADF),
        }
    }

    /// A socket listens or connects from now on: no bit is set until it is told one. A fresh one keeps its descriptor,
    /// and who watches it sees nothing but the bits go; one that has ended gets another.
    pub(super) fn engage(&self, spare: Spare) -> Result<Option<Renewed>, Errno> {
        let mut guard = self.steer();
        let steer = guard.as_mut().ok_or(Errno::BADF)?;
        let spare = match (&spare, steer.needs()) {
            (Spare::None, Need::Nothing)
            | (Spare::Door { .. }, Need::Door)
            | (Spare::Pair { .. }, Need::Pair) => spare,
            // Another call or the peer was quicker.
            _ => steer.prepare()?,
        };
        match spare {
            Spare::None => Ok(None),
            Spare::Door { door, room } => {
                let name = getsockname(&door)?;
                connect(&steer.own, &name)?;
                drop(room);
                steer.form = Form::Stream(high(accept_ourselves(&door)?)?);
                steer.shown = Readiness::WRITABLE;
                steer.show(Readiness::empty(), Readiness::empty())?;
                Ok(None)
            }
            Spare::Pair { fd, own, peer } => {
                let renewed = steer.replace(fd, own, Form::Stream(peer), Readiness::WRITABLE)?;
                steer.show(Readiness::empty(), Readiness::empty())?;
                Ok(Some(renewed))
            }
        }
    }

    /// The socket is fresh again (its connection failed and is forgotten, or it listens no more), which no
    /// connected AF_UNIX socket can be: another takes its place.
    pub(super) fn renew(&self) -> Result<Renewed, Errno> {
        let mut guard = self.steer();
        let steer = guard.as_mut().ok_or(Errno::BADF)?;
        let fd = fresh(true)?;
        let own = high_copy(&fd)?;
        steer.replace(fd, own, Form::Fresh, FRESH)
    }

    /// The socket is closed: nobody watches it any longer, even while its close lingers.
    pub(super) fn retire(&self) {
        let steer = self.steer().take();
        drop(steer);
    }
}

impl Observer for Shadow {
    fn changed(&self, readiness: Readiness, edges: Readiness) -> Option<usize> {
        let mut guard = self.steer();
        if let Err(error) = guard.as_mut()?.show(readiness, edges) {
            // Out of kernel memory: the program sees an old state until the next change.
            tracing::warn!(%error, "a descriptor cannot be made to show its socket's readiness");
        }
        // Who waits for the descriptor is known to the kernel alone.
        None
    }
}

/// The least number for descriptors that the program does not count: out of the way of those that it does, and above
/// those that `select` takes wherever the limit allows.
fn least_high() -> i32 {
    // A table of descriptors has room up to the highest: no higher than a large server needs.
    const HIGHEST: u64 = 1 << 16;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(HIGHEST);
    i32::try_from((limit / 3).min(HIGHEST)).unwrap_or(0)
}

/// Moves a descriptor to a high number, if there is one.
fn high(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    match fcntl_dupfd_cloexec(&fd, least_high()) {
        Err(Errno::MFILE | Errno::INVAL) => Ok(fd),
        other => other,
    }
}

fn high_copy(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    match fcntl_dupfd_cloexec(fd, least_high()) {
        Err(Errno::MFILE | Errno::INVAL) => fcntl_dupfd_cloexec(fd, 0),
        other => other,
    }
}

fn flags(cloexec: bool) -> SocketFlags {
    if cloexec { FLAGS } else { SocketFlags::NONBLOCK }
}

fn fresh(cloexec: bool) -> Result<OwnedFd, Errno> {
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags(cloexec), None)?;
    set_socket_send_buffer_size(&fd, 1)?;
    Ok(fd)
}

/// The program's end, our descriptor of it, and the other end.
fn pair(kind: SocketType, cloexec: bool) -> Result<(OwnedFd, OwnedFd, OwnedFd), Errno> {
    let (fd, peer) = socketpair(AddressFamily::UNIX, kind, flags(cloexec), None)?;
    let peer = high(peer)?;
    set_socket_send_buffer_size(&fd, 1)?;
    let own = high_copy(&fd)?;
    Ok((fd, own, peer))
}

/// A listener to connect a stream to. Its name is an abstract one, where strangers may knock.
fn door() -> Result<OwnedFd, Errno> {
    let door = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
    bind(&door, &SocketAddrUnix::new_unnamed())?;
    listen(&door, 16)?;
    high(door)
}

/// The other end of the stream that was connected to the door. Strangers are sent away.
fn accept_ourselves(door: &OwnedFd) -> Result<OwnedFd, Errno> {
    loop {
        let peer = accept_with(door, FLAGS)?;
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
    let mut octets = [0; FILL.len()];
    loop {
        match recv(fd, &mut octets, RecvFlags::DONTWAIT) {
            Ok((0, _)) | Err(Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes one octet.
fn take(fd: &OwnedFd, flags: RecvFlags) -> Result<(), Errno> {
    loop {
        match recv(fd, &mut [0; 1], flags | RecvFlags::DONTWAIT) {
            // There is none; or, of those out of band, none.
            Ok(_) | Err(Errno::AGAIN | Errno::INVAL) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn put_octets(fd: &OwnedFd, octets: &[u8], flags: SendFlags) -> Result<(), Errno> {
    loop {
        match send(fd, octets, flags | SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

fn put(fd: &OwnedFd, flags: SendFlags) -> Result<(), Errno> {
    put_octets(fd, &[0], flags)
}

/// Sees to it that something lies with the other end. Full or shut down, something lies there already.
fn leave_something(own: &OwnedFd) -> Result<(), Errno> {
    match put(own, SendFlags::empty()) {
        Err(Errno::AGAIN | Errno::PIPE) => Ok(()),
        other => other,
    }
}

/// Out of band; a kernel without that (before Linux 5.15) shows it as what it also is, data.
fn put_urgent(peer: &OwnedFd) -> Result<(), Errno> {
    match put(peer, SendFlags::OOB) {
        Err(Errno::OPNOTSUPP) => put(peer, SendFlags::empty()),
        other => other,
    }
}

/// What it takes to engage.
enum Need {
    Nothing,
    Door,
    Pair,
}

impl Steer {
    fn needs(&self) -> Need {
        match self.form {
            // Shut down for reading it can be fresh, but not connect.
            Form::Fresh if self.shown == FRESH => Need::Door,
            Form::Fresh | Form::Ended => Need::Pair,
            Form::Stream(_) if self.shown.contains(Readiness::HANG_UP) => Need::Pair,
            Form::Stream(_) | Form::Datagram { .. } => Need::Nothing,
        }
    }

    fn prepare(&self) -> Result<Spare, Errno> {
        Ok(match self.needs() {
            Need::Nothing => Spare::None,
            Need::Door => {
                let door = door()?;
                let room = high_copy(&door)?;
                Spare::Door { door, room }
            }
            Need::Pair => {
                let (fd, own, peer) = pair(SocketType::STREAM, true)?;
                Spare::Pair { fd, own, peer }
            }
        })
    }

    fn replace(&mut self, fd: OwnedFd, own: OwnedFd, form: Form, shown: Readiness) -> Result<Renewed, Errno> {
        if let Form::Stream(peer) = &self.form
            && !self.shown.contains(Readiness::HANG_UP)
        {
            // Who waits for the old one is to look again. With nothing unread, it is no error.
            drain(peer)?;
            shutdown(&self.own, Shutdown::Both).or_else(not_connected)?;
        }
        let old = std::mem::replace(self, Self { own, form, shown, filled: false });
        let _peer = match old.form {
            Form::Stream(peer) | Form::Datagram { peer, .. } => Some(peer),
            Form::Fresh | Form::Ended => None,
        };
        Ok(Renewed { fd, old: old.own, _peer })
    }

    /// Makes the descriptor show these bits. What is new about them is an edge, for who is told of nothing else, also where
    /// it was shown before.
    fn show(&mut self, bits: Readiness, edges: Readiness) -> Result<(), Errno> {
        let was = self.shown;
        self.shown = bits;
        let (failed, fails) = (was.contains(Readiness::ERROR), bits.contains(Readiness::ERROR));
        if let Form::Fresh = self.form {
            return self.show_closed(was, bits);
        }
        if let Form::Stream(_) = self.form
            && fails
        {
            self.raise_error()?;
        }
        // A call on the descriptor of a datagram socket takes the error along: it is raised last, and once more if it
        // stood. Shut down both ways, there are no more such calls, and nothing to raise one with.
        let again = matches!(self.form, Form::Datagram { .. })
            && !was.contains(Readiness::HANG_UP)
            && (was.contains(Readiness::READABLE)
                || bits.contains(Readiness::HANG_UP)
                || edges.contains(Readiness::ERROR));
        if failed && (!fails || again) {
            socket_error(&self.own)?.ok();
        }
        self.show_writable(was, bits, edges)?;
        self.show_data(was, bits, edges)?;
        self.show_closed(was, bits)?;
        if fails && (!failed || again) { self.raise_error() } else { Ok(()) }
    }

    fn peer(&self) -> Option<&OwnedFd> {
        match &self.form {
            Form::Stream(peer) | Form::Datagram { peer, .. } => Some(peer),
            Form::Fresh | Form::Ended => None,
        }
    }

    fn show_writable(&mut self, was: Readiness, bits: Readiness, edges: Readiness) -> Result<(), Errno> {
        let writable = bits.contains(Readiness::WRITABLE);
        if (was & bits & edges).contains(Readiness::WRITABLE) {
            // There was none for a moment. To set the budget wakes who waits for it.
            return set_socket_send_buffer_size(&self.own, 1);
        }
        let Some(peer) = self.peer() else { return Ok(()) };
        if writable && self.filled {
            drain(peer)?;
            self.filled = false;
        } else if !writable && !self.filled {
            match put_octets(&self.own, &FILL, SendFlags::empty()) {
                Ok(()) | Err(Errno::AGAIN) => {}
                // Shut down for writing, a socket is writable for good.
                Err(Errno::PIPE) => return Ok(()),
                Err(error) => return Err(error),
            }
            self.filled = true;
        }
        Ok(())
    }

    /// What is in the queue: an octet at least where the socket is readable, and one out of band where it is urgent.
    fn show_data(&mut self, was: Readiness, bits: Readiness, edges: Readiness) -> Result<(), Errno> {
        let news = edges.intersects(Readiness::READABLE | Readiness::URGENT);
        let urgent = (was.contains(Readiness::URGENT), bits.contains(Readiness::URGENT));
        let Some(peer) = self.peer().filter(|_| !was.contains(Readiness::READ_CLOSED)) else {
            // At the end of the data it is readable for good, and takes no more octets.
            if urgent == (true, false) {
                take(&self.own, RecvFlags::OOB)?;
            }
            if news && was.contains(Readiness::READ_CLOSED) {
                // Data for a socket that does not want it: an edge.
                shutdown(&self.own, Shutdown::Read).or_else(not_connected)?;
            }
            return Ok(());
        };
        match (was.contains(Readiness::READABLE), bits.contains(Readiness::READABLE), urgent) {
            (false, true, (false, false)) => put(peer, SendFlags::empty()),
            (true, false, (false, false)) => drain(&self.own),
            (true, true, (false, false)) if news => {
                // One octet more, then one less, so that it is never seen unready.
                self.put_readable(peer, false)?;
                take(&self.own, RecvFlags::empty())
            }
            (false, true, (false, true)) => {
                put(peer, SendFlags::empty())?;
                put_urgent(peer)
            }
            (_, _, (false, true)) => put_urgent(peer),
            // To take from a queue takes what is out of band along: octets are only added.
            (false, true, (true, true)) => self.put_readable(peer, true),
            (_, _, (true, true)) if news => self.put_readable(peer, true),
            (readable, true, (true, false)) => {
                if !readable || news {
                    self.put_readable(peer, false)?;
                }
                take(&self.own, RecvFlags::OOB)
            }
            (_, false, (true, false)) => {
                take(&self.own, RecvFlags::OOB)?;
                drain(&self.own)
            }
            (_, _, (true, true)) | (false, false, _) | (true, true, (false, false)) => Ok(()),
        }
    }

    /// One octet more to read; in a full queue, where many were added, one instead of all.
    fn put_readable(&self, peer: &OwnedFd, urgent: bool) -> Result<(), Errno> {
        match put(peer, SendFlags::empty()) {
            Err(Errno::AGAIN) => {
                drain(&self.own)?;
                put(peer, SendFlags::empty())?;
                if urgent { put_urgent(peer) } else { Ok(()) }
            }
            other => other,
        }
    }

    fn show_closed(&mut self, was: Readiness, bits: Readiness) -> Result<(), Errno> {
        if let Form::Ended = self.form {
            return Ok(());
        }
        let new = bits - was;
        if new.contains(Readiness::READ_CLOSED) {
            shutdown(&self.own, Shutdown::Read).or_else(not_connected)?;
        }
        if new.contains(Readiness::HANG_UP) {
            // What stays with the other end lets an error be shown even later.
            leave_something(&self.own)?;
            shutdown(&self.own, Shutdown::Write).or_else(not_connected)?;
        }
        Ok(())
    }

    fn raise_error(&mut self) -> Result<(), Errno> {
        match std::mem::replace(&mut self.form, Form::Ended) {
            Form::Fresh => self.form = Form::Fresh,
            Form::Ended => {}
            Form::Stream(peer) => {
                leave_something(&self.own)?;
                // With an octet unread it is an error and hang-up in one.
                drop(peer);
            }
            Form::Datagram { peer, named } => {
                if !named {
                    bind(&self.own, &SocketAddrUnix::new_unnamed())?;
                }
                // A peer that goes elsewhere with datagrams unread leaves an error behind.
                leave_something(&self.own)?;
                connect_unspec(&peer)?;
                connect(&peer, &getsockname(&self.own)?)?;
                self.filled = false;
                self.form = Form::Datagram { peer, named: true };
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
