use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::engine::Interest;
use crate::net::{TcpKeepalive, TcpSocket};

fn echo(listen: &'static str) {
    limited(move || {
        let pair = pair();
        let listener = pair.right.listen(listen).unwrap();
        let to = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            std::io::copy(&mut &stream, &mut &stream).unwrap()
        });
        let data = pattern(1_000_000);
        let client = pair.left.connect(to).unwrap();
        assert_eq!(client.peer_addr().unwrap(), to);
        let writer = thread::spawn({
            let (mut client, data) = (client.try_clone().unwrap(), data.clone());
            move || {
                client.write_all(&data).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            }
        });
        let mut back = Vec::new();
        (&client).read_to_end(&mut back).unwrap();
        writer.join().unwrap();
        assert!(back == data, "{} octets came back of {}", back.len(), data.len());
        assert_eq!(server.join().unwrap(), data.len() as u64);
    });
}

#[test]
fn echo_over_ipv4() {
    echo("10.7.0.2:0");
}

#[test]
fn echo_over_ipv6() {
    echo("[fd00::2]:0");
}

#[test]
fn a_half_closed_connection_still_carries_data_the_other_way() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "question");
        server.write_all(b"answer").unwrap();
        drop(server);
        text.clear();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "answer");
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
    });
}

#[test]
fn a_reader_that_shuts_down_reads_the_end() {
    limited(|| {
        let pair = pair();
        let (client, _server) = pair.connected();
        let reader = thread::spawn({
            let mut client = client.clone();
            move || client.read(&mut [0; 8]).unwrap()
        });
        client.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
    });
}

#[test]
fn a_closed_port_refuses() {
    limited(|| {
        let pair = pair();
        let error = pair.left.connect("10.7.0.2:9").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(pair.left.sockets(), [], "nothing is left of the attempt");
    });
}

#[test]
fn the_next_address_is_tried() {
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        let good = listener.local_addr().unwrap();
        let client = pair.left.connect(&[addr("10.7.0.2:9"), good][..]).unwrap();
        assert_eq!(client.peer_addr().unwrap(), good);
    });
}

#[test]
fn nobody_answers() {
    limited(|| {
        let pair = pair();
        let nobody = addr("10.7.0.99:80");
        let error = pair.left.connect_timeout(&nobody, SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let error = pair.left.connect_timeout(&nobody, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(pair.left.sockets(), []);
    });
}

#[test]
fn unread_data_makes_a_close_a_reset() {
    limited(|| {
        let pair = pair();
        let (mut client, server) = pair.connected();
        client.write_all(b"never read").unwrap();
        block_on(poll_fn(|cx| server.poll_ready(Interest::Readable, cx))).unwrap();
        drop(server);
        let error = client.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(client.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(client.take_error().unwrap().is_none(), "the error was told once");
    });
}

#[test]
fn an_abort_resets() {
    limited(|| {
        let pair = pair();
        let (client, mut server) = pair.connected();
        client.abort().unwrap();
        assert_eq!(server.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_read_timeout_loses_nothing() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        assert_eq!(client.read_timeout().unwrap(), None);
        let error = client.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        client.set_read_timeout(Some(SHORT)).unwrap();
        let mut buf = [0; 8];
        assert_eq!(client.read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        server.write_all(b"late").unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.read_exact(&mut buf[..4]).unwrap();
        assert_eq!(&buf[..4], b"late");
    });
}

#[test]
fn a_write_timeout_ends_a_wait_for_room() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        client.set_write_timeout(Some(SHORT)).unwrap();
        assert_eq!(client.write_timeout().unwrap(), Some(SHORT));
        let chunk = vec![7; 64 << 10];
        let mut written = 0;
        let error = loop {
            match client.write(&chunk) {
                Ok(n) => written += n,
                Err(error) => break error,
            }
            assert!(written <= 64 << 20, "nobody reads, and still there is room");
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        // What was taken arrives.
        client.shutdown(Shutdown::Write).unwrap();
        let mut all = Vec::new();
        server.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), written);
    });
}

#[test]
fn the_mode_is_shared_by_clones() {
    limited(|| {
        let pair = pair();
        let (client, mut server) = pair.connected();
        client.set_nonblocking(true).unwrap();
        let mut clone = client.try_clone().unwrap();
        assert_eq!(clone.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        // The connection lives as long as one of them.
        drop(client);
        assert_eq!(clone.write(b"still here").unwrap(), 10);
        let mut buf = [0; 10];
        server.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"still here");
        drop(clone);
        assert_eq!(server.read(&mut buf).unwrap(), 0);
    });
}

#[test]
fn peek_leaves_what_it_shows() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        server.write_all(b"hello").unwrap();
        let mut buf = [0; 5];
        client.peek(&mut buf[..2]).unwrap();
        assert_eq!(&buf[..2], b"he");
        client.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"hello");
        assert_eq!(client.try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(client.try_peek(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(client.read(&mut []).unwrap(), 0, "no room is no reason to wait");
    });
}

#[test]
fn vectored_and_owned_buffers_carry_the_same_octets() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let written =
            client.write_vectored(&[IoSlice::new(b"one"), IoSlice::new(b""), IoSlice::new(b"two")]).unwrap();
        assert_eq!(written, 6);
        let mut more = Bytes::from_static(b"three");
        assert_eq!(client.write_bytes(&mut more).unwrap(), 5);
        assert!(more.is_empty());
        client.shutdown(Shutdown::Write).unwrap();

        let mut text = Vec::new();
        while text.len() < 4 {
            let (mut a, mut b) = ([0; 1], [0; 2]);
            let n = server.read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)]).unwrap();
            assert!(n > 0);
            text.extend([a[0], b[0], b[1]].iter().take(n));
        }
        loop {
            let piece = server.read_bytes(100).unwrap();
            if piece.is_empty() {
                break;
            }
            text.extend_from_slice(&piece);
        }
        assert_eq!(text, b"onetwothree");
    });
}

#[test]
fn options_are_kept() {
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        let socket = TcpSocket::new_v4(&pair.left).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_recv_buffer_size(200_000).unwrap();
        socket.bind(addr("10.7.0.1:4000")).unwrap();
        let stream = socket.connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(stream.local_addr().unwrap(), addr("10.7.0.1:4000"));
        assert!(stream.nodelay().unwrap());
        assert_eq!(stream.recv_buffer_size().unwrap(), 200_000);
        assert_eq!(stream.ttl().unwrap(), 64);
        stream.set_ttl(7).unwrap();
        assert_eq!(stream.ttl().unwrap(), 7);
        for bad in [0, 256] {
            assert_eq!(stream.set_ttl(bad).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        stream.set_linger(Some(Duration::from_secs(3))).unwrap();
        assert_eq!(stream.linger().unwrap(), Some(Duration::from_secs(3)));
        assert!(!stream.keepalive().unwrap());
        stream.set_tcp_keepalive(&TcpKeepalive::new().with_retries(3)).unwrap();
        assert!(stream.keepalive().unwrap());
        stream.set_linger(None).unwrap();
    });
}

#[test]
fn a_lingering_close_waits_for_the_last_acknowledgment() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let data = pattern(60_000);
        client.set_linger(Some(LONG)).unwrap();
        client.write_all(&data).unwrap();
        drop(client);
        // Everything is there, and its end: nothing is left to wait for.
        server.set_nonblocking(true).unwrap();
        let mut all = Vec::new();
        server.read_to_end(&mut all).unwrap();
        assert!(all == data);
    });
}

#[test]
fn a_lingering_close_gives_up_when_its_time_is_over() {
    limited(|| {
        let pair = pair();
        let (mut client, _server) = pair.connected();
        client.set_write_timeout(Some(SHORT)).unwrap();
        // More than the peer has room for, and the peer does not read.
        while client.write(&[0; 64 << 10]).is_ok() {}
        client.set_linger(Some(SHORT)).unwrap();
        drop(client);
        assert_eq!(pair.left.sockets(), []);
        assert_eq!(pair.left.shutdown(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_task_connects_reads_and_writes() {
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        let client = TcpStream::start_connect(&pair.left, &listener.local_addr().unwrap()).unwrap();
        block_on(async {
            poll_fn(|cx| client.poll_connect(cx)).await.unwrap();
            let (server, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
            assert_eq!(poll_fn(|cx| client.poll_write(cx, b"by a task")).await.unwrap(), 9);
            poll_fn(|cx| client.poll_shutdown(cx)).await.unwrap();
            assert_eq!(read_to_end(&server).await.unwrap(), b"by a task");
        });
        let refused = TcpStream::start_connect(&pair.left, &addr("10.7.0.2:9")).unwrap();
        let error = block_on(poll_fn(|cx| refused.poll_connect(cx))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}
