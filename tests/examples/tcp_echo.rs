//! The echo servers.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tunstack::sim::pattern::Pattern;

use crate::example::Example;
use crate::host::{ADDRESSES, LONG, ip, ready, until_routed};

const THREADS: usize = 8;
const EACH: usize = 125;

pub(crate) fn tokio() {
    echoes_a_thousand("echo_tokio", &[]);
}

pub(crate) fn threads() {
    echoes_a_thousand("echo_threads", &[]);
}

pub(crate) fn select() {
    echoes_a_thousand("echo_select", &[]);
}

pub(crate) fn poll() {
    echoes_a_thousand("echo_poll", &[]);
}

pub(crate) fn epoll_level() {
    echoes_a_thousand("echo_epoll", &[]);
}

pub(crate) fn ring() {
    echoes_a_thousand("echo_ring", &[]);
}

pub(crate) fn own_loop() {
    echoes_a_thousand("own_loop", &[]);
}

pub(crate) fn epoll_edge() {
    echoes_a_thousand("echo_epoll", &["--edge"]);
}

/// All but a few of them wait in the accept queue.
pub(crate) fn pool() {
    echoes_a_thousand("echo_pool", &["--threads", "16"]);
}

/// A thousand connections of the kernel's, half of them over IPv6, are open at once; each gets back what it sends, and
/// the server ends in order while one that says nothing is still open.
fn echoes_a_thousand(example: &str, flags: &[&str]) {
    ready();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let example = Example::start(example, flags);
    until_routed();
    let all_open = Barrier::new(THREADS);
    thread::scope(|scope| {
        for n in 0..THREADS {
            let all_open = &all_open;
            scope.spawn(move || {
                let to = SocketAddr::new(ip(ADDRESSES[n % 2].1), 7);
                let mut streams: Vec<_> = (0..EACH).map(|_| connect(to)).collect();
                all_open.wait();
                let data = |m| {
                    let mut data = vec![0; 3000 + 100 * m];
                    Pattern::new((n * EACH + m) as u64).fill(0, &mut data);
                    data
                };
                for (m, stream) in streams.iter_mut().enumerate() {
                    stream.write_all(&data(m)).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                }
                for (m, stream) in streams.iter_mut().enumerate() {
                    let mut back = Vec::new();
                    stream.read_to_end(&mut back).unwrap();
                    assert!(back == data(m), "{} octets of {} came back", back.len(), 3000 + 100 * m);
                }
            });
        }
    });
    let mut idle = connect(SocketAddr::new(ip(ADDRESSES[0].1), 7));
    idle.write_all(b"x").unwrap();
    idle.read_exact(&mut [0]).unwrap();
    let end = thread::spawn(move || {
        assert_eq!(idle.read(&mut [0]).unwrap(), 0, "a FIN, not a reset");
    });
    assert_eq!(example.end(), "");
    end.join().unwrap();
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&to, LONG).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_write_timeout(Some(LONG)).unwrap();
    stream
}
