//! The two ends of a connection, whoever's they are.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{self, IpAddr, Shutdown, SocketAddr};

use tunstack::engine::Engine;
use tunstack::net as ours;

use crate::host::{ADDRESSES, LONG, ip};

/// Whose an end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    Ours,
    Kernels,
}

/// One end of a connection. No call waits longer than [`LONG`].
pub(crate) enum End {
    Ours(ours::TcpStream),
    Kernels(net::TcpStream),
}

/// Calls the same method of either.
macro_rules! either {
    ($end:expr, $stream:ident => $call:expr) => {
        match $end {
            End::Ours($stream) => $call,
            End::Kernels($stream) => $call,
        }
    };
}

impl End {
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        either!(self, s => s.shutdown(how))
    }

    pub(crate) fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        either!(self, s => s.peek(buf))
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        either!(self, s => s.local_addr()).unwrap()
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        either!(self, s => s.peer_addr()).unwrap()
    }

    pub(crate) fn set_nodelay(&self) {
        either!(self, s => s.set_nodelay(true)).unwrap();
    }

    /// Neither small nor grown by itself.
    pub(crate) fn set_buffers(&self, octets: usize) {
        match self {
            End::Ours(s) => {
                s.set_send_buffer_size(octets as u32).unwrap();
                s.set_recv_buffer_size(octets as u32).unwrap();
            }
            End::Kernels(s) => {
                rustix::net::sockopt::set_socket_send_buffer_size(s, octets).unwrap();
                rustix::net::sockopt::set_socket_recv_buffer_size(s, octets).unwrap();
            }
        }
    }

    /// A write that does not wait: how much was taken, 0 if nothing.
    pub(crate) fn try_write(&self, data: &[u8]) -> usize {
        let written = match self {
            End::Ours(s) => s.try_write(data),
            End::Kernels(s) => {
                s.set_nonblocking(true).unwrap();
                let written = (&mut &*s).write(data);
                s.set_nonblocking(false).unwrap();
                written
            }
        };
        match written {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
            Err(e) => panic!("{e}"),
        }
    }

    /// Closes with a reset.
    pub(crate) fn abort(self) {
        match self {
            End::Ours(s) => s.abort().unwrap(),
            End::Kernels(s) => {
                rustix::net::sockopt::set_socket_linger(s, Some(std::time::Duration::ZERO)).unwrap();
            }
        }
    }

    fn bounded(self) -> Self {
        either!(&self, s => {
            s.set_read_timeout(Some(LONG)).unwrap();
            s.set_write_timeout(Some(LONG)).unwrap();
        });
        self
    }
}

impl Read for &End {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        either!(self, s => (&*s).read(buf))
    }
}

impl Write for &End {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        either!(self, s => (&*s).write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Something that accepts.
pub(crate) enum Door {
    Ours(ours::TcpListener),
    Kernels(net::TcpListener),
}

impl Door {
    pub(crate) fn local_addr(&self) -> SocketAddr {
        match self {
            Door::Ours(l) => l.local_addr(),
            Door::Kernels(l) => l.local_addr(),
        }
        .unwrap()
    }

    pub(crate) fn accept(&self) -> End {
        match self {
            Door::Ours(l) => End::Ours(l.accept().unwrap().0),
            Door::Kernels(l) => End::Kernels(l.accept().unwrap().0),
        }
        .bounded()
    }
}

/// Who meets whom, and over what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meeting {
    pub(crate) client: Whose,
    pub(crate) server: Whose,
    server_ip: IpAddr,
}

impl fmt::Display for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {:?}, server {:?} at {}", self.client, self.server, self.server_ip)
    }
}

impl Meeting {
    /// Every combination of family and role with ours at one end.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        ADDRESSES.into_iter().flat_map(|(host, stack)| {
            [
                Self { client: Whose::Ours, server: Whose::Kernels, server_ip: ip(host) },
                Self { client: Whose::Kernels, server: Whose::Ours, server_ip: ip(stack) },
            ]
        })
    }

    /// The kernel with itself, over its loopback: what is to be expected.
    pub(crate) fn control() -> Self {
        Self { client: Whose::Kernels, server: Whose::Kernels, server_ip: ip("127.0.0.1") }
    }

    pub(crate) fn open(self, engine: &Engine) -> Door {
        match self.server {
            Whose::Ours => Door::Ours(engine.listen((self.server_ip, 0)).unwrap()),
            Whose::Kernels => Door::Kernels(net::TcpListener::bind((self.server_ip, 0)).unwrap()),
        }
    }

    pub(crate) fn open_with_backlog(self, engine: &Engine, backlog: u32) -> Door {
        match self.open(engine) {
            Door::Ours(l) => {
                l.set_backlog(backlog).unwrap();
                Door::Ours(l)
            }
            Door::Kernels(l) => {
                rustix::net::listen(&l, backlog as i32).unwrap();
                Door::Kernels(l)
            }
        }
    }

    pub(crate) fn knock(self, engine: &Engine, door: &Door) -> End {
        let to = door.local_addr();
        match self.client {
            Whose::Ours => End::Ours(engine.connect_timeout(&to, LONG).unwrap()),
            Whose::Kernels => End::Kernels(net::TcpStream::connect_timeout(&to, LONG).unwrap()),
        }
        .bounded()
    }

    /// Client and server of a new connection.
    pub(crate) fn connect(self, engine: &Engine) -> (End, End) {
        println!("{self}");
        let door = self.open(engine);
        let client = self.knock(engine, &door);
        (client, door.accept())
    }
}

/// Reads to the end of the data or to an error: how many octets came, and how it ended.
pub(crate) fn drain(mut end: &End) -> (usize, Result<(), io::ErrorKind>) {
    let mut buf = vec![0; 65_536];
    let mut total = 0;
    loop {
        match end.read(&mut buf) {
            Ok(0) => return (total, Ok(())),
            Ok(n) => total += n,
            Err(e) => return (total, Err(e.kind())),
        }
    }
}

/// The octets of a stream: at each place one that tells the place, and the stream.
#[derive(Clone, Copy)]
pub(crate) struct Pattern(pub(crate) u64);

impl Pattern {
    fn word(self, n: u64) -> [u8; 8] {
        let mut z = (n ^ self.0.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 32)).to_le_bytes()
    }

    /// What stands at `at` and after it.
    pub(crate) fn fill(self, at: u64, buf: &mut [u8]) {
        let mut rest = buf;
        let mut n = at / 8;
        let mut skip = (at % 8) as usize;
        while !rest.is_empty() {
            let word = self.word(n);
            let len = rest.len().min(8 - skip);
            let (now, later) = rest.split_at_mut(len);
            now.copy_from_slice(&word[skip..skip + len]);
            (rest, n, skip) = (later, n + 1, 0);
        }
    }

    /// The first `len` octets.
    pub(crate) fn take(self, len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        self.fill(0, &mut data);
        data
    }

    /// Writes the octets from `at` on, in pieces of `piece`.
    pub(crate) fn write(self, mut end: &End, at: u64, len: usize, piece: usize) {
        let mut buf = vec![0; piece];
        let mut done = 0;
        while done < len {
            let n = piece.min(len - done);
            self.fill(at + done as u64, &mut buf[..n]);
            end.write_all(&buf[..n]).unwrap_or_else(|e| panic!("write at {done} of {len}: {e}"));
            done += n;
        }
    }

    /// Reads to the end of the data, which must come after the octets from `at` on, `len` of them.
    pub(crate) fn read_to_end(self, mut end: &End, at: u64, len: usize) {
        let mut buf = vec![0; 65_536];
        let mut wanted = vec![0; 65_536];
        let mut done = 0;
        loop {
            let n = end.read(&mut buf).unwrap_or_else(|e| panic!("read at {done} of {len}: {e}"));
            if n == 0 {
                break;
            }
            self.fill(at + done as u64, &mut wanted[..n]);
            assert!(buf[..n] == wanted[..n], "other octets than were sent, at {done} of {len}");
            done += n;
        }
        assert_eq!(done, len, "octets before the end of the data");
    }
}
