//! `tunstack demo`: a page that shows the connection that carries it, and a directory.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tunstack::core::tcp::info::TcpInfo;
use tunstack::net::TcpStream;

use super::common::Common;
use super::http::{self, Body, Site, answer, full, plain};
use super::listing::escape;
use super::output::{Failure, Output, why};
use super::run::{Service, Session, run};
use super::serve::Files;

/// Arguments of `demo`.
#[derive(ClapArgs, Debug)]
pub(crate) struct DemoArgs {
    /// The directory to serve at /files/ [default: a temporary one with files of several sizes]
    pub(crate) dir: Option<PathBuf>,
    /// The port of the page
    #[arg(long, default_value_t = 80)]
    pub(crate) port: u16,
}

/// What leads to the directory.
const FILES: &str = "/files";

/// Runs `demo`.
pub(crate) fn main(common: &Common, args: DemoArgs) -> Result<(), Failure> {
    // A directory that cannot be read is told before anything is made.
    let given = args.dir.map(|dir| Files::open(dir, false)).transpose()?;
    let recorded = common.pcap.clone();
    run(common, "demo", Output::stdout(common.json), async move |session: Arc<Session>| {
        let files = match given {
            Some(files) => files,
            None => Files::open(samples(&session)?, false)?,
        };
        let listener = session.listen(args.port, "--port")?;
        let port = listener.local_addr().map_err(|e| Failure::of("cannot listen", &e))?.port();
        session.ready(&[Service { name: "http", protocol: "tcp", port }], || {
            invitation(&session, port, recorded.as_ref())
        });
        let page = Page { files, session: Arc::clone(&session) };
        http::serve(session, listener, page).await
    })
}

/// A directory for this run, with files of several sizes. They are all zeros and take no room.
fn samples(session: &Session) -> Result<PathBuf, Failure> {
    let dir = std::env::temp_dir().join(format!("tunstack-demo-{}", std::process::id()));
    let make = || -> io::Result<()> {
        fs::create_dir(&dir)?;
        session.remove_at_end(dir.clone());
        fs::write(dir.join("hello.txt"), "These octets came through a TCP of this program's own.\n")?;
        for (name, size) in [("1M", 1 << 20), ("100M", 100 << 20), ("1G", 1 << 30)] {
            File::create(dir.join(name))?.set_len(size)?;
        }
        Ok(())
    };
    match make() {
        Ok(()) => Ok(dir),
        Err(e) => Err(Failure::Failed(format!(
            "cannot make files in {}: {}: name a directory to serve: tunstack demo DIR",
            dir.display(),
            why(&e)
        ))),
    }
}

/// What to type now.
fn invitation(session: &Session, port: u16, recorded: Option<&PathBuf>) -> String {
    let names = |of: &[tunstack::core::addr::Prefix]| {
        of.iter().map(|p| p.address.to_string()).collect::<Vec<_>>().join(" and ")
    };
    let mut text = format!(
        "{} is up. This program's own TCP/IP stack has {}; the host has {}.\n\nTry, in another terminal:\n",
        session.device,
        names(&session.own),
        names(&session.hosts)
    );
    // Writing to a string cannot fail.
    let _ = (|| -> std::fmt::Result {
        for url in session.urls(port) {
            writeln!(text, "  curl {}{url}", if url.contains('[') { "-g " } else { "" })?;
        }
        if let Some(first) = session.urls(port).first() {
            writeln!(text, "  curl -o /dev/null {first}files/1G")?;
            for own in &session.own {
                writeln!(text, "  ping -c 3 {}", own.address)?;
            }
            writeln!(text, "  xdg-open {first}          # the page shows its own connection, live")?;
        }
        match recorded {
            Some(file) => writeln!(text, "  wireshark {}", file.display())?,
            None => writeln!(
                text,
                "  wireshark -k -i {}   # or: tunstack demo --pcap run.pcapng",
                session.device
            )?,
        }
        write!(text, "\nCtrl-C ends it and removes {}.", session.device)
    })();
    text
}

#[derive(Debug)]
struct Page {
    files: Files,
    session: Arc<Session>,
}

impl Site for Page {
    async fn answer(&self, request: Request<Incoming>, stream: &TcpStream) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if let Some(below) = path.strip_prefix(FILES)
            && (below.is_empty() || below.starts_with('/'))
        {
            return self.files.answer(request, below).await;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let mut response = match path.as_str() {
            "/" | "/index.html" => match stream.info() {
                Ok(info) => answer(StatusCode::OK, "text/html; charset=utf-8", self.page(&info)),
                Err(e) => plain(StatusCode::INTERNAL_SERVER_ERROR, &why(&e)),
            },
            "/connection.json" => match stream.info() {
                Ok(info) => answer(StatusCode::OK, "application/json", self.figures_json(&info).to_string()),
                Err(e) => plain(StatusCode::INTERNAL_SERVER_ERROR, &why(&e)),
            },
            "/favicon.ico" => {
                let mut none = Response::new(full(""));
                *none.status_mut() = StatusCode::NO_CONTENT;
                none
            }
            _ => plain(StatusCode::NOT_FOUND, "There is nothing of that name."),
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl Page {
    /// What the page shows of its connection: names and values.
    fn figures(&self, info: &TcpInfo) -> Vec<(&'static str, String)> {
        let v = &info.variables;
        let ms = |t: std::time::Duration| format!("{:.3} ms", t.as_secs_f64() * 1e3);
        let octets = |n: u32| if n == u32::MAX { "no limit yet".to_owned() } else { format!("{n} octets") };
        let counters = self.session.engine.counters();
        vec![
            ("Connection", format!("{} → {}", info.quad.remote, info.quad.local)),
            ("State", format!("{:?}", info.state).to_uppercase()),
            ("Congestion window", format!("{} ({})", octets(v.cwnd), info.congestion)),
            ("Slow start threshold", octets(v.ssthresh)),
            ("Smoothed round trip time", v.srtt.map_or_else(|| "no sample yet".to_owned(), ms)),
            ("Retransmission timeout", ms(v.rto)),
            ("In flight", octets(v.in_flight)),
            ("Peer's window", octets(v.snd_wnd)),
            ("Our window", octets(v.rcv_wnd)),
            ("Sequence numbers", format!("ISS {}, IRS {}", v.iss.get(), v.irs.get())),
            ("Segment size", format!("{} octets sent, {} received", info.snd_mss, info.rcv_mss)),
            (
                "Options",
                format!(
                    "timestamps {}, SACK {}, window scale {}",
                    on(info.timestamps),
                    on(info.sack),
                    info.window_scales.map_or_else(|| "off".to_owned(), |(a, b)| format!("{a}/{b}"))
                ),
            ),
            ("Buffers", format!("{} octets of memory", info.memory)),
            (
                "The whole stack",
                format!(
                    "{} connections open, {} segments in, {} out, {} again",
                    counters.tcp_curr_estab,
                    counters.tcp_in_segs,
                    counters.tcp_out_segs,
                    counters.tcp_retrans_segs
                ),
            ),
        ]
    }

    fn figures_json(&self, info: &TcpInfo) -> Value {
        let v = &info.variables;
        let figures: Vec<_> =
            self.figures(info).into_iter().map(|(name, value)| json!([name, value])).collect();
        json!({
            "figures": figures,
            "local": info.quad.local.to_string(),
            "remote": info.quad.remote.to_string(),
            "state": format!("{:?}", info.state),
            "cwnd": v.cwnd,
            "ssthresh": (v.ssthresh < u32::MAX).then_some(v.ssthresh),
            "srtt_us": v.srtt.map(|t| t.as_micros() as u64),
            "rto_us": v.rto.as_micros() as u64,
            "in_flight": v.in_flight,
            "snd_wnd": v.snd_wnd,
            "rcv_wnd": v.rcv_wnd,
            "snd_mss": info.snd_mss,
        })
    }

    fn page(&self, info: &TcpInfo) -> String {
        let mut rows = String::new();
        for (name, value) in self.figures(info) {
            let _ = writeln!(rows, "<tr><th>{}<td>{}", escape(name), escape(&value));
        }
        include_str!("demo.html")
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
            .replace("{{device}}", &escape(&self.session.device))
            .replace("{{rows}}", &rows)
    }
}

const fn on(is: bool) -> &'static str {
    if is { "on" } else { "off" }
}
