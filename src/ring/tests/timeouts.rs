//! Timeouts: that expire, are removed, updated or outrun, and limit what is linked before them.

use std::time::Instant;

use super::*;
use crate::ring::{Flags, TimeoutFlags, When, opcode};

const TIME: i32 = error(Errno::TIME);
const CANCELED: i32 = error(Errno::CANCELED);
const PLAIN: TimeoutFlags = TimeoutFlags::empty();

fn timeout(user_data: u64, after: Duration) -> Entry {
    opcode::timeout(after, 0, PLAIN).user_data(user_data)
}

#[test]
fn they_expire_in_the_order_of_their_times() {
    let mut host = Host::new(8);
    let begin = host.sys.engine().shard().clock.now();
    let later = Instant::now() + 2 * SHORT;
    host.push(opcode::timeout(later, 0, PLAIN).user_data(1));
    host.push(timeout(2, SHORT));
    host.push(opcode::timeout(Instant::now(), 0, PLAIN).user_data(3));
    host.push(timeout(4, LONG));
    host.ring.submit_and_wait(3).unwrap();
    assert_eq!(host.seen(), [(3, TIME, 0), (2, TIME, 0), (1, TIME, 0)]);
    assert!(host.sys.engine().shard().clock.now().saturating_since(begin) >= 2 * SHORT, "not too early");
    assert_eq!(host.ring.wait(1, Some(SHORT)), Err(Errno::TIME));
}

#[test]
fn they_are_removed_and_updated() {
    let mut host = Host::new(8);
    let noent = error(Errno::NOENT);
    let seen = host.submit([
        timeout(1, LONG),
        opcode::timeout_remove(1).user_data(2),
        opcode::timeout_remove(1).user_data(3),
        opcode::timeout_update(1, SHORT).user_data(4),
    ]);
    assert_eq!(seen, [(2, 0, 0), (1, CANCELED, 0), (3, noent, 0), (4, noent, 0)]);
    assert_eq!(host.submit([timeout(1, LONG), opcode::timeout_update(1, SHORT).user_data(2)]), [(2, 0, 0)]);
    assert_eq!(host.wait(1), [(1, TIME, 0)]);
    assert_eq!(host.submit([timeout(1, SHORT), opcode::timeout_update(1, LONG).user_data(2)]), [(2, 0, 0)]);
    assert_eq!(host.ring.wait(1, Some(3 * SHORT)), Err(Errno::TIME), "put off");
}

#[test]
fn completions_outrun_them() {
    let mut host = Host::new(8);
    let counted = opcode::timeout(LONG, 2, PLAIN).user_data(1);
    let nops = |range: std::ops::Range<u64>| range.map(|n| opcode::nop().user_data(n));
    let seen = host.submit([counted, timeout(9, Duration::ZERO)].into_iter().chain(nops(2..3)));
    assert_eq!(seen, [(2, 0, 0), (9, TIME, 0)], "a timeout's own does not count");
    assert_eq!(host.submit(nops(3..5)), [(3, 0, 0), (1, 0, 0), (4, 0, 0)]);
    assert_eq!(host.submit([opcode::timeout(SHORT, 2, PLAIN).user_data(1)]), []);
    assert_eq!(host.wait(1), [(1, TIME, 0)]);
    // Nothing of it is left behind that could be reached later.
    assert_eq!(host.submit(nops(1..4)).len(), 3);
}

#[test]
fn they_repeat() {
    let mut host = Host::new(8);
    host.push(opcode::timeout(SHORT, 3, TimeoutFlags::MULTISHOT).user_data(1));
    host.ring.submit_and_wait(3).unwrap();
    assert_eq!(host.seen(), [(1, TIME, MORE), (1, TIME, MORE), (1, TIME, 0)]);
    // For ever, but never more than there is room for.
    host.push(opcode::timeout(Duration::ZERO, 0, TimeoutFlags::MULTISHOT).user_data(1));
    host.ring.submit_and_wait(16).unwrap();
    let seen: Vec<_> = std::iter::repeat_with(|| host.completions()).take(2).flatten().collect();
    assert!(seen.len() <= 33 && seen[..16].iter().all(|c| c.more()), "{}", seen.len());
    let absolute = opcode::timeout(Instant::now(), 2, TimeoutFlags::MULTISHOT);
    assert!(host.submit([absolute.user_data(7)]).contains(&(7, error(Errno::INVAL), 0)));
}

/// What a kernel of Linux 6.18 was seen to do: the new time is the interval too, and neither the number of completions
/// nor that of repetitions ends it any more.
#[test]
fn an_update_gives_another_interval_and_no_count() {
    let mut host = Host::new(8);
    let update = |when: When| opcode::timeout_update(1, when).user_data(2);
    let repeated = |every| opcode::timeout(every, 2, TimeoutFlags::MULTISHOT).user_data(1);
    assert_eq!(host.submit([repeated(LONG), update(SHORT.into())]), [(2, 0, 0)]);
    for _ in 0..4 {
        assert_eq!(host.ring.wait(1, Some(1000 * SHORT)), Ok(()));
        assert_eq!(host.seen(), [(1, TIME, MORE)]);
    }
    assert_eq!(host.submit([opcode::timeout_remove(1)]), [(0, 0, 0), (1, CANCELED, 0)]);
    let counted = opcode::timeout(LONG, 1, PLAIN).user_data(1);
    assert_eq!(host.submit([counted, update(LONG.into()), opcode::nop()]), [(2, 0, 0), (0, 0, 0)]);
    assert_eq!(host.submit([opcode::timeout_remove(1)]), [(0, 0, 0), (1, CANCELED, 0)]);
    // A moment does not repeat.
    assert_eq!(host.submit([repeated(LONG), update(Instant::now().into())]), [(2, 0, 0), (1, TIME, 0)]);
    assert_eq!(host.ring.outstanding(), 0);
}

#[test]
fn to_expire_is_to_fail_unless_said() {
    let mut host = Host::new(8);
    let link = |entry: Entry| [entry.user_data(1).flags(Flags::IO_LINK), opcode::nop().user_data(2)];
    for (flags, next) in [(PLAIN, CANCELED), (TimeoutFlags::ETIME_SUCCESS, 0)] {
        link(opcode::timeout(SHORT, 0, flags)).into_iter().for_each(|entry| host.push(entry));
        host.ring.submit_and_wait(2).unwrap();
        assert_eq!(host.seen(), [(1, TIME, 0), (2, next, 0)]);
    }
}

#[test]
fn a_link_timeout_cancels_what_takes_too_long() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    let chain = |flags, limit: Duration| {
        let recv = opcode::recv(b, vec![0; 8], ALL).user_data(1).flags(flags);
        let limit = opcode::link_timeout(limit).user_data(2).flags(Flags::IO_LINK);
        [recv, limit, opcode::nop().user_data(3)]
    };
    for (flags, last) in [(Flags::IO_LINK, CANCELED), (Flags::IO_HARDLINK, 0)] {
        assert_eq!(host.submit(chain(flags, SHORT)), []);
        assert_eq!(host.wait(3), [(2, TIME, 0), (1, CANCELED, 0), (3, last, 0)]);
    }
    assert_eq!(host.submit(chain(Flags::IO_LINK, SHORT)), []);
    host.send(a, b"123");
    assert_eq!(host.wait(3), [(2, TIME, 0), (1, 3, 0), (3, CANCELED, 0)], "what it had is not lost");
    assert_eq!(host.submit(chain(Flags::IO_LINK, LONG)), []);
    host.send(a, b"12345678");
    assert_eq!(host.wait(3), [(1, 8, 0), (2, CANCELED, 0), (3, 0, 0)]);
    host.send(a, b"12345678");
    assert_eq!(host.submit(chain(Flags::IO_LINK, LONG)), [(1, 8, 0), (2, CANCELED, 0), (3, 0, 0)]);
    assert_eq!(host.submit(chain(Flags::IO_LINK, LONG)), []);
    assert_eq!(host.submit([opcode::timeout_update(2, SHORT).user_data(4)]), [(4, 0, 0)]);
    assert_eq!(host.wait(3), [(2, TIME, 0), (1, CANCELED, 0), (3, CANCELED, 0)]);
    assert_eq!(host.ring.outstanding(), 0);
}

#[test]
fn what_time_or_a_cancel_completes_outruns_them_too() {
    let mut host = Host::new(8);
    let (_a, b) = host.pair();
    let counted = || opcode::timeout(LONG, 1, PLAIN).user_data(1);
    let recv = || opcode::recv(b, vec![0; 8], NONE).user_data(2);
    assert_eq!(host.submit([counted(), recv()]), []);
    assert_eq!(host.ring.cancel(crate::ring::CancelBuilder::user_data(2)), Ok(1));
    assert_eq!(host.seen(), [(2, CANCELED, 0), (1, 0, 0)]);
    let limited = [recv().flags(Flags::IO_LINK), opcode::link_timeout(SHORT).user_data(3)];
    assert_eq!(host.submit([counted()].into_iter().chain(limited)), []);
    assert_eq!(host.wait(3), [(3, TIME, 0), (2, CANCELED, 0), (1, 0, 0)]);
}
