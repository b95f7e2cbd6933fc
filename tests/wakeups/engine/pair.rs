//! Two shards, as the engine's builder makes them, and a copy of what one does for the other with one thing done wrong.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tunstack_core::config::Config;
use tunstack_core::stack::Stack;
use tunstack_core::stack::shards::{Placement, Post};

use super::clock::Clock;
use super::several::{Common, Members, Several};
use super::shard::{Neighbours, Shard};
use crate::device::{Device, Frames};

/// What is wrong when a packet comes in at another's queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Nobody is woken by it.
    NobodyIsWoken,
    /// Whoever is to wake a task does not hear of it.
    NobodyIsTold,
    /// Who sits before the one device wakes the tasks of the other shard.
    AllAreWoken,
}

const SEED: [u8; 32] = [7; 32];

/// Whatever comes of what is carried is left to the others.
const NOTHING: usize = 0;

/// The shards, and where connections live. Without a fault it is the engine's own that is tried.
pub(crate) fn pair(
    config: &Config,
    devices: [Box<dyn Device>; 2],
    fault: Option<Fault>,
) -> ([Arc<Shard>; 2], Arc<Placement>) {
    let clock = Arc::new(Clock::start());
    let members = Arc::new(Members::default());
    let placement = Arc::new(Placement::new(SEED, 2, Common(Arc::clone(&members))));
    let mut number = 0;
    let shards = devices.map(|device| {
        let stack = Stack::shard(config.clone(), SEED, number, Arc::clone(&placement));
        let shard = Shard::new(stack, device, Arc::clone(&clock), Duration::ZERO);
        number += 1;
        Arc::new(shard.expect("there is nothing to fail"))
    });
    for (number, shard) in (0..).zip(&shards) {
        let right = Several::new(number, Arc::clone(&placement), Arc::clone(&members), NOTHING);
        let other = OnceLock::from(Arc::downgrade(&shards[1 - usize::from(number)]));
        let neighbours: Box<dyn Neighbours> = match fault {
            None => Box::new(right),
            Some(fault) => {
                Box::new(Careless { right, placement: Arc::clone(&placement), number, other, fault })
            }
        };
        assert!(shard.neighbours.set(neighbours).is_ok());
    }
    members.are(&shards);
    (shards, placement)
}

/// `engine::several` in short, with a fault.
struct Careless {
    right: Several,
    placement: Arc<Placement>,
    number: u16,
    other: OnceLock<Weak<Shard>>,
    fault: Fault,
}

impl Neighbours for Careless {
    fn others(&self) -> Vec<Arc<Shard>> {
        self.right.others()
    }

    fn pass_on(&self, _: &Shard, frames: &Frames, owners: &mut Vec<u16>) {
        owners.extend(frames.iter().map(|inbound| self.placement.of_packet(&inbound)));
        let Some(other) = self.other.get().and_then(Weak::upgrade) else { return };
        for (inbound, _) in frames.iter().zip(&*owners).filter(|(_, owner)| **owner != self.number) {
            let mut held = other.lock_seated();
            let now = other.clock.now().max(held.now);
            held.stack.receive(now, inbound);
            let more = other.drive(&mut held, now);
            match self.fault {
                Fault::None => self.carry(other.conclude_for_another(held, now, more, usize::MAX)),
                Fault::NobodyIsWoken => drop(held),
                Fault::NobodyIsTold => {
                    let woken = held.waiters.take_woken_calls();
                    drop(held);
                    woken.wake();
                }
                Fault::AllAreWoken => held.release(),
            }
        }
    }

    fn carry(&self, posts: Vec<(u16, Post)>) {
        self.right.carry(posts);
    }

    fn passed_on(&self) -> u64 {
        self.right.passed_on()
    }
}
