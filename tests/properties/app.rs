//! A program that walks its script on one socket.

use bytes::Bytes;
use tunstack::core::error::Error;
use tunstack::core::sockopt::Shutdown;
use tunstack::core::stack::{SocketId, Stack};
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::pattern::Pattern;

use crate::case::{Cut, Script};

/// One direction of a script.
struct Track {
    steps: std::vec::IntoIter<(u32, u16)>,
    /// Octets left of the present step, and when it may begin.
    step: Option<(u32, Instant)>,
    over: bool,
}

impl Track {
    fn new(steps: &[(u32, u16)]) -> Self {
        Self { steps: Vec::from(steps).into_iter(), step: None, over: false }
    }

    /// Octets to do now; `None` when there is nothing (more) to do at this time.
    fn due(&mut self, now: Instant) -> Option<u32> {
        loop {
            let (left, from) = match self.step {
                Some(step) => step,
                None => {
                    let (octets, pause) = self.steps.next()?;
                    (octets, now + Duration::from_millis(pause.into()))
                }
            };
            self.step = Some((left, from));
            if now < from {
                return None;
            }
            if left > 0 {
                return Some(left);
            }
            self.step = None;
        }
    }

    fn done(&mut self, octets: u32) {
        if let Some((left, _)) = &mut self.step {
            *left -= octets;
        }
    }

    /// All steps have been done.
    fn at_end(&self) -> bool {
        self.step.is_none() && self.steps.as_slice().is_empty()
    }

    fn wake(&self) -> Option<Instant> {
        self.step.map(|(_, from)| from)
    }
}

pub(crate) struct App {
    writing: Track,
    reading: Track,
    cut: Option<(u16, Cut)>,
    cut_at: Option<Instant>,
    out: Pattern,
    inward: Pattern,
    zero_copy: bool,
    pub(crate) written: u64,
    pub(crate) read: u64,
    pub(crate) eof: bool,
    pub(crate) error: Option<Error>,
    pub(crate) closed: bool,
}

impl App {
    pub(crate) fn new(script: &Script, out: Pattern, inward: Pattern, zero_copy: bool) -> Self {
        Self {
            writing: Track::new(&script.writes),
            reading: Track::new(&script.reads),
            cut: script.cut,
            cut_at: None,
            out,
            inward,
            zero_copy,
            written: 0,
            read: 0,
            eof: false,
            error: None,
            closed: false,
        }
    }

    /// When it wants to go on, whatever the socket does.
    pub(crate) fn wake(&self, now: Instant) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let steps = [self.writing.wake(), self.reading.wake(), self.cut_at];
        steps.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Goes as far as it can; whether that was anywhere.
    pub(crate) fn poll(&mut self, stack: &mut Stack, id: SocketId, now: Instant) -> bool {
        if self.closed {
            return false;
        }
        let before = (self.written, self.read, self.eof, self.writing.over, self.cut.is_some());
        let result = self.go(stack, id, now);
        if let Err(error) = result {
            self.error = Some(error);
        }
        if result.is_err() || (self.writing.over && self.reading.over) {
            stack.close(id, now).expect("the handle is ours");
            self.closed = true;
            return true;
        }
        before != (self.written, self.read, self.eof, self.writing.over, self.cut.is_some())
    }

    fn go(&mut self, stack: &mut Stack, id: SocketId, now: Instant) -> Result<(), Error> {
        let at = *self.cut_at.get_or_insert_with(|| match self.cut {
            Some((after, _)) => now + Duration::from_millis(after.into()),
            None => Instant::FAR_FUTURE,
        });
        if self.cut.is_none() {
            self.cut_at = Some(Instant::FAR_FUTURE);
        }
        if now >= at
            && let Some((_, cut)) = self.cut.take()
        {
            self.leave(cut, stack, id, now)?;
        }
        self.write(stack, id, now)?;
        self.read(stack, id, now)
    }

    fn leave(&mut self, cut: Cut, stack: &mut Stack, id: SocketId, now: Instant) -> Result<(), Error> {
        let how = match cut {
            Cut::Close => {
                (self.writing.over, self.reading.over) = (true, true);
                return Ok(());
            }
            Cut::Abort => {
                (self.writing.over, self.reading.over) = (true, true);
                // The peer may have ended it before us.
                return stack.abort(id, now).or(Ok(()));
            }
            Cut::ShutdownRead => Shutdown::Read,
            Cut::ShutdownWrite => Shutdown::Write,
            Cut::ShutdownBoth => Shutdown::Both,
        };
        stack.shutdown(id, how, now)?;
        if how != Shutdown::Write {
            self.reading.over = true;
            self.eof = true;
        }
        if how != Shutdown::Read {
            self.writing.over = true;
        }
        Ok(())
    }

    fn write(&mut self, stack: &mut Stack, id: SocketId, now: Instant) -> Result<(), Error> {
        while !self.writing.over {
            let Some(left) = self.writing.due(now) else {
                if self.writing.at_end() {
                    stack.shutdown(id, Shutdown::Write, now)?;
                    self.writing.over = true;
                }
                break;
            };
            let mut piece = vec![0; left.min(5_000) as usize];
            self.out.fill(self.written, &mut piece);
            let taken = if self.zero_copy {
                stack.try_write_bytes(id, &mut Bytes::from(piece), now)
            } else {
                stack.try_write(id, &piece, now)
            };
            match taken {
                Ok(n) => {
                    assert!(n > 0 && n as u64 <= u64::from(left), "a write took {n} of {left} octets");
                    self.written += n as u64;
                    self.writing.done(n as u32);
                }
                Err(Error::WouldBlock) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self, stack: &mut Stack, id: SocketId, now: Instant) -> Result<(), Error> {
        while !self.reading.over {
            let max = match self.reading.due(now) {
                Some(left) => left,
                None if self.reading.at_end() => 4_000,
                None => break,
            };
            let got = if self.zero_copy {
                stack.try_read_bytes(id, max as usize)
            } else {
                let mut buf = vec![0; max as usize];
                stack.try_read(id, &mut buf).map(|n| {
                    buf.truncate(n);
                    buf.into()
                })
            };
            match got {
                Ok(octets) if octets.is_empty() => {
                    (self.eof, self.reading.over) = (true, true);
                }
                Ok(octets) => {
                    assert!(octets.len() as u64 <= u64::from(max), "more read than asked for");
                    if let Err(at) = self.inward.check(self.read, &octets) {
                        panic!("octet {at} is not what was written");
                    }
                    self.read += octets.len() as u64;
                    if !self.reading.at_end() {
                        self.reading.done(octets.len() as u32);
                    }
                }
                Err(Error::WouldBlock) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
