//! Registering, wakers, descriptors of the kernel, and how they share a poll.

use std::collections::HashSet;
use std::io::{Read, Write, pipe};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;

use super::*;
use crate::poll::{SourceFd, Waker};

#[test]
fn a_source_is_registered_once() {
    limited(|| {
        let pair = pair();
        let (mut client, _server) = pair.connected();
        let (reader, _writer) = pipe().unwrap();
        let watcher = Watcher::new();
        let mut clone = client.clone();
        let registry = watcher.poll.registry();
        let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
        let other = reader.as_fd();
        let sources: [(&mut dyn Source, &mut dyn Source); 2] =
            [(&mut client, &mut clone), (&mut SourceFd(&reader), &mut SourceFd(&other))];
        for (source, same) in sources {
            assert_eq!(kind(registry.deregister(source)), ErrorKind::NotFound);
            assert_eq!(kind(registry.reregister(source, Token(1), READ)), ErrorKind::NotFound);
            registry.register(source, Token(1), READ).unwrap();
            assert_eq!(kind(registry.register(source, Token(2), READ)), ErrorKind::AlreadyExists);
            assert_eq!(kind(registry.register(same, Token(2), READ)), ErrorKind::AlreadyExists);
            registry.reregister(source, Token(2), READ).unwrap();
            registry.deregister(source).unwrap();
            assert_eq!(kind(registry.deregister(source)), ErrorKind::NotFound);
            registry.register(source, Token(1), READ).unwrap();
            registry.deregister(source).unwrap();
        }
        assert_eq!(watcher.len(), (0, 0, 0));
        // Another poll is another matter.
        let second = Watcher::new();
        watcher.add(&mut client, 1, READ);
        second.add(&mut client, 1, READ);
    });
}

#[test]
fn deregistering_takes_back_what_was_not_told() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let mut watcher = Watcher::new();
        for _ in 0..3 {
            watcher.add(&mut client, 1, BOTH);
            assert_eq!(watcher.len(), (1, 1, 1));
            watcher.poll.registry().deregister(&mut client).unwrap();
            assert_eq!(watcher.len(), (0, 0, 0));
        }
        server.write_all(b"x").unwrap();
        client.peek(&mut [0; 1]).unwrap();
        watcher.quiet();
    });
}

#[test]
fn registering_anew_tells_what_stands() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let mut watcher = Watcher::new();
        watcher.add(&mut client, 1, WRITE);
        server.write_all(b"x").unwrap();
        client.peek(&mut [0; 1]).unwrap();
        let registry = watcher.poll.registry().try_clone().unwrap();
        // What waits to be told is told under the new name and as far as it is asked for.
        registry.reregister(&mut client, Token(2), READ).unwrap();
        let event = watcher.only(2);
        assert!(event.is_readable() && !event.is_writable());
        for _ in 0..2 {
            watcher.quiet();
            registry.reregister(&mut client, Token(2), READ).unwrap();
            assert!(watcher.only(2).is_readable(), "it was told and is told again");
        }
        registry.reregister(&mut client, Token(3), BOTH).unwrap();
        let event = watcher.only(3);
        assert!(event.is_readable() && event.is_writable());
        registry.reregister(&mut client, Token(3), Interest::PRIORITY).unwrap();
        watcher.quiet();
    });
}

#[test]
fn an_event_that_nobody_needs_any_more_is_not_told() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let mut watcher = Watcher::new();
        watcher.add(&mut client, 1, READ);
        server.write_all(b"x").unwrap();
        client.peek(&mut [0; 1]).unwrap();
        assert_eq!(drain(&client), (1, false));
        watcher.quiet();
    });
}

#[test]
fn no_time_and_time_that_is_over_tell_nothing() {
    let mut watcher = Watcher::new();
    watcher.quiet();
    watcher.poll.poll(&mut watcher.events, Some(SHORT)).unwrap();
    assert!(watcher.events.is_empty());
    let mut none = Events::with_capacity(0);
    assert_eq!(watcher.poll.poll(&mut none, None).unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// What one of two polls that watch a socket does is no matter of the other's.
#[test]
fn each_poll_has_its_own_registration() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let (mut first, mut second) = (Watcher::new(), Watcher::new());
        first.add(&mut client, 1, READ);
        second.add(&mut client, 2, READ);
        first.poll.registry().reregister(&mut client, Token(7), READ).unwrap();
        server.write_all(b"x").unwrap();
        assert!(first.only(7).is_readable() && second.only(2).is_readable());
        first.poll.registry().deregister(&mut client).unwrap();
        assert_eq!((first.len(), second.len()), ((0, 0, 0), (1, 1, 0)));
        let gone = first.poll.registry().reregister(&mut client, Token(7), READ);
        assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(drain(&client), (1, false));
        server.write_all(b"x").unwrap();
        assert!(second.only(2).is_readable());
        first.quiet();
    });
}

#[test]
fn a_poll_that_waits_is_woken_by_sockets_descriptors_and_wakers() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let (reader, mut writer) = pipe().unwrap();
        let mut watcher = Watcher::new();
        let waker = Waker::new(watcher.poll.registry(), Token(3)).unwrap();
        watcher.add(&mut client, 1, READ);
        watcher.add(&mut SourceFd(&reader), 2, READ);
        thread::scope(|scope| {
            // Each waits for the one before to have been told, most often while the poll sleeps.
            let (tell, next) = std::sync::mpsc::channel();
            scope.spawn(move || {
                for n in next {
                    match n {
                        1 => server.write_all(b"x").unwrap(),
                        2 => writer.write_all(b"x").unwrap(),
                        _ => waker.wake().unwrap(),
                    }
                }
            });
            for round in 0..300 {
                let n = 1 + round % 3;
                tell.send(n).unwrap();
                assert!(watcher.only(n).is_readable());
            }
        });
    });
}

#[test]
fn wakes_from_many_threads_are_one_event_or_more_and_none_is_lost() {
    limited(|| {
        let mut watcher = Watcher::new();
        let waker = Arc::new(Waker::new(watcher.poll.registry(), Token(7)).unwrap());
        for _ in 0..100 {
            waker.wake().unwrap();
        }
        assert!(watcher.only(7).is_readable());
        watcher.quiet();
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (waker, count) = (Arc::clone(&waker), Arc::clone(&count));
                thread::spawn(move || {
                    for _ in 0..1000 {
                        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        waker.wake().unwrap();
                    }
                })
            })
            .collect();
        // The last wake comes after the last count, so whoever is woken by it sees that.
        while count.load(std::sync::atomic::Ordering::Relaxed) < 8000 {
            watcher.only(7);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        waker.wake().unwrap();
        drop(waker);
        assert!(watcher.only(7).is_readable(), "no wake is lost");
        assert_eq!(watcher.len(), (0, 0, 0));
        watcher.quiet();
    });
}

#[test]
fn a_pipe_has_the_kernels_edges() {
    limited(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let mut watcher = Watcher::new();
        watcher.add(&mut SourceFd(&reader), 1, READ);
        watcher.add(&mut SourceFd(&writer), 2, WRITE);
        assert!(watcher.only(2).is_writable());
        writer.write_all(b"1234").unwrap();
        assert!(watcher.until(1, Event::is_readable).is_readable());
        reader.read_exact(&mut [0; 2]).unwrap();
        watcher.quiet();
        writer.write_all(b"5").unwrap();
        watcher.until(1, Event::is_readable);
        drop(writer);
        assert!(watcher.until(1, Event::is_read_closed).is_readable());
        watcher.poll.registry().deregister(&mut SourceFd(&reader)).unwrap();
        watcher.quiet();
        let file = std::fs::File::open("Cargo.toml").unwrap();
        let error = watcher.poll.registry().register(&mut SourceFd(&file), Token(1), READ).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "a file is always ready, and epoll refuses it");
    });
}

#[test]
fn the_mark_of_our_own_wake_up_is_no_token() {
    let (reader, _writer) = pipe().unwrap();
    let watcher = Watcher::new();
    let taken = Token(watcher.poll.registry().shared.watched.nudge_data().u64() as usize);
    let error = watcher.poll.registry().register(&mut SourceFd(&reader), taken, READ).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    watcher.add(&mut SourceFd(&reader), usize::MAX, READ);
}

#[test]
fn what_finds_no_room_comes_next() {
    limited(|| {
        const EACH: usize = 5;
        let pair = pair();
        let mut sockets: Vec<_> = (0..EACH).map(|_| pair.left.bind_udp("10.7.0.1:0").unwrap()).collect();
        let pipes: Vec<_> = (0..EACH).map(|_| pipe().unwrap()).collect();
        for room in 1..=2 * EACH + 1 {
            let mut watcher = Watcher::with_room(room);
            for (n, socket) in sockets.iter_mut().enumerate() {
                watcher.add(socket, n, WRITE);
            }
            for (n, (_, writer)) in pipes.iter().enumerate() {
                watcher.add(&mut SourceFd(writer), EACH + n, WRITE);
            }
            let mut seen = HashSet::new();
            for _ in 0..(2 * EACH).div_ceil(room) {
                for event in watcher.told() {
                    assert!(seen.insert(event.token()), "told twice");
                }
                assert!(watcher.events.iter().len() <= room);
            }
            assert_eq!(seen.len(), 2 * EACH, "room for {room}");
            watcher.quiet();
        }
    });
}

#[test]
fn none_starves_where_room_is_little() {
    limited(|| {
        let pair = pair();
        let mut sockets: Vec<_> = (0..3).map(|_| pair.left.bind_udp("10.7.0.1:0").unwrap()).collect();
        let pipes: Vec<_> = (0..3).map(|_| pipe().unwrap()).collect();
        let mut watcher = Watcher::with_room(1);
        for (n, socket) in sockets.iter_mut().enumerate() {
            watcher.add(socket, n, WRITE);
        }
        for (n, (_, writer)) in pipes.iter().enumerate() {
            watcher.add(&mut SourceFd(writer), 3 + n, WRITE);
        }
        let mut times = [0; 6];
        for _ in 0..600 {
            // Ready again as soon as it was told.
            let token = watcher.told()[0].token();
            times[token.0] += 1;
            let registry = watcher.poll.registry();
            match token.0 {
                n @ 0..3 => registry.reregister(&mut sockets[n], token, WRITE).unwrap(),
                n => registry.reregister(&mut SourceFd(&pipes[n - 3].1), token, WRITE).unwrap(),
            }
        }
        assert_eq!(times, [100; 6]);
    });
}

#[test]
fn others_register_while_one_polls() {
    limited(|| {
        const THREADS: usize = 4;
        let pair = pair();
        let mut watcher = Watcher::new();
        thread::scope(|scope| {
            for n in 0..THREADS {
                let registry = watcher.poll.registry().try_clone().unwrap();
                let engine = &pair.left;
                scope.spawn(move || {
                    for round in 0..50 {
                        let mut socket = engine.bind_udp("10.7.0.1:0").unwrap();
                        registry.register(&mut socket, Token(n), READ).unwrap();
                        if round % 2 == 0 {
                            registry.deregister(&mut socket).unwrap();
                        }
                    }
                    let mut last = engine.bind_udp("10.7.0.1:0").unwrap();
                    registry.register(&mut last, Token(100 + n), WRITE).unwrap();
                    // Told before it is closed, or the thread that polls would wait for ever.
                    while registry.shared.watched.ready.len().1 > 0 {
                        thread::yield_now();
                    }
                });
            }
            let mut seen = HashSet::new();
            while seen.len() < THREADS {
                seen.extend(watcher.told().iter().map(Event::token));
            }
            assert!(seen.iter().all(|token| token.0 >= 100), "{seen:?}");
        });
        assert_eq!(watcher.len(), (0, 0, 0));
    });
}
