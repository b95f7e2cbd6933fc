//! Queues that are full: nothing is lost, nothing grows without bound.

use super::*;
use crate::ring::opcode;

fn small() -> Host {
    Host::with(|sys| Ring::builder().cq_entries(4).in_flight(1500).build(sys, 4).unwrap())
}

#[test]
fn a_thousand_completions_come_through_a_queue_of_four() {
    let mut host = small();
    let (a, b) = host.pair();
    for n in 0..1000 {
        host.push(opcode::poll_add(b, PollEvents::IN).user_data(n));
        if n % 4 == 3 {
            assert_eq!(host.ring.submit(), Ok(4));
        }
    }
    host.send(a, b"x");
    host.ring.wait(1000, Some(LONG)).unwrap();
    let queue = host.ring.completion();
    assert_eq!((queue.overflows(), queue.overflowed(), queue.len()), (true, 996, 1000));
    drop(queue);
    assert_eq!(host.seen(), (0..1000).map(|n| (n, 1, 0)).collect::<Vec<_>>());
    assert!(!host.ring.completion().overflows());
}

#[test]
fn nothing_is_submitted_past_an_overflow() {
    let mut host = small();
    let (a, b) = host.pair();
    for n in 0..2 {
        for _ in 0..4 {
            host.push(opcode::recv(b, vec![0; 1], NONE).user_data(n));
        }
        host.ring.submit().unwrap();
    }
    host.send(a, &[0; 8]);
    host.push(opcode::nop().user_data(5));
    assert_eq!(host.ring.submit(), Err(Errno::BUSY));
    assert_eq!(host.ring.submit_and_wait(1), Err(Errno::BUSY));
    assert_eq!(host.ring.submission().len(), 1, "it stays");
    assert_eq!(host.seen().len(), 8);
    assert_eq!((host.ring.submit(), host.seen()), (Ok(1), vec![(5, 0, 0)]));
}

#[test]
fn what_is_in_flight_is_bounded() {
    let mut host = small();
    let (a, b) = host.pair();
    for _ in 0..1500 / 4 {
        for _ in 0..4 {
            host.push(opcode::recv(b, vec![0; 1], NONE));
        }
        assert_eq!(host.ring.submit(), Ok(4));
    }
    host.push(opcode::nop().user_data(5));
    host.push(opcode::nop().user_data(6));
    assert_eq!((host.ring.submit(), host.ring.outstanding()), (Err(Errno::AGAIN), 1500));
    host.send(a, b"x");
    assert_eq!(host.ring.submit(), Ok(1), "there is room for one of them");
    assert_eq!(host.seen(), [(0, 1, 0), (5, 0, 0)]);
}

#[test]
fn a_multishot_ends_where_there_is_no_room() {
    let mut host = small();
    let (listener, address) = host.listener();
    let clients: Vec<_> = (0..7).map(|_| host.client(address)).collect();
    let mut peers = Vec::new();
    for (count, flags) in [(5, [MORE, MORE, MORE, MORE, 0].as_slice()), (2, &[MORE, MORE])] {
        host.push(opcode::accept_multi(listener, 0));
        host.ring.submit_and_wait(count.min(4)).unwrap();
        let accepted = host.completions();
        assert_eq!(accepted.iter().map(|c| c.flags.bits()).collect::<Vec<_>>(), flags);
        peers.extend(accepted.iter().map(|c| c.address.unwrap()));
    }
    let names: Vec<_> = clients.iter().map(|&fd| host.sys.getsockname(fd).unwrap()).collect();
    assert_eq!(peers, names);
}
