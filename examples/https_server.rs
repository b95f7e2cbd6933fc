//! An HTTPS server: axum over rustls over a TCP of the program's own, by HTTP/1.1 or HTTP/2 as the client likes.
//!
//! Run it as root with `--cert-out cert.pem`, then type: curl --cacert cert.pem https://10.7.0.2/

mod common;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Version;
use axum::response::Html;
use axum::routing::{get, post};
use clap::Parser;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;
use tunstack::aio::{TcpListener, TcpStream};

/// How long a client may take to agree on keys, and requests to end when the server does.
const PATIENCE: Duration = Duration::from_secs(10);

/// An HTTPS server with an IP address of its own, and with a certificate for it that it makes at each start.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    host: common::HostArgs,
    /// The port
    #[arg(long, default_value_t = 443)]
    port: u16,
    /// Where to write the certificate, as PEM: clients that are told to trust it know whom they talk to
    #[arg(long, value_name = "FILE")]
    cert_out: PathBuf,
}

fn main() -> common::Done {
    let args = Args::parse();
    let tls = certified(&args)?;
    let host = args.host.up()?;
    Runtime::new()?.block_on(serve(&host, args.port, tls))?;
    host.shut_down()
}

/// A new key, a certificate of it for the stack's addresses, and the settings of TLS that use them.
fn certified(args: &Args) -> Result<ServerConfig, common::Failure> {
    let names: Vec<_> = args.host.addresses().iter().map(|own| own.address.to_string()).collect();
    let made = rcgen::generate_simple_self_signed(names)?;
    fs::write(&args.cert_out, made.cert.pem())
        .map_err(|error| common::Failure::of(format!("cannot write {}", args.cert_out.display()), error))?;
    let key = PrivateKeyDer::from(made.signing_key);
    let mut tls =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.into()], key)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

/// Serves until Ctrl-C, and then until what was begun is done.
async fn serve(host: &common::Host, port: u16, tls: ServerConfig) -> common::Done {
    let app = Router::new()
        .route("/", get(page))
        // What is sent comes back while more is still being sent.
        .route("/echo", post(async |body: Body| body));
    let tcp = TcpListener::bind_on(&host.engine, host.any(port)).await?;
    let failed = Arc::new(Notify::new());
    let listener = TlsListener {
        tcp,
        acceptor: TlsAcceptor::from(Arc::new(tls)),
        shaking_hands: JoinSet::new(),
        failed: Arc::clone(&failed),
    };
    host.serving("HTTPS", port);
    let stopped = Arc::new(Notify::new());
    let server = axum::serve(listener, app).with_graceful_shutdown({
        let stopped = Arc::clone(&stopped);
        async move { stopped.notified().await }
    });
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        come = host.ctrl_c.come() => come?,
        () = failed.notified() => host.engine.check()?,
    }
    stopped.notify_one();
    match timeout(PATIENCE, &mut server).await {
        Ok(ended) => ended??,
        Err(_) => server.abort(), // what goes on for ever is cut off
    }
    Ok(())
}

async fn page(version: Version) -> Html<String> {
    Html(include_str!("https_server.html").replace("{{version}}", &format!("{version:?}")))
}

/// A listener whose connections are encrypted. Handshakes go on side by side: nobody waits for a slow client.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    shaking_hands: JoinSet<io::Result<(TlsStream<TcpStream>, SocketAddr)>>,
    failed: Arc<Notify>,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                accepted = self.tcp.accept() => match accepted {
                    Ok((tcp, peer)) => {
                        let handshake = self.acceptor.accept(tcp);
                        self.shaking_hands.spawn(async move { Ok((timeout(PATIENCE, handshake).await??, peer)) });
                    }
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {} // reset before its turn
                    Err(_) => {
                        self.failed.notify_one();
                        std::future::pending().await
                    }
                },
                Some(done) = self.shaking_hands.join_next() => match done {
                    Ok(Ok(agreed)) => return agreed,
                    Ok(Err(error)) => common::complain!("TLS: {error}"), // a client that does not trust us, or a scanner
                    Err(panic) => common::complain!("TLS: {panic}"),
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
