//! Beginnings that are not the usual ones: the same two ends again, both opening at once, and more connections
//! than are taken.

use std::io::{ErrorKind, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::thread;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
use tunstack::core::tcp::state::State;
use tunstack::engine::Engine;
use tunstack::net::{TcpSocket, TcpStream};

use crate::bulk::exchange;
use crate::ends::{End, Meeting, Pattern, Whose, drain};
use crate::gate::start_gated;
use crate::host::{ADDRESSES, LONG, ip, kernel_state, start, state, sysctl, tcp_ext, until};

/// A connection of the kernel's from a port that may still be in TIME-WAIT.
fn kernels_from(from: SocketAddr, to: SocketAddr) -> net::TcpStream {
    let family = if from.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket(family, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_reuseaddr(&fd, true).unwrap();
    bind(&fd, &from).unwrap();
    connect(&fd, &to).unwrap();
    let stream = net::TcpStream::from(fd);
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// The same of ours.
fn ours_from(engine: &Engine, from: SocketAddr, to: SocketAddr) -> TcpStream {
    let mut stream = None;
    // Until the last ACK of the connection before has come, the two ends are taken.
    until("the port", || {
        let socket = if to.is_ipv4() { TcpSocket::new_v4(engine) } else { TcpSocket::new_v6(engine) };
        let socket = socket.unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(from).unwrap();
        match socket.connect_timeout(to, LONG) {
            Ok(s) => stream = Some(s),
            Err(e) => assert_eq!(e.kind(), ErrorKind::AddrNotAvailable, "{e}"),
        }
        stream.is_some()
    });
    stream.unwrap()
}

/// Who closed first stays in TIME-WAIT; the other end, which is free, connects again from the same port.
pub(crate) fn time_wait_is_reused() {
    let engine = start();
    for (host, stack) in ADDRESSES {
        let ours = engine.listen((stack, 0)).unwrap();
        let to = ours.local_addr().unwrap();
        let from = SocketAddr::new(ip(host), 40_000);
        for n in 0..20 {
            let mut theirs = kernels_from(from, to);
            let (mut accepted, _) = ours.accept().unwrap();
            accepted.set_read_timeout(Some(LONG)).unwrap();
            theirs.write_all(&[n]).unwrap();
            let mut got = [0];
            accepted.read_exact(&mut got).unwrap();
            assert_eq!(got, [n]);
            drop(accepted);
            assert_eq!(drain(&End::Kernels(theirs)), (0, Ok(())));
            until("the last ACK", || kernel_state(from, to).is_none());
        }

        let theirs = net::TcpListener::bind((host, 0)).unwrap();
        let to = theirs.local_addr().unwrap();
        for n in 0..20 {
            let mut ours = ours_from(&engine, SocketAddr::new(ip(stack), 40_000), to);
            ours.set_read_timeout(Some(LONG)).unwrap();
            let (mut accepted, _) = theirs.accept().unwrap();
            ours.write_all(&[n]).unwrap();
            let mut got = [0];
            accepted.read_exact(&mut got).unwrap();
            assert_eq!(got, [n]);
            drop(accepted);
            assert_eq!(drain(&End::Ours(ours)), (0, Ok(())));
        }
    }
    engine.shutdown(LONG).unwrap();
}

/// More connections than the accept queue holds: those beyond it wait, and all are served in the end.
pub(crate) fn full_accept_queue() {
    const CLIENTS: usize = 6;
    let engine = start();
    // A client that the kernel sent a SYN cookie is forgotten when its ACK finds the queue full.
    sysctl("ipv4/tcp_syncookies", "0");
    for meeting in Meeting::all() {
        println!("{meeting}");
        let door = meeting.open_with_backlog(&engine, 2);
        let overflows = || match meeting.server {
            Whose::Ours => engine.counters().tcp_listen_overflows,
            Whose::Kernels => tcp_ext("ListenOverflows"),
        };
        let before = overflows();
        thread::scope(|scope| {
            for n in 0..CLIENTS {
                let (engine, door) = (&engine, &door);
                scope.spawn(move || {
                    let client = meeting.knock(engine, door);
                    let data = Pattern(n as u64);
                    data.write(&client, 0, 1000, 1000);
                    client.shutdown(Shutdown::Write).unwrap();
                    data.read_to_end(&client, 0, 1000);
                });
            }
            until("an overflow", || overflows() > before);
            for _ in 0..CLIENTS {
                let server = door.accept();
                std::io::copy(&mut &server, &mut &server).unwrap();
            }
        });
    }
    engine.shutdown(LONG).unwrap();
}

/// Nobody listens; each connects to the other, and the SYNs cross.
pub(crate) fn both_open_at_once() {
    let (engine, gate) = start_gated();
    for (host, stack) in ADDRESSES {
        let (here, there) = (SocketAddr::new(ip(stack), 7000), SocketAddr::new(ip(host), 7001));
        gate.close();
        let socket = if here.is_ipv4() { TcpSocket::new_v4(&engine) } else { TcpSocket::new_v6(&engine) };
        let socket = socket.unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(here).unwrap();
        let ours = socket.start_connect(there).unwrap();
        let theirs = thread::spawn(move || kernels_from(there, here));
        let state = || engine.sockets().iter().find(|s| s.id == ours.id()).unwrap().state;
        until("their SYN", || state() == Some(State::SynReceived));
        gate.pass_one();
        until("our SYN at their end", || kernel_state(there, here) == Some(state::SYN_RECV));
        gate.open();
        until("the connection", || state() == Some(State::Established));
        let theirs = theirs.join().unwrap();
        exchange(&End::Ours(ours), &End::Kernels(theirs), 1_000_000, 10_000);
    }
    engine.shutdown(LONG).unwrap();
}
