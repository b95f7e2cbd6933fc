//! HTTP/1.1 over the stack's connections: hyper's view of a stream, and the loop of a server.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::rt::ReadBufCursor;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioTimer;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tunstack::net::{TcpListener, TcpStream};

use super::output::Failure;
use super::run::Session;

/// How long a client may take to send a request's head, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long answers under way may take when the server ends.
const GRACE: Duration = Duration::from_secs(3);
/// How long and for how many octets a client is listened to that still sends when all has been said.
const DRAIN: Duration = Duration::from_secs(2);
const DRAIN_MAX: usize = 64 << 20;

/// A body of any kind.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A stream as hyper wants it.
#[derive(Debug)]
pub(crate) struct Io(pub(crate) TcpStream);

impl hyper::rt::Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // The stack hands out what arrived in one piece without a copy; the one copy is here.
        self.0.poll_read_bytes(cx, buf.remaining()).map_ok(|octets| buf.put_slice(&octets))
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }

    /// Nothing waits for a flush: what was written is on its way.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_vectored(cx, bufs)
    }
}

/// A body that is there already.
pub(crate) fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// An answer with a body of this type.
pub(crate) fn answer(status: StatusCode, mime: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(mime));
    response
}

/// An answer that consists of a status and a sentence.
pub(crate) fn plain(status: StatusCode, sentence: &str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", format!("{sentence}\n"))
}

/// What answers requests.
pub(crate) trait Site: Send + Sync + 'static {
    /// Answers one, which came over `stream`.
    fn answer(
        &self,
        request: Request<Incoming>,
        stream: &TcpStream,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// Accepts connections and serves them until the program is told to stop; answers under way are then ended.
///
/// # Errors
/// The engine has ended.
pub(crate) async fn serve<S: Site>(
    session: Arc<Session>,
    listener: TcpListener,
    site: S,
) -> Result<(), Failure> {
    let site = Arc::new(site);
    let mut connections = JoinSet::new();
    let result = loop {
        tokio::select! {
            accepted = poll_fn(|cx| listener.poll_accept(cx)) => match accepted {
                Ok((stream, peer)) => {
                    let (session, site) = (Arc::clone(&session), Arc::clone(&site));
                    connections.spawn(connection(session, site, stream, peer));
                }
                // It was reset while it waited.
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(e) => break Err(session.failed("cannot accept connections", &e)),
            },
            Some(_) = connections.join_next() => {}
            () = session.stopped() => break Ok(()),
        }
    };
    drop(listener);
    if result.is_ok() {
        let ended = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("{} connections were cut short", connections.len());
        }
    }
    connections.shutdown().await;
    result
}

async fn connection<S: Site>(session: Arc<Session>, site: Arc<S>, stream: TcpStream, peer: SocketAddr) {
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(%peer, "{e}");
        return;
    }
    let service = service_fn(|request: Request<Incoming>| {
        let (site, stream) = (&site, &stream);
        async move {
            let (method, target) = (request.method().clone(), request.uri().clone());
            let response = site.answer(request, stream).await;
            tracing::info!(target: "http", "{peer} {method} {target} {}", response.status().as_u16());
            Ok::<_, Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .half_close(true)
        .serve_connection(Io(stream.clone()), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = session.stopped() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!(%peer, "{e}");
    }
    drain(&stream).await;
}

/// Lets a client that still sends see the answer: a close with data unread is a reset, which would overtake
/// it (RFC 9112 section 9.6).
async fn drain(stream: &TcpStream) {
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut left = DRAIN_MAX;
    let drained = async {
        while left > 0 {
            match poll_fn(|cx| stream.poll_read_bytes(cx, 1 << 20)).await {
                Ok(octets) if !octets.is_empty() => left = left.saturating_sub(octets.len()),
                _ => break,
            }
        }
    };
    // Patience has its end either way.
    let _ = timeout(DRAIN, drained).await;
}
