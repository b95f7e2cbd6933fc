//! `axum::serve` over our listener.

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;

async fn fetch(pair: &Pair, there: std::net::SocketAddr) -> String {
    let mut client = TcpStream::connect_on(&pair.left, there).await.unwrap();
    client.write_all(b"GET /name HTTP/1.1\r\nHost: ours\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

#[test]
fn axum_serves_over_it_and_ends_in_order() {
    limited(|| {
        // hyper asks the time.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let pair = pair();
            let listener = TcpListener::bind_on(&pair.right, "10.7.0.2:80").await.unwrap();
            let there = axum::serve::Listener::local_addr(&listener).unwrap();
            let app = Router::new().route("/name", get(|| async { "tunstack" }));
            let (end, ended) = oneshot::channel::<()>();
            let server = axum::serve(listener, app).with_graceful_shutdown(async move {
                ended.await.unwrap();
            });
            let server = tokio::spawn(server.into_future());
            for _ in 0..3 {
                let answer = fetch(&pair, there).await;
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
                assert!(answer.ends_with("\r\n\r\ntunstack"), "{answer}");
            }
            end.send(()).unwrap();
            server.await.unwrap().unwrap();
        });
    });
}

/// A connection that is gone before its turn is no reason to stop, and the end of the engine none to spin.
#[test]
fn it_goes_on_after_a_connection_that_is_gone() {
    limited(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let pair = pair();
            let mut listener = TcpListener::bind_on(&pair.right, "10.7.0.2:80").await.unwrap();
            let there = listener.local_addr().unwrap();
            let gone = TcpStream::connect_on(&pair.left, there).await.unwrap();
            listener.readable().await.unwrap();
            gone.abort().unwrap();
            let client = TcpStream::connect_on(&pair.left, there).await.unwrap();
            // Only when the second has come has the reset certainly come too.
            let mut accept = async || axum::serve::Listener::accept(&mut listener).await;
            let peers = [accept().await.1];
            assert_eq!(peers, [client.local_addr().unwrap()]);
        });
    });
}
