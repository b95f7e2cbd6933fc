//! Accepting.

use std::io::ErrorKind;
use std::sync::Arc;

use super::*;

#[test]
fn several_tasks_accept_and_each_connection_is_accepted_once() {
    const TASKS: usize = 4;
    const EACH: usize = 10;
    run(async |pair| {
        let listener = Arc::new(TcpListener::bind_on(&pair.right, "10.7.0.2:0").await.unwrap());
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let listener = Arc::clone(&listener);
                tokio::spawn(async move {
                    let mut peers = Vec::new();
                    for _ in 0..EACH {
                        peers.push(listener.accept().await.unwrap().1);
                    }
                    peers
                })
            })
            .collect();
        let there = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..TASKS * EACH {
            clients.push(TcpStream::connect_on(&pair.left, there).await.unwrap());
        }
        let mut accepted = Vec::new();
        for task in tasks {
            accepted.extend(task.await.unwrap());
        }
        let mut peers: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
        accepted.sort();
        peers.sort();
        assert_eq!(accepted, peers);
        assert_eq!(listener.waiters(), 0);
    });
}

#[test]
fn the_first_to_connect_is_the_first_to_be_accepted() {
    run(async |pair| {
        let listener = TcpListener::bind_on(&pair.right, "10.7.0.2:0").await.unwrap();
        assert_eq!(listener.try_accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let there = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..10 {
            clients.push(TcpStream::connect_on(&pair.left, there).await.unwrap());
        }
        for client in &clients {
            // The last one's third segment may still be on its way.
            listener.readable().await.unwrap();
            let cx = &mut Context::from_waker(Waker::noop());
            let (_, peer) = now(listener.poll_accept(cx)).unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    });
}

#[test]
fn a_port_is_taken_once_and_ttl_is_inherited() {
    run(async |pair| {
        let listener = TcpListener::bind_on(&pair.right, ("10.7.0.2", 80)).await.unwrap();
        let error = TcpListener::bind_on(&pair.right, "10.7.0.2:80").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        listener.set_ttl(7).unwrap();
        assert_eq!(listener.ttl().unwrap(), 7);
        let (_client, server) = connect_to(&pair, &listener).await;
        assert_eq!(server.ttl().unwrap(), 7);
        let listener = TcpListener::from(crate::net::TcpListener::from(listener));
        let (_client, _server) = connect_to(&pair, &listener).await;
        drop(listener);
        TcpListener::bind_on(&pair.right, "10.7.0.2:80").await.unwrap();
    });
}
