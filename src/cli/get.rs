//! `tunstack get`: one URL, by HTTP.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args as ClapArgs;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, Uri};
use serde_json::json;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tunstack::net::TcpStream;

use super::common::{Common, seconds};
use super::http::Io;
use super::output::{Failure, Output, complain, why};
use super::run::{Session, run};
use super::stdio::StandardOutput;

const EXAMPLES: &str = "\
Examples:
  python3 -m http.server --bind 10.7.0.1 8000
  tunstack get http://10.7.0.1:8000/
  tunstack get -i 10.7.0.1:8000/README.md -o README.md

The host's resolver looks names up. Redirections are not followed, but told. A status of 400 or
more gives exit code 1; what came with it is printed all the same.";

/// Arguments of `get`.
#[derive(ClapArgs, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct GetArgs {
    /// The URL; http:// may be left out
    url: String,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Begin with the status line and the header
    #[arg(short = 'i', long)]
    include: bool,
    /// Give up after so many seconds without a connection
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    connect_timeout: Duration,
}

/// Where a URL leads.
#[derive(Debug)]
struct Target {
    host: String,
    port: u16,
    authority: String,
    path: String,
}

fn target(url: &str) -> Result<Target, Failure> {
    let bad = |what: &str| Failure::Usage(format!("{url:?} is no URL to get: {what}"));
    let whole = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: Uri = whole.parse().map_err(|e| bad(&format!("{e}")))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(bad("TLS is not spoken here: try http://")),
        _ => return Err(bad("only http:// is spoken here")),
    }
    let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(bad("names and passwords are not sent"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() {
        return Err(bad("it has no host"));
    }
    let port = match (authority.port_u16(), authority.as_str().rsplit_once(':')) {
        (Some(port), _) => port,
        (None, Some((_, port))) if !port.ends_with(']') && !port.is_empty() => {
            return Err(bad("a port is a number from 1 to 65535"));
        }
        _ => 80,
    };
    let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    Ok(Target { host, port, authority: authority.as_str().to_owned(), path })
}

/// Runs `get`.
pub(crate) fn main(common: &Common, args: GetArgs) -> Result<(), Failure> {
    let target = target(&args.url)?;
    run(common, "get", Output::stderr(common.json), async move |session: Arc<Session>| {
        session.unless_stopped(get(&session, &args, &target)).await
    })
}

async fn get(session: &Session, args: &GetArgs, target: &Target) -> Result<(), Failure> {
    let (stream, addr) = connect(session, args, target).await?;
    let failed = |what: &str, e: hyper::Error| Failure::Failed(format!("{what} {addr}: {}", http_error(&e)));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(Io(stream)).await.map_err(|e| failed("cannot speak to", e))?;
    // Its error comes out of the body, too.
    let connection = tokio::spawn(connection);
    let request = Request::get(&target.path)
        .header(HOST, &target.authority)
        .header(USER_AGENT, concat!("tunstack/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| Failure::Usage(format!("{:?} is no URL to get: {e}", args.url)))?;
    let response = sender.send_request(request).await.map_err(|e| failed("no answer from", e))?;
    let status = response.status();
    let location =
        response.headers().get(LOCATION).map(|l| String::from_utf8_lossy(l.as_bytes()).into_owned());
    let head = args.include.then(|| head(&response));
    let octets = match &args.output {
        Some(path) => to_file(path, head, response).await?,
        None => to_output(head, response).await?,
    };
    drop(sender);
    // It has nothing left to do but to close.
    let _ = connection.await;
    session.out.object(|| {
        json!({ "event": "response", "from": addr.to_string(), "status": status.as_u16(), "octets": octets })
    });
    if status.is_redirection()
        && let Some(location) = location
    {
        complain(&format!("{status}: it is at {location} (not followed)"));
    }
    if status.is_client_error() || status.is_server_error() {
        return Err(Failure::Failed(format!("{}: the server says {status}", args.url)));
    }
    Ok(())
}

async fn connect(
    session: &Session,
    args: &GetArgs,
    target: &Target,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut failure = Failure::Told;
    for addr in session.resolve(&target.host, target.port).await? {
        let connected = async {
            let stream = TcpStream::start_connect(&session.engine, &addr)?;
            let connected = timeout(args.connect_timeout, poll_fn(|cx| stream.poll_connect(cx)));
            connected.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok::<_, io::Error>(stream)
        };
        match connected.await {
            Ok(stream) => return Ok((stream, addr)),
            Err(e) => failure = session.failed(format!("cannot connect to {addr}"), &e),
        }
    }
    Err(failure)
}

/// The status line and the header, as they came but for the case of the names.
fn head(response: &Response<Incoming>) -> Bytes {
    let mut head = format!("{:?} {}\r\n", response.version(), response.status()).into_bytes();
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head.into()
}

async fn to_file(path: &Path, head: Option<Bytes>, response: Response<Incoming>) -> Result<u64, Failure> {
    let failed = |e: io::Error| Failure::of(format!("cannot write {}", path.display()), &e);
    let mut file = File::create(path).await.map_err(failed)?;
    if let Some(head) = head {
        file.write_all(&head).await.map_err(failed)?;
    }
    let mut body = response.into_body();
    let mut octets = 0;
    while let Some(piece) = next(&mut body, octets).await? {
        octets += piece.len() as u64;
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok(octets)
}

async fn to_output(head: Option<Bytes>, response: Response<Incoming>) -> Result<u64, Failure> {
    let output = StandardOutput::start()?;
    let mut body = response.into_body();
    let mut octets = 0;
    // Where the pieces are refused, finishing says why.
    let mut reading = match head {
        Some(head) => output.pieces().send(head).await.is_ok(),
        None => true,
    };
    let mut result = Ok(());
    while reading {
        match next(&mut body, octets).await {
            Ok(None) => break,
            Ok(Some(piece)) => {
                octets += piece.len() as u64;
                reading = output.pieces().send(piece).await.is_ok();
            }
            Err(failure) => {
                result = Err(failure);
                break;
            }
        }
    }
    let written = output.finish().await;
    result.and(written).map(|()| octets)
}

async fn next(body: &mut Incoming, so_far: u64) -> Result<Option<Bytes>, Failure> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(_trailers) => {}
            },
            Some(Err(e)) => {
                let why = http_error(&e);
                return Err(Failure::Failed(format!("cut short after {so_far} octets: {why}")));
            }
        }
    }
}

/// Hyper's error with its cause, which its text leaves out.
fn http_error(e: &hyper::Error) -> String {
    match std::error::Error::source(e).and_then(|s| s.downcast_ref::<io::Error>()) {
        Some(io) => why(io),
        None => e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, host, port, path) in [
            ("http://10.7.0.1", "10.7.0.1", 80, "/"),
            ("10.7.0.1:8000/a?b=c#d", "10.7.0.1", 8000, "/a?b=c"),
            ("http://[fd07::1]:81/x", "fd07::1", 81, "/x"),
            ("http://[fd07::1]/", "fd07::1", 80, "/"),
            ("example.org", "example.org", 80, "/"),
        ] {
            let t = target(url).unwrap();
            assert_eq!((t.host.as_str(), t.port, t.path.as_str()), (host, port, path), "{url}");
        }
        for bad in
            ["https://example.org/", "ftp://x/", "http://", "http://a:x/", "http://a:70000/", "u:p@h", "a b"]
        {
            assert!(matches!(target(bad), Err(Failure::Usage(_))), "{bad}");
        }
    }
}
