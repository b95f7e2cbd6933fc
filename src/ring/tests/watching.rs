//! The ring's descriptor beside others, in the kernel's `poll` and `epoll`.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

use super::*;
use crate::ring::opcode;

/// Whether it is readable: now, or until it is.
fn readable(ring: &Ring, wait: bool) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut fds = [PollFd::new(ring, PollFlags::IN)];
    poll(&mut fds, if wait { None } else { Some(&now) }).unwrap();
    fds[0].revents().contains(PollFlags::IN)
}

#[test]
fn it_is_readable_while_there_is_something() {
    let mut host = Host::new(8);
    host.push(opcode::nop());
    host.ring.submit().unwrap();
    assert!(readable(&host.ring, false), "from before anybody looked");
    assert_eq!(host.seen().len(), 1);
    assert!(!readable(&host.ring, false));
    let (a, b) = host.pair();
    let recv = || opcode::recv(b, vec![0; 1], NONE);
    assert_eq!(host.submit([recv(), recv()]), []);
    assert!(!readable(&host.ring, false));
    host.send(a, b"xy");
    assert!(readable(&host.ring, false), "not completed, but it can be");
    assert_eq!(host.ring.completion().next().map(|c| c.result), Some(1));
    assert!(readable(&host.ring, false), "one is left");
    assert_eq!(host.seen().len(), 1);
    assert!(!readable(&host.ring, false));
    host.push(recv());
    host.send(a, b"z");
    host.ring.submit_and_wait(1).unwrap();
    assert!(readable(&host.ring, false), "waited for, but not taken out");
}

#[test]
fn it_tells_of_timeouts() {
    let mut host = Host::new(8);
    assert!(!readable(&host.ring, false));
    let timeout = |after| opcode::timeout(after, 0, Default::default());
    host.submit([timeout(SHORT).user_data(1), timeout(LONG).user_data(2)]);
    assert!(readable(&host.ring, true));
    assert_eq!(host.seen(), [(1, error(Errno::TIME), 0)]);
    assert!(!readable(&host.ring, false), "the next one is far");
    host.submit([opcode::timeout_update(2, SHORT)]);
    assert!(readable(&host.ring, true));
    assert_eq!(host.seen().len(), 1);
}

#[test]
fn a_program_that_only_polls_is_served() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    host.group(1, 0..200);
    host.submit([opcode::recv_multi(b, 1, NONE)]);
    let edges = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&edges, host.ring.as_fd(), epoll::EventData::new_u64(7), flags).unwrap();
    let sys = host.sys.clone();
    let sender = std::thread::spawn(move || {
        for n in 0..100 {
            sys.send(a, &[n], NONE).unwrap();
        }
    });
    let mut octets = Vec::new();
    while octets.len() < 100 {
        let mut events = [epoll::Event { flags, data: epoll::EventData::new_u64(0) }; 4];
        assert_eq!(epoll::wait(&edges, &mut events, None), Ok(1));
        octets.extend(host.ring.completion().flat_map(|c| c.into_data()));
    }
    sender.join().unwrap();
    assert_eq!(octets, (0..100).collect::<Vec<u8>>());
}

#[test]
fn a_wait_is_ended_by_another_thread() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    host.submit([opcode::recv(b, vec![0; 1], NONE).user_data(1)]);
    let sys = host.sys.clone();
    let sender = std::thread::spawn(move || sys.send(a, b"x", NONE));
    assert_eq!(host.ring.wait(1, None), Ok(()));
    assert_eq!(host.seen(), [(1, 1, 0)]);
    sender.join().unwrap().unwrap();
}
