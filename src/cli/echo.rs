//! `tunstack echo`: discard (RFC 863), source (RFC 864) and echo (RFC 862), over TCP and UDP.

use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use clap::Args as ClapArgs;
use tokio::task::JoinSet;
use tunstack::net::{TcpListener, TcpStream, UdpSocket};

use super::common::Common;
use super::output::{Failure, Output};
use super::run::{Service, Session, run};

const EXAMPLES: &str = "\
Examples:
  tunstack echo
  head -c 1G /dev/zero | nc -N 10.7.0.2 5001          discard
  nc -d 10.7.0.2 5002 | head -c 1G > /dev/null        source
  printf hello | nc -N 10.7.0.2 5003                  echo

Over TCP, source sends until the connection ends. Over UDP it answers a datagram with one of the
same length.";

/// Octets that are read or written at a time.
const CHUNK: usize = 256 << 10;
/// The longest datagram.
const DATAGRAM: usize = 65_535;
/// Lines of the pattern that source sends, each of 72 characters out of the 95 printable ones.
const LINES: usize = 95;

/// Arguments of `echo`.
#[derive(ClapArgs, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct EchoArgs {
    /// The port that takes everything and says nothing
    #[arg(long, value_name = "PORT", default_value_t = 5001)]
    discard_port: u16,
    /// The port that sends without end
    #[arg(long, value_name = "PORT", default_value_t = 5002)]
    source_port: u16,
    /// The port that sends back what it gets
    #[arg(long, value_name = "PORT", default_value_t = 5003)]
    echo_port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Discard,
    Source,
    Echo,
}

/// Runs `echo`.
pub(crate) fn main(common: &Common, args: EchoArgs) -> Result<(), Failure> {
    let wanted = [
        (Kind::Discard, "discard", args.discard_port, "--discard-port"),
        (Kind::Source, "source", args.source_port, "--source-port"),
        (Kind::Echo, "echo", args.echo_port, "--echo-port"),
    ];
    run(common, "echo", Output::stdout(common.json), async move |session: Arc<Session>| {
        let pattern = pattern();
        let mut services = Vec::new();
        let mut tasks = JoinSet::new();
        for (kind, name, port, flag) in wanted {
            let tcp = session.listen(port, flag)?;
            let port = tcp.local_addr().map_err(|e| session.failed("cannot listen", &e))?.port();
            let udp = session.bind_udp(port, flag)?;
            services.push(Service { name, protocol: "tcp", port });
            services.push(Service { name, protocol: "udp", port });
            tasks.spawn(accept(Arc::clone(&session), kind, tcp, pattern.clone()));
            tasks.spawn(datagrams(Arc::clone(&session), kind, udp, pattern.clone()));
        }
        session.ready(&services, || {
            let own: Vec<_> = session.own.iter().map(|p| p.address.to_string()).collect();
            let tcp = services.iter().filter(|s| s.protocol == "tcp");
            let ports: Vec<_> = tcp.map(|s| format!("{} on port {}", s.name, s.port)).collect();
            format!("{}, over TCP and UDP, at {}", ports.join(", "), own.join(" and "))
        });
        tokio::select! {
            Some(ended) = tasks.join_next() => ended
                .unwrap_or_else(|e| Err(Failure::Failed(format!("this is a bug in tunstack: {e}")))),
            () = session.stopped() => Ok(()),
        }
    })
}

/// Lines that each begin one character later than the one before (RFC 864), as many as there are characters.
fn pattern() -> Bytes {
    let printable = |n: usize| b' ' + (n % LINES) as u8;
    let line = |start: usize| (start..start + 72).map(printable).chain(*b"\r\n");
    let period: Vec<u8> = (0..LINES).flat_map(line).collect();
    period.repeat(CHUNK / period.len()).into()
}

async fn accept(
    session: Arc<Session>,
    kind: Kind,
    listener: TcpListener,
    pattern: Bytes,
) -> Result<(), Failure> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = poll_fn(|cx| listener.poll_accept(cx)) => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(kind, stream, peer, pattern.clone()));
                }
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(e) => return Err(session.failed("cannot accept connections", &e)),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(kind: Kind, stream: TcpStream, peer: SocketAddr, pattern: Bytes) {
    let served = match kind {
        Kind::Discard => discard(&stream).await,
        Kind::Source => source(&stream, &pattern).await,
        Kind::Echo => echo(&stream).await,
    };
    match served {
        Ok(octets) => tracing::debug!("{peer} {kind:?}: {octets} octets"),
        Err(e) => tracing::debug!("{peer} {kind:?}: {e}"),
    }
}

async fn discard(stream: &TcpStream) -> io::Result<u64> {
    let mut total = 0;
    loop {
        let data = poll_fn(|cx| stream.poll_read_bytes(cx, CHUNK)).await?;
        if data.is_empty() {
            return Ok(total);
        }
        total += data.len() as u64;
    }
}

/// Sends until the peer resets the connection; what it sends is thrown away.
async fn source(stream: &TcpStream, pattern: &Bytes) -> io::Result<u64> {
    let send = async {
        loop {
            write_all(stream, pattern.clone()).await?;
        }
    };
    let throw_away = async {
        discard(stream).await?;
        // The end of what it says is not the end of what it listens to.
        std::future::pending::<io::Result<u64>>().await
    };
    tokio::select! { sent = send => sent, read = throw_away => read }
}

async fn echo(stream: &TcpStream) -> io::Result<u64> {
    let mut total = 0;
    loop {
        let data = poll_fn(|cx| stream.poll_read_bytes(cx, CHUNK)).await?;
        if data.is_empty() {
            stream.shutdown(Shutdown::Write)?;
            return Ok(total);
        }
        total += data.len() as u64;
        write_all(stream, data).await?;
    }
}

async fn write_all(stream: &TcpStream, mut data: Bytes) -> io::Result<()> {
    while !data.is_empty() {
        poll_fn(|cx| stream.poll_write_bytes(cx, &mut data)).await?;
    }
    Ok(())
}

async fn datagrams(
    session: Arc<Session>,
    kind: Kind,
    socket: UdpSocket,
    pattern: Bytes,
) -> Result<(), Failure> {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (len, from) = match poll_fn(|cx| socket.poll_recv_from(cx, &mut buffer)).await {
            Ok(received) => received,
            // An answer of ours met with nobody; or the engine has ended.
            Err(e) => match session.engine.check() {
                Ok(()) => continue,
                Err(_) => return Err(session.failed("cannot receive", &e)),
            },
        };
        let answer = match kind {
            Kind::Discard => continue,
            // Never longer than what came, so that nobody can use it to flood others.
            Kind::Source => &pattern[..len],
            Kind::Echo => &buffer[..len],
        };
        if let Err(e) = poll_fn(|cx| socket.poll_send_to(cx, answer, from)).await {
            tracing::debug!("{from} {kind:?}: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_that_of_the_rfc_and_covers_the_longest_datagram() {
        let pattern = pattern();
        assert!(pattern.len() >= DATAGRAM);
        let lines: Vec<_> = pattern.chunks(74).take(97).collect();
        assert!(lines[0].starts_with(b" !\"#") && lines[0].ends_with(b"\r\n"));
        assert!(lines[1].starts_with(b"!\"#$"));
        assert_eq!(lines[95], lines[0], "it goes on without a seam");
    }
}
