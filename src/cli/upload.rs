//! PUT: a file is written beside its place and put there in one step, or not at all.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_RANGE, IF_MATCH, IF_NONE_MATCH};
use hyper::{Request, Response, StatusCode};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, openat, renameat_with, statat, unlinkat};
use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_blocking;

use super::http::{Body, plain};
use super::tree::{Tree, leaves};

/// What the names of incomplete uploads begin with.
const PREFIX: &str = ".tunstack-upload-";

/// Tells incomplete uploads of one run apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Whether a file of this name is an upload that is not complete.
pub(crate) fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(PREFIX.as_bytes())
}

/// Stores the body at `path` below the tree: 201 for a new file, 204 where one was replaced.
pub(crate) async fn put(tree: &Arc<Tree>, path: &Path, request: Request<Incoming>) -> Response<Body> {
    match store(tree, path, request).await {
        Ok(Stored::New) => plain(StatusCode::CREATED, "Stored."),
        Ok(Stored::Replaced) => {
            let mut response = plain(StatusCode::NO_CONTENT, "");
            *response.body_mut() = super::http::full("");
            response.headers_mut().clear();
            response
        }
        Err(refused) => plain(refused.status, &refused.why),
    }
}

enum Stored {
    New,
    Replaced,
}

struct Refused {
    status: StatusCode,
    why: String,
}

fn refused(status: StatusCode, why: impl Into<String>) -> Refused {
    Refused { status, why: why.into() }
}

impl From<io::Error> for Refused {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                refused(StatusCode::INSUFFICIENT_STORAGE, "No room for it.")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                refused(StatusCode::FORBIDDEN, "The server may not write there.")
            }
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                refused(StatusCode::CONFLICT, "There is no such directory to put it in.")
            }
            io::ErrorKind::InvalidFilename => refused(StatusCode::BAD_REQUEST, "The name is too long."),
            _ if leaves(&e) => refused(StatusCode::FORBIDDEN, "That leads out of the served directory."),
            _ => {
                tracing::warn!("upload: {e}");
                refused(StatusCode::INTERNAL_SERVER_ERROR, "It could not be written.")
            }
        }
    }
}

impl From<Errno> for Refused {
    fn from(e: Errno) -> Self {
        io::Error::from(e).into()
    }
}

async fn store(tree: &Arc<Tree>, path: &Path, request: Request<Incoming>) -> Result<Stored, Refused> {
    let conflict = || refused(StatusCode::CONFLICT, "A directory is there.");
    let name = path.file_name().filter(|_| !request.uri().path().ends_with('/')).ok_or_else(conflict)?;
    if is_temporary(name.as_bytes()) {
        return Err(refused(StatusCode::FORBIDDEN, "Names of that kind are for uploads under way."));
    }
    let headers = request.headers();
    if headers.contains_key(CONTENT_RANGE) {
        // RFC 9110 section 14.5: storing a part as the whole would spoil the file.
        return Err(refused(StatusCode::BAD_REQUEST, "A part of a file cannot be stored."));
    }
    let only_new = match headers.get(IF_NONE_MATCH) {
        None => false,
        Some(tags) if tags == "*" => true,
        // Files have no entity tags here, so none matches.
        Some(_) => false,
    };
    let only_existing = match headers.get(IF_MATCH) {
        None => false,
        Some(tags) if tags == "*" => true,
        Some(_) => return Err(refused(StatusCode::PRECONDITION_FAILED, "It has no such entity tag.")),
    };

    let (parent, name) = (path.parent().unwrap_or(Path::new("")).to_owned(), name.to_owned());
    let begun = {
        let (tree, name) = (Arc::clone(tree), name.clone());
        spawn_blocking(move || {
            let directory = tree.directory(&parent)?;
            let exists = look(&directory, &name)?;
            match exists {
                true if only_new => Err(exists_already()),
                false if only_existing => {
                    Err(refused(StatusCode::PRECONDITION_FAILED, "There is no such file."))
                }
                _ => Temporary::make(directory),
            }
        })
    };
    let (temporary, file) = begun.await.map_err(io::Error::other)??;

    let mut file = tokio::fs::File::from_std(file);
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| refused(StatusCode::BAD_REQUEST, "The upload ended before its end."))?;
        if let Ok(data) = frame.into_data() {
            file.write_all(&data).await?;
        }
    }
    file.flush().await?;
    drop(file);

    let placed = spawn_blocking(move || {
        let existed = look(&temporary.directory, &name)?;
        temporary.place(&name, only_new)?;
        Ok(if existed { Stored::Replaced } else { Stored::New })
    });
    placed.await.map_err(io::Error::other)?
}

fn exists_already() -> Refused {
    refused(StatusCode::PRECONDITION_FAILED, "There is a file of that name already.")
}

/// Whether a file is there that may be replaced; refuses anything but a plain file.
fn look(directory: &OwnedFd, name: &std::ffi::OsStr) -> Result<bool, Refused> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e.into()),
        Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(true),
            FileType::Directory => Err(refused(StatusCode::CONFLICT, "A directory is there.")),
            _ => Err(refused(StatusCode::CONFLICT, "Something is there that is no plain file.")),
        },
    }
}

/// A file under a name that nobody asks for; it goes unless it is put in its place.
struct Temporary {
    directory: OwnedFd,
    name: String,
    placed: bool,
}

impl Temporary {
    fn make(directory: OwnedFd) -> Result<(Self, File), Refused> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PREFIX}{}-{number}", std::process::id());
            match openat(directory.as_fd(), &*name, flags, Mode::from_raw_mode(0o666)) {
                // Left by an earlier run that was killed.
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
                Ok(fd) => return Ok((Self { directory, name, placed: false }, File::from(fd))),
            }
        }
    }

    fn place(mut self, name: &std::ffi::OsStr, only_new: bool) -> Result<(), Refused> {
        let flags = if only_new { RenameFlags::NOREPLACE } else { RenameFlags::empty() };
        let (from, to) = (self.directory.as_fd(), self.directory.as_fd());
        match renameat_with(from, &*self.name, to, name, flags) {
            Ok(()) => {
                self.placed = true;
                Ok(())
            }
            Err(Errno::EXIST) if only_new => Err(exists_already()),
            Err(e) => Err(e.into()),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed
            && let Err(e) = unlinkat(self.directory.as_fd(), &*self.name, AtFlags::empty())
        {
            tracing::warn!("cannot remove {}: {e}", self.name);
        }
    }
}
