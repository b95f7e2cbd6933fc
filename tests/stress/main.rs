//! A thousand sockets, 64 threads, and a bounded count of operations of which every single one must be completed: a
//! wake-up that is lost leaves one that is not, and the watchdog says which.
//!
//! A driver is a function that takes the ends of connections which a thread has, and brings them to their end by its way
//! of waiting: see [`Driver`].

#[path = "../common/alone.rs"]
mod alone;
mod completions;
mod end;
mod ready;
mod tasks;

use std::os::fd::RawFd;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tunstack::bsd::Sockets;
use tunstack::bsd::abi::{AF_INET, SOCK_NONBLOCK, SOCK_STREAM};
use tunstack::core::addr::Prefix;
use tunstack::core::config::Config;
use tunstack::device::pipe::Pipe;
use tunstack::engine::Engine;

use end::{End, Record, Role};

/// Brings ends, all of one side where there are two, to their end, on a thread with nothing else to do.
type Driver = fn(&Sockets, Vec<End>);

const CONNECTIONS: u32 = 500;

const THREADS: usize = 64;

/// Far beyond what a run takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A socket takes three descriptors, and the epoll descriptors and what tokio has come on top.
const DESCRIPTORS: u64 = 4096;

fn main() -> std::process::ExitCode {
    alone::main(&[
        ("select", || on_one_engine(ready::select)),
        ("poll", || on_one_engine(ready::poll)),
        ("epoll_level", || on_one_engine(ready::epoll_level)),
        ("epoll_edge", || on_one_engine(ready::epoll_edge)),
        ("ring", || on_one_engine(completions::ring)),
        ("tokio", || on_one_engine(tasks::async_fd)),
        ("select_between_engines", || between_engines(ready::select)),
        ("poll_between_engines", || between_engines(ready::poll)),
        ("epoll_level_between_engines", || between_engines(ready::epoll_level)),
        ("epoll_edge_between_engines", || between_engines(ready::epoll_edge)),
        ("ring_between_engines", || between_engines(completions::ring)),
        ("tokio_between_engines", || between_engines(tasks::async_fd)),
    ])
}

fn on_one_engine(driver: Driver) {
    let (device, _other) = Pipe::pair(1500).unwrap();
    let sys = Sockets::new(&Engine::builder().device(device).start().unwrap());
    // Each thread has clients and servers, those of other threads.
    run(&sys, &sys, "127.0.0.1:7", |index| index / 2 + index % 2 * 7, driver);
}

fn between_engines(driver: Driver) {
    let (left, right) = Pipe::pair(1500).unwrap();
    let engine = |device: Pipe, last: u8| {
        let addresses = vec![Prefix::new(std::net::IpAddr::from([10, 7, 0, last]).into(), 24)];
        let config = Config { addresses, ..Config::default() };
        Engine::builder().device(device).config(config).start().unwrap()
    };
    let (left, right) = (Sockets::new(&engine(left, 1)), Sockets::new(&engine(right, 2)));
    // Each thread has one side: clients are even.
    run(&left, &right, "10.7.0.2:7", |index| index * 37, driver);
}

/// The ends of all connections.
fn connections(clients: &Sockets, servers: &Sockets, address: &str) -> Vec<End> {
    let address = address.parse().unwrap();
    let listener = servers.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    servers.bind(listener, &address).unwrap();
    servers.listen(listener, 16).unwrap();
    let mut ends = Vec::new();
    for number in 0..CONNECTIONS {
        let client: RawFd = clients.socket(AF_INET, SOCK_STREAM, 0).unwrap();
        clients.connect(client, &address).unwrap();
        let (server, peer) = servers.accept4(listener, SOCK_NONBLOCK).unwrap();
        assert_eq!(peer, clients.getsockname(client).unwrap(), "first in, first out");
        ends.push(End::new(clients, client, Role::Client, number));
        ends.push(End::new(servers, server, Role::Server, number));
    }
    servers.close(listener).unwrap();
    ends
}

fn run(clients: &Sockets, servers: &Sockets, address: &str, share: fn(usize) -> usize, driver: Driver) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    if maximum.is_some_and(|maximum| maximum < DESCRIPTORS) {
        eprintln!("SKIPPED: {DESCRIPTORS} descriptors are needed and {maximum:?} allowed");
        return;
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), maximum }).unwrap();
    let ends = connections(clients, servers, address);
    let records: Vec<Arc<Record>> = ends.iter().map(End::record).collect();

    let mut shares: Vec<Vec<End>> = (0..THREADS).map(|_| Vec::new()).collect();
    for (index, end) in ends.into_iter().enumerate() {
        shares[share(index) % THREADS].push(end);
    }
    let (over, wait) = channel::<()>();
    let threads: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let (sys, over) = (share[0].sys.clone(), over.clone());
            thread::spawn(move || {
                driver(&sys, share);
                drop(over);
            })
        })
        .collect();
    drop(over);
    // Nothing is ever sent: when the last thread is over, or has panicked, the channel is closed.
    if wait.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
        hangs(&records, clients, servers);
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(records.iter().all(|record| record.over.load(Ordering::Relaxed)));
    assert_eq!(records.len(), 2 * CONNECTIONS as usize);
}

/// Says what is not completed, and ends.
fn hangs(records: &[Arc<Record>], clients: &Sockets, servers: &Sockets) -> ! {
    let open: Vec<_> = records.iter().filter(|record| !record.over.load(Ordering::Relaxed)).collect();
    eprintln!("{} of {} sockets hang:", open.len(), records.len());
    for record in open {
        let sys = if record.role == Role::Client { clients } else { servers };
        eprintln!("{}", record.line(sys));
        let ends = (sys.getsockname(record.fd).ok(), sys.getpeername(record.fd).ok());
        for info in sys.engine().sockets() {
            if (info.local.map(|end| end.socket_addr()), info.remote.map(|end| end.socket_addr())) == ends {
                eprintln!("    {info:?}");
            }
        }
    }
    exit(1)
}
