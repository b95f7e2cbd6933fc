//! One end of a connection: what it sends and what it has to receive, apart from how that is done.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use tunstack::bsd::abi::{MsgFlags, SHUT_WR};
use tunstack::bsd::{Errno, PollFd, PollFlags, Sockets};

/// Requests on each connection, each answered.
pub(crate) const ROUNDS: u32 = 24;

/// Who asks, who answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Client,
    Server,
}

/// What an end has to do next.
pub(crate) enum Want<'a> {
    /// Send these octets; [`End::sent`] says how many went.
    Send(&'a [u8]),
    /// Receive; [`End::received`] takes what came, and nothing at the end of the data.
    Receive,
    /// Nothing more.
    Nothing,
}

/// What the watchdog sees of an end.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) role: Role,
    pub(crate) fd: RawFd,
    round: AtomicU32,
    sends: AtomicBool,
    octets: AtomicUsize,
    pub(crate) over: AtomicBool,
}

impl Record {
    /// One line, with what the kernel's poll says of the socket at this moment.
    pub(crate) fn line(&self, sys: &Sockets) -> String {
        let all = PollFlags::IN | PollFlags::OUT | PollFlags::RDHUP;
        let mut fds = [PollFd::new(self.fd, all)];
        let polled = sys.poll(&mut fds, 0).map(|_| fds[0].revents);
        let does = if self.sends.load(Ordering::Relaxed) { "sends" } else { "receives" };
        let (round, octets) = (self.round.load(Ordering::Relaxed), self.octets.load(Ordering::Relaxed));
        format!("{:?} {}: {does} round {round}, {octets} octets done, poll: {polled:?}", self.role, self.fd)
    }
}

/// An end; its socket is closed with it.
pub(crate) struct End {
    pub(crate) sys: Sockets,
    pub(crate) fd: RawFd,
    role: Role,
    number: u32,
    round: u32,
    /// The message that it sends, of which so much is sent; empty while it receives.
    message: Vec<u8>,
    done: usize,
    over: bool,
    record: Arc<Record>,
}

/// Mostly short messages, and some that no buffer holds at once.
fn length(number: u32, round: u32) -> usize {
    match number.wrapping_mul(31).wrapping_add(round.wrapping_mul(7)) % 97 {
        0 => 150_000,
        n if n % 8 == 0 => 5_000 + n as usize,
        n => 1 + n as usize,
    }
}

fn octet(sender: Role, number: u32, round: u32, at: usize) -> u8 {
    let mixed = (number ^ round << 16).wrapping_add(at as u32).wrapping_mul(2_654_435_761);
    (mixed >> 24) as u8 ^ sender as u8
}

impl End {
    pub(crate) fn new(sys: &Sockets, fd: RawFd, role: Role, number: u32) -> Self {
        let record = Record {
            role,
            fd,
            round: AtomicU32::new(0),
            sends: AtomicBool::new(false),
            octets: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        };
        let mut end = Self {
            sys: sys.clone(),
            fd,
            role,
            number,
            round: 0,
            message: Vec::new(),
            done: 0,
            over: false,
            record: Arc::new(record),
        };
        if role == Role::Client {
            end.begin_to_send();
        }
        end
    }

    pub(crate) fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record)
    }

    fn begin_to_send(&mut self) {
        let octets = 0..length(self.number, self.round);
        self.message = octets.map(|at| octet(self.role, self.number, self.round, at)).collect();
        self.begun();
    }

    /// A message begins, in one direction or the other.
    fn begun(&mut self) {
        self.done = 0;
        self.note();
    }

    fn note(&self) {
        self.record.round.store(self.round, Ordering::Relaxed);
        self.record.sends.store(!self.message.is_empty(), Ordering::Relaxed);
        self.record.octets.store(self.done, Ordering::Relaxed);
    }

    pub(crate) fn want(&self) -> Want<'_> {
        if self.over {
            Want::Nothing
        } else if self.message.is_empty() {
            Want::Receive
        } else {
            Want::Send(&self.message[self.done..])
        }
    }

    /// So many octets of what it wanted to send are sent.
    pub(crate) fn sent(&mut self, n: usize) {
        self.done += n;
        self.note();
        if self.done < self.message.len() {
            return;
        }
        self.message.clear();
        if self.role == Role::Server {
            self.round += 1;
        }
        self.begun();
    }

    /// These octets came; none is the end.
    pub(crate) fn received(&mut self, octets: &[u8]) {
        if octets.is_empty() {
            assert_eq!((self.round, self.done), (ROUNDS, 0), "{}: an early end", self.record.line(&self.sys));
            self.over = true;
            self.record.over.store(true, Ordering::Relaxed);
            return;
        }
        let sender = if self.role == Role::Client { Role::Server } else { Role::Client };
        let length = length(self.number, self.round);
        assert!(self.round < ROUNDS && self.done + octets.len() <= length, "more came than was sent");
        for got in octets {
            assert_eq!(*got, octet(sender, self.number, self.round, self.done), "at {}", self.done);
            self.done += 1;
        }
        self.note();
        if self.done < length {
            return;
        }
        match self.role {
            Role::Server => self.begin_to_send(),
            Role::Client => {
                self.round += 1;
                self.begun();
                if self.round < ROUNDS {
                    self.begin_to_send();
                } else {
                    self.sys.shutdown(self.fd, SHUT_WR).unwrap();
                }
            }
        }
    }

    /// Goes on as far as it goes without waiting, and says what to wait for: to read, to write, or for nothing more.
    pub(crate) fn run(&mut self) -> Blocked {
        let mut buf = [0; 8192];
        loop {
            match self.want() {
                Want::Nothing => return Blocked::Over,
                Want::Send(octets) => match self.sys.send(self.fd, octets, MsgFlags::DONTWAIT) {
                    Ok(n) => self.sent(n),
                    Err(Errno::AGAIN) => return Blocked::Write,
                    Err(error) => panic!("{}: {error}", self.record.line(&self.sys)),
                },
                Want::Receive => match self.sys.recv(self.fd, &mut buf, MsgFlags::DONTWAIT) {
                    Ok(n) => self.received(&buf[..n]),
                    Err(Errno::AGAIN) => return Blocked::Read,
                    Err(error) => panic!("{}: {error}", self.record.line(&self.sys)),
                },
            }
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.sys.close(self.fd).unwrap();
    }
}

/// What an end waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Blocked {
    Read,
    Write,
    Over,
}
