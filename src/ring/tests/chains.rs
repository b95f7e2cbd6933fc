//! Links, hard links, drains and silent entries. The sequences are those that Linux 6.18 gives.

use super::*;
use crate::ring::{Buffer, Flags, opcode};

const LINK: Flags = Flags::IO_LINK;
const HARD: Flags = Flags::IO_HARDLINK;
const SILENT: Flags = Flags::SKIP_SUCCESS;
const CANCELED: i32 = error(Errno::CANCELED);
const BADF: i32 = error(Errno::BADF);

fn nop(user_data: u64, flags: Flags) -> Entry {
    opcode::nop().user_data(user_data).flags(flags)
}

fn bad(user_data: u64, flags: Flags) -> Entry {
    opcode::recv(-1, vec![0; 8], NONE).user_data(user_data).flags(flags)
}

#[test]
fn a_chain_goes_step_by_step() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    let begun = host.submit([
        opcode::send(a, &b"request"[..], ALL).user_data(1).flags(LINK),
        opcode::recv(a, vec![0; 8], NONE).user_data(2).flags(LINK),
        opcode::close(a).user_data(3),
        nop(4, Flags::empty()),
    ]);
    assert_eq!(begun, [(1, 7, 0), (4, 0, 0)]);
    assert!(host.sys.getsockname(a).is_ok(), "not closed before the answer");
    assert_eq!(host.sys.recv(b, &mut [0; 8], NONE), Ok(7));
    host.send(b, b"answer");
    assert_eq!(host.wait(2), [(2, 6, 0), (3, 0, 0)]);
    assert_eq!(host.sys.getsockname(a), Err(Errno::BADF));
}

#[test]
fn a_failure_breaks_what_is_linked_behind() {
    let mut host = Host::new(8);
    let seen = host.submit([nop(1, LINK), bad(2, LINK), bad(3, LINK), nop(4, Flags::empty()), nop(5, LINK)]);
    assert_eq!(seen, [(1, 0, 0), (5, 0, 0), (2, BADF, 0), (3, CANCELED, 0), (4, CANCELED, 0)]);
    assert_eq!(host.submit([nop(6, Flags::empty())]), [(6, 0, 0)], "a chain ends with its submission");
    let hard = host.submit([bad(1, HARD), bad(2, LINK), nop(3, HARD), nop(4, Flags::empty())]);
    assert_eq!(hard, [(1, BADF, 0), (2, BADF, 0), (3, CANCELED, 0), (4, CANCELED, 0)]);
    host.push(bad(1, LINK));
    host.push(opcode::send(-1, &b"mine"[..], NONE));
    host.ring.submit().unwrap();
    let buffers: Vec<_> = host.completions().into_iter().map(|c| c.buffer).collect();
    assert_eq!(
        buffers,
        [Buffer::Received(vec![0; 8]), Buffer::Sent(b"mine"[..].into())],
        "buffers come back"
    );
}

#[test]
fn less_than_all_breaks_a_chain_where_all_is_meant() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    let next = |host: &mut Host, entry: Entry| {
        host.send(a, b"123");
        host.submit([entry.user_data(1).flags(LINK), nop(2, Flags::empty())])
    };
    assert_eq!(next(&mut host, opcode::recv(b, vec![0; 8], NONE)), [(1, 3, 0), (2, 0, 0)]);
    assert_eq!(next(&mut host, opcode::read(b, vec![0; 8])), [(1, 3, 0), (2, CANCELED, 0)]);
    assert_eq!(next(&mut host, opcode::recv(b, vec![0; 3], ALL)), [(1, 3, 0), (2, 0, 0)]);
    host.sys.shutdown(a, libc::SHUT_WR).unwrap();
    let mut end = |entry: Entry| host.submit([entry.user_data(1).flags(LINK), nop(2, Flags::empty())]);
    assert_eq!(end(opcode::recv(b, vec![0; 8], NONE)), [(1, 0, NONEMPTY), (2, 0, 0)]);
    assert_eq!(end(opcode::recv(b, vec![0; 8], ALL)), [(1, 0, NONEMPTY), (2, CANCELED, 0)]);
    let much = vec![0; 8 << 20];
    let write = end(opcode::write(a, much));
    assert_eq!(write, [(1, error(Errno::PIPE), 0), (2, CANCELED, 0)]);
}

#[test]
fn success_can_be_silent() {
    let mut host = Host::new(8);
    assert_eq!(host.submit([nop(1, SILENT), nop(2, SILENT | LINK), nop(3, Flags::empty())]), [(3, 0, 0)]);
    let broken =
        [nop(1, LINK | SILENT), bad(2, LINK | SILENT), nop(3, LINK | SILENT), nop(4, Flags::empty())];
    assert_eq!(host.submit(broken), [(2, BADF, 0)], "the rest goes in silence");
    let broken = [bad(2, LINK), nop(3, LINK | SILENT), nop(4, Flags::empty())];
    assert_eq!(host.submit(broken), [(2, BADF, 0), (3, CANCELED, 0), (4, CANCELED, 0)]);
    assert_eq!(host.ring.outstanding(), 0);
}

#[test]
fn what_makes_no_sense_fails_with_its_chain() {
    let mut host = Host::new(8);
    let (_a, b) = host.pair();
    let limit = |user_data| opcode::link_timeout(LONG).user_data(user_data);
    let invalid = error(Errno::INVAL);
    let seen = host.submit([limit(1).flags(LINK), nop(2, Flags::empty()), nop(3, Flags::empty())]);
    assert_eq!(seen, [(1, invalid, 0), (2, CANCELED, 0), (3, 0, 0)]);
    let seen = host.submit([nop(1, LINK), limit(2).flags(LINK), limit(3)]);
    assert_eq!(seen, [(1, CANCELED, 0), (2, CANCELED, 0), (3, invalid, 0)]);
    let seen = host.submit([
        opcode::recv_multi(b, 1, ALL).user_data(1),
        opcode::poll_add_multi(b, PollEvents::IN).user_data(2).flags(SILENT),
        opcode::accept_multi(b, 0).user_data(3).flags(SILENT),
    ]);
    assert_eq!(seen, [1, 2, 3].map(|n| (n, invalid, 0)));
}

#[test]
fn a_drain_waits_and_makes_wait() {
    let mut host = Host::new(16);
    let (a, b) = host.pair();
    let recv = |user_data| opcode::recv(b, vec![0; 1], NONE).user_data(user_data);
    let drained = nop(3, Flags::IO_DRAIN);
    assert_eq!(host.submit([recv(1), nop(2, Flags::empty()), drained, nop(4, Flags::empty())]), [(2, 0, 0)]);
    assert_eq!(host.submit([nop(5, Flags::empty())]), [], "later ones wait, too");
    assert_eq!(host.ring.outstanding(), 4);
    host.send(a, b"x");
    assert_eq!(host.wait(4), [(1, 1, 0), (3, 0, 0), (4, 0, 0), (5, 0, 0)]);
    // The drain itself waits, and all with it; drained anew.
    let chain =
        [nop(6, LINK), recv(7).flags(Flags::IO_DRAIN), nop(8, Flags::IO_DRAIN), nop(9, Flags::empty())];
    assert_eq!(host.submit(chain), [(6, 0, 0)]);
    host.send(a, b"y");
    assert_eq!(host.wait(3), [(7, 1, 0), (8, 0, 0), (9, 0, 0)]);
}
