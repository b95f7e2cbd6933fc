//! A ring over a stack that talks to itself: each operation, chains, time, cancels, overflow, servers, chance.

mod cancels;
mod chains;
mod operations;
mod overflow;
mod random;
mod servers;
mod timeouts;
mod watching;

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use tunstack_core::config::Config;

use super::{Completion, Entry, PollEvents, Ring};
use crate::bsd::abi::{AF_INET, MsgFlags, SOCK_DGRAM, SOCK_STREAM};
use crate::bsd::{Errno, Sockets};
use crate::device::pipe::Pipe;
use crate::engine::Engine;

const NONE: MsgFlags = MsgFlags::empty();
const ALL: MsgFlags = MsgFlags::WAITALL;

/// Longer than any test lasts.
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

/// `user_data`, result and flags.
type Seen = (u64, i32, u32);

const MORE: u32 = 2;
const NONEMPTY: u32 = 4;

const fn buffer(id: u32) -> u32 {
    1 | id << 16
}

const fn error(errno: Errno) -> i32 {
    -errno.raw_os_error()
}

/// A stack that has nobody but itself to talk to, with a ring.
struct Host {
    sys: Sockets,
    ring: Ring,
    _other: Pipe,
}

impl Host {
    fn new(entries: u32) -> Self {
        Self::with(|sys| Ring::new(sys, entries).unwrap())
    }

    fn with(ring: impl FnOnce(&Sockets) -> Ring) -> Self {
        let (device, other) = Pipe::pair(1500).unwrap();
        let engine = Engine::builder().device(device).config(Config::default()).start().unwrap();
        let sys = Sockets::new(&engine);
        Self { ring: ring(&sys), sys, _other: other }
    }

    fn push(&mut self, entry: Entry) {
        self.ring.submission().push(entry).unwrap();
    }

    /// Submits these, and gives what completes at once.
    fn submit(&mut self, entries: impl IntoIterator<Item = Entry>) -> Vec<Seen> {
        let mut count = 0;
        for entry in entries {
            self.push(entry);
            count += 1;
        }
        assert_eq!(self.ring.submit(), Ok(count));
        self.seen()
    }

    fn completions(&mut self) -> Vec<Completion> {
        self.ring.completion().collect()
    }

    fn seen(&mut self) -> Vec<Seen> {
        self.ring.completion().map(|c| (c.user_data, c.result, c.flags.bits())).collect()
    }

    /// What completes when at least `n` are waited for.
    fn wait(&mut self, n: usize) -> Vec<Seen> {
        self.ring.wait(n, Some(LONG)).unwrap();
        self.seen()
    }

    /// The completion of one entry.
    fn one(&mut self, entry: Entry) -> Completion {
        self.push(entry);
        assert_eq!(self.ring.submit_and_wait(1), Ok(1));
        let mut completions = self.completions();
        assert_eq!(completions.len(), 1, "{completions:?}");
        completions.remove(0)
    }

    fn udp(&self, address: &str) -> RawFd {
        let fd = self.sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        self.sys.bind(fd, &address.parse().unwrap()).unwrap();
        fd
    }

    fn listener(&self) -> (RawFd, SocketAddr) {
        let fd = self.sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
        self.sys.bind(fd, &"127.0.0.1:0".parse().unwrap()).unwrap();
        self.sys.listen(fd, 1024).unwrap();
        (fd, self.sys.getsockname(fd).unwrap())
    }

    fn client(&self, to: SocketAddr) -> RawFd {
        let fd = self.sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
        self.sys.connect(fd, &to).unwrap();
        fd
    }

    /// Two ends of a connection.
    fn pair(&self) -> (RawFd, RawFd) {
        let (listener, address) = self.listener();
        let client = self.client(address);
        let (server, _) = self.sys.accept(listener).unwrap();
        self.sys.close(listener).unwrap();
        (client, server)
    }

    fn send(&self, fd: RawFd, data: &[u8]) {
        assert_eq!(self.sys.send(fd, data, NONE), Ok(data.len()));
    }

    fn group(&mut self, group: u16, ids: std::ops::Range<u16>) {
        self.ring.register_buffers(group, 1024).unwrap();
        for id in ids {
            self.ring.provide(group, id, vec![0; 64]).unwrap();
        }
    }

    /// Takes what is there to receive, and says how much it was.
    fn wait_for_data(&self, fd: RawFd) -> usize {
        self.sys.recv(fd, &mut [0; 64], NONE).unwrap()
    }

    /// Those who wait for a socket or observe it.
    fn waiters(&self, fd: RawFd) -> usize {
        let id = self.sys.file(fd).unwrap().socket.id();
        let held = self.sys.engine().shard().lock();
        let count = held.waiters.count(id);
        held.release();
        count
    }
}

#[test]
fn a_ring_goes_from_thread_to_thread() {
    fn send<T: Send>() {}
    send::<Ring>();
    send::<Completion>();
    send::<Entry>();
}

#[test]
fn sizes_are_checked() {
    let host = Host::new(1);
    for entries in [0, 3, 65_536] {
        assert_eq!(Ring::new(&host.sys, entries).err(), Some(Errno::INVAL), "{entries}");
    }
    let sized =
        |cq| Ring::builder().cq_entries(cq).build(&host.sys, 8).map(|mut r| r.completion().capacity());
    assert_eq!(
        [sized(7), sized(8), sized(9), sized(1 << 17)],
        [Err(Errno::INVAL), Ok(8), Ok(16), Err(Errno::INVAL)]
    );
    assert!(PollEvents::all().contains(PollEvents::IN));
}
