use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tunstack_core::tcp::state::State;

use super::abi::{
    AF_INET, F_SETFL, IPPROTO_TCP, MsgFlags, O_NONBLOCK, SHUT_RDWR, SHUT_WR, SO_LINGER, SO_OOBINLINE,
    SO_RCVTIMEO, SO_SNDTIMEO, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, TCP_INQ,
};
use super::testing::alone;
use super::{Ancillary, Errno, Sockets, sys};
use crate::device::pipe::Pipe;
use crate::engine::{Calls, Engine};

const NONE: MsgFlags = MsgFlags::empty();

/// Runs `body` on a thread of its own over a stack whose time is virtual, up to an hour of it.
fn in_virtual_time(body: impl FnOnce(Sockets, &Calls) + Send + 'static) {
    let (device, _other) = Pipe::pair(1500).unwrap();
    let (engine, stepper) = Engine::builder().device(device).seed([1; 32]).start_stepped().unwrap();
    let (sys, calls) = (Sockets::new(&engine), stepper.calls());
    calls.begin();
    let thread = std::thread::spawn(move || {
        // Also where the body panics: the other thread waits for it.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(sys, &calls)));
        calls.end();
        ended
    });
    stepper.settle();
    let hour = stepper.now() + Duration::from_secs(3600);
    while !thread.is_finished() && stepper.step(hour) {}
    if let Err(panic) = thread.join().unwrap() {
        std::panic::resume_unwind(panic);
    }
}

/// A listener whose queue is full: who comes now gets no answer.
fn full(sys: &Sockets) -> SocketAddr {
    let address: SocketAddr = "127.0.0.1:7".parse().unwrap();
    let listener = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    sys.bind(listener, &address).unwrap();
    sys.listen(listener, 0).unwrap();
    for _ in 0..4 {
        let early = sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
        assert_eq!(sys.connect(early, &address), Err(Errno::INPROGRESS));
    }
    address
}

fn bits(fd: RawFd) -> String {
    let all = PollFlags::IN | PollFlags::OUT | PollFlags::PRI | PollFlags::RDHUP;
    let fd: BorrowedFd<'_> = sys::borrow(fd).unwrap();
    let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), all)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
    let names = [
        (PollFlags::IN, "in"),
        (PollFlags::PRI, "pri"),
        (PollFlags::OUT, "out"),
        (PollFlags::ERR, "err"),
        (PollFlags::HUP, "hup"),
        (PollFlags::RDHUP, "rdhup"),
    ];
    let shown: Vec<&str> =
        names.iter().filter(|(bit, _)| fds[0].revents().contains(*bit)).map(|(_, name)| *name).collect();
    shown.join("|")
}

#[test]
fn a_connection_from_socket_to_close_as_poll_sees_it() {
    let (sys, _other) = alone();
    let address: SocketAddr = "127.0.0.1:7".parse().unwrap();
    let listener = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    assert_eq!(bits(listener), "out|hup");
    sys.bind(listener, &address).unwrap();
    sys.listen(listener, 8).unwrap();
    assert_eq!(bits(listener), "");

    let client = sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
    assert_eq!(sys.connect(client, &address), Err(Errno::INPROGRESS));
    assert_eq!((bits(listener).as_str(), bits(client).as_str()), ("in", "out"));
    let (server, peer) = sys.accept(listener).unwrap();
    assert_eq!(peer, sys.getsockname(client).unwrap());
    assert_eq!((bits(listener).as_str(), bits(server).as_str()), ("", "out"));

    assert_eq!(sys.send(client, b"hello", NONE), Ok(5));
    assert_eq!(bits(server), "in|out");
    let mut buf = [0; 8];
    assert_eq!(sys.recv(server, &mut buf, MsgFlags::PEEK), Ok(5));
    assert_eq!(sys.recv(server, &mut buf, NONE), Ok(5));
    assert_eq!((&buf[..5], bits(server).as_str()), (&b"hello"[..], "out"));

    while sys.send(client, &[0; 65536], MsgFlags::DONTWAIT).is_ok() {}
    assert_eq!((bits(client).as_str(), bits(server).as_str()), ("", "in|out"));
    let mut sink = vec![0; 1 << 20];
    while sys.recv(server, &mut sink, MsgFlags::DONTWAIT).is_ok() {}
    assert_eq!((bits(client).as_str(), bits(server).as_str()), ("out", "out"));

    sys.shutdown(client, SHUT_WR).unwrap();
    assert_eq!((bits(client).as_str(), bits(server).as_str()), ("out", "in|out|rdhup"));
    sys.close(server).unwrap();
    assert_eq!(bits(client), "in|out|hup|rdhup");
    assert_eq!(sys.read(client, &mut buf), Ok(0));
    sys.close(client).unwrap();
    assert_eq!(sys.close(client), Err(Errno::BADF));
    sys.close(listener).unwrap();
}

#[test]
fn what_is_left_to_read_is_told_beside_what_was_read() {
    let (sys, _other) = alone();
    let (client, server) = connection(&sys);
    let read = |most, flags| {
        let mut buf = vec![0; most];
        let message = sys.recvmsg(server, &mut [IoSliceMut::new(&mut buf)], flags).unwrap();
        (message.len, message.control)
    };
    sys.send(client, b"0123456789", NONE).unwrap();
    assert_eq!(read(1, NONE), (1, None), "nobody asked");
    sys.setsockopt(server, IPPROTO_TCP, TCP_INQ, &1i32.to_ne_bytes()).unwrap();
    assert_eq!(read(3, NONE), (3, Some(Ancillary::Unread(6))));
    assert_eq!(read(3, MsgFlags::PEEK), (3, Some(Ancillary::Unread(6))));
    assert_eq!(read(6, NONE), (6, Some(Ancillary::Unread(0))));
    sys.send(client, b"0123456789", NONE).unwrap();
    sys.shutdown(client, SHUT_WR).unwrap();
    assert_eq!(read(4, NONE), (4, Some(Ancillary::Unread(6))));
    assert_eq!(read(6, NONE), (6, Some(Ancillary::Unread(1))), "the end is still to be read");
    assert_eq!(read(6, NONE), (0, Some(Ancillary::Unread(1))));
}

#[test]
fn a_refused_attempt_is_seen_once_and_the_socket_is_fresh_again() {
    let (sys, _other) = alone();
    let client = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    for _ in 0..3 {
        assert_eq!(sys.connect(client, &"127.0.0.1:9".parse().unwrap()), Err(Errno::CONNREFUSED));
    }
    sys.close(client).unwrap();
}

#[test]
fn a_reset_is_an_error_and_a_hang_up() {
    let (sys, _other) = alone();
    let address: SocketAddr = "127.0.0.1:7".parse().unwrap();
    let listener = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    sys.bind(listener, &address).unwrap();
    sys.listen(listener, 8).unwrap();
    let client = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    sys.connect(client, &address).unwrap();
    let (server, _) = sys.accept(listener).unwrap();
    sys.send(client, b"unread", NONE).unwrap();
    sys.close(server).unwrap();
    assert_eq!(bits(client), "in|out|err|hup|rdhup");
    assert_eq!(sys.recv(client, &mut [0; 8], NONE), Err(Errno::CONNRESET));
    assert_eq!(bits(client), "in|out|hup|rdhup");
    assert_eq!(sys.recv(client, &mut [0; 8], NONE), Ok(0));
    assert_eq!(sys.send(client, b"x", NONE), Err(Errno::PIPE));
}

#[test]
fn a_datagram_socket_shows_an_error_and_goes_on() {
    let (sys, _other) = alone();
    let a = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    assert_eq!(bits(a), "out");
    sys.connect(a, &"127.0.0.1:9".parse().unwrap()).unwrap();
    for _ in 0..3 {
        assert_eq!(sys.send(a, b"anybody?", NONE), Ok(8));
        assert_eq!(bits(a), "out|err");
        assert_eq!(sys.recv(a, &mut [0; 8], NONE), Err(Errno::CONNREFUSED));
        assert_eq!(bits(a), "out");
    }
    let b = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    sys.bind(b, &"127.0.0.1:9".parse().unwrap()).unwrap();
    assert_eq!(sys.send(a, b"anybody?", NONE), Ok(8));
    assert_eq!(bits(b), "in|out");
    assert_eq!(sys.recv(b, &mut [0; 3], MsgFlags::TRUNC), Ok(8));
    sys.shutdown(a, SHUT_RDWR).unwrap();
    assert_eq!(bits(a), "in|out|hup|rdhup");
}

#[test]
fn numbers_are_the_lowest_free_and_shared_by_dup() {
    let (sys, _other) = alone();
    let a = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let b = sys.dup(a).unwrap();
    sys.bind(a, &"127.0.0.1:5".parse().unwrap()).unwrap();
    assert_eq!(sys.getsockname(b).unwrap(), "127.0.0.1:5".parse().unwrap());
    sys.close(a).unwrap();
    assert_eq!(sys.send(a, b"x", NONE), Err(Errno::BADF));
    assert_eq!(sys.getsockname(b).unwrap(), "127.0.0.1:5".parse().unwrap());
    assert_eq!(sys.recv(0, &mut [0; 1], NONE), Err(Errno::NOTSOCK), "standard input is none");
}

/// A connection from the stack to itself, client first. Reads give up after 200 ms.
fn connection(sys: &Sockets) -> (RawFd, RawFd) {
    let address: SocketAddr = "127.0.0.1:7".parse().unwrap();
    let listener = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    sys.bind(listener, &address).unwrap();
    sys.listen(listener, 8).unwrap();
    let client = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    sys.connect(client, &address).unwrap();
    let (server, _) = sys.accept(listener).unwrap();
    let timeout = [0i64, 200_000].map(i64::to_ne_bytes).concat();
    sys.setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &timeout).unwrap();
    (client, server)
}

#[test]
fn no_read_passes_the_urgent_mark_nor_waits_there() {
    for inline in [0i32, 1] {
        for flags in [NONE, MsgFlags::WAITALL, MsgFlags::PEEK, MsgFlags::PEEK | MsgFlags::WAITALL] {
            in_virtual_time(move |sys, calls| {
                let (client, server) = connection(&sys);
                sys.setsockopt(server, SOL_SOCKET, SO_OOBINLINE, &inline.to_ne_bytes()).unwrap();
                sys.send(client, b"abc", NONE).unwrap();
                sys.send(client, b"!", MsgFlags::OOB).unwrap();
                sys.send(client, b"def", NONE).unwrap();
                let mut buf = [0; 100];
                let begun = calls.now();
                assert_eq!(sys.recv(server, &mut buf, flags), Ok(3), "{flags:?}, in line: {inline}");
                assert_eq!(&buf[..3], b"abc");
                assert_eq!(calls.now(), begun, "{flags:?}, in line: {inline}");
                if !flags.contains(MsgFlags::PEEK) {
                    let rest: &[u8] = if inline == 1 { b"!def" } else { b"def" };
                    let read = sys.recv(server, &mut buf, flags);
                    assert_eq!(read, Ok(rest.len()), "{flags:?}, in line: {inline}");
                    assert_eq!(&buf[..rest.len()], rest);
                }
            });
        }
    }
}

#[test]
fn a_close_lingers_on_a_socket_that_does_not_block_too() {
    for by_fcntl in [false, true] {
        in_virtual_time(move |sys, calls| {
            let (client, _server) = connection(&sys);
            if by_fcntl {
                sys.fcntl(client, F_SETFL, O_NONBLOCK).unwrap();
            }
            while sys.send(client, &[0; 65536], MsgFlags::DONTWAIT).is_ok() {}
            sys.setsockopt(client, SOL_SOCKET, SO_LINGER, &linger(1)).unwrap();
            let begun = calls.now();
            sys.close(client).unwrap();
            assert_eq!(calls.now().saturating_since(begun), Duration::from_secs(1), "by fcntl: {by_fcntl}");
        });
    }
}

/// The last handle waits for all of them at once, and as long as the one with the longest time.
#[test]
fn sockets_that_linger_do_so_side_by_side() {
    in_virtual_time(|sys, calls| {
        let others = Sockets::new(sys.engine());
        let listener = others.socket(AF_INET, SOCK_STREAM, 0).unwrap();
        others.bind(listener, &"127.0.0.1:7".parse().unwrap()).unwrap();
        others.listen(listener, 8).unwrap();
        let address = others.getsockname(listener).unwrap();
        let clients = [1, 2, 3, 1].map(|seconds| {
            let client = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
            sys.connect(client, &address).unwrap();
            while sys.send(client, &[0; 65536], MsgFlags::DONTWAIT).is_ok() {}
            sys.setsockopt(client, SOL_SOCKET, SO_LINGER, &linger(seconds)).unwrap();
            client
        });
        sys.dup(clients[0]).unwrap();
        let held = sys.file(clients[1]).unwrap();
        let begun = calls.now();
        drop(sys);
        assert_eq!(calls.now().saturating_since(begun), Duration::from_secs(3));
        // Whoever holds an open socket still is the one who closes it.
        assert_eq!(held.query(|stack, id| Ok(stack.state(id))), Ok(Some(State::Established)));
        held.socket.change_options(|options| options.linger = None).unwrap();
    });
}

fn linger(seconds: i32) -> Vec<u8> {
    [1, seconds].map(i32::to_ne_bytes).concat()
}

#[test]
fn who_waits_for_the_attempt_of_another_call_hears_that_it_goes_on() {
    let (sys, _other) = alone();
    let address = full(&sys);
    let late = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let timeout = [0i64, 50_000].map(i64::to_ne_bytes).concat();
    sys.setsockopt(late, SOL_SOCKET, SO_SNDTIMEO, &timeout).unwrap();
    assert_eq!(sys.connect(late, &address), Err(Errno::INPROGRESS));
    assert_eq!(sys.connect(late, &address), Err(Errno::ALREADY));
}

#[test]
fn datagrams_of_nothing_of_too_much_and_out_of_band() {
    let (sys, _other) = alone();
    let address: SocketAddr = "127.0.0.1:5".parse().unwrap();
    let a = sys.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0).unwrap();
    sys.bind(a, &address).unwrap();
    let b = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let half = [0; 40_000];
    assert_eq!(sys.sendmsg(b, None, &[IoSlice::new(&half), IoSlice::new(&half)], NONE), Err(Errno::MSGSIZE));
    assert_eq!(sys.sendto(b, b"x", NONE, None), Err(Errno::DESTADDRREQ));
    sys.connect(b, &address).unwrap();
    let mut buf = [0; 8];
    assert_eq!(sys.writev(b, &[]), Ok(0));
    assert_eq!(sys.writev(b, &[IoSlice::new(b"")]), Ok(0));
    assert_eq!(sys.recv(a, &mut buf, NONE), Err(Errno::AGAIN), "writev of nothing sends nothing");
    assert_eq!(sys.write(b, b""), Ok(0));
    assert_eq!(sys.recv(a, &mut buf, NONE), Ok(0), "write of nothing sends an empty datagram");
    sys.send(b, b"data", NONE).unwrap();
    assert_eq!(sys.recv(a, &mut buf, MsgFlags::OOB), Ok(4), "the flag means nothing here");
    let stream = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    assert_eq!(sys.writev(stream, &[IoSlice::new(b"")]), Ok(0));
    assert_eq!(sys.write(stream, b""), Err(Errno::PIPE));
}

#[test]
fn an_attempt_that_another_thread_ends_is_not_begun_anew() {
    let (sys, _other) = alone();
    let address = full(&sys);
    for shut_down in [false, true] {
        let late = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
        let connects = std::thread::spawn({
            let sys = sys.clone();
            move || sys.connect(late, &address)
        });
        while !bits(late).is_empty() {
            std::thread::yield_now();
        }
        if shut_down {
            sys.shutdown(late, SHUT_RDWR).unwrap();
        } else {
            sys.disconnect(late).unwrap();
        }
        let ended = connects.join().unwrap();
        assert!(matches!(ended, Err(Errno::CONNRESET | Errno::PIPE)), "{ended:?}");
        assert_eq!(sys.getpeername(late), Err(Errno::NOTCONN), "shut down: {shut_down}");
    }
}
