//! A connection that a script plays on: walks the steps of a [`Behaviour`] as far as its socket allows.

use std::rc::Rc;

use bytes::{Buf, Bytes};
use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::time::Instant;

use super::behaviour::{Behaviour, End, ReadStep, WriteStep};
use super::pattern::{Pattern, Way};

/// Octets a read or write has at the most where the behaviour does not say.
pub const CHUNK: usize = 16 * 1024;

/// What a script asks of a socket, whoever made that. No call waits.
pub trait Socket {
    /// Whether the handshake is done.
    ///
    /// # Errors
    /// It failed.
    fn opened(&mut self) -> Result<bool, Error>;

    /// Our end and the peer's, once they are known.
    fn endpoints(&self) -> Option<(Endpoint, Endpoint)>;

    /// Reads; 0 is the end of file.
    ///
    /// # Errors
    /// `WouldBlock` and those of the connection.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error>;

    /// Reads without a copy; empty is the end of file.
    ///
    /// # Errors
    /// As `read`.
    fn read_bytes(&mut self, max: usize) -> Result<Bytes, Error> {
        let mut buf = vec![0; max];
        let n = self.read(&mut buf)?;
        buf.truncate(n);
        Ok(buf.into())
    }

    /// Writes and says how much was taken.
    ///
    /// # Errors
    /// As `read`.
    fn write(&mut self, data: &[u8]) -> Result<usize, Error>;

    /// Writes without a copy: what is taken is split off.
    ///
    /// # Errors
    /// As `read`.
    fn write_bytes(&mut self, data: &mut Bytes) -> Result<usize, Error> {
        let n = self.write(data)?;
        data.advance(n);
        Ok(n)
    }

    /// Ends our direction.
    ///
    /// # Errors
    /// Those of the connection; `WouldBlock` where that has to wait.
    fn shutdown_write(&mut self) -> Result<(), Error>;

    /// Gives the socket up.
    ///
    /// # Errors
    /// There is none; `WouldBlock` where that has to wait.
    fn close(&mut self) -> Result<(), Error>;

    /// Gives the socket up with a reset.
    ///
    /// # Errors
    /// There is none.
    fn close_with_reset(&mut self) -> Result<(), Error>;

    /// Resets the connection; the socket stays.
    ///
    /// # Errors
    /// There is none.
    fn abort(&mut self) -> Result<(), Error>;
}

/// Which end of a connection a script plays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It connected.
    Client,
    /// It accepted.
    Server,
}

/// How a connection went. The times are `None` for what has not happened.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Our end and the peer's.
    pub endpoints: Option<(Endpoint, Endpoint)>,
    /// Octets the stack took from us.
    pub sent: u64,
    /// Octets it gave us.
    pub received: u64,
    /// The position of the first octet that was not what the peer sent.
    pub wrong_at: Option<u64>,
    /// The call that failed, how and when. Everything ends there.
    pub error: Option<(&'static str, Error, Instant)>,
    /// The script began: `connect` was called or the connection accepted.
    pub started_at: Option<Instant>,
    /// The handshake was done.
    pub opened_at: Option<Instant>,
    /// The first octet was read.
    pub first_octet_at: Option<Instant>,
    /// The latest octet was read.
    pub last_octet_at: Option<Instant>,
    /// The latest octet was written.
    pub written_at: Option<Instant>,
    /// Our direction was shut down.
    pub shut_at: Option<Instant>,
    /// The end of file was read.
    pub eof_at: Option<Instant>,
    /// The socket was closed, or kept if it is to stay.
    pub ended_at: Option<Instant>,
}

impl Outcome {
    /// Whether the script came to its end without an error, having sent and received so many octets, each
    /// of them right.
    pub fn is_complete(&self, sent: u64, received: u64) -> bool {
        self.ended_at.is_some()
            && self.error.is_none()
            && self.wrong_at.is_none()
            && (self.sent, self.received) == (sent, received)
    }

    /// The error's kind, if there was one.
    pub fn failure(&self) -> Option<Error> {
        self.error.map(|(_, error, _)| error)
    }
}

/// One list of steps and where in it the script stands.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    step: usize,
    /// Octets of the step that are done.
    octets: u64,
    /// Read and write calls so far, for sizes used in turn.
    calls: usize,
    /// When a pause ends.
    wake: Option<Instant>,
}

impl Track {
    fn next_step(&mut self) {
        *self = Self { step: self.step + 1, calls: self.calls, ..Self::default() };
    }

    /// Waits until `at`; whether that is over.
    fn waited(&mut self, at: Instant, now: Instant) -> bool {
        self.wake = (now < at).then_some(at);
        self.wake.is_none()
    }

    fn size(&self, sizes: &[usize]) -> usize {
        sizes.get(self.calls % sizes.len().max(1)).copied().unwrap_or(CHUNK)
    }
}

/// A connection and the script that plays on it.
#[derive(Debug)]
pub struct Connection {
    behaviour: Rc<Behaviour>,
    role: Role,
    out: Pattern,
    inward: Pattern,
    writing: Track,
    reading: Track,
    /// What was made for writing and not taken yet.
    pending: Bytes,
    outcome: Outcome,
}

/// Whether a step was done, or has to wait.
enum Step {
    Done,
    Wait,
}

type Stepped = Result<Step, (&'static str, Error)>;

impl Connection {
    /// A script that begins at `now`.
    pub fn new(behaviour: Rc<Behaviour>, role: Role, now: Instant) -> Self {
        let outcome = Outcome { started_at: Some(now), ..Outcome::default() };
        let none = Pattern::new(0);
        let (writing, reading) = (Track::default(), Track::default());
        Self { behaviour, role, out: none, inward: none, writing, reading, pending: Bytes::new(), outcome }
    }

    /// How it went so far.
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Whether the script is at its end.
    pub const fn ended(&self) -> bool {
        self.outcome.ended_at.is_some()
    }

    /// When it wants to be polled next, whatever the socket does.
    pub fn next_wake(&self) -> Option<Instant> {
        if self.ended() {
            return None;
        }
        [self.writing.wake, self.reading.wake].into_iter().flatten().min()
    }

    /// Goes as far as the socket allows and says whether that was anywhere. `scratch` is room for reading.
    pub fn poll(&mut self, socket: &mut dyn Socket, now: Instant, scratch: &mut Vec<u8>) -> bool {
        if self.ended() {
            return false;
        }
        let mut moved = false;
        match self.walk(socket, now, scratch, &mut moved) {
            Ok(true) => moved |= self.finish(socket, now),
            Ok(false) => {}
            Err((call, error)) => {
                self.fail(call, error, now);
                // The handle is ours still; what its close says adds nothing to the error.
                let _ = socket.close();
                moved = true;
            }
        }
        moved
    }

    /// Notes that it came to nothing.
    pub fn fail(&mut self, call: &'static str, error: Error, now: Instant) {
        self.outcome.error = Some((call, error, now));
        self.outcome.ended_at = Some(now);
        self.pending = Bytes::new();
    }

    /// Walks both lists; whether both are at their end.
    fn walk(
        &mut self,
        socket: &mut dyn Socket,
        now: Instant,
        scratch: &mut Vec<u8>,
        moved: &mut bool,
    ) -> Result<bool, (&'static str, Error)> {
        if self.outcome.opened_at.is_none() {
            if !socket.opened().map_err(|e| ("connect", e))? {
                return Ok(false);
            }
            self.open(socket.endpoints(), now);
            *moved = true;
        }
        let behaviour = Rc::clone(&self.behaviour);
        loop {
            let before = (self.outcome.sent, self.outcome.received, self.writing.step, self.reading.step);
            while let Some(step) = behaviour.write.get(self.writing.step)
                && matches!(self.write_step(*step, socket, now)?, Step::Done)
            {
                self.writing.next_step();
            }
            while let Some(step) = behaviour.read.get(self.reading.step)
                && matches!(self.read_step(*step, socket, now, scratch)?, Step::Done)
            {
                self.reading.next_step();
            }
            if before == (self.outcome.sent, self.outcome.received, self.writing.step, self.reading.step) {
                break;
            }
            *moved = true;
        }
        Ok(self.writing.step >= behaviour.write.len() && self.reading.step >= behaviour.read.len())
    }

    fn open(&mut self, endpoints: Option<(Endpoint, Endpoint)>, now: Instant) {
        self.outcome.opened_at = Some(now);
        self.outcome.endpoints = endpoints;
        // An accepted connection that is gone already has no ends to tell.
        let port = endpoints.map_or(0, |(local, remote)| match self.role {
            Role::Client => local.port,
            Role::Server => remote.port,
        });
        let of = |way| Pattern::of_connection(self.behaviour.seed, port, way);
        (self.out, self.inward) = match self.role {
            Role::Client => (of(Way::Up), of(Way::Down)),
            Role::Server => (of(Way::Down), of(Way::Up)),
        };
    }

    fn write_step(&mut self, step: WriteStep, socket: &mut dyn Socket, now: Instant) -> Stepped {
        let done = match step {
            WriteStep::Send(n) => return self.send(n, socket, now),
            WriteStep::Pause(d) => {
                let until = self.writing.wake.unwrap_or(now + d);
                self.writing.waited(until, now)
            }
            WriteStep::Until(at) => self.writing.waited(at, now),
            WriteStep::AwaitReceived(n) => self.outcome.received >= n,
            WriteStep::AwaitEof => self.outcome.eof_at.is_some(),
            WriteStep::Shutdown => match socket.shutdown_write() {
                Ok(()) => {
                    self.outcome.shut_at = Some(now);
                    true
                }
                Err(Error::WouldBlock) => false,
                Err(e) => return Err(("shutdown", e)),
            },
        };
        Ok(if done { Step::Done } else { Step::Wait })
    }

    fn send(&mut self, n: u64, socket: &mut dyn Socket, now: Instant) -> Stepped {
        while self.writing.octets < n {
            if self.pending.is_empty() {
                let rest = usize::try_from(n - self.writing.octets).unwrap_or(usize::MAX);
                let mut piece = vec![0; self.writing.size(&self.behaviour.write_sizes).min(rest)];
                self.out.fill(self.outcome.sent, &mut piece);
                self.pending = piece.into();
                self.writing.calls += 1;
            }
            let taken = if self.behaviour.zero_copy {
                socket.write_bytes(&mut self.pending)
            } else {
                socket.write(&self.pending).inspect(|taken| self.pending.advance(*taken))
            };
            match taken {
                Ok(taken) => {
                    assert_ne!(taken, 0, "a write that may go on took nothing instead of saying WouldBlock");
                    self.writing.octets += taken as u64;
                    self.outcome.sent += taken as u64;
                    self.outcome.written_at = Some(now);
                }
                Err(Error::WouldBlock) => return Ok(Step::Wait),
                Err(e) => return Err(("write", e)),
            }
        }
        Ok(Step::Done)
    }

    fn read_step(
        &mut self,
        step: ReadStep,
        socket: &mut dyn Socket,
        now: Instant,
        scratch: &mut Vec<u8>,
    ) -> Stepped {
        let done = match step {
            ReadStep::Receive(n) => return self.receive(n, socket, now, scratch),
            ReadStep::ToEnd => return self.receive(u64::MAX, socket, now, scratch),
            ReadStep::Pause(d) => {
                let until = self.reading.wake.unwrap_or(now + d);
                self.reading.waited(until, now)
            }
            ReadStep::Until(at) => self.reading.waited(at, now),
            ReadStep::AwaitSent(n) => self.outcome.sent >= n,
        };
        Ok(if done { Step::Done } else { Step::Wait })
    }

    fn receive(&mut self, n: u64, socket: &mut dyn Socket, now: Instant, scratch: &mut Vec<u8>) -> Stepped {
        while self.reading.octets < n && self.outcome.eof_at.is_none() {
            let rest = usize::try_from(n - self.reading.octets).unwrap_or(usize::MAX);
            let max = self.reading.size(&self.behaviour.read_sizes).min(rest);
            let got = if self.behaviour.zero_copy {
                socket.read_bytes(max).map(|data| {
                    self.check(&data);
                    data.len()
                })
            } else {
                scratch.resize(max.max(scratch.len()), 0);
                let buf = &mut scratch[..max];
                socket.read(buf).inspect(|len| self.check(&buf[..*len]))
            };
            match got {
                Ok(0) => self.outcome.eof_at = Some(now),
                Ok(len) => {
                    self.reading.calls += 1;
                    self.reading.octets += len as u64;
                    self.outcome.received += len as u64;
                    self.outcome.first_octet_at.get_or_insert(now);
                    self.outcome.last_octet_at = Some(now);
                }
                Err(Error::WouldBlock) => return Ok(Step::Wait),
                Err(e) => return Err(("read", e)),
            }
        }
        Ok(Step::Done)
    }

    fn check(&mut self, data: &[u8]) {
        if let Err(wrong) = self.inward.check(self.outcome.received, data) {
            self.outcome.wrong_at.get_or_insert(wrong);
        }
    }

    fn finish(&mut self, socket: &mut dyn Socket, now: Instant) -> bool {
        let (call, result) = match self.behaviour.end {
            End::Keep => ("keep", Ok(())),
            End::Close => ("close", socket.close()),
            End::Abort => ("abort", socket.abort().and_then(|()| socket.close())),
            End::LingerZero => ("close", socket.close_with_reset()),
        };
        match result {
            Ok(()) => self.outcome.ended_at = Some(now),
            Err(Error::WouldBlock) => return false,
            Err(e) => self.fail(call, e, now),
        }
        true
    }
}
