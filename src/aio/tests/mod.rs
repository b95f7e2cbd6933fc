//! Two engines on a pipe, and tasks on them. As for the sockets of threads, no test asks how long something took.

mod datagram;
#[cfg(feature = "futures")]
mod futures;
mod listener;
#[cfg(feature = "axum")]
mod serve;
#[cfg(feature = "tokio")]
mod split;
#[cfg(feature = "tokio")]
mod stream;
mod waiting;

use std::task::{Context, Poll, Waker};

use super::{TcpListener, TcpStream};
use crate::net::tests::{Pair, limited, pair};

/// Runs tasks on a runtime of tokio's that has neither a reactor nor a timer.
fn run<T: Future<Output = ()>>(test: impl FnOnce(Pair) -> T + Send + 'static) {
    limited(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(test(pair()));
    });
}

/// A connection from the left to a listener on the right that takes no other.
async fn connected(pair: &Pair) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind_on(&pair.right, "10.7.0.2:0").await.unwrap();
    connect_to(pair, &listener).await
}

async fn connect_to(pair: &Pair, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect_on(&pair.left, listener.local_addr().unwrap()).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
    (client, server)
}

/// Polls a future once, which must not be enough, and drops it.
#[track_caller]
fn poll_and_drop<T>(future: impl Future<Output = T>) {
    let mut future = std::pin::pin!(future);
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// What a poll must give at once.
#[track_caller]
fn now<T>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}
