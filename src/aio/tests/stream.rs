//! Reading and writing as tokio does it.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tunstack_core::config::Config;

use super::*;
use crate::aio::{Interest, TcpSocket};
use crate::engine::Engine;
use crate::net::tests::{ESHUTDOWN, LONG, addr, block_on, pattern};
use crate::net::{self};

#[test]
fn megabytes_come_back_as_they_went() {
    run(async |pair| {
        let (client, server) = connected(&pair).await;
        let echo = tokio::spawn(async move {
            let (mut reader, mut writer) = server.into_split();
            copy(&mut reader, &mut writer).await.unwrap()
        });
        let data = pattern(4 << 20);
        let (mut reader, mut writer) = client.into_split();
        let sent = data.clone();
        let send = tokio::spawn(async move {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut back = Vec::new();
        reader.read_to_end(&mut back).await.unwrap();
        assert!(back == data);
        send.await.unwrap();
        assert_eq!(echo.await.unwrap(), data.len() as u64);
    });
}

#[test]
fn both_ways_at_once_through_narrow_buffers() {
    run(async |pair| {
        let (mut client, mut server) = connected(&pair).await;
        let data = pattern(1 << 20);
        for stream in [&client, &server] {
            stream.set_send_buffer_size(8 << 10).unwrap();
        }
        let pump = async |stream: &mut TcpStream| {
            let (mut reader, mut writer) = stream.split();
            let mut got = Vec::new();
            let send = async {
                writer.write_all(&data).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let (_, read) = tokio::join!(send, reader.read_to_end(&mut got));
            read.unwrap();
            assert!(got == data);
        };
        tokio::join!(pump(&mut client), pump(&mut server));
    });
}

/// Each direction ends on its own, whichever end begins.
#[test]
fn a_half_closed_connection_still_carries_the_other_half() {
    run(async |pair| {
        for client_first in [true, false] {
            let (client, server) = connected(&pair).await;
            let (mut first, mut last) = if client_first { (client, server) } else { (server, client) };
            first.write_all(b"the end").await.unwrap();
            first.shutdown().await.unwrap();
            assert_eq!(first.try_write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            let mut got = Vec::new();
            last.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, b"the end");
            assert_eq!(last.read(&mut [0]).await.unwrap(), 0, "the end stays the end");
            assert!(last.ready(Interest::READABLE).await.unwrap().is_read_closed());

            let data = pattern(300_000);
            let (sent, read) = tokio::join!(
                async {
                    last.write_all(&data).await?;
                    last.shutdown().await
                },
                async {
                    got.clear();
                    first.read_to_end(&mut got).await
                }
            );
            sent.unwrap();
            read.unwrap();
            assert!(got == data);
            // Once more, when there is nothing left to end.
            first.shutdown().await.unwrap();
        }
    });
}

#[test]
fn a_reset_is_an_error_once_for_who_waits() {
    run(async |pair| {
        let (mut client, server) = connected(&pair).await;
        client.write_all(b"never read").await.unwrap();
        server.readable().await.unwrap();
        let reading = tokio::spawn(async move {
            let error = client.read(&mut [0]).await.unwrap_err();
            (error, client)
        });
        server.abort().unwrap();
        let (error, mut client) = reading.await.unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(client.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(client.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        let ready = client.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
        assert!(ready.is_read_closed() && ready.is_write_closed(), "{ready:?}");
    });
}

/// With unread data, or with linger zero, closing is a reset: the peer learns of the loss.
#[test]
fn a_drop_resets_where_something_is_lost() {
    run(async |pair| {
        let (mut client, server) = connected(&pair).await;
        client.write_all(b"unread").await.unwrap();
        server.readable().await.unwrap();
        drop(server);
        assert_eq!(client.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);

        let (mut client, server) = connected(&pair).await;
        server.set_zero_linger().unwrap();
        drop(server);
        assert_eq!(client.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

/// Where the drop of a stream in the hands of threads waits until the peer has everything, a task's does not.
#[test]
fn a_drop_never_waits() {
    run(async |pair| {
        let (client, _server) = connected(&pair).await;
        client.set_send_buffer_size(1 << 20).unwrap();
        // More than the peer's window, which nobody reads.
        while client.try_write(&[0; 1 << 16]).is_ok() {}
        client.set_linger(Some(10 * LONG)).unwrap();
        drop(client);
    });
}

#[test]
fn peeking_takes_nothing() {
    run(async |pair| {
        let (client, mut server) = connected(&pair).await;
        let (mut one, mut two) = ([0; 3], [0; 16]);
        poll_and_drop(server.peek(&mut one));
        assert_eq!(client.try_write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cdef")]).unwrap(), 6);
        assert_eq!(server.peek(&mut one).await.unwrap(), 3);
        assert_eq!(&one, b"abc");
        let n = now(server.poll_peek(&mut Context::from_waker(Waker::noop()), &mut two)).unwrap();
        assert_eq!(&two[..n], b"abcdef");
        assert_eq!(server.read(&mut []).await.unwrap(), 0);
        let mut bufs = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two[..1])];
        assert_eq!(server.try_read_vectored(&mut bufs).unwrap(), 4);
        assert_eq!((&one, two[0]), (b"abc", b'd'));
        let mut rest = bytes::BytesMut::with_capacity(1);
        assert_eq!(server.try_read_buf(&mut rest).unwrap(), 1, "as much as there is room for");
        assert_eq!(server.read_bytes(100).await.unwrap(), "f");
        assert_eq!(server.try_read(&mut two).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(rest, "e");

        let mut more = bytes::Bytes::from_static(b"more");
        while !more.is_empty() {
            client.write_bytes(&mut more).await.unwrap();
        }
        let mut four = [0; 4];
        server.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"more");
    });
}

#[test]
fn what_may_block_is_done_when_it_is_ready() {
    run(async |pair| {
        let (client, server) = connected(&pair).await;
        let mut calls = 0;
        let none = server.try_io(Interest::READABLE, || {
            calls += 1;
            Ok(())
        });
        assert_eq!((none.unwrap_err().kind(), calls), (ErrorKind::WouldBlock, 0));
        let (got, written) = tokio::join!(
            server.async_io(Interest::READABLE, || {
                calls += 1;
                // The first time it blocks although it was ready, as when somebody else was quicker.
                if calls == 1 { Err(ErrorKind::WouldBlock.into()) } else { server.try_read(&mut [0]) }
            }),
            async {
                client.writable().await?;
                client.try_io(Interest::WRITABLE, || client.try_write(b"x"))
            }
        );
        assert_eq!((got.unwrap(), written.unwrap(), calls), (1, 1, 2));
    });
}

#[test]
fn a_connection_that_is_refused_says_so() {
    run(async |pair| {
        let error = TcpStream::connect_on(&pair.left, ("10.7.0.2", 9)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // The first of several that answers.
        let listener = TcpListener::bind_on(&pair.right, "10.7.0.2:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let stream = TcpStream::connect_on(&pair.left, &[addr("10.7.0.2:9"), there][..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
        assert!(stream.info().is_ok());
    });
}

#[test]
fn a_socket_has_its_options_before_it_connects() {
    run(async |pair| {
        let socket = TcpSocket::new_v4(&pair.right).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.bind(addr("10.7.0.2:0")).unwrap();
        let listener = socket.listen(5).unwrap();
        let socket = TcpSocket::new_v4(&pair.left).unwrap();
        socket.set_ttl(9).unwrap();
        socket.bind(addr("10.7.0.1:4000")).unwrap();
        let stream = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        assert_eq!((stream.ttl().unwrap(), stream.local_addr().unwrap()), (9, addr("10.7.0.1:4000")));
        assert!(listener.accept().await.unwrap().0.nodelay().unwrap());
    });
}

#[test]
fn a_stream_goes_from_one_face_to_the_other() {
    run(async |pair| {
        let (mut client, server) = connected(&pair).await;
        client.write_all(b"abcd").await.unwrap();
        server.readable().await.unwrap();
        let mut server = net::TcpStream::from(server);
        let mut two = [0; 2];
        server.read_exact(&mut two).unwrap();
        assert_eq!(&two, b"ab");
        let mut server = TcpStream::from(server);
        server.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"cd");
        let mut server = net::TcpStream::from(server);
        assert_eq!(server.read(&mut two).unwrap_err().kind(), ErrorKind::WouldBlock);
        server.set_nonblocking(false).unwrap();
        drop(client);
        assert_eq!(server.read(&mut two).unwrap(), 0);
    });
}

#[test]
fn the_end_of_the_engine_ends_every_wait() {
    run(async |pair| {
        let (client, mut server) = connected(&pair).await;
        let listener = TcpListener::bind_on(&pair.right, "10.7.0.2:0").await.unwrap();
        let accepting = tokio::spawn(async move { listener.accept().await.unwrap_err() });
        let reading = tokio::spawn(async move {
            let first = server.read(&mut [0]).await;
            (first, server.readable().await)
        });
        let engine = pair.right.clone();
        let ended = tokio::task::spawn_blocking(move || engine.shutdown(LONG));
        drop(client);
        ended.await.unwrap().unwrap();
        assert_eq!(accepting.await.unwrap().raw_os_error(), ESHUTDOWN);
        let (first, then) = reading.await.unwrap();
        // Whichever came first, the client's FIN or the end.
        assert!(first.is_ok_and(|n| n == 0) || then.is_err_and(|e| e.raw_os_error() == ESHUTDOWN));
    });
}

/// A task that never has to wait lets the others have their turn.
#[test]
fn a_task_spends_its_budget() {
    limited(|| {
        let pair = pair();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (client, _server) = connected(&pair).await;
            let done = Arc::new(AtomicBool::new(false));
            let other = tokio::spawn({
                let done = Arc::clone(&done);
                async move { done.store(true, Ordering::Relaxed) }
            });
            for _ in 0..10_000 {
                client.writable().await.unwrap();
            }
            assert!(done.load(Ordering::Relaxed));
            other.await.unwrap();
        });
        // Outside of a runtime there is no budget to spend.
        let (client, _server) = block_on(connected(&pair));
        for _ in 0..10_000 {
            poll_once(client.writable()).unwrap();
        }
    });
}

#[track_caller]
fn poll_once<T>(future: impl Future<Output = T>) -> T {
    now(std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())))
}

/// Any executor will do, and a stack of one's own is no one's property: both ends on one engine.
#[test]
fn no_runtime_is_needed() {
    limited(|| {
        let (device, _other) = crate::device::pipe::Pipe::pair(1500).unwrap();
        let engine = Engine::builder().device(device).config(Config::default()).start().unwrap();
        block_on(async {
            let listener = TcpListener::bind_on(&engine, "127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect_on(&engine, listener.local_addr().unwrap()).await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            client.write_all(b"hello").await.unwrap();
            let mut five = [0; 5];
            server.read_exact(&mut five).await.unwrap();
            assert_eq!(&five, b"hello");
        });
    });
}
