//! `tunstack serve`: a directory by HTTP.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args as ClapArgs;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue, LOCATION};
use hyper::{Method, Request, Response, StatusCode};
use mime_guess::{Mime, mime};
use percent_encoding::percent_decode_str;
use rustix::io::Errno;
use tokio::task::spawn_blocking;
use tower_http::services::ServeFile;
use tunstack::net::TcpStream;

use super::common::Common;
use super::http::{self, Body, Site, answer, full, plain};
use super::output::{Failure, Output};
use super::run::{Service, Session, run};
use super::tree::{Entry, Tree, leaves, path_of};
use super::{listing, ranges, upload};

const EXAMPLES: &str = "\
Examples:
  tunstack serve ~/Public
  tunstack serve . --port 8080 --upload

  curl http://10.7.0.2:8080/report.pdf -o report.pdf
  curl -T photo.jpg http://10.7.0.2:8080/
  curl -T notes.txt -H 'If-None-Match: *' http://10.7.0.2:8080/

Requests: GET and HEAD, with ranges, If-Modified-Since and keep-alive; PUT with --upload. A
directory shows its index.html or a list. Nothing outside of DIR can be reached, by `..` or by
symbolic links; only plain files are served.

Uploads: the body is written to a hidden file beside its place and renamed when it is complete,
so nobody sees half a file, and a broken upload leaves nothing. PUT replaces a plain file of
that name, as HTTP defines it (204; a new one: 201); with `If-None-Match: *` it never does
(412). Directories, links and special files are not replaced (409), and no directories are made.";

/// Arguments of `serve`.
#[derive(ClapArgs, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The directory to serve
    dir: PathBuf,
    /// The port to listen on
    #[arg(long, default_value_t = 80)]
    port: u16,
    /// Take files by PUT, too; one of the same name is replaced
    #[arg(long)]
    upload: bool,
}

/// Runs `serve`.
pub(crate) fn main(common: &Common, args: ServeArgs) -> Result<(), Failure> {
    let files = Files::open(args.dir.clone(), args.upload)?;
    run(common, "serve", Output::stdout(common.json), async move |session: Arc<Session>| {
        let listener = session.listen(args.port, "--port")?;
        let port = listener.local_addr().map_err(|e| Failure::of("cannot listen", &e))?.port();
        session.ready(&[Service { name: "http", protocol: "tcp", port }], || {
            format!("serving {} at {}", args.dir.display(), session.urls(port).join(" and "))
        });
        http::serve(session, listener, files).await
    })
}

/// A directory as a site, or as a part of one.
#[derive(Debug)]
pub(crate) struct Files {
    tree: Arc<Tree>,
    upload: bool,
}

impl Files {
    /// Serves this directory.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn open(dir: PathBuf, upload: bool) -> Result<Self, Failure> {
        Ok(Self { tree: Arc::new(Tree::open(&dir)?), upload })
    }

    /// Answers a request for `url`, which is the request's path without what leads to this part of a site.
    pub(crate) async fn answer(&self, request: Request<Incoming>, url: &str) -> Response<Body> {
        let Some(path) = path_of(url) else {
            return plain(StatusCode::BAD_REQUEST, "That is no path in the served directory.");
        };
        match *request.method() {
            Method::GET | Method::HEAD => self.get(path, request, url).await,
            Method::PUT if self.upload => upload::put(&self.tree, &path, request).await,
            Method::OPTIONS => self.allow(StatusCode::NO_CONTENT, ""),
            _ => self.allow(StatusCode::METHOD_NOT_ALLOWED, "That cannot be done here.\n"),
        }
    }

    fn allow(&self, status: StatusCode, text: &'static str) -> Response<Body> {
        let methods = if self.upload { "GET, HEAD, OPTIONS, PUT" } else { "GET, HEAD, OPTIONS" };
        let mut response = Response::new(full(text));
        *response.status_mut() = status;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
        response
    }

    async fn get(&self, path: PathBuf, mut request: Request<Incoming>, url: &str) -> Response<Body> {
        let found = {
            let (tree, path) = (Arc::clone(&self.tree), path.clone());
            let index = url.ends_with('/');
            spawn_blocking(move || find(&tree, &path, index)).await
        };
        let (entry, path) = match found.unwrap_or_else(|e| Err(io::Error::other(e))) {
            Ok(found) => found,
            Err(e) => return not_found(&e),
        };
        let slash = url.ends_with('/');
        if entry.metadata.is_dir() {
            if !slash {
                return redirect(request.uri().path());
            }
            let shown = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
            let page = spawn_blocking(move || listing::page(&entry.path(), &shown)).await;
            return match page.unwrap_or_else(|e| Err(io::Error::other(e))) {
                Ok(page) => answer(StatusCode::OK, "text/html; charset=utf-8", page),
                Err(e) => not_found(&e),
            };
        }
        if !entry.metadata.is_file() {
            return plain(StatusCode::FORBIDDEN, "That is no plain file.");
        }
        ranges::prepare(&mut request, entry.metadata.len());
        // Held until the file is open: its path is the descriptor's.
        let mut file =
            ServeFile::new_with_mime(entry.path(), &mime_of(&path)).ignore_multi_range_requests(true);
        let served = file.try_call(request).await;
        drop(entry);
        match served {
            Ok(response) => response.map(|body| body.boxed_unsync()),
            Err(e) => not_found(&e),
        }
    }
}

impl Site for Files {
    async fn answer(&self, request: Request<Incoming>, _: &TcpStream) -> Response<Body> {
        let url = request.uri().path().to_owned();
        self.answer(request, &url).await
    }
}

/// What is at `path`; for a directory asked for as such, its index.html if it has one. A file asked for as a
/// directory is not found.
fn find(tree: &Tree, path: &std::path::Path, as_directory: bool) -> io::Result<(Entry, PathBuf)> {
    let entry = tree.entry(path)?;
    if !as_directory {
        return Ok((entry, path.to_owned()));
    }
    if !entry.metadata.is_dir() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let index = path.join("index.html");
    match tree.entry(&index) {
        Ok(file) if file.metadata.is_file() => Ok((file, index)),
        _ => Ok((entry, path.to_owned())),
    }
}

fn not_found(e: &io::Error) -> Response<Body> {
    match e.kind() {
        io::ErrorKind::PermissionDenied => plain(StatusCode::FORBIDDEN, "The server may not read that."),
        // A link that leads to itself leads nowhere.
        _ if e.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            plain(StatusCode::NOT_FOUND, "There is nothing of that name.")
        }
        _ if leaves(e) => plain(StatusCode::FORBIDDEN, "That leads out of the served directory."),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
            plain(StatusCode::NOT_FOUND, "There is nothing of that name.")
        }
        _ => {
            tracing::warn!("cannot serve a file: {e}");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "It could not be read.")
        }
    }
}

/// To the same path with a slash at its end. One that began with two slashes would name another host.
fn redirect(path: &str) -> Response<Body> {
    let to = format!("/{}/", path.trim_start_matches('/'));
    let mut response = plain(StatusCode::MOVED_PERMANENTLY, "That is a directory.");
    if let Ok(to) = HeaderValue::from_str(&to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// The type by the name. Text is taken to be UTF-8.
fn mime_of(path: &std::path::Path) -> Mime {
    let guessed = mime_guess::from_path(path).first_or_octet_stream();
    if guessed.type_() == mime::TEXT && guessed.get_param(mime::CHARSET).is_none() {
        return format!("{guessed}; charset=utf-8").parse().unwrap_or(guessed);
    }
    guessed
}
