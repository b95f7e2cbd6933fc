//! Finds a name's addresses by DNS and fetches a page from there by HTTP: all of it over a stack of its own.
//!
//! Run it as root: resolve_and_fetch --server 10.7.0.1 http://www.test/

mod common;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tunstack::aio::{TcpStream, UdpSocket};
use tunstack::engine::Engine;

/// How long each of the tries over UDP waits for its answer (RFC 1035 section 4.2.1: datagrams get lost).
const TRIES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// How long a server may take to accept a connection, or to answer over one.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a datagram may carry everywhere without being cut (RFC 6891 section 6.2.5), octets.
const DATAGRAM: u16 = 1232;

/// Fetches a page over a TCP/IP stack of its own, resolver included. The page goes to standard output, what is done
/// for it to standard error.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    host: common::HostArgs,
    /// The DNS server to ask
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = server)]
    server: SocketAddr,
    /// What to fetch: http://NAME[:PORT]/PATH
    #[arg(value_parser = url)]
    url: Uri,
}

fn server(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53)));
    with_port.map_err(|_| format!("{text:?} is no IP address"))
}

fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match (url.scheme_str(), url.host()) {
        (Some("http"), Some(_)) => Ok(url),
        _ => Err("write it as http://www.test/".to_owned()),
    }
}

fn main() -> Result<ExitCode, common::Failure> {
    let args = Args::parse();
    let host = args.host.up()?;
    let code = Runtime::new()?.block_on(async {
        tokio::select! {
            done = fetch(&host, &args) => done,
            come = host.ctrl_c.come() => come.map(|()| ExitCode::from(130)).map_err(Into::into),
        }
    })?;
    host.shut_down()?;
    Ok(code)
}

async fn fetch(host: &common::Host, args: &Args) -> Result<ExitCode, common::Failure> {
    let name = args.url.host().unwrap_or_default();
    let addresses = match name.trim_matches(['[', ']']).parse() {
        Ok(address) => vec![address],
        Err(_) => resolve(host, args.server, name).await?,
    };
    let stream = connect(&host.engine, &addresses, args.url.port_u16().unwrap_or(80)).await?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = args.url.path_and_query().map_or("/", |path| path.as_str());
    let authority = args.url.authority().map_or(name, |authority| authority.as_str());
    let request = Request::get(path).header(HOST, authority).header(USER_AGENT, "tunstack");
    let mut response = requests.send_request(request.body(Empty::<Bytes>::new())?).await?;
    common::complain!("{:?} {}", response.version(), response.status());
    while let Some(frame) = response.frame().await {
        if let Some(data) = frame?.data_ref() {
            io::stdout().write_all(data)?;
        }
    }
    Ok(if response.status().is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The first of the addresses at which somebody answers.
async fn connect(engine: &Engine, addresses: &[IpAddr], port: u16) -> Result<TcpStream, common::Failure> {
    let mut failure = "the name has no address of a family that the stack speaks".to_owned();
    for address in addresses.iter().map(|&ip| SocketAddr::new(ip, port)) {
        match timeout(PATIENCE, TcpStream::connect_on(engine, address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = format!("{address}: {error}"),
            Err(late) => failure = format!("{address}: {late}"),
        }
        common::complain!("{failure}");
    }
    Err(common::Failure::of("cannot connect", failure))
}

/// The addresses of a name, of those families that the stack speaks.
async fn resolve(
    host: &common::Host,
    server: SocketAddr,
    name: &str,
) -> Result<Vec<IpAddr>, common::Failure> {
    let mut fqdn = Name::from_ascii(name)?;
    fqdn.set_fqdn(true);
    let mut addresses = Vec::new();
    let mut failure = None;
    for own in host.addresses() {
        let kind = if own.is_ipv6() { RecordType::AAAA } else { RecordType::A };
        match ask(&host.engine, server, &fqdn, kind).await {
            Ok(found) => addresses.extend(found),
            Err(error) => failure = Some(error),
        }
    }
    // IPv6 first.
    addresses.sort_by_key(IpAddr::is_ipv4);
    match failure {
        Some(failure) if addresses.is_empty() => Err(failure),
        _ => Ok(addresses),
    }
}

/// Asks one question. Where an alias stands before the addresses, the server's answer has both.
async fn ask(
    engine: &Engine,
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
) -> Result<Vec<IpAddr>, common::Failure> {
    let mut query = Message::new();
    let mut edns = Edns::new();
    edns.set_max_payload(DATAGRAM);
    // Neither the number nor the port can be guessed by somebody who would like to answer first (RFC 5452).
    let id = SysRng.try_next_u32()? as u16;
    query.set_id(id).set_recursion_desired(true).set_edns(edns).add_query(Query::query(name.clone(), kind));
    let mut over = "UDP";
    let mut response = over_udp(engine, server, &query).await?;
    if response.truncated() {
        over = "TCP";
        response = timeout(PATIENCE, over_tcp(engine, server, &query)).await??;
    }
    let addresses: Vec<_> = response.answers().iter().filter_map(|record| record.data().ip_addr()).collect();
    let code = response.response_code();
    common::complain!("{server} over {over}: {name} {kind}: {code}, {} addresses", addresses.len());
    if code == ResponseCode::NoError { Ok(addresses) } else { Err(common::Failure::of(name, code)) }
}

/// Asks in datagrams, again and again.
async fn over_udp(engine: &Engine, server: SocketAddr, query: &Message) -> Result<Message, common::Failure> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind_on(engine, (any, 0)).await?;
    socket.connect(server).await?; // what others send is not even received
    let octets = query.to_vec()?;
    let mut datagram = vec![0; 65_535];
    for patience in TRIES {
        socket.send(&octets).await?;
        let answered = timeout(patience, async {
            loop {
                let len = socket.recv(&mut datagram).await?;
                if let Some(response) = response_to(query, &datagram[..len]) {
                    return Ok::<_, io::Error>(response);
                }
            }
        });
        match answered.await {
            Ok(response) => return Ok(response?),
            Err(_) => common::complain!("{server} over UDP: no answer in {} s", patience.as_secs()),
        }
    }
    Err(common::Failure::of(server, "no answer"))
}

/// Asks over a connection, where each message comes after its length.
async fn over_tcp(engine: &Engine, server: SocketAddr, query: &Message) -> Result<Message, common::Failure> {
    let mut stream = TcpStream::connect_on(engine, server).await?;
    let octets = query.to_vec()?;
    let len = u16::try_from(octets.len())?;
    stream.write_all(&[&len.to_be_bytes()[..], &octets].concat()).await?;
    let mut response = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut response).await?;
    response_to(query, &response).ok_or_else(|| common::Failure::of(server, "that is no answer"))
}

/// Reads a message, if it is a response to this query.
fn response_to(query: &Message, octets: &[u8]) -> Option<Message> {
    let message = Message::from_vec(octets).ok()?;
    let fits = message.message_type() == MessageType::Response
        && message.id() == query.id()
        && message.queries() == query.queries();
    fits.then_some(message)
}
