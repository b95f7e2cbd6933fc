//! Several shards as one engine: whose a packet is, and what one has for another.
//!
//! No shard waits for the lock of another while it holds its own; it may try for it. What belongs to another is carried
//! there when the lock is given back; what all must agree on has a lock of its own, under which no other is taken.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, Weak};

use tunstack_core::addr::Quad;
use tunstack_core::stack::shards::{Exclusive, Placement, Post, Registry};

use super::shard::{Neighbours, Shard};
use super::sync::{AtomicU64, Mutex, Ordering, thread, thread_local};
use crate::device::Frames;

/// How often a shard that is in use is tried before a connection counts as its own.
const TRIES: usize = 1000;

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

    fn is_connected(&self, shard: u16, quad: &Quad) -> bool {
        let Some(shard) = self.0.get(shard) else { return false };
        // Who asks holds a shard's lock, and must not wait for one who may ask the same of it.
        for _ in 0..TRIES {
            if let Some(known) = shard.try_knows(quad) {
                return known;
            }
            thread::yield_now();
        }
        true
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
    passed_on: AtomicU64,
}

impl Several {
    pub(super) fn new(number: u16, placement: Arc<Placement>, members: Arc<Members>) -> Self {
        Self { number, placement, members, passed_on: AtomicU64::new(0) }
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
        owners.extend(frames.iter().map(|inbound| self.placement.of_packet(inbound.packet)));
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
            // This one has a queue of its own to read: the rest is for who sits before the other.
            other.conclude_for_another(held, now, more);
        }
    }

    fn carry(&self, posts: Vec<(u16, Post)>) {
        deliver(posts.into_iter().filter_map(|(to, post)| Some((self.members.get(to)?, post))).collect());
    }

    fn passed_on(&self) -> u64 {
        self.passed_on.load(Ordering::Relaxed)
    }
}

/// What is for a shard.
type Parcel = (Arc<Shard>, Post);

thread_local! {
    /// What this thread has still to carry, while it does.
    static UNDER_WAY: RefCell<Option<VecDeque<Parcel>>> = const { RefCell::new(None) };
}

/// Carries what shards have for one another, and what comes of that, until there is none. Where this thread is at it
/// already it is left to that.
fn deliver(posts: Vec<Parcel>) {
    if posts.is_empty() {
        return;
    }
    let mine = UNDER_WAY.try_with(|under_way| {
        let mut under_way = under_way.borrow_mut();
        let begins = under_way.is_none();
        under_way.get_or_insert_default().extend(posts);
        begins
    });
    if !matches!(mine, Ok(true)) {
        return;
    }
    let _end = End;
    while let Some((shard, post)) = next(|_| true) {
        let mut held = shard.lock();
        if held.failure.is_some() {
            held.release();
            continue;
        }
        let now = shard.clock.now().max(held.now);
        held.stack.take_post(post, now);
        while let Some((_, post)) = next(|(other, _)| Arc::ptr_eq(other, &shard)) {
            held.stack.take_post(post, now);
        }
        shard.finish(held, now);
    }
}

/// The next to carry, if it fits.
fn next(fits: impl FnOnce(&Parcel) -> bool) -> Option<Parcel> {
    let taken = UNDER_WAY.try_with(|under_way| {
        let mut under_way = under_way.borrow_mut();
        let posts = under_way.as_mut()?;
        fits(posts.front()?).then(|| posts.pop_front()).flatten()
    });
    taken.ok().flatten()
}

/// However it ends, the next one begins anew.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        // Dropped after it is taken out: the last of a shard may go with it.
        let left = UNDER_WAY.try_with(|under_way| under_way.borrow_mut().take());
        drop(left);
    }
}
