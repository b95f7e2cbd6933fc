//! Those who read the device and wait for no socket of their own: a call that does not have to wait looks at it in passing,
//! and a poller sits there until any of what it watches has changed.

use std::time::Duration;

use tunstack_core::stack::{Readiness, SocketId};
use tunstack_core::time::Instant;

use super::error::Failure;
use super::seat::GLANCE;
pub(crate) use super::seat::Poller;
use super::seat::{Caller, Who};
use super::shard::{Guard, Next, Shard};
pub(crate) use super::sitting::Also;
use super::sitting::{Seated, Turn};

/// The same while the socket has something unread: that is read first, as long as it is warm, and more of it waits where it
/// is. It is not too long for others, nor for the window.
const BEHIND: Duration = Duration::from_micros(100);

/// How often such a call looks while there is more to send.
const GLANCES: usize = 4;

/// So many turns that find packets at once tell nothing of what else a poller waits for: then it asks.
const UNASKED: usize = 64;

/// How a poller's time on the seat ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sat {
    /// There may be something to tell, or the time is over.
    Through(Also),
    /// Somebody else sits, or is to: it waits without the seat.
    Elsewhere,
    /// A signal's handler ran.
    Interrupted,
}

impl Shard {
    /// Ends the hold of a call that was done. Where nobody sits, it looks at the device in passing: who calls again and
    /// again and never has to wait, as a writer with room in its buffer, reads its acknowledgments itself so.
    /// Where there is `more` to send, that goes first.
    pub(super) fn conclude_looking<'a>(
        &'a self,
        mut held: Guard<'a>,
        id: SocketId,
        mut now: Instant,
        more: bool,
    ) {
        // Sending is not what keeps it from coming back: each packet of a plain device runs the kernel's receive path.
        held.seat.pace.came(now);
        if more {
            self.conclude(held, now, more);
            held = self.lock();
        }
        now = self.clock.now();
        self.look_in_passing(held, id, now);
    }

    /// The same where nothing was there to be sent, so that no time has passed.
    pub(super) fn conclude_quietly<'a>(&'a self, mut held: Guard<'a>, id: SocketId, now: Instant) {
        held.seat.pace.came(now);
        self.look_in_passing(held, id, now);
    }

    fn look_in_passing<'a>(&'a self, mut held: Guard<'a>, id: SocketId, now: Instant) {
        held.seat.pass(now);
        let unread = || held.stack.readiness(id).contains(Readiness::READABLE);
        let looks = held.seat.is_empty() && is_time(held.seat.left, now, unread);
        if !looks || held.waiters.woken_now(None).others_code {
            self.conclude(held, now, false);
            return;
        }
        match self.take_seat(&mut held, now) {
            Some(mut seated) => {
                held.release();
                seated.passing = true;
                seated.glance();
            }
            None => self.conclude(held, now, false),
        }
    }

    /// Lets a poller that has to wait read the device until `deadline`, if nobody does.
    pub(crate) fn sit_for(&self, poller: &dyn Poller, deadline: Option<Instant>) -> Sat {
        let mut held = self.lock();
        let mut now = self.clock.now();
        held.seat.pace.came(now);
        let mut more = false;
        if held.stack.release_acks() {
            more = self.drive_on(&mut held, now);
            // To send may have taken long, and the first look goes by this.
            now = self.clock.now();
        }
        let has_to_drive = more || self.has_to_drive(&held, now);
        let mut seated = self.sit(&mut held, now, has_to_drive);
        // It looks before it sleeps: the kernel may have run the peer in our last write.
        if let Some(Seated { next, .. }) = &mut seated
            && let Next::Sleep(until) = next
        {
            *next = Next::Look(*until);
        }
        match seated {
            None if more => self.conclude(held, now, more),
            _ => held.release(),
        }
        let deadline = deadline.unwrap_or(Instant::FAR_FUTURE);
        seated.map_or(Sat::Elsewhere, |seated| seated.serve_poller(poller, deadline))
    }
}

impl Seated<'_> {
    /// Takes in what is there without waiting, and leaves.
    fn glance(mut self) {
        // Who passes has just looked at the clock.
        let mut turn = self.take_in(None);
        for _ in 1..GLANCES {
            match turn {
                Ok(Turn::Stays) if self.next == Next::More => turn = self.turn(None),
                _ => break,
            }
        }
        match turn {
            Ok(Turn::Stays) => self.leave(),
            Ok(Turn::Left | Turn::End) => {}
            Err(error) => self.shard.fail(Failure::device(&error)),
        }
    }

    fn serve_poller(mut self, poller: &dyn Poller, deadline: Instant) -> Sat {
        let caller = Caller { who: Who::Poller(poller), deadline };
        let mut unasked = 0;
        loop {
            unasked = if self.also == Also::Unasked { unasked + 1 } else { 0 };
            if poller.is_roused() || self.ended.also || deadline <= self.now || unasked > UNASKED {
                break;
            }
            match self.turn(Some(&caller)) {
                Ok(Turn::Stays) if self.ended.interrupted => {
                    self.leave();
                    return Sat::Interrupted;
                }
                Ok(Turn::Stays) => {}
                Ok(Turn::Left) if poller.is_roused() => return Sat::Through(self.also),
                Ok(Turn::Left) if self.ended.interrupted => return Sat::Interrupted,
                Ok(Turn::Left | Turn::End) => return Sat::Elsewhere,
                Err(error) => {
                    self.shard.fail(Failure::device(&error));
                    return Sat::Elsewhere;
                }
            }
        }
        self.leave();
        Sat::Through(self.also)
    }
}

/// Whether a call looks that was done at `now`, where the seat was `left` then.
fn is_time(left: Instant, now: Instant, unread: impl FnOnce() -> bool) -> bool {
    now >= left + BEHIND || now >= left + GLANCE && !unread()
}

#[cfg(all(test, not(shuttle)))]
mod tests;
