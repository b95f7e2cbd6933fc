//! A host alone with itself.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tunstack::device::Capabilities;
use tunstack_core::addr::{Address, Endpoint, Family, Prefix};
use tunstack_core::config::Config;
use tunstack_core::error::Error;
use tunstack_core::stack::{Datagram, Readiness, SocketId, Stack};
use tunstack_core::time::Instant;

use crate::device::{Device, Frames};
use crate::engine::clock::Clock;
use crate::engine::shard::Shard;
use crate::engine::wait::{leave, poll_op, wait_until};
use crate::engine::waiters::{Interest, Parker, Place};

/// Nothing leaves this host.
struct Wall;

impl Device for Wall {
    fn recv(&self, _: Instant, _: &mut Frames) -> io::Result<usize> {
        Ok(0)
    }

    fn send(&self, _: Instant, _: &Datagram<'_>) -> io::Result<()> {
        panic!("it talks to itself alone");
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: 1500, checksum_offload: false, max_gso: 0 }
    }

    fn readable(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

/// A shard and a socket that its own datagrams come to.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) shard: Arc<Shard>,
    pub(crate) id: SocketId,
}

fn home() -> Endpoint {
    Endpoint::new(Address::from_v4_octets([10, 7, 0, 1]), 7)
}

impl World {
    pub(crate) fn new() -> Self {
        let addresses = vec![Prefix::new(home().address, 24)];
        let mut stack = Stack::new(Config { addresses, ..Config::default() }, [7; 32]);
        let id = stack.udp_socket(Family::V4);
        stack.bind(id, home()).expect("the address is the host's");
        let shard =
            Arc::new(Shard::new(stack, Box::new(Wall), Clock::start()).expect("a descriptor is free"));
        Self { shard, id }
    }

    /// A datagram arrives.
    pub(crate) fn send(&self, octet: u8) {
        let sent = self.shard.call(|stack, now| stack.try_send_to(self.id, &[octet], Some(home()), now));
        assert_eq!(sent.expect("it is sent"), 1);
    }

    /// Waits for a datagram on this thread.
    pub(crate) fn receive(&self, deadline: Option<Instant>) -> io::Result<u8> {
        wait_until(&self.shard, self.id, Interest::Readable, deadline, |stack, _| take(stack, self.id))
    }

    /// The same by a task.
    pub(crate) fn poll_receive(&self, place: Option<&Place>, cx: &mut Context<'_>) -> Poll<io::Result<u8>> {
        let wanted = Interest::Readable.mask();
        poll_op(&self.shard, self.id, wanted, place, cx, |stack, _| take(stack, self.id))
    }

    pub(crate) fn leave(&self, place: &Place) {
        leave(&self.shard, self.id, place);
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let held = self.shard.lock();
        let readiness = held.stack.readiness(self.id);
        held.release();
        readiness
    }
}

pub(crate) fn take(stack: &mut Stack, id: SocketId) -> Result<u8, Error> {
    let mut buf = [0];
    stack.try_receive_from(id, &mut buf, false).map(|_| buf[0])
}

/// A task's waker that is counted: whoever keeps it after the task is gone is found out.
pub(crate) struct Task(Waker);

impl Task {
    /// A task that runs on this thread.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Waker::from(Parker::current())))
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

/// Runs a task on this thread.
pub(crate) fn block_on<T>(task: &Arc<Task>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let (parker, clock) = (Parker::current(), Clock::start());
    let waker = Waker::from(Arc::clone(task));
    loop {
        if let Poll::Ready(value) = poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        parker.wait(&clock, None);
    }
}
