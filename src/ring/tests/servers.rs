//! An echo server by ring (multishot accept, multishot receive, provided buffers) and clients that check every octet.

use std::collections::{BTreeMap, VecDeque};
use std::thread;

use bytes::Bytes;

use super::*;
use crate::ring::{Buffer, opcode};

const GROUP: u16 = 1;
const SIZE: usize = 2048;

/// What an entry is for, in the upper half of its user data; the descriptor is in the lower one.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1 << 32;
const SEND: u64 = 2 << 32;
const CLOSE: u64 = 3 << 32;
const CONNECT: u64 = 4 << 32;

fn tag(what: u64, fd: RawFd) -> u64 {
    what | u64::try_from(fd).unwrap()
}

/// What is still to be sent on a connection; the first of it is on its way.
#[derive(Default)]
struct Connection {
    queue: VecDeque<(u16, Bytes)>,
    receives: bool,
}

struct Server {
    ring: Ring,
    todo: VecDeque<Entry>,
    connections: BTreeMap<RawFd, Connection>,
    starved: VecDeque<RawFd>,
    starvations: usize,
    closed: usize,
}

impl Server {
    fn new(sys: &Sockets, listener: RawFd, buffers: u16) -> Self {
        let mut ring = Ring::new(sys, 64).unwrap();
        ring.register_buffers(GROUP, buffers.next_power_of_two()).unwrap();
        for id in 0..buffers {
            ring.provide(GROUP, id, vec![0; SIZE]).unwrap();
        }
        Self {
            ring,
            todo: [opcode::accept_multi(listener, 0).user_data(tag(ACCEPT, listener))].into(),
            connections: BTreeMap::new(),
            starved: VecDeque::new(),
            starvations: 0,
            closed: 0,
        }
    }

    /// Serves until so many connections were closed.
    fn serve(mut self, connections: usize) -> Self {
        while self.closed < connections {
            while let Some(entry) = self.todo.pop_front() {
                if let Err(full) = self.ring.submission().push(entry) {
                    self.todo.push_front(full.0);
                    break;
                }
            }
            match self.ring.submit_and_wait(usize::from(self.todo.is_empty())) {
                Ok(_) | Err(Errno::BUSY) => {}
                Err(error) => panic!("{error}"),
            }
            let completions: Vec<_> = self.ring.completion().collect();
            completions.into_iter().for_each(|completion| self.completed(completion));
        }
        self
    }

    fn receive(&mut self, fd: RawFd) {
        self.connections.get_mut(&fd).unwrap().receives = true;
        self.todo.push_back(opcode::recv_multi(fd, GROUP, NONE).user_data(tag(RECEIVE, fd)));
    }

    fn completed(&mut self, completion: Completion) {
        let fd = (completion.user_data & 0xffff_ffff) as RawFd;
        match completion.user_data & !0xffff_ffff {
            ACCEPT => {
                let accepted = completion.to_result().unwrap() as RawFd;
                self.connections.insert(accepted, Connection::default());
                self.receive(accepted);
                if !completion.more() {
                    self.todo.push_back(opcode::accept_multi(fd, 0).user_data(completion.user_data));
                }
            }
            RECEIVE => {
                let more = completion.more();
                self.connections.get_mut(&fd).unwrap().receives = more;
                match (completion.to_result(), completion.buffer_id()) {
                    (Ok(0), None) => self.end(fd),
                    (Ok(_), Some(id)) => {
                        let queue = &mut self.connections.get_mut(&fd).unwrap().queue;
                        queue.push_back((id, completion.into_data().into()));
                        if queue.len() == 1 {
                            self.send(fd);
                        }
                        if !more {
                            self.receive(fd);
                        }
                    }
                    (Err(Errno::NOBUFS), None) => {
                        self.starvations += 1;
                        if self.ring.buffers(GROUP) > 0 {
                            self.receive(fd)
                        } else {
                            self.starved.push_back(fd)
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
            SEND => {
                let queue = &mut self.connections.get_mut(&fd).unwrap().queue;
                let (id, data) = queue.pop_front().unwrap();
                assert_eq!(completion.to_result(), Ok(data.len() as u32));
                assert_eq!(completion.buffer, Buffer::Sent(data.clone()));
                drop(completion);
                if queue.is_empty() {
                    self.end(fd)
                } else {
                    self.send(fd)
                }
                // The memory goes back where it came from.
                let mut buffer = Vec::from(data);
                buffer.resize(SIZE, 0);
                self.ring.provide(GROUP, id, buffer).unwrap();
                if let Some(fd) = self.starved.pop_front() {
                    self.receive(fd);
                }
            }
            CLOSE => {
                assert_eq!(completion.result, 0);
                self.closed += 1;
            }
            other => panic!("{other}"),
        }
    }

    fn send(&mut self, fd: RawFd) {
        let (_, data) = &self.connections[&fd].queue[0];
        self.todo.push_back(opcode::send(fd, data.clone(), ALL).user_data(tag(SEND, fd)));
    }

    /// Closes a connection that neither receives nor has to send.
    fn end(&mut self, fd: RawFd) {
        let connection = &self.connections[&fd];
        let over = !connection.receives && connection.queue.is_empty() && !self.starved.contains(&fd);
        if over {
            self.connections.remove(&fd);
            self.todo.push_back(opcode::close(fd).user_data(tag(CLOSE, fd)));
        }
    }
}

/// The octet at one place of what one client sends.
fn octet(client: usize, at: usize) -> u8 {
    (client * 31 + at * 7 + at / 251) as u8
}

/// Pushes, and submits where there is no room.
fn push(ring: &mut Ring, entry: Entry) {
    if let Err(full) = ring.submission().push(entry) {
        ring.submit().unwrap();
        ring.submission().push(full.0).unwrap();
    }
}

/// So many clients at a time, by another ring: each sends so many octets and has them back.
fn clients(sys: &Sockets, to: SocketAddr, count: usize, octets: usize) {
    let mut ring = Ring::new(sys, 1024).unwrap();
    let mut received = vec![0; count];
    let fds: Vec<_> = (0..count).map(|_| sys.socket(AF_INET, SOCK_STREAM, 0).unwrap()).collect();
    for (n, &fd) in fds.iter().enumerate() {
        ring.submission().push(opcode::connect(fd, to).user_data(CONNECT | n as u64)).unwrap();
    }
    let mut open = count;
    while open > 0 {
        ring.submit().unwrap();
        // A server that has failed says nothing.
        ring.wait(1, Some(Duration::from_secs(60))).unwrap();
        let completions: Vec<_> = ring.completion().collect();
        for completion in completions {
            let n = (completion.user_data & 0xffff_ffff) as usize;
            match completion.user_data & !0xffff_ffff {
                CONNECT => {
                    assert_eq!(completion.result, 0);
                    let data: Vec<u8> = (0..octets).map(|at| octet(n, at)).collect();
                    push(&mut ring, opcode::send(fds[n], data, ALL).user_data(SEND | n as u64));
                    push(&mut ring, opcode::recv(fds[n], vec![0; 4096], NONE).user_data(RECEIVE | n as u64));
                    continue;
                }
                SEND => {
                    assert_eq!(completion.to_result(), Ok(octets as u32));
                    continue;
                }
                _ => {}
            }
            let len = completion.to_result().unwrap() as usize;
            for (at, &was) in (received[n]..).zip(completion.data()) {
                assert_eq!(was, octet(n, at), "octet {at} of client {n}");
            }
            received[n] += len;
            if received[n] == octets {
                sys.close(fds[n]).unwrap();
                open -= 1;
                continue;
            }
            assert!(len > 0, "client {n} ended at {}", received[n]);
            let again = opcode::recv(fds[n], completion.into_buffer(), NONE);
            push(&mut ring, again.user_data(RECEIVE | n as u64));
        }
    }
    assert_eq!(received, vec![octets; count]);
}

fn echo(connections: usize, octets: usize, buffers: u16) -> Server {
    let host = Host::new(1);
    let (listener, address) = host.listener();
    let server = Server::new(&host.sys, listener, buffers);
    let serving = thread::spawn(move || server.serve(connections));
    clients(&host.sys, address, connections, octets);
    let server = serving.join().unwrap();
    assert_eq!(server.ring.buffers(GROUP), usize::from(buffers), "every buffer came back");
    server
}

#[test]
fn five_hundred_connections_echo_megabytes() {
    let server = echo(500, 20_000, 1024);
    assert_eq!((server.closed, server.connections.len()), (500, 0));
}

#[test]
fn too_few_buffers_slow_it_down_and_lose_nothing() {
    let server = echo(40, 60_000, 3);
    assert!(server.starvations > 0);
}
