//! Who is woken, and who is not, in the table of waiters.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::task::Wake;
use std::thread;

use tunstack_core::addr::Family;
use tunstack_core::config::Config;
use tunstack_core::stack::Stack;
use tunstack_core::time::Instant;

use super::entries::Entries;
use super::slot::KEYLESS;
use super::*;
use crate::engine::clock::Clock;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

fn wake(waiters: &mut Waiters) {
    drop(waiters.take_woken());
}

fn notify(waiters: &mut Waiters, id: SocketId, readiness: Readiness) {
    waiters.notify(Event { id, readiness, edges: readiness });
    wake(waiters);
}

fn times(count: &Count) -> usize {
    count.0.load(Ordering::Relaxed)
}

/// Most holds of the lock wake nobody, and are to cost nothing for it.
#[test]
fn who_wakes_nobody_takes_nothing() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    assert!(waiters.take_woken().is_none());
    let (count, waker) = counter();
    let place = Place::default();
    waiters.enter(id, Readiness::READABLE, &place, &waker);
    waiters.notify(Event { id, readiness: Readiness::WRITABLE, edges: Readiness::WRITABLE });
    assert!(waiters.take_woken().is_none(), "it waits for something else");
    waiters.leave(id, &place);
    assert!(waiters.take_woken().is_some(), "the waker is still to be dropped");
    assert_eq!(times(&count), 0);
}

/// Two uses of one slot.
fn ids() -> (SocketId, SocketId) {
    let mut stack = Stack::new(Config::default(), [0; 32]);
    let first = stack.udp_socket(Family::V4);
    stack.close(first, Instant::ZERO).unwrap();
    let second = stack.udp_socket(Family::V4);
    assert_eq!(first.index(), second.index());
    assert_ne!(first.generation(), second.generation());
    (first, second)
}

/// Reports of what is no end of a connection are for those who ask for them.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.8
//= type=test
//= id=SHLD-20
#[test]
fn soft_errors_wake_only_who_waits_for_them() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let counters = [(); 3].map(|()| counter());
    let wanted = [Interest::Readable.mask(), Interest::Writable.mask(), Readiness::SOFT_ERROR];
    for ((_, waker), wanted) in counters.iter().zip(wanted) {
        waiters.register(id, wanted, None, waker);
    }
    notify(&mut waiters, id, Readiness::SOFT_ERROR);
    assert_eq!(counters.map(|(count, _)| times(&count)), [0, 0, 1]);
}

#[test]
fn each_is_woken_once_by_what_fits() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let (reader, reads) = counter();
    let (writer, writes) = counter();
    waiters.register(id, Interest::Readable.mask(), None, &reads);
    waiters.register(id, Interest::Writable.mask(), None, &writes);
    notify(&mut waiters, id, Readiness::empty());
    assert_eq!((times(&reader), times(&writer)), (0, 0));
    notify(&mut waiters, id, Readiness::WRITABLE);
    assert_eq!((times(&reader), times(&writer)), (0, 1));
    notify(&mut waiters, id, Readiness::READABLE | Readiness::WRITABLE);
    assert_eq!((times(&reader), times(&writer)), (1, 1));
    for always in [Readiness::ERROR, Readiness::HANG_UP] {
        waiters.register(id, Interest::Readable.mask(), None, &reads);
        waiters.register(id, Interest::Writable.mask(), None, &writes);
        notify(&mut waiters, id, always);
    }
    assert_eq!((times(&reader), times(&writer)), (3, 3));
}

#[test]
fn all_who_wait_are_woken_and_leaving_takes_nobody_along() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let (count, waker) = counter();
    // One waker under three names, as two threads of a pool and a task may be.
    let (a, b) = (waiters.key(), waiters.key());
    waiters.register(id, Interest::Readable.mask(), Some(a), &waker);
    waiters.register(id, Interest::Readable.mask(), Some(b), &waker);
    waiters.register(id, Interest::Readable.mask(), None, &waker);
    waiters.deregister(id, a);
    notify(&mut waiters, id, Readiness::READABLE);
    assert_eq!(times(&count), 2);
}

#[test]
fn asking_again_is_not_waiting_twice() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let (count, waker) = counter();
    let key = waiters.key();
    for _ in 0..100 {
        waiters.register(id, Interest::Readable.mask(), None, &waker);
        waiters.register(id, Interest::Writable.mask(), Some(key), &waker);
    }
    notify(&mut waiters, id, Readiness::all());
    assert_eq!(times(&count), 2);
}

#[test]
fn a_slot_used_again_leaves_nobody_behind() {
    let (old, new) = ids();
    let mut waiters = Waiters::default();
    let (stale, stale_waker) = counter();
    let (fresh, fresh_waker) = counter();
    let key = waiters.key();
    waiters.register(old, Interest::Readable.mask(), Some(key), &stale_waker);
    waiters.register(new, Interest::Readable.mask(), None, &fresh_waker);
    wake(&mut waiters);
    assert_eq!((times(&stale), times(&fresh)), (1, 0), "it looks again and finds its socket gone");
    waiters.deregister(old, key);
    notify(&mut waiters, new, Readiness::READABLE);
    assert_eq!((times(&stale), times(&fresh)), (1, 1));

    waiters.register(old, Interest::Readable.mask(), None, &stale_waker);
    notify(&mut waiters, new, Readiness::empty());
    assert_eq!(times(&stale), 2, "word of the new use ends the wait for the old");
}

#[test]
fn the_end_is_told_to_all() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let (count, waker) = counter();
    let key = waiters.key();
    waiters.register(id, Interest::Writable.mask(), None, &waker);
    waiters.register_anything(key, &waker);
    waiters.notify_all();
    wake(&mut waiters);
    assert_eq!(times(&count), 2);
    waiters.register_anything(key, &waker);
    waiters.deregister_anything(key);
    waiters.notify_all();
    wake(&mut waiters);
    assert_eq!(times(&count), 2);
}

#[test]
fn a_wake_up_before_the_wait_counts_and_an_unpark_does_not() {
    let clock = Clock::start();
    let parker = Parker::current();
    Waker::from(Arc::clone(&parker)).wake();
    assert!(parker.wait(&clock, None));
    thread::current().unpark();
    assert!(!parker.wait(&clock, Some(clock.now())));
}

#[test]
fn who_leaves_by_its_key_leaves_nothing_behind() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let (count, waker) = counter();
    let readable = Interest::Readable.mask();
    let (one, two) = (Place::default(), Place::default());
    waiters.leave(id, &one);
    for _ in 0..100 {
        waiters.enter(id, readable, &one, &waker);
        waiters.enter(id, readable, &two, &waker);
    }
    assert_eq!(waiters.count(id), 2);
    assert!(!one.is_free());
    waiters.leave(id, &one);
    assert!(one.is_free());
    assert_eq!(waiters.count(id), 1);
    notify(&mut waiters, id, Readiness::READABLE);
    assert_eq!((times(&count), waiters.count(id)), (1, 0), "the other was woken");
    waiters.leave(id, &two);
    waiters.enter(id, readable, &two, &waker);
    assert_eq!(waiters.count(id), 1);
}

#[test]
fn registered_again_the_newer_waker_is_woken() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let (older, old) = counter();
    let (newer, new) = counter();
    let place = Place::default();
    waiters.enter(id, Interest::Readable.mask(), &place, &old);
    waiters.enter(id, Interest::Writable.mask(), &place, &new);
    notify(&mut waiters, id, Readiness::READABLE);
    assert_eq!((times(&older), times(&newer)), (0, 0), "it wants something else now");
    notify(&mut waiters, id, Readiness::WRITABLE);
    assert_eq!((times(&older), times(&newer)), (0, 1));
}

#[test]
fn tasks_without_a_key_do_not_pile_up() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let (kept, kept_waker) = counter();
    let place = Place::default();
    waiters.enter(id, Interest::Readable.mask(), &place, &kept_waker);
    let tasks: Vec<_> = (0..KEYLESS + 10).map(|_| counter()).collect();
    for (_, waker) in &tasks {
        waiters.register(id, Interest::Readable.mask(), None, waker);
    }
    wake(&mut waiters);
    assert_eq!(waiters.count(id), KEYLESS + 1);
    let woken: Vec<_> = tasks.iter().map(|(count, _)| times(count)).collect();
    assert!(woken[..10] == [1; 10] && woken[10..].iter().all(|&n| n == 0), "the oldest: {woken:?}");
    assert_eq!(times(&kept), 0, "whoever has a key is not in the way");
}

/// What an executor does whose wakers own their task: the last one takes the task along, and what the task waits
/// with takes the lock.
#[test]
fn a_waker_is_not_dropped_under_the_lock() {
    struct Task(Arc<AtomicUsize>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Task {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let dropped = Arc::new(AtomicUsize::new(0));
    let task = || Waker::from(Arc::new(Task(Arc::clone(&dropped))));
    let (place, key) = (Place::default(), waiters.key());
    for _ in 0..2 {
        waiters.enter(id, Readiness::READABLE, &place, &task());
        waiters.register_anything(key, &task());
    }
    waiters.leave(id, &place);
    waiters.deregister_anything(key);
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    drop(waiters.take_woken());
    assert_eq!(dropped.load(Ordering::Relaxed), 4);
}

/// Keeps what it was told.
#[derive(Default)]
struct Told(std::sync::Mutex<Vec<Readiness>>);

impl Observer for Told {
    fn changed(&self, readiness: Readiness, _: Readiness) -> Option<usize> {
        self.0.lock().unwrap().push(readiness);
        None
    }
}

impl Told {
    fn take(&self) -> Vec<Readiness> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[test]
fn an_observer_is_told_of_every_change_until_it_is_taken_back() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let (one, two) = (Arc::new(Told::default()), Arc::new(Told::default()));
    let (first, second) = (waiters.key(), waiters.key());
    waiters.observe(id, first, one.clone());
    waiters.observe(id, second, two.clone());
    let (count, waker) = counter();
    waiters.register(id, Readiness::READABLE, None, &waker);
    let changes = [Readiness::WRITABLE, Readiness::READABLE, Readiness::READABLE, Readiness::empty()];
    for change in changes {
        notify(&mut waiters, id, change);
    }
    assert_eq!(
        (one.take(), two.take()),
        (changes.to_vec(), changes.to_vec()),
        "edges without a difference too"
    );
    assert_eq!(times(&count), 1);
    waiters.unobserve(id, first);
    notify(&mut waiters, id, Readiness::ERROR);
    assert_eq!((one.take(), two.take()), (vec![], vec![Readiness::ERROR]));
    assert_eq!((waiters.count(id), Arc::strong_count(&one)), (1, 1));
}

#[test]
fn an_observer_is_told_what_ends_its_socket_and_let_go_when_the_owner_closes_it() {
    let (old, new) = ids();
    let mut waiters = Waiters::default();
    let told = Arc::new(Told::default());
    let observe = |waiters: &mut Waiters, id| {
        let key = waiters.key();
        waiters.observe(id, key, told.clone());
        key
    };
    observe(&mut waiters, old);
    waiters.forget(old);
    assert_eq!((told.take(), Arc::strong_count(&told)), (vec![], 1));

    // Nobody said that the old one went; the slot's next use does.
    observe(&mut waiters, old);
    notify(&mut waiters, new, Readiness::READABLE);
    assert_eq!((told.take(), Arc::strong_count(&told)), (vec![], 1));
    let stale = observe(&mut waiters, old);
    let fresh = Arc::new(Told::default());
    let key = waiters.key();
    waiters.observe(new, key, fresh.clone());
    assert_eq!((told.take(), Arc::strong_count(&told)), (vec![], 1));

    // Late words about the old one do not reach the new one's.
    waiters.forget(old);
    waiters.unobserve(old, stale);
    waiters.unobserve(old, key);
    notify(&mut waiters, new, Readiness::READABLE);
    assert_eq!(fresh.take(), [Readiness::READABLE]);

    // The socket ends under its owner, who gives it up later.
    waiters.gone(new);
    waiters.notify_all();
    assert_eq!((fresh.take(), Arc::strong_count(&fresh)), (vec![GONE; 2], 2));
    waiters.forget(new);
    assert_eq!((fresh.take(), Arc::strong_count(&fresh)), (vec![], 1));
}

#[test]
fn late_word_of_an_earlier_use_takes_nobody_from_the_later() {
    let (old, new) = ids();
    let mut waiters = Waiters::default();
    let told = Arc::new(Told::default());
    let key = waiters.key();
    waiters.observe(new, key, told.clone());
    let (count, waker) = counter();
    waiters.register(new, Readiness::READABLE, None, &waker);
    notify(&mut waiters, old, Readiness::READABLE);
    waiters.gone(old);
    wake(&mut waiters);
    assert_eq!((told.take(), times(&count), waiters.count(new)), (vec![], 0, 2));
    notify(&mut waiters, new, Readiness::READABLE);
    assert_eq!((told.take(), times(&count)), (vec![Readiness::READABLE], 1));
}

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("on purpose");
    }
}

/// Of a crowd each socket has an observer.
#[test]
fn an_observer_costs_no_allocation() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let key = waiters.key();
    waiters.observe(id, key, Arc::new(Told::default()));
    assert!(matches!(waiters.slots[id.index() as usize].entries, Entries::One(_)));
    assert!(size_of::<Entry>() <= 40 && size_of::<Slot>() <= 48);
}

/// Two that waited for a socket leave no memory behind when it is closed: much of it would lie about after a crowd.
#[test]
fn what_waited_for_a_socket_that_is_closed_holds_no_memory() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let all = [Told::default(), Told::default(), Told::default()].map(Arc::new);
    for one in &all {
        let key = waiters.key();
        waiters.observe(id, key, one.clone());
    }
    assert_eq!(waiters.count(id), 3);
    waiters.forget(id);
    assert!(matches!(waiters.slots[id.index() as usize].entries, Entries::None));
    assert!(all.iter().all(|one| Arc::strong_count(one) == 1));
}

/// The entries are a list of which anyone may be taken out, whether they have room of their own or not.
#[test]
fn entries_are_a_list() {
    let named =
        |n: u64| Entry { key: NonZeroU64::new(n).map(Key), wait: Wait::Always(Arc::new(Told::default())) };
    let names = |entries: &Entries| -> Vec<u64> {
        entries.as_slice().iter().filter_map(|e| e.key).map(|key| key.0.get()).collect()
    };
    for count in 0..5 {
        for at in 0..6 {
            let all: Vec<u64> = (1..=count).collect();
            let list = || {
                let mut entries = Entries::default();
                all.iter().for_each(|n| entries.push(named(*n)));
                entries
            };
            let mut entries = list();
            assert_eq!(names(&entries), all);
            let removed = entries.remove(at).and_then(|e| e.key).map(|key| key.0.get());
            assert_eq!(removed, all.get(at).copied());
            let left: Vec<u64> = all.iter().copied().filter(|n| Some(*n) != removed).collect();
            assert_eq!(names(&entries), left);

            let mut entries = list();
            let mut taken = 0;
            let is_it = |e: &Entry| e.key.is_some_and(|key| key.0.get() == at as u64 + 1);
            entries.take_if(is_it, |e| taken += e.key.map_or(0, |key| key.0.get()));
            assert_eq!((names(&entries), taken), (left, removed.unwrap_or(0)));
            entries.push(named(9));
            assert_eq!(names(&entries).last(), Some(&9));

            let mut taken = Vec::new();
            entries.take_all(|e| taken.extend(e.key.map(|key| key.0.get())));
            assert_eq!((taken.last(), entries.as_slice().len()), (Some(&9), 0));
        }
    }
}

/// Sees many, and notes by which name it was told, and which were let go.
#[derive(Default)]
struct Many(std::sync::Mutex<Vec<(Name, Option<Readiness>)>>);

impl Overseer for Many {
    fn changed(&self, name: Name, readiness: Readiness, _: Readiness) -> Option<usize> {
        self.0.lock().unwrap().push((name, Some(readiness)));
        Some(name.index as usize)
    }

    fn let_go(&self, name: Name) {
        self.0.lock().unwrap().push((name, None));
    }
}

#[test]
fn an_overseer_is_told_by_name_until_each_is_let_go() {
    let (old, new) = ids();
    let mut waiters = Waiters::default();
    let (many, other) = (Arc::new(Many::default()), Arc::new(Many::default()));
    let [first, second] = [7, 8].map(|index| Name { index, generation: 1 });
    let told = || std::mem::take(&mut *many.0.lock().unwrap());
    let oversee = |waiters: &mut Waiters, id, name| {
        let key = waiters.key();
        waiters.oversee(id, key, many.clone(), name);
        key
    };
    let key = oversee(&mut waiters, old, first);
    let at = |overseer: &Arc<Many>| Arc::as_ptr(overseer).addr();
    assert_eq!(waiters.overseen(old, at(&many)), Some((key, first)));
    assert_eq!(waiters.overseen(old, at(&other)), None, "another's");
    assert_eq!(waiters.overseen(new, at(&many)), None, "another socket");
    let r = Readiness::READABLE;
    waiters.notify(Event { id: old, readiness: r, edges: r });
    assert_eq!(told(), [(first, Some(r))]);
    assert_eq!(waiters.woken_now(None).alone, Some(7));
    waiters.unobserve(old, key);
    assert_eq!(told(), [(first, None)]);
    // Its owner gives it up, or its slot is used again.
    oversee(&mut waiters, old, first);
    waiters.forget(old);
    assert_eq!(told(), [(first, None)]);
    oversee(&mut waiters, old, first);
    oversee(&mut waiters, new, second);
    assert_eq!(told(), [(first, None)]);
    drop(waiters);
    assert_eq!(told(), [(second, None)]);
}

#[test]
fn a_waker_that_panics_keeps_no_other_from_being_woken() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let counts: Vec<_> = (0..7).map(|_| counter()).collect();
    for (n, (_, waker)) in counts.iter().enumerate() {
        if n % 3 == 0 {
            let key = Some(waiters.key());
            waiters.register(id, Readiness::READABLE, key, &Waker::from(Arc::new(Panics)));
        }
        let key = Some(waiters.key());
        waiters.register(id, Readiness::READABLE, key, waker);
    }
    waiters.notify(Event { id, readiness: Readiness::READABLE, edges: Readiness::READABLE });
    let woken = waiters.take_woken().unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| woken.wake())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
    assert!(counts.iter().all(|(count, _)| times(count) == 1));
    // Nor does a panic that comes before they are woken.
    let (count, waker) = counter();
    let key = Some(waiters.key());
    waiters.register(id, Readiness::READABLE, key, &waker);
    waiters.notify(Event { id, readiness: Readiness::READABLE, edges: Readiness::READABLE });
    let woken = waiters.take_woken();
    let other = catch_unwind(AssertUnwindSafe(move || {
        let _woken = woken;
        panic!("before");
    }));
    assert_eq!(other.unwrap_err().downcast_ref(), Some(&"before"));
    assert_eq!(times(&count), 1);
}

#[test]
fn calls_are_woken_without_tasks() {
    let (id, _) = ids();
    let mut waiters = Waiters::default();
    let places: [Place; 6] = Default::default();
    let counts: Vec<_> = places.iter().map(|_| counter()).collect();
    for (n, (place, (_, waker))) in places.iter().zip(&counts).enumerate() {
        match n % 2 {
            0 => waiters.enter(id, Readiness::READABLE, place, waker),
            _ => waiters.enter_call(id, Readiness::READABLE, place, waker),
        }
    }
    waiters.notify(Event { id, readiness: Readiness::READABLE, edges: Readiness::READABLE });
    waiters.take_woken_calls().wake();
    let woken = || counts.iter().map(|(count, _)| times(count)).collect::<Vec<_>>();
    assert_eq!(woken(), [0, 1, 0, 1, 0, 1]);
    assert!(waiters.woken_now(None).others_code);
    wake(&mut waiters);
    assert_eq!(woken(), [1; 6]);
}
