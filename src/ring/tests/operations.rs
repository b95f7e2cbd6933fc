//! Each operation by itself: that it waits, that it completes, what it gives back.

use bytes::Bytes;

use super::*;
use crate::bsd::abi::{IPPROTO_TCP, SHUT_WR, SOCK_NONBLOCK, TCP_NODELAY};
use crate::ring::{Buffer, CompletionFlags, opcode};

#[test]
fn nothing_is_done_at_once_and_the_queue_is_bounded() {
    let mut host = Host::new(2);
    host.push(opcode::nop().user_data(1));
    host.push(opcode::nop().user_data(2));
    let full = host.ring.submission().push(opcode::nop().user_data(3)).unwrap_err();
    assert_eq!(full.to_string(), "submission queue is full");
    assert_eq!(host.seen(), []);
    assert_eq!(host.ring.submit(), Ok(2));
    host.push(full.0);
    assert_eq!(host.wait(2), [(1, 0, 0), (2, 0, 0)]);
    assert_eq!((host.ring.submit(), host.seen()), (Ok(1), vec![(3, 0, 0)]));
    assert_eq!(host.ring.wait(1, None), Err(Errno::DEADLK), "nothing can come any more");
}

#[test]
fn accept_waits_for_a_connection() {
    let mut host = Host::new(8);
    let (listener, address) = host.listener();
    assert_eq!(host.submit([opcode::accept(listener, SOCK_NONBLOCK).user_data(1)]), []);
    let client = host.client(address);
    host.ring.wait(1, Some(LONG)).unwrap();
    let accepted = host.completions().remove(0);
    let server = accepted.result;
    assert_eq!((accepted.user_data, accepted.address), (1, host.sys.getsockname(client).ok()));
    assert_eq!(host.sys.recv(server, &mut [0; 1], NONE), Err(Errno::AGAIN), "SOCK_NONBLOCK");
    host.send(client, b"x");
    assert_eq!(host.sys.recv(server, &mut [0; 1], NONE), Ok(1));
    let wrong =
        [opcode::accept(client, 0), opcode::accept(listener, 1), opcode::accept(host.udp("127.0.0.1:9"), 0)];
    let errors = [Errno::INVAL, Errno::INVAL, Errno::OPNOTSUPP].map(|e| (0, error(e), 0));
    assert_eq!(host.submit(wrong), errors);
}

#[test]
fn multishot_accept_goes_on() {
    let mut host = Host::new(8);
    let (listener, address) = host.listener();
    assert_eq!(host.submit([opcode::accept_multi(listener, 0).user_data(1)]), []);
    let clients: Vec<_> = (0..5).map(|_| host.client(address)).collect();
    host.ring.wait(5, Some(LONG)).unwrap();
    let accepted = host.completions();
    let peers: Vec<_> = accepted.iter().map(|c| c.address.unwrap()).collect();
    let names: Vec<_> = clients.iter().map(|&fd| host.sys.getsockname(fd).unwrap()).collect();
    assert_eq!(peers, names, "the one that has waited longest first");
    assert!(accepted.iter().all(|c| c.user_data == 1 && c.result > 2 && c.flags == CompletionFlags::MORE));
}

#[test]
fn connect_waits_for_its_end() {
    let mut host = Host::new(8);
    let (_listener, address) = host.listener();
    for mode in [0, SOCK_NONBLOCK] {
        let client = host.sys.socket(AF_INET, SOCK_STREAM | mode, 0).unwrap();
        assert_eq!(host.one(opcode::connect(client, address)).result, 0);
        assert_eq!(host.sys.getpeername(client), Ok(address));
        assert_eq!(host.one(opcode::connect(client, address)).to_result(), Err(Errno::ISCONN));
    }
    let refused = host.sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
    for _ in 0..2 {
        assert_eq!(host.one(opcode::connect(refused, nobody)).to_result(), Err(Errno::CONNREFUSED));
    }
    assert_eq!(host.one(opcode::connect(refused, address)).result, 0, "it can be tried again");
    let datagrams = host.udp("127.0.0.1:8");
    assert_eq!(host.one(opcode::connect(datagrams, nobody)).result, 0);
}

#[test]
fn recv_waits_and_gives_the_buffer_back() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    assert_eq!(host.submit([opcode::recv(b, vec![9; 8], NONE).user_data(1)]), []);
    host.send(a, b"hello");
    host.ring.wait(1, Some(LONG)).unwrap();
    let received = host.completions().remove(0);
    assert_eq!((received.user_data, received.to_result(), received.data()), (1, Ok(5), &b"hello"[..]));
    assert_eq!(received.flags, CompletionFlags::empty());
    assert_eq!(received.into_buffer(), b"hello\x09\x09\x09");
    host.send(a, b"0123456789");
    let peeked = host.one(opcode::recv(b, vec![0; 4], MsgFlags::PEEK));
    assert_eq!((peeked.data(), peeked.flags), (&b"0123"[..], CompletionFlags::SOCK_NONEMPTY));
    assert_eq!(host.one(opcode::read(b, vec![0; 4])).into_data(), b"0123");
    assert_eq!(host.one(opcode::read(b, vec![])).result, 0);
    assert_eq!(host.one(opcode::recv(b, vec![0; 9], NONE)).into_data(), b"456789");
    let failed = host.one(opcode::recv(b, vec![7; 3], MsgFlags::DONTWAIT));
    assert_eq!((failed.to_result(), failed.into_buffer()), (Err(Errno::AGAIN), vec![7; 3]));
    host.sys.shutdown(a, SHUT_WR).unwrap();
    for _ in 0..2 {
        assert_eq!(host.one(opcode::recv(b, vec![0; 4], NONE)).result, 0);
    }
}

#[test]
fn waitall_waits_for_all() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    assert_eq!(host.submit([opcode::recv(b, vec![0; 6], ALL).user_data(1)]), []);
    host.send(a, b"abc");
    assert_eq!(host.seen(), []);
    host.send(a, b"defg");
    assert_eq!(host.wait(1), [(1, 6, NONEMPTY)]);
    assert_eq!(host.submit([opcode::recv(b, vec![0; 6], ALL).user_data(2)]), []);
    host.sys.shutdown(a, SHUT_WR).unwrap();
    assert_eq!(host.wait(1), [(2, 1, NONEMPTY)], "what there was before the end");
}

#[test]
fn send_takes_some_or_all() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    let megabytes = Bytes::from(vec![5; 8 << 20]);
    let some = host.one(opcode::send(a, megabytes.clone(), NONE));
    assert!((1..8 << 20).contains(&some.result), "{}", some.result);
    assert_eq!(some.buffer, Buffer::Sent(megabytes.clone()));
    let mut left = some.result as usize + megabytes.len();
    let full = loop {
        match host.one(opcode::send(a, megabytes.clone(), MsgFlags::DONTWAIT)).to_result() {
            Ok(sent) => left += sent as usize,
            Err(error) => break error,
        }
    };
    assert_eq!(full, Errno::AGAIN);
    assert_eq!(host.submit([opcode::send(a, megabytes, ALL).user_data(2)]), []);
    let mut sink = vec![0; 1 << 20];
    while left > 0 {
        left -= host.sys.recv(b, &mut sink, NONE).unwrap();
        assert!(host.ring.completion().all(|c| (c.user_data, c.result) == (2, 8 << 20)));
    }
    assert_eq!(host.ring.outstanding(), 0);
    // What follows does not wait for the acknowledgment of what is before it.
    host.sys.setsockopt_int(a, IPPROTO_TCP, TCP_NODELAY, 1).unwrap();
    assert_eq!(host.one(opcode::write(a, &b"ab"[..])).result, 2);
    let parts = vec![Bytes::from_static(b"c"), Bytes::from_static(b"de")];
    let sent = host.one(opcode::sendmsg(a, parts.clone(), NONE, None));
    assert_eq!((sent.result, sent.buffer), (3, Buffer::SentParts(parts)));
    let received = host.one(opcode::recvmsg(b, vec![vec![0; 2], vec![0; 8]], ALL & NONE));
    assert_eq!(received.result, 5);
    assert_eq!(received.buffer, Buffer::ReceivedParts(vec![b"ab".to_vec(), b"cde\0\0\0\0\0".to_vec()]));
    host.sys.close(b).unwrap();
    assert_eq!(host.one(opcode::send(a, &b"x"[..], NONE)).result, 1, "it is not known yet");
    assert_eq!(host.one(opcode::send(a, &b"x"[..], NONE)).to_result(), Err(Errno::PIPE));
}

#[test]
fn datagrams_have_senders_and_bounds() {
    let mut host = Host::new(8);
    let (a, b) = (host.udp("127.0.0.1:1000"), host.udp("127.0.0.1:1001"));
    let (from, to) = (host.sys.getsockname(a).ok(), host.sys.getsockname(b).unwrap());
    assert_eq!(host.submit([opcode::recvmsg(b, vec![vec![0; 2], vec![0; 2]], NONE).user_data(1)]), []);
    assert_eq!(host.submit([opcode::sendto(a, &b"12345"[..], NONE, to)]), [(0, 5, 0), (1, 4, 0)]);
    host.push(opcode::sendmsg(a, vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")], NONE, Some(to)));
    host.push(opcode::sendto(a, &b"12345"[..], NONE, to));
    host.ring.submit_and_wait(2).unwrap();
    assert!(host.completions().iter().all(|c| c.to_result().is_ok()));
    let whole = host.one(opcode::recv(b, vec![0; 8], ALL));
    assert_eq!((whole.data(), whole.address), (&b"abc"[..], from));
    let cut = host.one(opcode::recvmsg(b, vec![vec![0; 3]], NONE));
    assert_eq!((cut.result, cut.message, cut.address), (3, MsgFlags::TRUNC, from));
    let nowhere = host.one(opcode::send(a, &b"x"[..], NONE));
    assert_eq!(nowhere.to_result(), Err(Errno::DESTADDRREQ));
}

#[test]
fn buffers_of_a_group_come_with_their_numbers() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    host.group(7, 40..43);
    assert_eq!(host.submit([opcode::recv_multi(b, 7, NONE).user_data(1)]), []);
    for n in 0..3 {
        host.send(a, b"hello");
        host.ring.wait(1, Some(LONG)).unwrap();
        let received = host.completions().remove(0);
        assert_eq!(
            (received.buffer_id(), received.more(), received.data()),
            (Some(40 + n), true, &b"hello"[..])
        );
        assert_eq!(received.into_buffer().len(), 64);
    }
    assert_eq!((host.seen(), host.ring.buffers(7)), (vec![], 0), "it waits as long as nothing comes");
    host.send(a, b"more");
    assert_eq!(host.wait(1), [(1, error(Errno::NOBUFS), 0)]);
    assert_eq!(host.submit([opcode::recv_multi(b, 7, NONE)]), [(0, error(Errno::NOBUFS), 0)]);
    assert_eq!(host.submit([opcode::recv_multi(b, 8, NONE)]), [(0, error(Errno::NOBUFS), 0)]);
    host.ring.provide(7, 1, vec![0; 3]).unwrap();
    host.ring.provide(7, 2, vec![0; 3]).unwrap();
    let refilled = host.submit([opcode::recv_multi(b, 7, NONE).user_data(1)]);
    assert_eq!(refilled, [(1, 3, buffer(1) | MORE | NONEMPTY), (1, 1, buffer(2) | MORE)]);
    host.ring.provide(7, 3, vec![0; 3]).unwrap();
    host.sys.shutdown(a, SHUT_WR).unwrap();
    assert_eq!(host.wait(1), [(1, 0, NONEMPTY)], "the end takes no buffer");
    assert_eq!(host.submit([opcode::recv_select(b, 7, NONE)]), [(0, 0, NONEMPTY)]);
    assert_eq!(host.ring.unregister_buffers(7).unwrap(), [(3, vec![0; 3])]);
}

#[test]
fn datagrams_into_a_group() {
    let mut host = Host::new(8);
    let (a, b) = (host.udp("127.0.0.1:1000"), host.udp("127.0.0.1:1001"));
    let to = host.sys.getsockname(b).unwrap();
    host.group(1, 0..2);
    assert_eq!(host.submit([opcode::recv_multi(b, 1, NONE).user_data(1)]), []);
    host.sys.sendto(a, b"one", NONE, Some(&to)).unwrap();
    host.ring.wait(1, Some(LONG)).unwrap();
    let first = host.completions().remove(0);
    assert_eq!((first.data(), first.address), (&b"one"[..], host.sys.getsockname(a).ok()));
    host.sys.sendto(a, b"two", NONE, Some(&to)).unwrap();
    // As in Linux, which asks for the next buffer before it asks for the next datagram.
    assert_eq!(host.wait(2), [(1, 3, buffer(1) | MORE), (1, error(Errno::NOBUFS), 0)]);
}

#[test]
fn part_of_a_groups_buffer_is_kept_until_all_is_there() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    host.group(1, 0..1);
    assert_eq!(host.submit([opcode::recv_select(b, 1, ALL).user_data(1)]), []);
    assert_eq!(host.ring.buffers(1), 1, "not taken for nothing");
    host.send(a, &[1; 60]);
    assert_eq!((host.seen(), host.ring.buffers(1)), (vec![], 0));
    host.send(a, &[1; 5]);
    assert_eq!(host.wait(1), [(1, 64, buffer(0) | NONEMPTY)]);
}

#[test]
fn poll_tells_once_or_each_time() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    let (input, output) = (PollEvents::IN, PollEvents::OUT);
    assert_eq!(host.submit([opcode::poll_add(b, input | output)]), [(0, output.bits() as i32, 0)]);
    assert_eq!(
        host.submit([opcode::poll_add(b, input).user_data(1), opcode::poll_add_multi(b, input).user_data(2)]),
        []
    );
    host.send(a, b"x");
    let mut seen = host.wait(2);
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1, 0), (2, 1, MORE)]);
    assert_eq!(host.seen(), [], "told once, though it is so still");
    host.send(a, b"y");
    assert_eq!(host.wait(1), [(2, 1, MORE)], "unread, but something came");
    host.send(b, b"z");
    assert_eq!((host.sys.recv(a, &mut [0; 4], NONE), host.seen()), (Ok(1), vec![]), "that was not asked for");
    host.sys.shutdown(a, SHUT_WR).unwrap();
    assert_eq!(host.wait(1), [(2, 1, MORE)]);
    let hung = PollEvents::RDHUP;
    assert_eq!(host.submit([opcode::poll_add(b, hung)]), [(0, hung.bits() as i32, 0)]);
    let removed = host.submit([opcode::poll_remove(2).user_data(3), opcode::poll_remove(2).user_data(4)]);
    assert_eq!(removed, [(3, 0, 0), (2, error(Errno::CANCELED), 0), (4, error(Errno::NOENT), 0)]);
}

#[test]
fn shutdown_and_close() {
    let mut host = Host::new(8);
    let (a, b) = host.pair();
    assert_eq!(host.submit([opcode::recv(b, vec![0; 8], NONE).user_data(1)]), []);
    assert_eq!(host.one(opcode::shutdown(a, 5)).to_result(), Err(Errno::INVAL));
    assert_eq!(host.submit([opcode::shutdown(a, SHUT_WR).user_data(2)]), [(2, 0, 0), (1, 0, NONEMPTY)]);
    // What is in flight keeps the socket; the number is free at once.
    assert_eq!(
        host.submit([opcode::recv(a, vec![0; 8], NONE).user_data(3), opcode::close(a).user_data(4)]),
        [(4, 0, 0)]
    );
    assert_eq!(host.sys.getsockname(a), Err(Errno::BADF));
    host.send(b, b"late");
    assert_eq!(host.wait(1), [(3, 4, 0)]);
    assert_eq!(host.one(opcode::close(a)).to_result(), Err(Errno::BADF));
    let standard_input = host.one(opcode::recv(0, vec![0; 8], NONE));
    assert_eq!((standard_input.to_result(), standard_input.into_buffer().len()), (Err(Errno::NOTSOCK), 8));
}

#[test]
fn what_ends_the_engine_ends_what_waits() {
    let mut host = Host::new(8);
    let (listener, _) = host.listener();
    let (_a, b) = host.pair();
    let waiting = [
        opcode::accept_multi(listener, 0).user_data(1),
        opcode::recv(b, vec![0; 8], NONE).user_data(2),
        opcode::poll_add_multi(listener, PollEvents::IN).user_data(3),
    ];
    assert_eq!(host.submit(waiting), []);
    let ended = host.sys.engine().shutdown(Duration::from_millis(100));
    assert!(ended.is_ok() || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::TimedOut));
    host.ring.wait(3, Some(LONG)).unwrap();
    let mut seen: Vec<_> = host.seen().into_iter().filter(|(_, _, flags)| flags & MORE == 0).collect();
    seen.sort_unstable();
    assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((seen[0].1, seen[2].1), (error(Errno::SHUTDOWN), error(Errno::SHUTDOWN)));
}
