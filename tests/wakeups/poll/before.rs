//! One who polls before the device: it looks, and then it sleeps, and what it waits for comes at any time between.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use shuttle::thread::spawn;
use tunstack_core::stack::Readiness;

use super::interest::{Interest, Token};
use super::ready::{Handle, Ready};
use crate::engine::passing::{Poller, Sat};
use crate::engine::sleep::{Fault, Nudge, break_it};
use crate::engine::waiters::Observer;
use crate::scenarios::join;
use crate::world::{World, take};

/// A poll that watches the socket of a world.
struct Poll {
    world: World,
    ready: Arc<Ready>,
}

impl Poller for Poll {
    fn is_roused(&self) -> bool {
        self.ready.is_roused()
    }

    fn has_several(&self) -> bool {
        self.ready.has_several()
    }

    fn readable(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

/// Enters what changes in the list, and rouses the poller from its sleep.
struct Watches {
    ready: Arc<Ready>,
    handle: Handle,
    nudge: Arc<Nudge>,
}

impl Observer for Watches {
    fn changed(&self, readiness: Readiness, edges: Readiness) -> Option<usize> {
        if self.ready.changed(self.handle, readiness, edges) {
            self.nudge.rouse();
        }
        None
    }
}

impl Poll {
    fn of(world: &World) -> Self {
        let ready = Arc::new(Ready::new());
        let handle = ready.insert(Token(0), Interest::READABLE, None);
        let nudge = Arc::clone(&world.shard.nudge);
        let mut held = world.shard.lock();
        let key = held.waiters.key();
        held.waiters.observe(world.id, key, Arc::new(Watches { ready: Arc::clone(&ready), handle, nudge }));
        held.release();
        Self { world: world.clone(), ready }
    }

    /// As `Poll::poll` does it, without a limit.
    fn poll(&self) {
        let (mut told, nudge) = (Vec::new(), &self.world.shard.nudge);
        loop {
            self.ready.take(&mut told, 1);
            if !told.is_empty() {
                return;
            }
            let sat = self.ready.sit().then(|| self.world.shard.sit_for(self, None));
            self.ready.awake();
            match sat {
                Some(Sat::Elsewhere) if self.ready.sleep() => nudge.wait_roused(),
                _ => nudge.calm(),
            }
            self.ready.awake();
        }
    }

    /// So many datagrams.
    fn receive(&self, count: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < count {
            self.poll();
            while let Ok(octet) = self.world.shard.call(|stack, _| take(stack, self.world.id)) {
                got.push(octet);
            }
        }
        got.sort_unstable();
        got
    }
}

fn one_polls_and_datagrams_come(fault: Fault) {
    let world = World::new();
    break_it(fault);
    let reader = world.read();
    let poll = Poll::of(&world);
    let polls = spawn(move || poll.receive(3));
    let other = world.with(|world| world.send(1));
    world.arrive(2);
    world.send(3);
    assert_eq!(join(polls), [1, 2, 3]);
    join(other);
    world.shard.stop();
    // Whatever is broken, it ends.
    world.arrive(4);
    join(reader);
}

/// Datagrams come by the wire and of other threads, while it looks, before it sleeps, and in its sleep.
pub fn comes_between_look_and_sleep() {
    one_polls_and_datagrams_come(Fault::None);
}

/// The same where nothing rouses one who sleeps.
pub fn broken_no_rousing() {
    one_polls_and_datagrams_come(Fault::NoRousing);
}
