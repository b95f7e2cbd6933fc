//! Disorderly ends: refusals and resets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::ends::{End, Meeting, drain};
use crate::host::{ADDRESSES, LONG, ip, start, until};

pub(crate) fn refused() {
    let engine = start();
    for (host, stack) in ADDRESSES {
        let ours = engine.connect_timeout(&SocketAddr::new(ip(host), 9), LONG).unwrap_err();
        let theirs = TcpStream::connect_timeout(&SocketAddr::new(ip(stack), 9), LONG).unwrap_err();
        assert_eq!(
            (ours.kind(), theirs.kind()),
            (ErrorKind::ConnectionRefused, ErrorKind::ConnectionRefused)
        );
    }
    // A listener that is gone refuses, too.
    for meeting in Meeting::all() {
        let door = meeting.open(&engine);
        let to = door.local_addr();
        drop(door);
        let error = if meeting.client == crate::ends::Whose::Ours {
            engine.connect_timeout(&to, LONG).unwrap_err()
        } else {
            TcpStream::connect_timeout(&to, LONG).unwrap_err()
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}

/// What the other end sees.
fn seen(mut end: &End) -> (Result<usize, ErrorKind>, Result<usize, ErrorKind>) {
    let read = end.read(&mut [0; 10]).map_err(|e| e.kind());
    (read, end.write(b"x").map_err(|e| e.kind()))
}

/// A close with data unread: the other end learns of the loss.
pub(crate) fn unread_data() {
    let engine = start();
    for meeting in [Meeting::control()].into_iter().chain(Meeting::all()) {
        for server_closes in [false, true] {
            let (client, server) = meeting.connect(&engine);
            let (closes, sees) = if server_closes { (server, client) } else { (client, server) };
            (&mut &sees).write_all(b"never read").unwrap();
            closes.peek(&mut [0]).unwrap();
            drop(closes);
            // The error comes once, by whichever call is first.
            let expected = (Err(ErrorKind::ConnectionReset), Err(ErrorKind::BrokenPipe));
            assert_eq!(seen(&sees), expected, "{meeting}");
        }
    }
    engine.shutdown(LONG).unwrap();
}

/// A reset behind data: Linux throws away what was not read.
pub(crate) fn abort() {
    let engine = start();
    for meeting in [Meeting::control()].into_iter().chain(Meeting::all()) {
        for server_closes in [false, true] {
            let (client, server) = meeting.connect(&engine);
            let (closes, sees) = if server_closes { (server, client) } else { (client, server) };
            (&mut &closes).write_all(b"before").unwrap();
            (&mut &sees).read_exact(&mut [0; 6]).unwrap();
            closes.abort();
            let expected = (Err(ErrorKind::ConnectionReset), Err(ErrorKind::BrokenPipe));
            assert_eq!(seen(&sees), expected, "{meeting}");
        }
    }
    engine.shutdown(LONG).unwrap();
}

/// Both directions of one end are closed and the other goes on sending: the first data is answered by a
/// reset.
pub(crate) fn data_after_close() {
    let engine = start();
    let mut expected = None;
    for meeting in [Meeting::control()].into_iter().chain(Meeting::all()) {
        for server_closes in [false, true] {
            let (client, server) = meeting.connect(&engine);
            let (closes, sees) = if server_closes { (server, client) } else { (client, server) };
            drop(closes);
            assert_eq!(drain(&sees), (0, Ok(())), "the FIN");
            (&mut &sees).write_all(b"nobody reads this").unwrap();
            // The reset ends the connection: a write fails from then on.
            let mut error = None;
            until("the reset", || {
                error = (&mut &sees).write(b"x").err().map(|e| e.kind());
                error.is_some()
            });
            let after = (error, drain(&sees));
            assert_eq!(&after, expected.get_or_insert(after), "{meeting}");
        }
    }
    engine.shutdown(LONG).unwrap();
}
