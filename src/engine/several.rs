//! Several shards as one engine: whose a packet is, and what one has for another.
//!
//! Nobody holds the locks of two shards. What belongs to another is carried there when the lock is given back; what all
//! must agree on has a lock of its own, under which no other is taken.
//!
//! Who carries runs nobody's code: it may sit before a device, or have more to carry. Threads that wait in the other shard
//! are woken; a task there is woken by the other's own reader, or by whoever gives that lock back before.
//!
//! What is carried brings about more to carry, and while others write to connections between two shards there is no end of
//! that. Who carries does so much of it; the rest stays where it arose, and who sits there carries it, or the reader.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, Weak};

use tunstack_core::stack::shards::{Exclusive, Placement, Post, Registry};

use super::error::Failure;
use super::shard::{Neighbours, Shard};
use super::sync::{AtomicU64, Mutex, Ordering};
use crate::device::Frames;

/// How much of what came of it who carries takes along. Enough for the whole of a handshake, or a window of usual size and
/// its acknowledgments.
pub(super) const TAKEN_ALONG: usize = 256;

/// The shards of an engine.
#[derive(Default)]
pub(super) struct Members {
    shards: OnceLock<Vec<Weak<Shard>>>,
    registry: Mutex<Registry>,
}

impl Members {
    /// Who they are, said once.
    pub(super) fn are(&self, shards: &[Arc<Shard>]) {
        self.shards.get_or_init(|| shards.iter().map(Arc::downgrade).collect());
    }

    fn get(&self, number: u16) -> Option<Arc<Shard>> {
        self.shards.get()?.get(usize::from(number))?.upgrade()
    }
}

/// What the stacks share.
pub(super) struct Common(pub(super) Arc<Members>);

impl Exclusive for Common {
    fn with(&self, look: &mut dyn FnMut(&mut Registry)) {
        // It is whole between any two statements of those who look.
        look(&mut self.0.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common").finish_non_exhaustive()
    }
}

/// What a shard knows of being one of several.
pub(super) struct Several {
    number: u16,
    placement: Arc<Placement>,
    members: Arc<Members>,
    taken_along: usize,
    passed_on: AtomicU64,
}

impl Several {
    /// `taken_along`: as [`TAKEN_ALONG`].
    pub(super) fn new(
        number: u16,
        placement: Arc<Placement>,
        members: Arc<Members>,
        taken_along: usize,
    ) -> Self {
        Self { number, placement, members, taken_along, passed_on: AtomicU64::new(0) }
    }

    fn numbered(&self) -> impl Iterator<Item = (u16, Arc<Shard>)> + '_ {
        let numbers = (0..self.placement.count()).filter(|number| *number != self.number);
        numbers.filter_map(|number| Some((number, self.members.get(number)?)))
    }
}

impl Neighbours for Several {
    fn others(&self) -> Vec<Arc<Shard>> {
        self.numbered().map(|(_, shard)| shard).collect()
    }

    fn pass_on(&self, here: &Shard, frames: &Frames, owners: &mut Vec<u16>) {
        owners.extend(frames.iter().map(|inbound| self.placement.of_packet(&inbound)));
        let foreign = owners.iter().filter(|owner| **owner != self.number).count();
        if foreign == 0 {
            return;
        }
        self.passed_on.fetch_add(foreign as u64, Ordering::Relaxed);
        for (number, other) in self.numbered().filter(|(number, _)| owners.contains(number)) {
            let mut held = other.lock_seated();
            if held.failure.is_some() {
                held.release();
                continue;
            }
            let now = other.clock.now().max(held.now);
            for (inbound, _) in frames.iter().zip(&*owners).filter(|(_, owner)| **owner == number) {
                let received = held.stack.receive(now, inbound);
                here.device.settled(now, &inbound, &received);
            }
            let more = other.drive(&mut held, now);
            self.carry(other.conclude_for_another(held, now, more, self.taken_along));
        }
    }

    fn carry(&self, posts: Vec<(u16, Post)>) {
        let mut parcels = Parcels { members: &self.members, posts: posts.into() };
        let mut taken_along = self.taken_along;
        while let Some((shard, post)) = parcels.next() {
            let mut held = shard.lock();
            if held.failure.is_some() {
                held.release();
                continue;
            }
            let now = shard.clock.now().max(held.now);
            held.stack.take_post(post, now);
            while let Some(post) = parcels.next_for(&shard) {
                held.stack.take_post(post, now);
            }
            let more = shard.drive(&mut held, now);
            let posts = shard.conclude_for_another(held, now, more, taken_along);
            taken_along -= posts.len();
            parcels.posts.extend(posts);
        }
    }

    fn passed_on(&self) -> u64 {
        self.passed_on.load(Ordering::Relaxed)
    }
}

/// What is to be carried still, in order.
struct Parcels<'a> {
    members: &'a Members,
    posts: VecDeque<(u16, Post)>,
}

impl Parcels<'_> {
    fn next(&mut self) -> Option<(Arc<Shard>, Post)> {
        // A shard that is gone has taken the engine with it.
        std::iter::from_fn(|| self.posts.pop_front())
            .find_map(|(to, post)| Some((self.members.get(to)?, post)))
    }

    /// The next, if it is for the same.
    fn next_for(&mut self, shard: &Arc<Shard>) -> Option<Post> {
        let &(to, _) = self.posts.front()?;
        if !self.members.get(to).is_some_and(|next| Arc::ptr_eq(&next, shard)) {
            return None;
        }
        self.posts.pop_front().map(|(_, post)| post)
    }
}

impl Drop for Parcels<'_> {
    /// There is something left only where a stack or a device has panicked: nobody knows of it any more, and an engine that
    /// has lost it is not to be trusted.
    fn drop(&mut self) {
        if let Some((shard, _)) = self.next() {
            shard.fail(Failure::Poisoned);
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
