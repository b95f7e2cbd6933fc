//! Urgent data of the kernel's.

use std::io::Write;
use std::net::Shutdown;

use rustix::net::{SendFlags, send};

use crate::ends::{End, Meeting};
use crate::host::{LONG, start};

/// It is read where it stands among the rest (RFC 6093), and what comes after it, too.
pub(crate) fn read_in_line() {
    let engine = start();
    for meeting in Meeting::all() {
        let (client, server) = meeting.connect(&engine);
        let (ours, theirs) = match (client, server) {
            (End::Ours(ours), End::Kernels(theirs)) | (End::Kernels(theirs), End::Ours(ours)) => {
                (ours, theirs)
            }
            _ => unreachable!("one end is ours"),
        };
        (&theirs).write_all(b"before, ").unwrap();
        assert_eq!(send(&theirs, b"urgent!", SendFlags::OOB).unwrap(), 7);
        (&theirs).write_all(b" and after").unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        let mut got = String::new();
        std::io::Read::read_to_string(&mut &ours, &mut got).unwrap();
        assert_eq!(got, "before, urgent! and after");
    }
    engine.shutdown(LONG).unwrap();
}
