//! Two shards, and packets that come in at the other's queue.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use shuttle::thread::{JoinHandle, spawn};
use tunstack_core::addr::{Address, Endpoint, Family, Prefix, Quad};
use tunstack_core::config::{Config, SynCookies};
use tunstack_core::packet::Inbound;
use tunstack_core::stack::shards::Placement;
use tunstack_core::stack::{SocketId, Stack};

use crate::device::Device;
use crate::engine::pair::{Fault, pair};
use crate::engine::reader;
use crate::engine::shard::Shard;
use crate::engine::sleep::{self, break_it};
use crate::engine::sync::{Condvar, Mutex};
use crate::engine::wait::{poll_op, wait_until};
use crate::engine::waiters::Interest;
use crate::port::Port;
use crate::scenarios::join;
use crate::seats::Does;
use crate::world::{Task, block_on};

const ACK: u8 = 0x10;
const SYN: u8 = 0x02;
const FIN: u8 = 0x01;

fn sum(octets: &[u8]) -> u32 {
    octets.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0))).sum()
}

fn checksum(mut sum: u32) -> [u8; 2] {
    while sum >> 16 > 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// A segment of the peer's.
fn segment(quad: &Quad, seq: u32, ack: u32, flags: u8, text: &[u8]) -> Vec<u8> {
    let len = 40 + text.len() as u8;
    let mut packet = vec![0x45, 0, 0, len, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 7, 0, 2, 10, 7, 0, 1];
    let header = checksum(sum(&packet));
    packet[10..12].copy_from_slice(&header);
    packet.extend(quad.remote.port.to_be_bytes());
    packet.extend(quad.local.port.to_be_bytes());
    packet.extend(seq.to_be_bytes());
    packet.extend(ack.to_be_bytes());
    packet.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend(text);
    let pseudo = sum(&packet[12..20]) + 6 + u32::from(len - 20);
    let whole = checksum(pseudo + sum(&packet[20..]));
    packet[36..38].copy_from_slice(&whole);
    packet
}

/// A host of two shards.
#[derive(Clone)]
struct Host {
    shards: [Arc<Shard>; 2],
    placement: Arc<Placement>,
    queues: [Port; 2],
    /// In the first.
    listener: SocketId,
}

/// A connection, and what the peer has to say on it.
#[derive(Clone)]
struct Connection {
    id: SocketId,
    text: Vec<u8>,
}

fn local() -> Endpoint {
    Endpoint::new(Address::from_v4_octets([10, 7, 0, 1]), 7)
}

impl Host {
    /// With a connection in each of these shards.
    fn new<const N: usize>(fault: Option<Fault>, places: [u16; N]) -> (Self, [Connection; N]) {
        break_it(sleep::Fault::None);
        let mut config = Config { addresses: vec![Prefix::new(local().address, 24)], ..Config::default() };
        // A handshake then leaves no timer behind.
        config.tcp.syn_cookies = SynCookies::Always;
        let queues = [(); 2].map(|()| Port::open());
        let devices = queues.clone().map(|queue| Box::new(queue) as Box<dyn Device>);
        let (shards, placement) = pair(&config, devices, fault);
        for (queue, shard) in queues.iter().zip(&shards) {
            queue.is_of(shard);
        }
        let listener = shards[0].call(|stack, _| {
            let id = stack.tcp_socket(Family::V4);
            stack.bind(id, local()).and_then(|()| stack.listen(id, 5)).map(|()| id)
        });
        let listener = listener.expect("the address is the host's");
        let host = Self { shards, placement, queues, listener };
        let mut port = 1000;
        let connections = places.map(|place| host.connected(place, &mut port));
        (host, connections)
    }

    fn arrives(&self, place: u16, packet: &[u8]) {
        let arrived = self.shards[usize::from(place)].call(|stack, now| {
            stack.receive(now, Inbound::plain(packet));
            Ok(())
        });
        arrived.expect("nothing breaks");
    }

    /// The peer begins a connection that lives in this shard. Gives its ends, and what is to be acknowledged.
    fn half_open(&self, place: u16, port: &mut u16) -> (Quad, u32) {
        let quad = loop {
            *port += 1;
            let remote = Endpoint::new(Address::from_v4_octets([10, 7, 0, 2]), *port);
            let quad = Quad { local: local(), remote };
            if self.placement.owner(&quad) == place {
                break quad;
            }
        };
        self.arrives(place, &segment(&quad, 0, 0, SYN, &[]));
        let answer = self.queues[usize::from(place)].last_sent().expect("a SYN is answered");
        let ack = u32::from_be_bytes([answer[24], answer[25], answer[26], answer[27]]).wrapping_add(1);
        (quad, ack)
    }

    fn connected(&self, place: u16, port: &mut u16) -> Connection {
        let (quad, ack) = self.half_open(place, port);
        self.arrives(place, &segment(&quad, 1, ack, ACK, &[]));
        let id = self.shards[0].call(|stack, _| stack.try_accept(self.listener)).expect("it is announced");
        assert_eq!(id.shard(), place);
        // While a timer runs nobody sleeps for long, and whoever is not woken is not found.
        let timer = self.shards[usize::from(place)].call(|stack, _| Ok(stack.poll_timeout()));
        assert_eq!(timer.expect("nothing breaks"), None);
        // With a FIN, so that it is acknowledged at once and no timer runs.
        Connection { id, text: segment(&quad, 1, ack, ACK | FIN, &[id.index() as u8]) }
    }

    fn shard_of(&self, connection: &Connection) -> &Arc<Shard> {
        &self.shards[usize::from(connection.id.shard())]
    }

    /// What the peer has to say comes in at this queue.
    fn arrive(&self, queue: usize, connection: &Connection) {
        self.shards[queue].nudge.transmit(connection.text.clone());
    }

    /// Reads it on a thread.
    fn reads(&self, connection: &Connection) -> JoinHandle<()> {
        let (host, connection) = (self.clone(), connection.clone());
        spawn(move || host.read(&connection))
    }

    fn read(&self, connection: &Connection) {
        let shard = self.shard_of(connection);
        let id = connection.id;
        let got = wait_until(shard, id, Interest::Readable, None, |stack, _| take(stack, id));
        assert_eq!(got.expect("nothing breaks"), id.index() as u8);
    }

    /// The same in a task.
    fn poll_read(&self, connection: &Connection, cx: &mut Context<'_>) -> Poll<io::Result<u8>> {
        let wanted = Interest::Readable.mask();
        let id = connection.id;
        poll_op(self.shard_of(connection), id, wanted, None, cx, |stack, _| take(stack, id))
    }

    /// Does something while the readers run, and ends them: that ends, too.
    fn with_readers(&self, act: impl FnOnce()) {
        let readers = self.shards.clone().map(|shard| {
            shard.open_seat();
            spawn(move || reader::run(&shard))
        });
        act();
        self.shards.iter().for_each(|shard| shard.stop());
        readers.into_iter().for_each(join);
    }
}

fn take(stack: &mut Stack, id: SocketId) -> Result<u8, tunstack_core::error::Error> {
    let mut buf = [0];
    stack.try_read(id, &mut buf).map(|_| buf[0])
}

fn callers_at_both(fault: Option<Fault>) {
    let (host, [first, second]) = Host::new(fault, [0, 1]);
    host.with_readers(|| {
        let callers = [&first, &second].map(|connection| host.reads(connection));
        host.arrive(1, &first);
        host.arrive(0, &second);
        callers.into_iter().for_each(join);
    });
}

fn a_task_at_the_other(fault: Option<Fault>) {
    let (host, [first, second]) = Host::new(fault, [0, 1]);
    host.with_readers(|| {
        let caller = host.reads(&first);
        let task = spawn({
            let (host, second) = (host.clone(), second.clone());
            move || block_on(&Task::new(), |cx| host.poll_read(&second, cx)).expect("nothing breaks")
        });
        host.arrive(0, &second);
        join(task);
        host.arrive(0, &first);
        join(caller);
    });
}

fn a_waker_of_the_other_waits(fault: Option<Fault>) {
    let (host, [first, second, third]) = Host::new(fault, [0, 1, 0]);
    host.with_readers(|| {
        let through = Arc::new((Mutex::new(false), Condvar::new()));
        let (inner, waits_for, tells) = (host.clone(), third.clone(), Arc::clone(&through));
        let waits = Waker::from(Arc::new(Does(move || {
            let (inner, waits_for, tells) = (inner.clone(), waits_for.clone(), Arc::clone(&tells));
            let on_reader = inner.shards[0].on_reader();
            let receive = move || {
                inner.read(&waits_for);
                *tells.0.lock().expect("no thread panics with it") = true;
                tells.1.notify_all();
            };
            // A reader must not wait for itself.
            if on_reader { drop(spawn(receive)) } else { receive() }
        })));
        let entered = host.poll_read(&second, &mut Context::from_waker(&waits)).is_pending();
        assert!(entered, "nothing has come");
        drop(waits);
        let caller = host.reads(&first);
        host.arrive(0, &second);
        host.arrive(0, &third);
        host.arrive(0, &first);
        join(caller);
        let mut is_through = through.0.lock().expect("no thread panics with it");
        while !*is_through {
            is_through = through.1.wait(is_through).expect("no thread panics with it");
        }
    });
}

/// A connection begins in the second shard with a packet that comes in at the first, whose caller waits to accept it. That it
/// is there is carried back, and left to the second to carry.
pub fn a_connection_of_the_other_to_accept() {
    let (host, []) = Host::new(None, []);
    let (quad, ack) = host.half_open(1, &mut 1000);
    host.with_readers(|| {
        let caller = spawn({
            let host = host.clone();
            move || {
                let (shard, listener) = (&host.shards[0], host.listener);
                let accept = |stack: &mut Stack, _| stack.try_accept(listener);
                let accepted = wait_until(shard, listener, Interest::Readable, None, accept);
                assert_eq!(accepted.expect("nothing breaks").shard(), 1);
            }
        });
        host.shards[0].nudge.transmit(segment(&quad, 1, ack, ACK, &[]));
        join(caller);
    });
}

/// A packet for the other comes in at each queue, and a caller waits in each shard: both have theirs.
pub fn packets_for_the_other_at_both() {
    callers_at_both(None);
}

/// A packet for a task of the other shard comes in where a caller sits.
pub fn a_packet_for_a_task_of_the_other() {
    a_task_at_the_other(None);
}

/// The waker of a task of the other shard waits for a packet that comes in where the one sits who found its own.
pub fn a_waker_of_the_other_waits_for_what_comes_here() {
    a_waker_of_the_other_waits(None);
}

/// The copy itself is in order.
pub fn nothing() {
    callers_at_both(Some(Fault::None));
    a_task_at_the_other(Some(Fault::None));
    a_waker_of_the_other_waits(Some(Fault::None));
}

/// A packet is taken in where it belongs, and nobody is woken.
pub fn broken_wake() {
    callers_at_both(Some(Fault::NobodyIsWoken));
}

/// The waker of a task is left to the other side, which does not hear of it.
pub fn broken_ring() {
    a_task_at_the_other(Some(Fault::NobodyIsTold));
}

/// The waker of a task runs on the thread that sits elsewhere.
pub fn broken_place() {
    a_waker_of_the_other_waits(Some(Fault::AllAreWoken));
}
