//! The directory that is served, and the one way to what is in it: nothing leads out of it, be it `..`, an
//! absolute link or a link that changes while one looks.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;

use super::output::{Failure, why};

/// A directory, held open.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
}

/// Something in the directory, held open but not for reading: that takes another right.
#[derive(Debug)]
pub(crate) struct Entry {
    fd: OwnedFd,
    /// What it is.
    pub(crate) metadata: fs::Metadata,
}

impl Tree {
    /// Holds a directory that can be read.
    ///
    /// # Errors
    /// It cannot, or this kernel cannot look into it safely.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |e: &io::Error| {
            let hint = match e.kind() {
                io::ErrorKind::NotFound => "name one that there is",
                io::ErrorKind::NotADirectory => "name the directory that it is in",
                _ => "name another, or change its rights",
            };
            Failure::Failed(format!("cannot read the directory {}: {}: {hint}", path.display(), why(e)))
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(path, flags, Mode::empty()).map_err(|e| failed(&e.into()))?;
        fs::read_dir(path).map_err(|e| failed(&e))?;
        let tree = Self { root };
        match tree.entry(Path::new("")) {
            Err(e) if e.raw_os_error() == Some(Errno::NOSYS.raw_os_error()) => {
                Err(Failure::Failed("this kernel has no openat2: Linux 5.6 or newer is needed".to_owned()))
            }
            Err(e) => Err(failed(&e)),
            Ok(entry) => match fs::metadata(entry.path()) {
                Ok(_) => Ok(tree),
                Err(e) => Err(Failure::of("cannot use /proc, which must be mounted", &e)),
            },
        }
    }

    /// What `path` leads to.
    ///
    /// # Errors
    /// There is nothing, it may not be looked at, or it leads out of the directory: [`leaves`] tells.
    pub(crate) fn entry(&self, path: &Path) -> io::Result<Entry> {
        let fd = self.beneath(path, OFlags::PATH)?;
        // Through a duplicate, since the standard library asks for a file of its own.
        let metadata = fs::File::from(fd.try_clone()?).metadata()?;
        Ok(Entry { fd, metadata })
    }

    /// A directory below, to make files in.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub(crate) fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        self.beneath(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn beneath(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(self.root.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
    }
}

impl Entry {
    /// A path that leads to this very entry as long as it is held, whatever becomes of its name.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }
}

/// Whether an error of looking something up means that the way there leaves the directory.
pub(crate) fn leaves(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::XDEV.raw_os_error())
}

/// The path in the directory that a URL's path stands for; `None` for one that no honest client sends: with
/// `..`, a zero octet, or a slash in disguise.
pub(crate) fn path_of(url: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in url.split('/') {
        let octets: Vec<u8> = percent_decode_str(part).collect();
        if octets.contains(&0) || octets.contains(&b'/') {
            return None;
        }
        match Path::new(OsStr::from_bytes(&octets)).components().next() {
            None | Some(Component::CurDir) => {}
            Some(Component::Normal(name)) => path.push(name),
            Some(_) => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_stay_inside() {
        let path = |url| path_of(url).map(|p| p.to_string_lossy().into_owned());
        assert_eq!(path("/"), Some(String::new()));
        assert_eq!(path("//a/./b%20c/"), Some("a/b c".into()));
        assert_eq!(path("/a..b/..."), Some("a..b/...".into()));
        for bad in ["/..", "/a/../b", "/%2e%2e/x", "/a%2fb", "/a%00", "/%2e./"] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }
}
