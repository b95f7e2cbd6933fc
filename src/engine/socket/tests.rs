//! What handles to one socket have in common, and what a handle alone costs.

use std::thread;

use super::*;
use crate::net::tests::{LONG, SHORT, pair};

fn is_open(engine: &Engine, id: SocketId) -> bool {
    engine.shard().query(|stack| stack.options(id)).is_ok()
}

/// A million of them are a million of what holds them, and of no allocation.
#[test]
fn a_handle_without_clones_is_all_there_is_of_it() {
    let (client, _server) = pair().connected();
    client.set_nonblocking(true).unwrap();
    client.set_read_timeout(None).unwrap();
    assert!(client.socket.is_nonblocking() && client.socket.shared.get().is_none());
    assert!(size_of::<Socket>() <= 40);
}

#[test]
fn clones_have_one_mode_and_the_same_limits() {
    let (client, _server) = pair().connected();
    let client = &client.socket;
    client.set_nonblocking(true);
    let clone = client.clone();
    let third = clone.clone();
    assert!(clone.is_nonblocking() && third.is_nonblocking());
    third.set_nonblocking(false);
    assert!(!client.is_nonblocking() && !clone.is_nonblocking());
    client.set_nonblocking(true);
    client.set_read_timeout(Some(SHORT)).unwrap();
    clone.set_write_timeout(Some(LONG)).unwrap();
    for socket in [client, &clone, &third] {
        assert!(socket.is_nonblocking());
        assert_eq!((socket.read_timeout(), socket.write_timeout()), (Some(SHORT), Some(LONG)));
    }
    third.set_read_timeout(None).unwrap();
    assert_eq!((client.read_timeout(), client.write_timeout()), (None, Some(LONG)));
}

/// A limit makes a socket share what it has, though with nobody.
#[test]
fn a_limit_leaves_the_mode_as_it_is() {
    let (client, server) = pair().connected();
    client.set_nonblocking(true).unwrap();
    client.set_read_timeout(Some(SHORT)).unwrap();
    assert!(client.socket.is_nonblocking());
    server.socket.inherit_timeouts(&client.socket);
    assert!(!server.socket.is_nonblocking());
    assert_eq!((server.read_timeout().unwrap(), server.write_timeout().unwrap()), (Some(SHORT), None));
    client.set_read_timeout(None).unwrap();
    server.socket.inherit_timeouts(&client.socket);
    assert_eq!(server.read_timeout().unwrap(), None);
}

#[test]
fn it_is_closed_with_the_last_handle() {
    let pair = pair();
    let (client, _server) = pair.connected();
    let id = client.id();
    let clones: Vec<_> = (0..8).map(|_| client.clone()).collect();
    drop(client);
    for clone in clones {
        assert!(is_open(&pair.left, id));
        let other = clone.clone();
        thread::scope(|scope| {
            scope.spawn(move || drop(clone));
            scope.spawn(move || drop(other));
        });
    }
    assert!(!is_open(&pair.left, id));
}
