//! `sendfile`: from a file to a socket.

use std::io::IoSlice;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::fs::{SeekFrom, seek, tell};
use rustix::io::{Errno, pread};

use super::abi::MsgFlags;
use super::{Result, Sockets};

/// Octets that are read and sent at once.
const PIECE: usize = 64 << 10;

impl Sockets {
    /// `sendfile(2)`: sends up to `count` octets of a file, from `offset`, which it leaves behind them, or from where the file
    /// stands, which it moves then. The octets are copied. Fewer are sent where the file ends or the socket takes no more
    /// and does not wait, or where the file cannot be read any further. Of a datagram socket it is one datagram.
    ///
    /// # Errors
    /// Those of [`send`](Self::send); `EINVAL` (no file with places in it, an offset that no file has), `ESPIPE` (an offset where
    /// there are no places), and what reading gives.
    pub fn sendfile(
        &self,
        fd: RawFd,
        file: BorrowedFd<'_>,
        offset: Option<&mut u64>,
        count: usize,
    ) -> Result<usize> {
        // Once for all pieces: the number may be another socket's when the next one goes.
        let socket = self.file(fd)?;
        let began = match &offset {
            Some(offset) => **offset,
            None => tell(file).map_err(|error| if error == Errno::SPIPE { Errno::INVAL } else { error })?,
        };
        let read = |at: u64, most: usize| {
            let mut piece = vec![0; most.min(PIECE)];
            let n = pread(file, &mut piece[..], at)
                .map_err(|error| if error == Errno::ISDIR { Errno::INVAL } else { error })?;
            piece.truncate(n);
            Ok(piece)
        };
        let mut sent = 0;
        let mut piece = read(began, count)?;
        while !piece.is_empty() {
            let at = began.saturating_add((sent + piece.len()) as u64);
            let left = count.saturating_sub(sent + piece.len());
            // Whether more follows is known only when it is there.
            // What is in hand goes all the same where reading on fails: the next call fails at its begin.
            let next = if left > 0 { read(at, left).unwrap_or_default() } else { Vec::new() };
            let flags = if next.is_empty() { MsgFlags::empty() } else { MsgFlags::MORE };
            let n = match self.transmit(&socket, &[IoSlice::new(&piece)], None, flags) {
                Ok(n) => n,
                Err(_) if sent > 0 => break,
                Err(error) => return Err(error),
            };
            sent += n;
            if n < piece.len() {
                break;
            }
            piece = next;
        }
        let end = began.saturating_add(sent as u64);
        match offset {
            Some(offset) => *offset = end,
            None => seek(file, SeekFrom::Start(end)).map(drop)?,
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;

    use super::*;
    use crate::bsd::abi::{AF_INET, SO_RCVTIMEO, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
    use crate::bsd::testing::{alone, connection};

    /// A file that has no name any more.
    fn file(octets: &[u8]) -> File {
        let fd = rustix::fs::memfd_create("octets", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = File::from(fd);
        file.write_all(octets).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn what_is_sent_is_what_lies_there() {
        let (sys, _other) = alone();
        let (_, client, server) = connection(&sys, |_| {});
        let octets: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let mut file = file(&octets);
        let received = |len: usize| {
            let mut all = vec![0; len];
            assert_eq!(sys.recv(server, &mut all, MsgFlags::WAITALL), Ok(len));
            all
        };
        let mut at = 100;
        assert_eq!(sys.sendfile(client, file.as_fd(), Some(&mut at), 150_000), Ok(150_000));
        assert_eq!((at, received(150_000) == octets[100..150_100]), (150_100, true));
        assert_eq!(file.stream_position().unwrap(), 0, "an offset of its own moves nothing");
        assert_eq!(sys.sendfile(client, file.as_fd(), Some(&mut at), usize::MAX), Ok(49_900), "to the end");
        assert_eq!((at, received(49_900) == octets[150_100..]), (200_000, true));
        assert_eq!(sys.sendfile(client, file.as_fd(), Some(&mut at), 10), Ok(0));

        assert_eq!(sys.sendfile(client, file.as_fd(), None, 70_000), Ok(70_000));
        assert!(received(70_000) == octets[..70_000]);
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).unwrap();
        assert!(rest == octets[70_000..], "the file was moved");
    }

    #[test]
    fn a_socket_that_takes_no_more_is_no_error_where_it_took_some() {
        let (sys, _other) = alone();
        let (_, client, server) = connection(&sys, |_| {});
        let file = file(&vec![7; 8 << 20]);
        sys.fcntl(client, crate::bsd::abi::F_SETFL, crate::bsd::abi::O_NONBLOCK).unwrap();
        let mut at = 0;
        let taken = sys.sendfile(client, file.as_fd(), Some(&mut at), 8 << 20).unwrap();
        assert!(taken > 0 && taken < 8 << 20 && at == taken as u64, "{taken}, {at}");
        while sys.sendfile(client, file.as_fd(), Some(&mut at), 8 << 20).is_ok() {}
        assert_eq!(sys.sendfile(client, file.as_fd(), Some(&mut at), 1), Err(Errno::AGAIN));
        sys.close(server).unwrap();
    }

    /// The memory of this process, as a file, has holes.
    #[test]
    fn what_was_read_before_an_error_is_sent() {
        let (sys, _other) = alone();
        let (_, client, server) = connection(&sys, |_| {});
        let memory = File::open("/proc/self/mem").unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let stack = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
        let end = stack.split([' ', '-']).nth(1).unwrap();
        let end = u64::from_str_radix(end, 16).unwrap();
        let mut at = end - 100_000;
        assert_eq!(sys.sendfile(client, memory.as_fd(), Some(&mut at), 200_000), Ok(100_000));
        assert_eq!(at, end);
        assert_eq!(sys.sendfile(client, memory.as_fd(), Some(&mut at), 200_000), Err(Errno::IO));
        let mut all = vec![0; 100_000];
        assert_eq!(sys.recv(server, &mut all, MsgFlags::WAITALL), Ok(100_000));
    }

    #[test]
    fn what_has_no_places_is_refused() {
        let (sys, _other) = alone();
        let (_, client, server) = connection(&sys, |_| {});
        let (pipe, _end) = rustix::pipe::pipe().unwrap();
        assert_eq!(sys.sendfile(client, pipe.as_fd(), None, 1), Err(Errno::INVAL));
        assert_eq!(sys.sendfile(client, pipe.as_fd(), Some(&mut 0), 1), Err(Errno::SPIPE));
        let folder = File::open("/").unwrap();
        assert_eq!(sys.sendfile(client, folder.as_fd(), None, 1), Err(Errno::INVAL));
        let mut beyond = u64::MAX;
        assert_eq!(sys.sendfile(client, file(b"x").as_fd(), Some(&mut beyond), 1), Err(Errno::INVAL));
        let [some, none] = [file(b"x"), file(b"")];
        sys.close(client).unwrap();
        for (file, count) in [(&some, 1), (&some, 0), (&none, 1)] {
            assert_eq!(sys.sendfile(client, file.as_fd(), None, count), Err(Errno::BADF), "{count}");
        }
        sys.close(server).unwrap();
    }

    #[test]
    fn a_datagram_is_whole_or_is_none() {
        let (sys, _other) = alone();
        let [from, to] = [7, 8].map(|port| {
            let fd = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
            sys.bind(fd, &([127, 0, 0, 1], port).into()).unwrap();
            fd
        });
        sys.connect(from, &([127, 0, 0, 1], 8).into()).unwrap();
        let mut file = file(&[7; 70_000]);
        assert_eq!(sys.sendfile(from, file.as_fd(), None, 70_000), Err(Errno::MSGSIZE));
        assert_eq!(file.stream_position().unwrap(), 0);
        assert_eq!(sys.sendfile(from, file.as_fd(), None, 1000), Ok(1000));
        assert_eq!(sys.recv(to, &mut [0; 2000], MsgFlags::DONTWAIT), Ok(1000));
    }

    /// Its number may be another socket's by the time that there is room.
    #[test]
    fn the_rest_goes_where_the_beginning_went() {
        let (sys, _other) = alone();
        let (listener, client, server) = connection(&sys, |_| {});
        let octets = file(&vec![7; 8 << 20]);
        sys.setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &[5i64, 0].map(i64::to_ne_bytes).concat()).unwrap();
        // Not waited for unless it comes to its end.
        let sending = {
            let sys = sys.clone();
            std::thread::spawn(move || sys.sendfile(client, octets.as_fd(), Some(&mut 0), 8 << 20))
        };
        // Until the sender waits: its socket is full, and so is the one that it sends to.
        let mut unread = 0;
        loop {
            std::thread::sleep(std::time::Duration::from_millis(100));
            let mut now = 0;
            sys.ioctl(server, crate::bsd::abi::FIONREAD, &mut now).unwrap();
            if unread == std::mem::replace(&mut unread, now) && now > 0 {
                break;
            }
        }
        let other = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
        sys.connect(other, &([127, 0, 0, 1], 7).into()).unwrap();
        let (last, _) = sys.accept(listener).unwrap();
        sys.dup2(other, client).unwrap();
        let mut all = vec![0; 8 << 20];
        assert_eq!(sys.recv(server, &mut all, MsgFlags::WAITALL), Ok(8 << 20));
        assert_eq!(sending.join().unwrap(), Ok(8 << 20));
        assert_eq!(sys.recv(last, &mut [0; 10], MsgFlags::DONTWAIT), Err(Errno::AGAIN));
    }
}
