//! A host alone with itself.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use shuttle::rand::{RngCore, thread_rng};
use shuttle::thread::{JoinHandle, spawn};
use tunstack_core::addr::{Address, Endpoint, Family, Prefix};
use tunstack_core::config::Config;
use tunstack_core::error::Error;
use tunstack_core::stack::{Readiness, SocketId, Stack};
use tunstack_core::time::Instant;

use crate::engine::clock::{Clock, LOOK};
use crate::engine::reader;
use crate::engine::shard::Shard;
use crate::engine::sleep::{Fault, break_it};
use crate::engine::wait::{leave, poll_op, wait_until};
use crate::engine::waiters::{Interest, Parker, Place};
use crate::port::Port;

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
        break_it(Fault::None);
        let addresses = vec![Prefix::new(home().address, 24)];
        let mut stack = Stack::new(Config { addresses, ..Config::default() }, [7; 32]);
        let id = stack.udp_socket(Family::V4);
        stack.bind(id, home()).expect("the address is the host's");
        let port = Port::default();
        // Who sits looks before it sleeps, or does not.
        let spin = LOOK * (thread_rng().next_u32() % 2 * 3);
        let shard = Shard::new(stack, Box::new(port.clone()), Clock::start(), spin);
        let shard = Arc::new(shard.expect("there is nothing to fail"));
        port.is_of(&shard);
        Self { shard, id }
    }

    /// Starts the reader: callers may sit from now on.
    pub(crate) fn read(&self) -> JoinHandle<()> {
        self.shard.open_seat();
        let shard = Arc::clone(&self.shard);
        spawn(move || reader::run(&shard))
    }

    /// A datagram comes by the wire, from a neighbour.
    pub(crate) fn arrive(&self, octet: u8) {
        let mut packet = vec![0x45, 0, 0, 29, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 7, 0, 2, 10, 7, 0, 1];
        let words = packet.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
        let sum: u32 = words.sum();
        let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        // From port 9 to 7, without a checksum.
        packet.extend([0, 9, 0, 7, 0, 9, 0, 0, octet]);
        self.shard.nudge.transmit(packet);
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
