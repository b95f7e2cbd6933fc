//! `tunstack nc`: standard input and output joined to a connection, after the manner of OpenBSD's netcat.

use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args as ClapArgs;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tunstack::net::{TcpSocket, TcpStream, UdpSocket};

use super::common::{Common, seconds};
use super::output::{Failure, Output, why};
use super::run::{Service, Session, run};
use super::stdio::{self, StandardOutput};

const EXAMPLES: &str = "\
Examples:
  On the host, nc -l 9000, and then:
      echo hello | tunstack nc -N 10.7.0.1 9000

  Wait for a connection from the host, which nc -N 10.7.0.2 9000 < file makes:
      tunstack nc -l 9000 > copy

  A datagram, and what comes back within a second:
      echo hello | tunstack nc -u -w 1 10.7.0.1 9000

When it ends: once standard input and the peer have both ended. Without -N the end of standard
input is not told to the peer, as in OpenBSD's netcat. With -l the end of what the peer sends is
enough, with or without -N, but what standard input still has at hand is sent before.";

/// With -l, how long the next piece of standard input may take when the peer has ended.
const AT_HAND: Duration = Duration::from_millis(250);
const CHUNK: usize = 256 << 10;
const DATAGRAM: usize = 65_535;

/// Arguments of `nc`.
#[derive(ClapArgs, Debug)]
#[command(after_long_help = EXAMPLES, override_usage = "tunstack nc [OPTIONS] HOST PORT\n       tunstack nc -l [OPTIONS] [ADDRESS] PORT")]
pub(crate) struct NcArgs {
    /// The peer's name or address; with -l, the own address to listen on
    #[arg(value_name = "HOST")]
    first: String,
    /// The port
    #[arg(value_name = "PORT")]
    second: Option<String>,
    /// Listen for one connection instead of making one
    #[arg(short, long)]
    listen: bool,
    /// UDP instead of TCP
    #[arg(short, long)]
    udp: bool,
    /// Tell the peer when standard input has ended (half-close)
    #[arg(short = 'N', long = "half-close")]
    half_close: bool,
    /// Give up after so many seconds without a connection or without anything to do; not while listening
    #[arg(short = 'w', long = "timeout", value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// The own port to connect from
    #[arg(short = 'p', long = "source-port", value_name = "PORT", conflicts_with = "listen")]
    source_port: Option<u16>,
    /// Say what happens, on standard error
    #[arg(short, long)]
    verbose: bool,
}

/// Where to, or where to listen.
struct Target {
    host: Option<String>,
    port: u16,
}

fn target(args: &NcArgs) -> Result<Target, Failure> {
    let (host, port) = match &args.second {
        Some(port) => (Some(args.first.clone()), port),
        None if args.listen => (None, &args.first),
        None => return Err(Failure::Usage("a port is missing: tunstack nc HOST PORT".to_owned())),
    };
    match port.parse() {
        Ok(n) if n > 0 || args.listen => Ok(Target { host, port: n }),
        _ => Err(Failure::Usage(format!("{port:?} is no port: a number from 1 to 65535"))),
    }
}

/// Runs `nc`.
pub(crate) fn main(common: &Common, args: NcArgs) -> Result<(), Failure> {
    let target = target(&args)?;
    run(common, "nc", Output::stderr(common.json), async move |session: Arc<Session>| {
        let peer = async {
            Ok(match (args.udp, args.listen) {
                (false, true) => Peer::Tcp(accept(&session, &args, &target).await?),
                (false, false) => Peer::Tcp(connect(&session, &args, &target).await?),
                (true, true) => {
                    let (socket, first) = first_datagram(&session, &args, &target).await?;
                    Peer::Udp(socket, Some(first))
                }
                (true, false) => Peer::Udp(connect_udp(&session, &args, &target).await?, None),
            })
        };
        let peer = session.unless_stopped(peer).await?;
        relay(&session, peer, &args).await
    })
}

fn tell(session: &Session, args: &NcArgs, text: impl FnOnce() -> String) {
    if args.verbose {
        session.out.text(text);
    }
}

async fn own(session: &Session, target: &Target) -> Result<SocketAddr, Failure> {
    Ok(match &target.host {
        None => session.any(target.port),
        Some(host) => session.resolve(host, target.port).await?[0],
    })
}

fn cannot_listen(session: &Session, at: SocketAddr, e: &io::Error) -> Failure {
    match e.kind() {
        io::ErrorKind::AddrNotAvailable => Failure::Failed(format!(
            "cannot listen on {at}: {} is not an address of the stack: it has {}",
            at.ip(),
            session.own.iter().map(|p| p.address.to_string()).collect::<Vec<_>>().join(" and ")
        )),
        _ => session.failed(format!("cannot listen on {at}"), e),
    }
}

/// The address or addresses at which a listener is reached, for people.
fn listening(session: &Session, at: SocketAddr) -> String {
    if !at.ip().is_unspecified() {
        return at.to_string();
    }
    session.at(at.port()).iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

async fn accept(session: &Session, args: &NcArgs, target: &Target) -> Result<TcpStream, Failure> {
    let at = own(session, target).await?;
    let listener = session.engine.listen(at).map_err(|e| cannot_listen(session, at, &e))?;
    let at = listener.local_addr().map_err(|e| session.failed("cannot listen", &e))?;
    ready(session, args, "tcp", at);
    let (stream, peer) = loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
            accepted => break accepted.map_err(|e| session.failed("cannot accept", &e))?,
        }
    };
    tell(session, args, || format!("connection from {peer}"));
    Ok(stream)
}

fn ready(session: &Session, args: &NcArgs, protocol: &'static str, at: SocketAddr) {
    if args.verbose || session.out.is_json() {
        let service = Service { name: "nc", protocol, port: at.port() };
        session.ready(&[service], || format!("listening on {}", listening(session, at)));
    }
}

async fn connect(session: &Session, args: &NcArgs, target: &Target) -> Result<TcpStream, Failure> {
    let host = target.host.as_deref().unwrap_or_default();
    let mut failure = None;
    for addr in session.resolve(host, target.port).await? {
        match connect_to(session, args, addr).await {
            Ok(stream) => {
                tell(session, args, || format!("connected to {addr}"));
                return Ok(stream);
            }
            Err(e) => {
                let failed = session.failed(format!("cannot connect to {addr}"), &e);
                if let Some(Failure::Failed(text)) = failure.replace(failed) {
                    tell(session, args, || text);
                }
            }
        }
    }
    Err(failure.unwrap_or(Failure::Told))
}

async fn connect_to(session: &Session, args: &NcArgs, addr: SocketAddr) -> io::Result<TcpStream> {
    let engine = &session.engine;
    let socket = if addr.is_ipv4() { TcpSocket::new_v4(engine) } else { TcpSocket::new_v6(engine) }?;
    if let Some(port) = args.source_port {
        let mut own = session.any(port);
        if addr.is_ipv4() {
            own.set_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
        }
        socket.bind(own)?;
    }
    let stream = socket.start_connect(addr)?;
    let connected = poll_fn(|cx| stream.poll_connect(cx));
    match args.timeout {
        None => connected.await?,
        Some(limit) => timeout(limit, connected).await.map_err(|_| io::ErrorKind::TimedOut)??,
    }
    Ok(stream)
}

async fn connect_udp(session: &Session, args: &NcArgs, target: &Target) -> Result<UdpSocket, Failure> {
    let host = target.host.as_deref().unwrap_or_default();
    let addr = session.resolve(host, target.port).await?[0];
    let mut own = session.any(args.source_port.unwrap_or(0));
    if addr.is_ipv4() {
        own.set_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
    }
    let socket = session.engine.bind_udp(own).map_err(|e| session.failed(format!("cannot use {own}"), &e))?;
    socket.connect(addr).map_err(|e| session.failed(format!("cannot send to {addr}"), &e))?;
    Ok(socket)
}

/// Waits for a datagram: who sends it is the peer.
async fn first_datagram(
    session: &Session,
    args: &NcArgs,
    target: &Target,
) -> Result<(UdpSocket, Bytes), Failure> {
    let at = own(session, target).await?;
    let socket = session.engine.bind_udp(at).map_err(|e| cannot_listen(session, at, &e))?;
    let at = socket.local_addr().map_err(|e| session.failed("cannot listen", &e))?;
    ready(session, args, "udp", at);
    let mut buffer = vec![0; DATAGRAM];
    let received = poll_fn(|cx| socket.poll_recv_from(cx, &mut buffer)).await;
    let (len, peer) = received.map_err(|e| session.failed("cannot receive", &e))?;
    socket.connect(peer).map_err(|e| session.failed(format!("cannot answer {peer}"), &e))?;
    tell(session, args, || format!("datagrams from {peer}"));
    buffer.truncate(len);
    Ok((socket, buffer.into()))
}

/// The other side.
enum Peer {
    Tcp(TcpStream),
    /// With what it sent before.
    Udp(UdpSocket, Option<Bytes>),
}

impl Peer {
    /// The next piece; `None` is the end.
    async fn read(&self, buffer: &mut [u8]) -> io::Result<Option<Bytes>> {
        match self {
            Self::Tcp(stream) => {
                let data = poll_fn(|cx| stream.poll_read_bytes(cx, CHUNK)).await?;
                Ok((!data.is_empty()).then_some(data))
            }
            Self::Udp(socket, _) => {
                let (len, _) = poll_fn(|cx| socket.poll_recv_from(cx, buffer)).await?;
                Ok(Some(Bytes::copy_from_slice(&buffer[..len])))
            }
        }
    }

    /// Sends some of `data` and takes that off: over UDP, all.
    async fn write(&self, data: &mut Bytes) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => poll_fn(|cx| stream.poll_write_bytes(cx, data)).await.map(drop),
            Self::Udp(socket, _) => {
                poll_fn(|cx| socket.poll_send(cx, data)).await?;
                data.clear();
                Ok(())
            }
        }
    }
}

/// Joins both sides until they have ended.
async fn relay(session: &Session, mut peer: Peer, args: &NcArgs) -> Result<(), Failure> {
    let mut input = stdio::input()?;
    let output = StandardOutput::start()?;
    let mut ends = Ends { input: true, peer: true };
    let mut to_peer = Bytes::new();
    let mut to_output = match &mut peer {
        Peer::Udp(_, first) => first.take().unwrap_or_default(),
        Peer::Tcp(_) => Bytes::new(),
    };
    let mut buffer = vec![0; if matches!(peer, Peer::Udp(..)) { DATAGRAM } else { 0 }];
    let mut active = Instant::now();
    let failed = |what: &str, e: &io::Error| Failure::of(what, e);
    let result = loop {
        if !ends.input && to_peer.is_empty() && !ends.peer && to_output.is_empty() {
            break Ok(());
        }
        let at_hand = args.listen && !ends.peer;
        let alarm = match (at_hand, args.timeout) {
            (true, _) => Some(active + AT_HAND),
            // While it listens it waits for ever, and so it does after that, as netcat does.
            (false, limit) => limit.filter(|_| !args.listen).map(|limit| active + limit),
        };
        tokio::select! {
            piece = input.recv(), if ends.input && to_peer.is_empty() => match piece {
                Some(Ok(piece)) => to_peer = piece,
                None => ends.input_ended(&peer, args),
                Some(Err(e)) => break Err(failed("cannot read standard input", &e)),
            },
            sent = peer.write(&mut to_peer), if !to_peer.is_empty() => if let Err(e) = sent {
                break Err(failed("cannot send", &e));
            },
            read = peer.read(&mut buffer), if ends.peer && to_output.is_empty() => match read {
                Ok(Some(piece)) => to_output = piece,
                Ok(None) => ends.peer = false,
                Err(e) => break Err(failed("cannot receive", &e)),
            },
            room = output.pieces().reserve(), if !to_output.is_empty() => match room {
                Ok(room) => room.send(std::mem::take(&mut to_output)),
                // Nobody reads: there is no sense in going on.
                Err(mpsc::error::SendError(())) => break Ok(()),
            },
            () = output.pieces().closed() => break Ok(()),
            () = session.stopped() => break Err(Failure::Interrupted),
            () = sleep_until(alarm.unwrap_or(active)), if alarm.is_some() => break Ok(()),
        }
        active = Instant::now();
    };
    if !to_output.is_empty() {
        // What was received is not kept back; where nobody reads, finishing says so.
        let _ = output.pieces().send(to_output).await;
    }
    let written = output.finish().await;
    result.and(written)
}

/// Which sides may still say something.
struct Ends {
    input: bool,
    peer: bool,
}

impl Ends {
    fn input_ended(&mut self, peer: &Peer, args: &NcArgs) {
        self.input = false;
        if let (true, Peer::Tcp(stream)) = (args.half_close, peer)
            && let Err(e) = stream.shutdown(Shutdown::Write)
        {
            // The peer was quicker: reading tells how.
            tracing::debug!("{}", why(&e));
        }
    }
}
