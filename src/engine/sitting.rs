//! Sitting before the device: reading it and driving the stack, for oneself and for all others.

use std::io;
use std::sync::Arc;
use std::task::Waker;

use rustix::io::Errno;
use tunstack_core::time::Instant;

use super::error::Failure;
use super::idling::{Seen, look, sleep};
use super::seat::{Caller, Poller, Tools, Who};
use super::shard::{Guard, Held, Next, Shard};
use super::sleep::{Ended, PATIENCE};
use super::spin::Luck;
use super::sync::thread;
use super::waiters::Parker;
use crate::device::Frames;

/// Packets that are read in one go at the most: the acknowledgments for them wait until they are all read.
const BATCH: usize = 64;

/// The same in octets: what is read next is still in the cache of the one who read it from the device.
const BATCH_OCTETS: usize = 512 << 10;

/// How often the reader finds the lock taken before it queues for it.
const REFUSALS: u32 = 8;

/// How often a device may hang up and have nothing to say before it counts as lost. One that is being
/// deleted polls as broken a while before it gives the error that tells why.
const HANG_UPS: u32 = 100;

/// What became of the one who sits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// Sits there still.
    Stays,
    /// Has left the seat.
    Left,
    /// The engine works no more.
    End,
}

/// What else there is to tell, beside what the device has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Also {
    /// Nobody has asked: there was no sleep.
    Unasked,
    Nothing,
    Something,
}

/// The seat, taken.
#[must_use]
pub(crate) struct Seated<'a> {
    pub(super) shard: &'a Shard,
    /// Until it is left.
    tools: Option<Box<Tools>>,
    pub(super) next: Next,
    /// When it last looked at the clock.
    pub(super) now: Instant,
    /// How the last sleep ended.
    pub(super) ended: Ended,
    /// What was slept with beside the device, as it was then.
    pub(super) also: Also,
    /// It only looks, on behalf of a call that comes back soon.
    pub(super) passing: bool,
}

impl Shard {
    /// Sits down if nobody does, under the lock, after driving and before it is given back. Not where the waker of a task
    /// is to run when it is: that may do anything, and nobody else could read meanwhile.
    pub(super) fn sit(&self, held: &mut Held, now: Instant, more: bool) -> Option<Seated<'_>> {
        if held.waiters.woken_now(None).others_code {
            return None;
        }
        self.sit_anyway(held, now, more)
    }

    fn sit_anyway(&self, held: &mut Held, now: Instant, more: bool) -> Option<Seated<'_>> {
        let mut seated = self.take_seat(held, now)?;
        self.watch.rest();
        held.sleep_until = self.deadline(held);
        // Who may sleep lets nothing lie.
        (held.seat.rush, held.seat.told) = (false, None);
        if !(held.stack.release_remainder() || held.seat.unsent || more) {
            seated.next = Next::Sleep(held.sleep_until);
        }
        Some(seated)
    }

    /// Takes the seat, if it is free, to look without waiting.
    pub(super) fn take_seat(&self, held: &mut Held, now: Instant) -> Option<Seated<'_>> {
        if held.failure.is_some() {
            return None;
        }
        let tools = held.seat.tools.take()?;
        // What passes from now on are others.
        held.seat.passed = None;
        // Nobody need end a sleep. The reader, should its alarm ring now, finds that somebody sits here.
        held.sleep_until = Instant::ZERO;
        Some(Seated {
            shard: self,
            tools: Some(tools),
            next: Next::More,
            now,
            ended: Ended::default(),
            also: Also::Unasked,
            passing: false,
        })
    }

    /// Ends the hold of a call that has to wait, as [`conclude`](Self::conclude). It [sits](Self::sit) down if it can.
    pub(super) fn conclude_seated<'a>(
        &'a self,
        mut held: Guard<'a>,
        now: Instant,
        more: bool,
    ) -> Option<Seated<'a>> {
        let seated = self.sit(&mut held, now, more);
        match seated {
            Some(_) => held.release(),
            None => self.conclude(held, now, more),
        }
        seated
    }

    /// Puts the seat there, for whoever comes first; the reader looks at once.
    pub(crate) fn open_seat(&self) {
        let capabilities = self.device.capabilities();
        // A device that cuts segments also joins them, up to the largest packet there is.
        let size = if capabilities.max_gso > 0 { 0xffff } else { usize::from(capabilities.mtu) };
        let mut frames = Frames::new(BATCH, size).within(BATCH_OCTETS);
        // Among neighbours packets change hands, and no device has gained by references there yet.
        if self.device.takes_references() && self.neighbours.get().is_none() {
            frames = frames.with_references();
        }
        let tools = Box::new(Tools { frames, owners: Vec::new(), hang_ups: 0, luck: Luck::default() });
        let mut held = self.lock();
        let now = self.clock.now();
        self.leave(&mut held, tools, now, now);
        held.release();
    }

    /// The reader's wait for a seat that stays empty; `None` when the engine ends.
    pub(super) fn stand_by(&self) -> io::Result<Option<Seated<'_>>> {
        let mut refusals = 0;
        loop {
            match refusals {
                0 => self.watch.wait(&self.clock)?,
                _ => self.watch.wait_again(&self.clock)?,
            }
            // Who has the lock mostly drives, and says when it is through; one who queued would have to be woken by it.
            let mut held = match self.lock_if_free() {
                None if refusals < REFUSALS => {
                    refusals += 1;
                    continue;
                }
                free => free.unwrap_or_else(|| self.lock()),
            };
            refusals = 0;
            if self.stopped() || held.failure.is_some() {
                held.release();
                return Ok(None);
            }
            if !held.seat.is_empty() {
                // Who sits there sets the alarm on leaving.
                held.release();
                continue;
            }
            let now = self.clock.now().max(held.now);
            let late = now >= held.seat.patience();
            if late {
                held.seat.pace.failed();
                held.stack.release_acks();
            }
            let more = self.drive(&mut held, now);
            // What is due in the stack is done by that, what is due in the device is not.
            if late || self.device.deadline().is_some_and(|due| due <= now) {
                let seated = self.sit_anyway(&mut held, now, more);
                held.release();
                return Ok(seated);
            }
            held.seat.alarm = held.seat.patience();
            self.conclude(held, now, more);
        }
    }

    /// The reader looks when it was told to, or when the stack has something to do, if nobody sits down before. Who is
    /// expected back does in time what is due until then: of a crowd there is always something, and a reader that was
    /// woken for each would find it done.
    pub(super) fn ring(&self, held: &Held, now: Instant) {
        let (alarm, patience) = (held.seat.alarm, held.seat.patience());
        let at = if alarm <= patience { alarm } else { alarm.min(self.deadline(held).max(patience)) };
        self.watch.expect(at, now);
    }

    /// The seat is empty from now on. `at`: when the reader is to look.
    fn leave(&self, held: &mut Held, tools: Box<Tools>, at: Instant, now: Instant) {
        held.seat.tools = Some(tools);
        held.seat.left = now;
        held.seat.alarm = at;
        self.ring(held, now);
    }
}

impl Seated<'_> {
    /// Sits until a wake-up of the caller, or until `deadline`: then false. Where somebody else is to sit, waits for
    /// the same on the thread.
    pub(crate) fn serve(mut self, parker: &Arc<Parker>, waker: &Waker, deadline: Option<Instant>) -> bool {
        let who = Who::Call { parker, waker };
        let caller = Caller { who, deadline: deadline.unwrap_or(Instant::FAR_FUTURE) };
        parker.nudged_by(&self.shard.nudge);
        loop {
            if parker.take() {
                self.leave();
                return true;
            }
            if caller.deadline <= self.now {
                self.leave();
                return false;
            }
            match self.turn(Some(&caller)) {
                Ok(Turn::Stays) => {}
                Ok(Turn::Left) => return parker.wait(&self.shard.clock, deadline),
                // Whoever looks finds that.
                Ok(Turn::End) => return true,
                Err(error) => {
                    self.shard.fail(Failure::device(&error));
                    return true;
                }
            }
        }
    }

    /// Sleeps until something is there, takes it in, drives and wakes, once.
    pub(super) fn turn(&mut self, caller: Option<&Caller<'_>>) -> io::Result<Turn> {
        let Some(tools) = &mut self.tools else { return Ok(Turn::Left) };
        let shard = self.shard;
        // What it has learnt in an earlier turn may be otherwise by now.
        (self.ended, self.also) = (Ended::default(), Also::Unasked);
        let mut count = 0;
        match self.next {
            Next::Sleep(until) | Next::Look(until) if !tools.frames.is_full() => {
                let first = matches!(self.next, Next::Look(_));
                let until = caller.map_or(until, |caller| until.min(caller.deadline));
                // To drive may have taken long. Who has just sat down has looked at the clock for it.
                if !first {
                    self.now = shard.clock.now();
                }
                let seen = look(shard, tools, until, first, &mut self.now, caller)?;
                if let Seen::Packets(number) = seen {
                    count = number;
                } else {
                    self.ended = match seen {
                        Seen::Else(ended) => ended,
                        _ => {
                            // The device may hold back what the look took off the wire, and is silent until then.
                            let until = shard.device.deadline().map_or(until, |due| due.min(until));
                            // To wake others, and to look, may have taken long.
                            sleep(shard, tools, until.saturating_since(shard.clock.now()), until, caller)?
                        }
                    };
                    self.also = if self.ended.also { Also::Something } else { Also::Nothing };
                    if caller.is_some_and(Caller::is_woken) {
                        return Ok(Turn::Stays);
                    }
                }
            }
            Next::Sleep(_) | Next::Look(_) | Next::More => {}
        }
        if count > 0 {
            tools.hang_ups = 0;
            return Ok(self.arrived(caller));
        }
        self.now = shard.clock.now();
        self.take_in(caller)
    }

    /// Takes in what is there `now`, drives and wakes, without a sleep.
    pub(super) fn take_in(&mut self, caller: Option<&Caller<'_>>) -> io::Result<Turn> {
        let Some(tools) = &mut self.tools else { return Ok(Turn::Left) };
        let count = self.shard.take(self.now, &mut tools.frames)?;
        tools.hang_ups = if self.ended.hung_up && count == 0 { tools.hang_ups + 1 } else { 0 };
        if tools.hang_ups > HANG_UPS {
            return Err(Errno::NODEV.into());
        }
        Ok(self.arrived(caller))
    }

    /// One hold of the lock: takes in what arrived, drives, wakes; and leaves the seat where that is better.
    pub(super) fn arrived(&mut self, caller: Option<&Caller<'_>>) -> Turn {
        let shard = self.shard;
        // Another shard's stack or device may panic: the tools are still ours then.
        if let Some(tools) = &mut self.tools {
            shard.pass_on(&tools.frames, &mut tools.owners);
        }
        let Some(tools) = self.tools.take() else { return Turn::Left };
        let mut held = shard.lock_seated();
        if held.failure.is_some() {
            held.release();
            self.tools = Some(tools);
            return Turn::End;
        }
        // Others have sent since the packets were read, and a timestamp that is older than theirs makes the peer drop
        // what comes with it (RFC 7323 §5).
        self.now = self.now.max(held.now);
        let now = self.now;
        let own = held.stack.number();
        // Who is told of what comes replies to it, mostly at once; so does who works on something else until then.
        let works = if caller.is_some() { Some(now) } else { held.seat.told.filter(|_| self.passing) };
        held.stack.hold_acks(works.map(|since| since + PATIENCE).filter(|until| *until > now));
        for (n, inbound) in tools.frames.iter().enumerate() {
            if tools.owners.get(n).is_some_and(|owner| *owner != own) {
                continue;
            }
            let received = held.stack.receive(now, inbound);
            shard.device.settled(now, &inbound, &received);
        }
        held.stack.hold_acks(None);
        let mut more =
            if self.passing { shard.drive_on(&mut held, now) } else { shard.drive(&mut held, now) };
        let mut woken = held.waiters.woken_now(caller.and_then(Caller::waker));
        let has_its_own = woken.asker || caller.and_then(Caller::poller).is_some_and(Poller::is_roused);
        if !has_its_own && caller.is_some() && held.stack.holds_acks() {
            more |= shard.release_acks(&mut held, now);
            woken = held.waiters.woken_now(None);
        }
        // The one who is woken alone, time and again, does better to read for itself.
        let alone = woken.anybody && held.seat.pace.woke(woken.alone);
        if self.passing && !more {
            // To take in what has come may have taken long.
            self.now = if tools.frames.is_empty() { now } else { shard.clock.now() };
            self.next = Next::Sleep(Instant::ZERO);
            self.leave_in(&mut held, tools);
            held.release();
            return Turn::Left;
        }
        let deadline = shard.deadline(&held);
        // A deadline that moved to later does not move the alarm: a request and its answer arm and disarm
        // the retransmission timer each time, and each arming would otherwise cost a nudge.
        let kept = if held.sleep_until > now { held.sleep_until } else { Instant::FAR_FUTURE };
        held.sleep_until = deadline.min(kept);
        self.next = if more { Next::More } else { Next::Sleep(held.sleep_until) };

        // And so does who calls again and again and never waits.
        let in_passing = held.seat.is_passed(now);
        if has_its_own || (alone || in_passing) && !more {
            if caller.is_some() {
                held.seat.told = has_its_own.then_some(now);
            }
            if let Some(poller) = caller.and_then(Caller::poller) {
                held.seat.pace.went(now);
                held.seat.rush = poller.has_several();
            }
            let soon = more || !held.seat.pace.is_quick();
            shard.leave(&mut held, tools, if soon { now } else { now + PATIENCE }, now);
            held.release();
            return Turn::Left;
        }
        if woken.others_code && (caller.is_some() || !shard.on_reader()) {
            // A task's waker may do anything, and if it waits somebody else has to read: it may itself.
            shard.leave(&mut held, tools, now + PATIENCE, now);
            held.release();
            return self.again(more);
        }
        self.tools = Some(tools);
        held.release();
        Turn::Stays
    }

    /// Sits down again where somebody may have sat down meanwhile.
    fn again(&mut self, more: bool) -> Turn {
        let mut held = self.shard.lock();
        let more = self.shard.release_acks(&mut held, self.now) || more;
        let seated = self.shard.sit(&mut held, self.now, more);
        held.release();
        match seated {
            Some(mut seated) => {
                (self.tools, self.next) = (seated.tools.take(), seated.next);
                Turn::Stays
            }
            None => Turn::Left,
        }
    }

    /// Leaves the seat.
    pub(super) fn leave(&mut self) {
        if let Some(tools) = self.tools.take() {
            let mut held = self.shard.lock();
            self.now = self.shard.clock.now();
            self.leave_in(&mut held, tools);
            held.release();
        }
    }

    /// The same in a hold of the lock.
    fn leave_in(&self, held: &mut Held, tools: Box<Tools>) {
        let now = self.now;
        held.seat.pace.left(now);
        let patient = held.seat.pace.is_quick() && self.next != Next::More;
        let at = if patient { now + PATIENCE } else { now };
        self.shard.leave(held, tools, at, now);
    }
}

impl Drop for Seated<'_> {
    /// Whoever drives panics only where the device does; the reader would end by that, too.
    fn drop(&mut self) {
        if thread::panicking() && self.tools.is_some() {
            self.shard.fail(Failure::Poisoned);
        }
        self.leave();
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
