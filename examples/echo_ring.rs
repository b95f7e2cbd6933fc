//! An echo server on a completion ring, one thread: connections and data come by multishot entries, into buffers that all share.
//!
//! Run it as root, then type: nc -N 10.7.0.2 7 <README.md

mod common;

use std::collections::{HashMap, VecDeque};
use std::os::fd::RawFd;

use bytes::Bytes;
use clap::Parser;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use tunstack::bsd::abi::{MsgFlags, SOCK_CLOEXEC};
use tunstack::bsd::{Errno, Sockets};
use tunstack::ring::{Completion, Entry, Flags, Ring, opcode};

/// A TCP echo server with an IP address of its own: one thread and a completion ring.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    host: common::HostArgs,
    /// The port
    #[arg(long, default_value_t = 7)]
    port: u16,
}

/// The buffers. One that was filled is used again when what is in it has been sent, so clients that do not read can
/// hold up the others; a server for strangers has limits for each.
const GROUP: u16 = 0;
const BUFFERS: u16 = 4096;
const SIZE: usize = 4096;

/// What an entry does, in the upper half of its user data; the descriptor is in the lower one.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const CLOSE: u64 = 3;

#[derive(Default)]
struct Connection {
    /// What is to be sent, with the numbers of its buffers; the first is on its way.
    unsent: VecDeque<(u16, Bytes)>,
    /// Nothing more is received.
    ended: bool,
}

struct Server {
    ring: Ring,
    /// Entries for which the submission queue has no room yet.
    todo: VecDeque<Entry>,
    connections: HashMap<RawFd, Connection>,
    /// Those that wait for a buffer.
    starved: VecDeque<RawFd>,
}

fn main() -> common::Done {
    let args = Args::parse();
    common::many_descriptors()?;
    let host = args.host.up()?;
    let sys = Sockets::new(&host.engine);
    let listener = common::listen(&sys, &host.any(args.port))?;
    let mut server = Server::new(&sys, listener)?;
    host.serving("echo over TCP", sys.getsockname(listener)?.port());
    loop {
        server.go_on()?;
        let mut fds = [PollFd::new(&server.ring, PollFlags::IN), PollFd::new(&host.ctrl_c, PollFlags::IN)];
        retry_on_intr(|| poll(&mut fds, None))?;
        if fds[1].revents().contains(PollFlags::IN) {
            break;
        }
    }
    let Server { ring, connections, .. } = server;
    drop(ring); // what is in flight holds the sockets
    connections.keys().try_for_each(|fd| sys.close(*fd))?;
    host.shut_down()
}

impl Server {
    fn new(sys: &Sockets, listener: RawFd) -> Result<Self, Errno> {
        let mut ring = Ring::new(sys, 1024)?;
        ring.register_buffers(GROUP, BUFFERS)?;
        for id in 0..BUFFERS {
            ring.provide(GROUP, id, vec![0; SIZE])?;
        }
        let (connections, starved) = (HashMap::new(), VecDeque::new());
        let mut server = Self { ring, todo: VecDeque::new(), connections, starved };
        server.submit(ACCEPT, listener, opcode::accept_multi(listener, SOCK_CLOEXEC));
        Ok(server)
    }

    /// Takes completions out and submits what follows from them, as long as there are any.
    fn go_on(&mut self) -> Result<(), Errno> {
        loop {
            while let Some(entry) = self.todo.pop_front() {
                if let Err(full) = self.ring.submission().push(entry) {
                    self.todo.push_front(full.0);
                    break;
                }
            }
            match self.ring.submit() {
                Ok(_) | Err(Errno::BUSY) => {} // busy: until the completions are taken out
                Err(error) => return Err(error),
            }
            let completions: Vec<_> = self.ring.completion().collect();
            if completions.is_empty() && self.todo.is_empty() {
                return Ok(());
            }
            completions.into_iter().try_for_each(|completion| self.completed(completion))?;
        }
    }

    fn submit(&mut self, what: u64, fd: RawFd, entry: Entry) {
        self.todo.push_back(entry.user_data(what << 32 | u64::from(fd.cast_unsigned())));
    }

    fn completed(&mut self, completion: Completion) -> Result<(), Errno> {
        let fd = (completion.user_data as u32).cast_signed();
        match completion.user_data >> 32 {
            ACCEPT => self.accepted(fd, &completion),
            RECEIVE => self.received(fd, completion),
            SEND => self.sent(fd, completion),
            _ => completion.to_result().map(drop), // a close that failed
        }
    }

    fn accepted(&mut self, listener: RawFd, completion: &Completion) -> Result<(), Errno> {
        match completion.to_result() {
            Ok(fd) => {
                self.connections.insert(fd.cast_signed(), Connection::default());
                self.receive(fd.cast_signed());
            }
            Err(Errno::CONNABORTED) => {} // that one was reset before its turn
            Err(error) => return Err(error),
        }
        if !completion.more() {
            self.submit(ACCEPT, listener, opcode::accept_multi(listener, SOCK_CLOEXEC));
        }
        Ok(())
    }

    fn receive(&mut self, fd: RawFd) {
        self.submit(RECEIVE, fd, opcode::recv_multi(fd, GROUP, MsgFlags::empty()));
    }

    fn received(&mut self, fd: RawFd, completion: Completion) -> Result<(), Errno> {
        let Some(connection) = self.connections.get_mut(&fd) else { return Ok(()) };
        let more = completion.more();
        match (completion.to_result(), completion.buffer_id()) {
            (Ok(_), Some(id)) => {
                connection.unsent.push_back((id, completion.into_data().into()));
                if connection.unsent.len() == 1 {
                    self.send(fd);
                }
                if !more {
                    self.receive(fd);
                }
            }
            (Err(Errno::NOBUFS), _) => {
                self.starved.push_back(fd);
                self.feed();
            }
            // It sends no more, or the connection has failed.
            _ => {
                connection.ended = true;
                self.close_if_done(fd);
            }
        }
        Ok(())
    }

    /// One at a time, for the order's sake.
    fn send(&mut self, fd: RawFd) {
        if let Some((_, data)) = self.connections.get(&fd).and_then(|c| c.unsent.front()) {
            let entry = opcode::send(fd, data.clone(), MsgFlags::WAITALL);
            self.submit(SEND, fd, entry);
        }
    }

    fn sent(&mut self, fd: RawFd, completion: Completion) -> Result<(), Errno> {
        let failed = completion.to_result().is_err();
        drop(completion); // and its handle on the data
        let Some(connection) = self.connections.get_mut(&fd) else { return Ok(()) };
        let over = if failed { connection.unsent.len() } else { 1 };
        let over: Vec<_> = connection.unsent.drain(..over).collect();
        for (id, data) in over {
            let mut buffer = Vec::from(data); // the same memory
            buffer.resize(SIZE, 0);
            self.ring.provide(GROUP, id, buffer)?;
        }
        self.send(fd);
        self.close_if_done(fd);
        self.feed();
        Ok(())
    }

    /// Receives again where there was no buffer, now that there is one.
    fn feed(&mut self) {
        for _ in 0..self.ring.buffers(GROUP).min(self.starved.len()) {
            if let Some(fd) = self.starved.pop_front() {
                self.receive(fd);
            }
        }
    }

    fn close_if_done(&mut self, fd: RawFd) {
        if self.connections.get(&fd).is_some_and(|c| c.ended && c.unsent.is_empty()) {
            self.connections.remove(&fd);
            self.submit(CLOSE, fd, opcode::close(fd).flags(Flags::SKIP_SUCCESS));
        }
    }
}
