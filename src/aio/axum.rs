//! A listener that `axum::serve` takes.

use std::future::pending;
use std::io;
use std::net::SocketAddr;

use axum::serve::Listener;

use super::{TcpListener, TcpStream};

impl Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    /// The next connection. After the end of the engine there is none any more, and the wait is without end: what ends
    /// the server then is its `with_graceful_shutdown`.
    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match Self::accept(self).await {
                Ok(accepted) => return accepted,
                // It was reset while it waited: the next one need not be.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "no more connections are accepted");
                    pending::<()>().await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}
