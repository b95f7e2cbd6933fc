//! Files that a script, or who runs it, names: read without trust in what they are.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::packetdrill::parser;

/// Reads a script's file. One that [`parser`] would refuse for its length is not read in full.
///
/// # Errors
/// It cannot be read; it is no regular file (a FIFO, a device), is longer than [`parser::LONGEST`] octets or is no UTF-8.
pub fn read_script(path: &Path) -> io::Result<String> {
    read(path, parser::LONGEST as u64)
}

/// The text of a file of at most `limit` octets.
pub(super) fn read(path: &Path, limit: u64) -> io::Result<String> {
    // To open a device may do something: it is looked at first, and once more in case it was exchanged since.
    regular(&fs::metadata(path)?)?;
    // A FIFO that nobody writes to would keep an ordinary open waiting.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    regular(&file.metadata()?)?;
    let mut octets = Vec::new();
    // The length that the system tells is not that of what is read: files of /proc have none.
    file.take(limit + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("longer than {limit} octets")));
    }
    String::from_utf8(octets).map_err(|_| io::Error::new(ErrorKind::InvalidData, "not UTF-8"))
}

fn regular(file: &Metadata) -> io::Result<()> {
    if file.is_file() { Ok(()) } else { Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file")) }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, Mode, inotify, mkfifoat};
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn only_regular_files_are_read_and_no_more_of_them_than_the_limit() {
        let folder = std::env::temp_dir().join(format!("tunstack-files-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("fits"), "x".repeat(parser::LONGEST)).unwrap();
        fs::write(folder.join("long"), "x".repeat(parser::LONGEST + 1)).unwrap();
        fs::write(folder.join("octets"), [0xff]).unwrap();
        mkfifoat(CWD, folder.join("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
        let opened = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&opened, folder.join("fifo"), inotify::WatchFlags::OPEN).unwrap();
        let found = ["fits", "long", "octets", "fifo", "."].map(|name| read_script(&folder.join(name)));
        assert_eq!(rustix::io::read(&opened, &mut [0; 64]), Err(Errno::AGAIN), "a FIFO is not even opened");
        fs::remove_dir_all(&folder).unwrap();
        let said = found.map(|found| found.map(|text| text.len()).map_err(|error| error.to_string()));
        let wrong = |why: &str| Err(why.to_owned());
        let no_file = wrong("not a regular file");
        let expected = [
            Ok(parser::LONGEST),
            wrong("longer than 262144 octets"),
            wrong("not UTF-8"),
            no_file.clone(),
            no_file,
        ];
        assert_eq!(said, expected);
        assert_eq!(read(Path::new("/dev/zero"), 9).unwrap_err().to_string(), "not a regular file");
        // A file whose length the system gives as 0.
        assert_eq!(read(Path::new("/proc/self/status"), 9).unwrap_err().to_string(), "longer than 9 octets");
    }
}
