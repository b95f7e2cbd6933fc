//! Many connections.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::ends::Pattern;
use crate::host::{ADDRESSES, LONG, ip, start, until};

/// A thousand are open at once; then each sends and receives.
pub(crate) fn a_thousand() {
    const THREADS: usize = 8;
    const EACH: usize = 125;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let engine = start();
    let listener = engine.listen("[::]:7").unwrap();
    let all_open = Barrier::new(THREADS);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..THREADS * EACH {
                let (stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(LONG)).unwrap();
                let serve = move || std::io::copy(&mut &stream, &mut &stream).map(drop).unwrap();
                thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, serve).unwrap();
            }
        });
        for n in 0..THREADS {
            let (listener, engine, all_open) = (&listener, &engine, &all_open);
            scope.spawn(move || {
                let to = SocketAddr::new(ip(ADDRESSES[n % 2].1), listener.local_addr().unwrap().port());
                let connect = |_| {
                    let stream = TcpStream::connect_timeout(&to, LONG).unwrap();
                    stream.set_read_timeout(Some(LONG)).unwrap();
                    stream.set_write_timeout(Some(LONG)).unwrap();
                    stream
                };
                let mut streams: Vec<_> = (0..EACH).map(connect).collect();
                if all_open.wait().is_leader() {
                    let open = (THREADS * EACH) as u64;
                    until("the last handshake", || engine.counters().tcp_curr_estab == open);
                }
                all_open.wait();
                let data = |m| Pattern((n * EACH + m) as u64).take(3000 + m);
                for (m, stream) in streams.iter_mut().enumerate() {
                    stream.write_all(&data(m)).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                }
                for (m, stream) in streams.iter_mut().enumerate() {
                    let mut back = Vec::new();
                    stream.read_to_end(&mut back).unwrap();
                    assert!(back == data(m), "{} octets came back", back.len());
                }
            });
        }
    });
    engine.shutdown(LONG).unwrap();
}
