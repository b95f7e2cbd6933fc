//! Those who wait for one socket.

use tunstack_core::stack::Readiness;

use super::entries::Entries;
use super::entry::Wait;
use super::woken::ToWake;

/// How many tasks without a key may wait for one socket. Nothing takes back the entry of one that is dropped, so
/// that on a socket where nothing happens they would pile up. Beyond this the oldest is woken: if it lives it comes
/// back.
pub(super) const KEYLESS: usize = 1024;

/// Of one use of a slot.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) generation: u32,
    pub(super) entries: Entries,
}

impl Slot {
    /// Tells the observers, and wakes those whom it concerns.
    pub(super) fn tell(&mut self, readiness: Readiness, edges: Readiness, woken: &mut ToWake) {
        let mut anybody = false;
        for entry in self.entries.as_slice() {
            let thread = match &entry.wait {
                Wait::Once(wanted, _) => {
                    anybody |= readiness.intersects(*wanted);
                    None
                }
                Wait::Always(observer) => observer.changed(readiness, edges),
                Wait::Overseen(own) => own.by.changed(own.name, readiness, edges),
            };
            if thread.is_some() {
                woken.polls = (woken.polls.0 + 1, thread);
            }
        }
        // Mostly there is nobody but an observer.
        if anybody {
            self.entries.take_if(
                |e| matches!(&e.wait, Wait::Once(wanted, _) if readiness.intersects(*wanted)),
                |e| woken.add_entry(e),
            );
        }
    }

    /// Those who are here asked for a socket that its owner gave up: who waits looks again, and observers are let
    /// go without a word, as epoll lets go of a descriptor that is closed.
    pub(super) fn retire(&mut self, woken: &mut ToWake) {
        self.entries.take_all(|e| woken.add_entry(e));
    }

    /// Makes room for one more task without a key.
    pub(super) fn bound_keyless(&mut self, woken: &mut ToWake) {
        let entries = self.entries.as_slice();
        let mut keyless = entries.iter().enumerate().filter(|(_, e)| e.key.is_none()).map(|(i, _)| i);
        if let Some(oldest) = keyless.next()
            && keyless.count() + 1 >= KEYLESS
            && let Some(entry) = self.entries.remove(oldest)
        {
            woken.add_entry(entry);
        }
    }
}
