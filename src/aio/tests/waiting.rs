//! Who waits is woken, and who stops waiting leaves nothing behind.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Wake;

use bytes::Bytes;

use super::*;
use crate::aio::{Interest, UdpSocket};
use crate::net;
use crate::net::tests::addr;

/// How often each of the futures here is made, polled and dropped.
const OFTEN: usize = 100;

/// A stream that has nothing to read and no room to write: nobody answers its attempt.
fn unanswered(pair: &Pair) -> TcpStream {
    net::TcpStream::start_connect(&pair.left, &addr("10.7.0.77:9")).unwrap().into()
}

#[test]
fn a_future_that_is_dropped_leaves_nothing_behind() {
    run(async |pair| {
        let stream = unanswered(&pair);
        let both = Interest::READABLE | Interest::WRITABLE;
        for _ in 0..OFTEN {
            poll_and_drop(stream.readable());
            poll_and_drop(stream.writable());
            poll_and_drop(stream.ready(both));
            poll_and_drop(stream.peek(&mut [0]));
            poll_and_drop(stream.read_bytes(1));
            poll_and_drop(stream.write_bytes(&mut Bytes::from_static(b"x")));
            poll_and_drop(stream.async_io(both, || Ok(())));
        }
        assert_eq!(stream.socket.waiters(), 0);

        let listener = TcpListener::bind_on(&pair.right, "10.7.0.2:0").await.unwrap();
        let udp = UdpSocket::bind_on(&pair.right, "10.7.0.2:0").await.unwrap();
        for _ in 0..OFTEN {
            poll_and_drop(listener.accept());
            poll_and_drop(listener.readable());
            poll_and_drop(udp.recv_from(&mut [0]));
            poll_and_drop(udp.peek_from(&mut [0]));
            poll_and_drop(udp.readable());
        }
        assert_eq!((listener.waiters(), udp.waiters()), (0, 0));
    });
}

#[test]
fn a_connection_attempt_that_is_dropped_is_given_up() {
    run(async |pair| {
        for _ in 0..OFTEN {
            poll_and_drop(TcpStream::connect_on(&pair.left, "10.7.0.77:9"));
        }
        assert_eq!(pair.left.sockets(), []);
    });
}

#[test]
fn each_future_has_a_place_of_its_own_and_only_while_it_waits() {
    run(async |pair| {
        let (client, server) = connected(&pair).await;
        {
            let mut futures = [(); 3].map(|()| Box::pin(server.readable()));
            for _ in 0..OFTEN {
                for future in &mut futures {
                    let cx = &mut Context::from_waker(Waker::noop());
                    assert!(future.as_mut().poll(cx).is_pending());
                }
            }
            assert_eq!(server.socket.waiters(), 3);
            let [first, middle, last] = futures;
            drop(middle);
            assert_eq!(server.socket.waiters(), 2);
            client.try_write(b"x").unwrap();
            first.await.unwrap();
            last.await.unwrap();
        }
        assert_eq!(server.socket.waiters(), 0);
    });
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// As tokio has it: one place for each direction, and the last to ask has it.
#[test]
fn a_handle_has_one_place_for_each_direction() {
    run(async |pair| {
        let (client, server) = connected(&pair).await;
        let counts: Vec<_> = (0..OFTEN).map(|_| Arc::new(Count::default())).collect();
        for count in &counts {
            let waker = Waker::from(Arc::clone(count));
            assert!(server.poll_read_ready(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(server.socket.waiters(), 1);
        // One more that is a future, and not in the handle's way.
        let mut readable = pin!(server.readable());
        assert!(readable.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(server.socket.waiters(), 2);
        client.try_write(b"x").unwrap();
        readable.await.unwrap();
        let woken: Vec<_> = counts.iter().map(|count| count.0.load(Ordering::Relaxed)).collect();
        assert!(woken[..OFTEN - 1].iter().all(|&n| n == 0) && woken[OFTEN - 1] == 1, "{woken:?}");

        let stream = unanswered(&pair);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(stream.poll_read_ready(cx).is_pending());
        assert!(stream.poll_write_ready(cx).is_pending());
        assert_eq!(stream.socket.waiters(), 2);
        let (reader, writer) = stream.into_split();
        drop(reader);
        let stream: &TcpStream = writer.as_ref();
        assert_eq!(stream.socket.waiters(), 1);
        let net: net::TcpStream = unanswered(&pair).into();
        let stream = TcpStream::from(net.clone());
        assert!(stream.poll_read_ready(cx).is_pending());
        drop(stream);
        assert_eq!(TcpStream::from(net).socket.waiters(), 0, "a handle takes its places along");
    });
}

/// One lost wake-up and it hangs: readers and writers wait on the two ends all the time, since the buffers are small.
#[test]
fn many_tasks_on_one_stream_are_all_woken() {
    const TASKS: usize = 8;
    const WRITES: usize = 100;
    const CHUNK: usize = 512;
    run(async |pair| {
        let (client, server) = connected(&pair).await;
        client.set_send_buffer_size(4608).unwrap();
        client.set_nodelay(true).unwrap();
        let (client, server) = (Arc::new(client), Arc::new(server));
        let readers: Vec<_> = (0..TASKS)
            .map(|_| {
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    let mut got = 0;
                    loop {
                        server.readable().await.unwrap();
                        match server.try_read(&mut [0; 100]) {
                            Ok(0) => return got,
                            Ok(n) => got += n,
                            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                        }
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..TASKS)
            .map(|_| {
                let client = Arc::clone(&client);
                tokio::spawn(async move {
                    for _ in 0..WRITES {
                        let mut left = Bytes::from_static(&[7; CHUNK]);
                        while !left.is_empty() {
                            client.write_bytes(&mut left).await.unwrap();
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        client.end().unwrap();
        let mut got = 0;
        for reader in readers {
            got += reader.await.unwrap();
        }
        assert_eq!(got, TASKS * WRITES * CHUNK);
        assert_eq!((client.socket.waiters(), server.socket.waiters()), (0, 0));
    });
}

/// Futures that are dropped when they were woken but have not run take nobody's wake-up along.
#[test]
fn a_woken_future_that_is_dropped_robs_nobody() {
    run(async |pair| {
        let (client, server) = connected(&pair).await;
        for round in 0..OFTEN {
            let mut peeked = [0];
            let mut one = Box::pin(server.peek(&mut peeked));
            let mut other = Box::pin(server.readable());
            let (told, woken) = (Arc::new(Count::default()), Arc::new(Count::default()));
            let waker = Waker::from(Arc::clone(&told));
            assert!(one.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            let waker = Waker::from(Arc::clone(&woken));
            assert!(other.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            client.try_write(&[round as u8]).unwrap();
            server.readable().await.unwrap();
            // The wakers run when the lock is gone, behind which this task has seen the octet.
            while (told.0.load(Ordering::Relaxed), woken.0.load(Ordering::Relaxed)) != (1, 1) {
                tokio::task::yield_now().await;
            }
            drop(one);
            other.await.unwrap();
            let mut octet = [0];
            assert_eq!(server.try_read(&mut octet).unwrap(), 1);
            assert_eq!(octet[0], round as u8);
        }
    });
}

/// A waker that owns its task, as those of simple executors do: the task is dropped with the last of them, and with it
/// the futures and sockets that it has.
#[test]
fn a_task_may_go_with_its_waker() {
    struct Task(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            let mut slot = self.0.lock().unwrap();
            if let Some(mut task) = slot.take()
                && task.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self)))).is_pending()
            {
                *slot = Some(task);
            }
        }
    }
    run(async |pair| {
        let stream = Arc::new(unanswered(&pair));
        let (held, listener) =
            (Arc::clone(&stream), TcpListener::bind_on(&pair.left, "10.7.0.1:0").await.unwrap());
        let task: Task = Task(Mutex::new(Some(Box::pin(async move {
            poll_fn(|cx| held.poll_read_ready(cx)).await.unwrap();
            drop(listener);
        }))));
        Waker::from(Arc::new(task)).wake();
        assert_eq!((stream.socket.waiters(), pair.left.sockets().len()), (1, 2));
        // Takes the place of the task's waker, which is the last.
        assert!(stream.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!((stream.socket.waiters(), pair.left.sockets().len()), (1, 1));
    });
}
