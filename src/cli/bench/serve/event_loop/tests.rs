//! The loop over sockets and a poll that do as they are told, and write down what is asked of them.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::SocketAddr;

use tunstack::poll::Interest;

use super::*;

/// What is asked of sockets and poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Wait(Option<Duration>),
    /// For the next connection of this listener.
    Accept(u16),
    /// To watch the connection of this name under this token.
    Watch(char, usize),
    Read(char),
    Closed(char),
}

use Asked::{Accept, Closed, Watch};

/// What a connection has to read: how often a buffer full of it, whether an octet after that, and whether it ends then.
#[derive(Clone, Copy)]
struct Stream {
    name: char,
    full: usize,
    octet: bool,
    ends: bool,
    watched: bool,
}

const fn stream(name: char, full: usize) -> Stream {
    Stream { name, full, octet: false, ends: false, watched: true }
}

/// What happens before a wait is over, and what that tells.
#[derive(Default)]
struct Step {
    comes: Vec<io::Result<Stream>>,
    /// This connection ends.
    ends: Option<char>,
    changes: Vec<Change>,
    interrupted: bool,
}

/// An event for each of these tokens.
fn told<const N: usize>(tokens: [usize; N]) -> Step {
    let changes = tokens.map(|token| Change { token, comes: true, last: false }).to_vec();
    Step { changes, ..Step::default() }
}

fn comes(streams: impl IntoIterator<Item = io::Result<Stream>>, mut step: Step) -> Step {
    step.comes.extend(streams);
    step
}

fn ends(name: char, mut step: Step) -> Step {
    step.ends = Some(name);
    step
}

#[derive(Default)]
struct World {
    steps: VecDeque<Step>,
    waiting: VecDeque<io::Result<Stream>>,
    open: Vec<Stream>,
    asked: Vec<Asked>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

fn world<T>(look: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(look)
}

struct Told;

struct Named(char);

impl Read for Named {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        world(|world| {
            world.asked.push(Asked::Read(self.0));
            let stream = world.open.iter_mut().find(|stream| stream.name == self.0).unwrap();
            match stream {
                Stream { full: 0, octet, .. } if *octet => {
                    *octet = false;
                    Ok(1)
                }
                Stream { full: 0, ends: true, .. } => Ok(0),
                Stream { full: 0, .. } => Err(WouldBlock.into()),
                Stream { full, .. } => {
                    *full -= 1;
                    Ok(buffer.len())
                }
            }
        })
    }
}

impl Write for Named {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        unreachable!("what comes is thrown away")
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        world(|world| world.asked.push(Closed(self.0)));
    }
}

impl Sockets for Told {
    type Listener = u16;
    type Stream = Named;
    type Udp = ();
    type Poll = ();

    fn listen(&self, port: u16) -> io::Result<u16> {
        Ok(port)
    }

    fn bind(&self, _: u16) -> io::Result<()> {
        Ok(())
    }

    /// All connections are the first listener's.
    fn accept(&listener: &u16) -> io::Result<Named> {
        world(|world| {
            world.asked.push(Accept(listener));
            let next = if listener == 0 { world.waiting.pop_front() } else { None };
            let stream = next.unwrap_or_else(|| Err(WouldBlock.into()))?;
            world.open.push(stream);
            Ok(Named(stream.name))
        })
    }

    fn receive((): &(), _: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        Err(WouldBlock.into())
    }

    fn send((): &(), data: &[u8], _: SocketAddr) -> io::Result<usize> {
        Ok(data.len())
    }

    fn poll() -> io::Result<()> {
        Ok(())
    }

    fn watch_listener((): &(), listener: &mut u16, token: usize) -> io::Result<()> {
        assert_eq!(usize::from(*listener), token);
        Ok(())
    }

    fn watch((): &(), stream: &mut Named, token: usize, what: Interest) -> io::Result<()> {
        assert_eq!(what, Interest::READABLE);
        world(|world| {
            world.asked.push(Watch(stream.0, token));
            let watched = world.open.iter().any(|open| open.name == stream.0 && open.watched);
            if watched { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
        })
    }

    /// When nothing is to happen any more it fails, and the loop ends.
    fn wait((): &mut (), changes: &mut Vec<Change>, timeout: Option<Duration>) -> io::Result<()> {
        assert!(changes.is_empty());
        world(|world| {
            world.asked.push(Asked::Wait(timeout));
            let step = world.steps.pop_front().ok_or(io::ErrorKind::BrokenPipe)?;
            world.waiting.extend(step.comes);
            world
                .open
                .iter_mut()
                .filter(|open| Some(open.name) == step.ends)
                .for_each(|open| open.ends = true);
            changes.extend(step.changes);
            if step.interrupted { Err(Interrupted.into()) } else { Ok(()) }
        })
    }
}

/// What is asked when this happens to a loop with two listeners.
fn run(steps: impl IntoIterator<Item = Step>) -> Vec<Asked> {
    world(|world| *world = World { steps: steps.into_iter().collect(), ..World::default() });
    let listeners = vec![(0, Service::Discard), (1, Service::Discard)];
    let Err(end) = EventLoop::<Told>::new(listeners, Arc::default()).and_then(EventLoop::run);
    assert_eq!(end.kind(), io::ErrorKind::BrokenPipe);
    world(|world| std::mem::take(&mut world.asked))
}

/// The names of those that are read, in turn.
fn reads(asked: &[Asked]) -> String {
    asked.iter().filter_map(|asked| if let Asked::Read(name) = asked { Some(*name) } else { None }).collect()
}

fn watches(asked: &[Asked]) -> Vec<Asked> {
    asked.iter().copied().filter(|asked| matches!(asked, Watch(..))).collect()
}

const IDLE: Asked = Asked::Wait(None);
const PAUSES: Asked = Asked::Wait(Some(PAUSE));
const AT_ONCE: Asked = Asked::Wait(Some(Duration::ZERO));

fn no_descriptor() -> io::Result<Stream> {
    Err(io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error()))
}

#[test]
fn a_listener_without_a_descriptor_is_tried_again_after_a_pause() {
    let asked = run([
        comes([no_descriptor(), no_descriptor(), Ok(stream('a', 0))], told([0])),
        Step::default(),
        Step::default(),
    ]);
    let first = [IDLE, Accept(0), PAUSES, Accept(0), PAUSES];
    let then = [Accept(0), Watch('a', 2), Accept(0), IDLE];
    assert_eq!(asked, [&first[..], &then, &[Closed('a')]].concat());
}

/// The pause is no pause for those that have something to do.
#[test]
fn a_pause_keeps_no_connection_waiting() {
    let asked = run([
        comes([Ok(stream('a', 2))], told([0])),
        comes([no_descriptor()], told([2, 0])),
        Step::default(),
    ]);
    let begins = [IDLE, Accept(0), Watch('a', 2), Accept(0), IDLE];
    let goes_on = [Accept(0), Asked::Read('a'), AT_ONCE, Accept(0), Asked::Read('a'), AT_ONCE];
    assert_eq!(asked, [&begins[..], &goes_on, &[Closed('a')]].concat());
}

#[test]
fn one_that_was_reset_before_its_turn_keeps_no_other_from_being_accepted() {
    let reset = [ConnectionAborted, ConnectionReset, NotConnected].map(|kind| Err(kind.into()));
    let asked = run([comes(reset.into_iter().chain([Ok(stream('a', 0))]), told([0]))]);
    assert_eq!(
        asked,
        [IDLE, Accept(0), Accept(0), Accept(0), Accept(0), Watch('a', 2), Accept(0), IDLE, Closed('a')]
    );
}

#[test]
fn one_that_cannot_be_watched_is_closed_and_leaves_its_slot() {
    let unwatched = Stream { watched: false, ..stream('a', 0) };
    let asked = run([comes([Ok(unwatched), Ok(stream('b', 0))], told([0])), Step::default()]);
    let first = [IDLE, Accept(0), Watch('a', 2), Closed('a'), PAUSES];
    assert_eq!(asked, [&first[..], &[Accept(0), Watch('b', 2), Accept(0), IDLE, Closed('b')]].concat());
}

#[test]
fn slots_are_used_again_and_only_those_that_are_free() {
    let all = "abc".chars().map(|name| Ok(stream(name, 0)));
    let more = "def".chars().map(|name| Ok(stream(name, 0)));
    let asked =
        run([comes(all, told([0])), ends('b', told([3])), comes(more, told([0])), ends('a', told([2]))]);
    let [first, then] =
        [[Watch('a', 2), Watch('b', 3), Watch('c', 4)], [Watch('d', 3), Watch('e', 5), Watch('f', 6)]];
    assert_eq!(watches(&asked), [first, then].concat());
    let closed = |asked: &Asked| if let Closed(name) = asked { Some(*name) } else { None };
    // The others with the loop, in the order of their slots.
    assert_eq!(asked.iter().filter_map(closed).collect::<String>(), "badcef");
}

#[test]
fn each_has_its_turn_before_one_has_another() {
    let all = [Ok(stream('a', 4)), Ok(stream('b', 2)), Ok(stream('c', 1))];
    // Being told of again while it is ready gives no turn more.
    let asked = run([
        comes(all, told([0])),
        told([2, 3, 4]),
        told([2]),
        told([2, 3]),
        Step::default(),
        Step::default(),
    ]);
    assert_eq!(reads(&asked), "abcabcabaa");
}

#[test]
fn what_comes_meanwhile_is_seen_before_the_next_turn() {
    let asked = run([
        comes([Ok(stream('a', 3)), Ok(stream('b', 0))], told([0])),
        told([2]),
        comes([Ok(stream('c', 0))], told([3, 0])),
        told([4]),
    ]);
    let after = asked.iter().position(|&asked| asked == Asked::Read('a')).unwrap();
    let first = [Asked::Read('a'), AT_ONCE, Accept(0), Watch('c', 4), Accept(0)];
    let then = [Asked::Read('a'), Asked::Read('b'), AT_ONCE, Asked::Read('a'), Asked::Read('c'), AT_ONCE];
    assert_eq!(asked[after..after + 11], [&first[..], &then].concat());
}

/// No event tells of those that a turn leaves: the next turn takes them, after the others had theirs.
#[test]
fn a_flood_of_connections_keeps_nobody_waiting_and_none_is_forgotten() {
    let flood = (0..2 * ACCEPTS + 1).map(|_| Ok(stream('x', 0)));
    let asked = run([
        comes([Ok(stream('a', 9))], told([0])),
        // It is told of with more to come, and again while there is: a turn is one all the same.
        comes(flood, told([2, 0])),
        told([0]),
        Step::default(),
        Step::default(),
    ]);
    let turns: Vec<(usize, bool)> = asked
        .split(|asked| matches!(asked, Asked::Wait(_)))
        .map(|turn| {
            let accepts = turn.iter().filter(|&&asked| asked == Accept(0)).count();
            (accepts, turn.contains(&Asked::Read('a')))
        })
        .collect();
    let flooded = [(ACCEPTS, true), (ACCEPTS, true), (2, true), (0, true)];
    assert_eq!(turns, [&[(0, false), (2, false)], &flooded[..], &[(0, false)]].concat());
    let watched = watches(&asked);
    assert_eq!(watched.last(), Some(&Watch('x', 2 * ACCEPTS + 3)));
    assert_eq!(watched.len(), 2 * ACCEPTS + 2);
}

/// Also where there is nobody else: the loop comes back for the rest at once.
#[test]
fn what_a_turn_leaves_is_no_reason_to_sleep() {
    let asked = run([comes((0..=ACCEPTS).map(|_| Ok(stream('x', 0))), told([0])), Step::default()]);
    let waits: Vec<_> = asked.iter().filter(|asked| matches!(asked, Asked::Wait(_))).copied().collect();
    assert_eq!(waits, [IDLE, AT_ONCE, IDLE]);
}

#[test]
fn an_event_of_one_that_has_ended_is_nobodys() {
    let begins = || comes([Ok(stream('a', 0))], told([0]));
    let asked = run([begins(), ends('a', told([2])), told([2, 3, 9])]);
    assert_eq!(reads(&asked), "a");
    // Another has its slot: it is read in vain, and lives.
    let late = Step { changes: vec![Change { token: 2, comes: true, last: true }], ..Step::default() };
    let again = comes([Ok(stream('b', 0))], told([0]));
    let asked = run([begins(), ends('a', told([2])), again, late, ends('b', told([2]))]);
    assert_eq!(reads(&asked), "abb");
    assert_eq!(asked.iter().filter(|&&asked| asked == Closed('b')).count(), 1);
}

/// Data and end that are told at once are one event: that of the data is the last.
#[test]
fn an_end_that_was_told_with_data_is_found() {
    let last = Step { changes: vec![Change { token: 2, comes: true, last: true }], ..Step::default() };
    let asked = run([
        comes([Ok(Stream { octet: true, ends: true, ..stream('a', 0) })], told([0])),
        last,
        Step::default(),
    ]);
    assert_eq!(asked[5..], [Asked::Read('a'), AT_ONCE, Asked::Read('a'), Closed('a'), IDLE]);
}

/// As when a connection is first watched: there is room, and nothing to read.
#[test]
fn room_for_what_nobody_writes_is_no_reason_to_read() {
    let room = |token| Step { changes: vec![Change { token, comes: false, last: false }], ..Step::default() };
    let begins = || comes([Ok(stream('a', 0))], told([0]));
    assert_eq!(reads(&run([begins(), room(2), Step::default()])), "");
    assert_eq!(reads(&run([begins(), told([2]), Step::default()])), "a");
}

#[test]
fn a_signal_is_no_end() {
    let asked = run([Step { interrupted: true, ..Step::default() }, told([1])]);
    assert_eq!(asked, [IDLE, IDLE, Accept(1), IDLE]);
}
