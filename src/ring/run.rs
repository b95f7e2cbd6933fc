//! What goes on between the two queues: chains, drains, timeouts and cancels.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use rustix::io::Errno;
use tunstack_core::time::Instant;

use super::bell::Token;
use super::completion::{Buffer, Completion, CompletionFlags};
use super::entry::{CancelBuilder, Entry, Flags, Match, Operation, TimeoutFlags, When};
use super::operate::{Look, Outcome, Work};
use super::{Key, Ring};
use crate::bsd::Result;

/// Completions of a multishot operation in a row, before others have their turn (Linux's `MULTISHOT_MAX_RETRY`).
const SHOTS: u32 = 32;

/// An entry in flight.
#[derive(Debug)]
pub(super) struct Op {
    user_data: u64,
    flags: Flags,
    operation: Operation,
    /// What is linked behind.
    rest: VecDeque<Entry>,
    token: Arc<Token>,
    /// On a socket.
    work: Option<Work>,
    /// When it expires.
    alarm: Option<Instant>,
    /// How many completions end it.
    counted: Option<u64>,
    /// The other of an operation and its link timeout.
    partner: Option<Key>,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Task {
    Start(VecDeque<Entry>),
    Look(Key),
}

fn drains(chain: &VecDeque<Entry>) -> bool {
    chain.iter().any(|entry| entry.flags.contains(Flags::IO_DRAIN))
}

impl Ring {
    /// What `submit` does.
    pub(super) fn take_submissions(&mut self) -> Result<usize> {
        self.run();
        if self.cq.overflows() && !self.sq.is_empty() {
            return Err(Errno::BUSY);
        }
        let mut taken = 0;
        while !self.sq.is_empty() {
            // A chain ends with the submission at the latest.
            let end = self.sq.iter().position(|entry| !entry.flags.links());
            let len = end.map_or(self.sq.len(), |last| last + 1);
            if self.outstanding() + len > self.in_flight {
                break;
            }
            taken += len;
            let chain: VecDeque<_> = self.sq.drain(..len).collect();
            let held_up = self.barrier || drains(&chain) && self.active > 0;
            if held_up || !self.deferred.is_empty() {
                self.deferred_entries += len;
                self.deferred.push_back(chain);
            } else {
                self.release(chain);
            }
        }
        self.run();
        if taken == 0 && !self.sq.is_empty() { Err(Errno::AGAIN) } else { Ok(taken) }
    }

    fn release(&mut self, chain: VecDeque<Entry>) {
        self.active += chain.len();
        self.barrier = drains(&chain);
        self.tasks.push_back(Task::Start(chain));
    }

    /// Does all that can be done.
    pub(super) fn run(&mut self) {
        loop {
            self.expire();
            self.reach();
            self.tasks.extend(self.bell.take().into_iter().map(Task::Look));
            if self.tasks.is_empty() {
                return;
            }
            while let Some(task) = self.tasks.pop_front() {
                match task {
                    Task::Start(chain) => self.start(chain),
                    Task::Look(key) => self.look(key),
                }
                self.reach();
            }
        }
    }

    /// Ends the timeouts that enough completions have outrun.
    fn reach(&mut self) {
        while let Some(key) = self.timers.reached(self.cq.posted()) {
            self.finish(key, Outcome::ok(0));
        }
    }

    fn enter(&mut self, entry: Entry, rest: VecDeque<Entry>, partner: Option<Key>) -> Key {
        self.last_key += 1;
        let key = Key(self.last_key);
        let Entry { operation, user_data, flags } = entry;
        let op = Op {
            user_data,
            flags,
            operation,
            rest,
            token: Token::new(key, &self.bell),
            work: None,
            alarm: None,
            counted: None,
            partner,
        };
        self.by_user_data.insert((user_data, key));
        self.ops.insert(key, op);
        key
    }

    fn start(&mut self, mut chain: VecDeque<Entry>) {
        let before = std::iter::once(None).chain(chain.iter().map(Some));
        let faults: Vec<_> = chain.iter().zip(before).map(|(entry, before)| entry.fault(before)).collect();
        if faults.iter().any(Option::is_some) {
            for (entry, fault) in chain.into_iter().zip(faults) {
                self.refuse(entry, fault.unwrap_or(Errno::CANCELED));
            }
            return;
        }
        let Some(entry) = chain.pop_front() else { return };
        let limited = matches!(chain.front(), Some(Entry { operation: Operation::LinkTimeout { .. }, .. }));
        let limit = if limited { chain.pop_front() } else { None };
        let key = self.enter(entry, chain, None);
        if let Some(limit) = limit {
            let limit = self.enter(limit, VecDeque::new(), Some(key));
            self.op(key).partner = Some(limit);
            if let Operation::LinkTimeout { when } = self.op(limit).operation {
                self.arm(limit, when);
            }
        }
        self.begin(key);
    }

    /// One that is known to be in flight.
    fn op(&mut self, key: Key) -> &mut Op {
        self.ops.get_mut(&key).expect("in flight")
    }

    fn begin(&mut self, key: Key) {
        let done: Outcome = match self.op(key).operation {
            Operation::Nop => Outcome::ok(0),
            Operation::Shutdown { fd, how } => self.sockets.shutdown(fd, how).into(),
            Operation::Close { fd } => self.sockets.close(fd).into(),
            Operation::Timeout { when, count, flags } => {
                self.arm(key, when);
                if count > 0 && !flags.contains(TimeoutFlags::MULTISHOT) {
                    let target = self.cq.posted() + u64::from(count);
                    self.op(key).counted = Some(target);
                    self.timers.count(target, key);
                }
                return;
            }
            Operation::TimeoutRemove { target } => {
                return self.remove(key, target, |o| matches!(o, Operation::Timeout { .. }));
            }
            Operation::PollRemove { target } => {
                return self.remove(key, target, |o| matches!(o, Operation::PollAdd { .. }));
            }
            Operation::TimeoutUpdate { target, when } => self.update(target, when).into(),
            Operation::AsyncCancel(which) => return self.cancel_matching(key, which),
            Operation::LinkTimeout { .. } => Errno::INVAL.into(),
            Operation::Accept { fd, .. } | Operation::Connect { fd, .. } | Operation::PollAdd { fd, .. } => {
                return self.begin_on(key, fd);
            }
            Operation::Receive(ref receive) => {
                let fd = receive.fd;
                return self.begin_on(key, fd);
            }
            Operation::Send(ref send) => {
                let fd = send.fd;
                return self.begin_on(key, fd);
            }
        };
        self.finish(key, done);
    }

    fn begin_on(&mut self, key: Key, fd: std::os::fd::RawFd) {
        match self.sockets.file(fd) {
            Err(error) => self.finish(key, error.into()),
            Ok(file) => {
                let op = self.op(key);
                op.work = Some(Work::new(file, Waker::from(Arc::clone(&op.token))));
                self.look(key);
            }
        }
    }

    /// Looks whether an operation on a socket can go on.
    fn look(&mut self, key: Key) {
        for _ in 0..SHOTS {
            // It may have completed since it was woken.
            let Some(op) = self.ops.get_mut(&key) else { return };
            let Some(work) = &mut op.work else { return };
            op.token.answer();
            let (outcome, again) = match work.look(&mut op.operation, &self.sockets, &mut self.groups) {
                Look::Pending => return,
                Look::Done(outcome) => return self.finish(key, outcome),
                Look::Shot(outcome) => (outcome, false),
                Look::Again(outcome) => (outcome, true),
            };
            // Where there is no room it ends: what comes unasked is not to pile up.
            if self.cq.is_full() {
                return self.finish(key, outcome);
            }
            let user_data = op.user_data;
            self.post(user_data, outcome, Buffer::None, true, true);
            if !again {
                return;
            }
        }
        self.tasks.push_back(Task::Look(key));
    }

    fn post(&mut self, user_data: u64, outcome: Outcome, buffer: Buffer, more: bool, counts: bool) {
        let Outcome { result, flags, address, message, buffer: provided, .. } = outcome;
        let mut completion = Completion::new(user_data, result);
        completion.flags = flags;
        completion.flags.set(CompletionFlags::MORE, more);
        completion.address = address;
        completion.message = message;
        completion.buffer = provided.map_or(buffer, Buffer::Received);
        self.cq.post(completion, counts);
    }

    /// The last completion of an operation, and what follows from it.
    fn finish(&mut self, key: Key, outcome: Outcome) {
        let Some(op) = self.ops.remove(&key) else { return };
        self.by_user_data.remove(&(op.user_data, key));
        if let Some(at) = op.alarm {
            self.timers.disarm(at, key);
        }
        if let Some(target) = op.counted {
            self.timers.uncount(target, key);
        }
        // Its waker and its socket go before the completion tells of it.
        drop(op.work);
        let broken = outcome.broken;
        let silent = op.flags.contains(Flags::SKIP_SUCCESS);
        if broken || !silent {
            let counts = !matches!(op.operation, Operation::Timeout { .. });
            self.post(op.user_data, outcome, op.operation.into_buffer(), false, counts);
        }
        if let Some(partner) = op.partner {
            // In time: the link timeout is off. (Where it was the link timeout that ended, its operation runs on.)
            match self.ops.get_mut(&partner) {
                Some(Op { operation: Operation::LinkTimeout { .. }, .. }) => {
                    self.finish(partner, Outcome { broken: false, ..Errno::CANCELED.into() });
                }
                Some(limited) => limited.partner = None,
                None => {}
            }
        }
        if broken && !op.flags.contains(Flags::IO_HARDLINK) {
            for entry in op.rest {
                if silent {
                    self.completed();
                } else {
                    self.refuse(entry, Errno::CANCELED);
                }
            }
        } else if !op.rest.is_empty() {
            self.tasks.push_back(Task::Start(op.rest));
        }
        self.completed();
    }

    /// Completes an entry that was not begun.
    fn refuse(&mut self, entry: Entry, error: Errno) {
        let counts = !matches!(entry.operation, Operation::Timeout { .. });
        self.post(entry.user_data, error.into(), entry.operation.into_buffer(), false, counts);
        self.completed();
    }

    /// One fewer is in flight; the last one lets through what a drain held up.
    fn completed(&mut self) {
        self.active -= 1;
        if self.active > 0 {
            return;
        }
        self.barrier = false;
        while let Some(chain) = self.deferred.front() {
            if self.barrier || drains(chain) && self.active > 0 {
                return;
            }
            let Some(chain) = self.deferred.pop_front() else { return };
            self.deferred_entries -= chain.len();
            self.release(chain);
        }
    }

    fn arm(&mut self, key: Key, when: When) {
        let at = match when {
            When::After(time) => self.clock().now() + time,
            When::At(at) => self.clock().at(at),
        };
        if let Some(before) = self.op(key).alarm.replace(at) {
            self.timers.disarm(before, key);
        }
        self.timers.arm(at, key);
    }

    /// Those whose time has come.
    fn expire(&mut self) {
        if self.timers.next().is_none() {
            return;
        }
        let now = self.clock().now();
        while let Some((at, key)) = self.timers.expired(now) {
            self.timers.disarm(at, key);
            let room = !self.cq.is_full();
            let op = self.op(key);
            op.alarm = None;
            let mut outcome = Outcome::from(Errno::TIME);
            match &mut op.operation {
                Operation::Timeout { when: When::After(time), count, flags }
                    if flags.contains(TimeoutFlags::MULTISHOT) && *count != 1 && room =>
                {
                    *count = count.saturating_sub(1);
                    // Not twice in one look, however short it is.
                    let next = now + (*time).max(Duration::from_nanos(1));
                    op.alarm = Some(next);
                    let user_data = op.user_data;
                    self.timers.arm(next, key);
                    self.post(user_data, outcome, Buffer::None, true, false);
                }
                Operation::Timeout { flags, .. } => {
                    outcome.broken = !flags.contains(TimeoutFlags::ETIME_SUCCESS);
                    self.finish(key, outcome);
                }
                _ => {
                    outcome.broken = false;
                    let limited = op.partner;
                    self.finish(key, outcome);
                    if let Some(limited) = limited {
                        self.end(limited);
                    }
                }
            }
        }
    }

    /// Ends an operation that waits.
    pub(super) fn end(&mut self, key: Key) {
        let Some(op) = self.ops.get_mut(&key) else { return };
        let outcome = op.work.as_mut().map_or_else(|| Errno::CANCELED.into(), Work::cancelled);
        self.finish(key, outcome);
    }

    /// The oldest operation of this user data that is such a one.
    fn find(&self, user_data: u64, is: impl Fn(&Operation) -> bool) -> Option<Key> {
        self.of_user_data(user_data).find(|key| is(&self.ops[key].operation))
    }

    fn of_user_data(&self, user_data: u64) -> impl Iterator<Item = Key> + '_ {
        self.by_user_data.range((user_data, Key(0))..=(user_data, Key(u64::MAX))).map(|(_, key)| *key)
    }

    fn remove(&mut self, key: Key, target: u64, is: impl Fn(&Operation) -> bool) {
        let found = self.find(target, is);
        self.finish(key, found.map(drop).ok_or(Errno::NOENT).into());
        if let Some(found) = found {
            self.end(found);
        }
    }

    fn update(&mut self, target: u64, when: When) -> Result<()> {
        let timed = |o: &Operation| matches!(o, Operation::Timeout { .. } | Operation::LinkTimeout { .. });
        let key = self.find(target, timed).ok_or(Errno::NOENT)?;
        let op = self.op(key);
        // As Linux does: the interval goes with the time, and what was counted goes for good.
        if let Operation::Timeout { when: before, count, .. } = &mut op.operation {
            *before = when;
            *count = 0;
        }
        if let Some(posted) = op.counted.take() {
            self.timers.uncount(posted, key);
        }
        self.arm(key, when);
        Ok(())
    }

    fn cancel_matching(&mut self, canceller: Key, which: CancelBuilder) {
        let (result, found) = match self.matching(which, Some(canceller)) {
            Err(error) => (error.into(), Vec::new()),
            Ok(found) if which.all => (Outcome::count(found.len()), found),
            Ok(found) => (Outcome::ok(0), found),
        };
        self.finish(canceller, result);
        for key in found {
            self.end(key);
        }
    }

    /// The operations that are meant; at least one, unless all are.
    pub(super) fn matching(
        &self,
        CancelBuilder { which, all }: CancelBuilder,
        canceller: Option<Key>,
    ) -> Result<Vec<Key>> {
        // A link timeout goes with its operation.
        let waits = |key: &Key| {
            Some(*key) != canceller && !matches!(self.ops[key].operation, Operation::LinkTimeout { .. })
        };
        let most = if all { usize::MAX } else { 1 };
        let found: Vec<Key> = match which {
            Match::UserData(user_data) => self.of_user_data(user_data).filter(waits).take(most).collect(),
            Match::Any => self.ops.keys().copied().filter(waits).take(most).collect(),
            Match::Fd(fd) => {
                let file = self.sockets.file(fd)?;
                let on = |op: &Op| op.work.as_ref().is_some_and(|work| work.is_on(&file));
                self.ops.iter().filter(|(_, op)| on(op)).map(|(key, _)| *key).take(most).collect()
            }
        };
        if found.is_empty() && !all { Err(Errno::NOENT) } else { Ok(found) }
    }
}
