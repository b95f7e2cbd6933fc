//! The one stack of the process, in virtual time, and who may move that time.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use rust::bsd::abi::{SO_TYPE, SOL_SOCKET};
use rust::bsd::{Errno, Sockets};
use rust::core::time::Instant;
use rust::device::outbox::{Letter, Outbox};
use rust::engine::{Calls, Engine, Stepper};
use rust::packetdrill::run::{Beside, beside_sysctls};

use super::setup;

/// Time that passes by looking at the clock again when nothing has happened since the last look: packetdrill spins on it
/// before each event, and would spin for ever.
const LOOK: Duration = Duration::from_micros(1);

/// The clock was looked at and nothing has happened since. packetdrill looks once when an event has ended, and the next one's
/// time counts from then. That look costs nothing: what the event sent has left, and has the event's time; with a clock that
/// went on between the two an answer would come before what it answers.
static LOOKED: AtomicBool = AtomicBool::new(false);

/// The device of the script's first command has a queue that paces (`fq`).
static PACED: AtomicBool = AtomicBool::new(false);

/// The seed of a stack that nobody attacks, so that a script goes the same way each time.
const SEED: [u8; 32] = [0x74; 32];

/// The time of day when the stack starts, the same each time.
const BEGAN: Duration = Duration::from_secs(1_000_000_000);

/// What belongs to packetdrill's main thread, which makes the stack and moves time.
struct Stack {
    stepper: Stepper,
    outbox: Outbox,
    mtu: u16,
    mss: Option<u16>,
}

/// What any thread may use.
struct Shared {
    engine: Engine,
    sockets: Sockets,
    calls: Calls,
    main: ThreadId,
}

thread_local! {
    /// Never dropped: packetdrill closes descriptors under us before the process ends.
    static STACK: Cell<Option<&'static Stack>> = const { Cell::new(None) };
    /// This thread has come back from a call and has not asked for the time since.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// The other thread, from when its call has ended until the main one has waited for it; 0: none.
static ENDED: AtomicI32 = AtomicI32::new(0);

/// How often the main thread looks, and how long it waits between two looks: a fifth of a second in all.
const MOST_LOOKS: u32 = 2000;
const BETWEEN_LOOKS: Duration = Duration::from_micros(100);

/// How often the main thread has asked for the time, as it does before each event.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// How long that thread may rest, by the machine's clock, while the other is in a call that it may not know of.
const MOST_REST: Duration = Duration::from_secs(2);

static SHARED: Mutex<Option<&'static Shared>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<&'static Shared>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the stack, unless there is one.
fn shared() -> Result<&'static Shared, Errno> {
    let mut slot = lock();
    if let Some(shared) = *slot {
        return Ok(shared);
    }
    let shared = make().map_err(|error| {
        complain!("no stack: {error}");
        Errno::from_io_error(&error).unwrap_or(Errno::IO)
    })?;
    *slot = Some(shared);
    Ok(shared)
}

fn make() -> io::Result<&'static Shared> {
    let (mut config, mtu, mss) = setup::config();
    config.tcp.pacing |= PACED.load(Ordering::Relaxed);
    let outbox = Outbox::new(mtu)?;
    let (engine, stepper) =
        Engine::builder().device(outbox.clone()).config(config).seed(SEED).start_stepped()?;
    let sockets = Sockets::new(&engine);
    tunstack::host::adopt(sockets.clone());
    let calls = stepper.calls();
    STACK.set(Some(Box::leak(Box::new(Stack { stepper, outbox, mtu, mss }))));
    Ok(Box::leak(Box::new(Shared { engine, sockets, calls, main: thread::current().id() })))
}

/// The part of packetdrill's main thread, which does something with it.
fn main() -> Result<&'static Stack, Errno> {
    shared()?;
    LOOKED.store(false, Ordering::Relaxed);
    STACK.get().ok_or(Errno::DEADLK)
}

/// Does a call of the program. On a thread that is not packetdrill's main one it may wait, and time stands still until
/// it does or until that thread, come back, has asked for the time.
pub(crate) fn call<T>(call: impl FnOnce() -> T) -> Result<T, Errno> {
    let shared = shared()?;
    if thread::current().id() == shared.main {
        LOOKED.store(false, Ordering::Relaxed);
        return Ok(call());
    }
    // One that makes two calls of one, as `splice` does, is still at the first.
    if !ENDING.get() {
        shared.calls.begin();
    }
    let result = call();
    ENDING.set(true);
    Ok(result)
}

/// To be said before a `splice`. In packetdrill that is the one call that its other thread makes without a word to the main
/// one and with its lock held: with an end time (`+0...1 splice(…)`) both threads wait for ever, whatever stack is
/// under them. Where the main thread does not go on, this ends the process, as packetdrill does on an error, and says
/// why.
pub(crate) fn splice_begins() -> Result<(), Errno> {
    if thread::current().id() == shared()?.main {
        return Ok(());
    }
    let asked = ASKED.load(Ordering::Relaxed);
    let watch = move || {
        thread::sleep(MOST_REST);
        if ASKED.load(Ordering::Relaxed) == asked {
            eprintln!(
                "libtunstack_packetdrill: packetdrill waits for ever at a splice with an end time (`+0...1 splice(…)`): \
                 wait by `poll` with one, and splice after it without"
            );
            process::exit(1);
        }
    };
    let watching = thread::Builder::new().name("splice".to_owned()).spawn(watch);
    watching.map(drop).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))
}

/// The stack obeys the sysctls as they are now: scripts change them between their calls. Those of a socket's own options
/// and of its beginning are all that one may wait for.
pub(crate) fn obey_sysctls() {
    if let Ok(shared) = shared() {
        shared.engine.configure(setup::read_sysctls);
    }
}

/// What a command line of a script's, which ended well, has done to the kernel is done to the stack.
pub(crate) fn obey_command(line: &str) {
    let overlooked = |why: &str| complain!("not heeded in `{}`: {why}", line.escape_debug());
    let beside = beside_sysctls(line, Path::new(""), overlooked).unwrap_or_else(|why| {
        complain!("nothing heeded of `{}`: {why}", line.escape_debug());
        Vec::new()
    });
    for act in beside {
        match act {
            Beside::Paced(on) => PACED.store(on, Ordering::Relaxed),
            Beside::Forget => {
                if let Some(shared) = *lock() {
                    shared.engine.forget_fast_open();
                }
            }
        }
    }
}

/// The calls, where there is a stack.
pub(crate) fn sockets() -> Option<Sockets> {
    lock().map(|shared| shared.sockets.clone())
}

/// Whether the number is a socket of ours.
pub(crate) fn is_ours(fd: i32) -> bool {
    sockets().is_some_and(|sys| sys.getsockopt_int(fd, SOL_SOCKET, SO_TYPE).is_ok())
}

/// The time of day.
pub(crate) fn time() -> Result<Duration, Errno> {
    let shared = shared()?;
    if ENDING.replace(false) {
        let now = BEGAN + since_start(shared.calls.now());
        // SAFETY: it takes nothing and cannot fail.
        ENDED.store(unsafe { libc::gettid() }, Ordering::Release);
        shared.calls.end();
        return Ok(now);
    }
    if thread::current().id() == shared.main {
        ASKED.fetch_add(1, Ordering::Relaxed);
    }
    if LOOKED.swap(true, Ordering::Relaxed) {
        run_until(&shared.calls, shared.calls.now() + LOOK);
    }
    Ok(BEGAN + since_start(shared.calls.now()))
}

fn since_start(now: Instant) -> Duration {
    now.saturating_since(Instant::ZERO)
}

fn run_until(calls: &Calls, until: Instant) {
    while calls.step(until) {}
}

/// Time goes on. On packetdrill's other thread too: before a call that may wait it is that thread which waits for the
/// call's time, and the main one waits for it.
pub(crate) fn sleep(time: Duration) -> Result<(), Errno> {
    let_the_other_finish();
    let calls = &shared()?.calls;
    run_until(calls, calls.now() + time);
    Ok(())
}

/// packetdrill's main thread sleeps without the lock that its other one needs to note what its call gave. Virtual sleep
/// takes no time, so that one would hardly get it: here the main thread waits until the other has nothing to do, which it
/// finds as packetdrill itself does, by the thread's state.
fn let_the_other_finish() {
    let ended = ENDED.swap(0, Ordering::AcqRel);
    if ended == 0 {
        return;
    }
    for _ in 0..MOST_LOOKS {
        let Ok(stat) = fs::read_to_string(format!("/proc/self/task/{ended}/stat")) else { return };
        // The state stands behind the name, which is in brackets and may have any characters.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        if state == Some('S') {
            return;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// A packet arrives. One that is longer than the MTU comes from a device that joins segments.
pub(crate) fn arrive(packet: &[u8]) -> Result<(), Errno> {
    let Stack { stepper, mtu, mss, .. } = main()?;
    let joined = mss.filter(|_| packet.len() > usize::from(*mtu)).unwrap_or(0);
    stepper.receive_joined(packet, joined);
    Ok(())
}

/// The next packet that leaves, and the time of day when it did; time goes on until then. `None`: none ever will.
pub(crate) fn next_packet() -> Result<Option<(Letter, Duration)>, Errno> {
    let Stack { stepper, outbox, .. } = main()?;
    loop {
        // A call of this thread may have woken the other one, and what that sends comes before anything later.
        stepper.settle();
        if let Some(letter) = outbox.take() {
            let when = BEGAN + since_start(letter.when);
            return Ok(Some((letter, when)));
        }
        let Some(next) = stepper.next() else { return Ok(None) };
        stepper.step(next.max(stepper.now()));
    }
}
