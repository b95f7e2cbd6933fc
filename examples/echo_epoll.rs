//! An echo server on `epoll`, one thread. Level-triggered: a connection is told of again as long as there is something to do, so
//! each gets one round at a time. With --edge: it is told of once when something changes, so it goes on until it
//! would wait, or has had its turn.
//!
//! Run it as root, then type: nc -N 10.7.0.2 7 <README.md

mod common;
#[path = "common/connection.rs"]
mod connection;

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use clap::Parser;
use connection::{Connection, Next};
use tunstack::bsd::abi::{EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD};
use tunstack::bsd::{EpollEvent, EpollFlags, Errno, Sockets};

/// A TCP echo server with an IP address of its own: one thread and epoll.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    host: common::HostArgs,
    /// The port
    #[arg(long, default_value_t = 7)]
    port: u16,
    /// Edge-triggered instead of level-triggered
    #[arg(long)]
    edge: bool,
}

/// What a descriptor is registered with: its own number comes back with its events.
fn event(events: EpollFlags, fd: RawFd) -> Option<EpollEvent> {
    Some(EpollEvent { events, data: fd as u64 })
}

fn main() -> common::Done {
    let args = Args::parse();
    let most_connections = common::many_descriptors()?;
    let host = args.host.up()?;
    let sys = Sockets::new(&host.engine);
    let listener = common::listen(&sys, &host.any(args.port))?;
    host.serving("echo over TCP", sys.getsockname(listener)?.port());
    let epoll = sys.epoll_create1(EPOLL_CLOEXEC)?;
    let ctrl_c = host.ctrl_c.as_fd().as_raw_fd();
    sys.epoll_ctl(epoll, EPOLL_CTL_ADD, ctrl_c, event(EpollFlags::IN, ctrl_c))?;
    sys.epoll_ctl(epoll, EPOLL_CTL_ADD, listener, event(EpollFlags::IN, listener))?;
    // An edge-triggered connection is registered once, for all that can happen.
    let all = EpollFlags::IN | EpollFlags::OUT | EpollFlags::ET;
    let mut connections: HashMap<RawFd, Connection> = HashMap::new();
    let mut events = [EpollEvent { events: EpollFlags::empty(), data: 0 }; 64];
    'serving: loop {
        let n = match sys.epoll_wait(epoll, &mut events, -1) {
            Err(Errno::INTR) => continue, // the signal itself: its descriptor is readable next
            other => other?,
        };
        for ready in &events[..n] {
            let fd = ready.data as RawFd;
            if fd == ctrl_c {
                break 'serving;
            }
            if fd == listener {
                while connections.len() < most_connections
                    && let Some(connection) = Connection::accept(&sys, listener)?
                {
                    let fd = connection.fd;
                    let first = if args.edge { all } else { EpollFlags::IN };
                    sys.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, event(first, fd))?;
                    connections.insert(fd, connection);
                }
                if connections.len() == most_connections {
                    // There is no room for more: they wait in the accept queue.
                    sys.epoll_ctl(epoll, EPOLL_CTL_MOD, listener, event(EpollFlags::empty(), listener))?;
                }
                continue;
            }
            let Some(connection) = connections.get_mut(&fd) else { continue };
            let before = connection.next;
            match connection.go_on(&sys, if args.edge { 64 } else { 1 }) {
                Next::Close => {
                    if connections.len() == most_connections {
                        sys.epoll_ctl(epoll, EPOLL_CTL_MOD, listener, event(EpollFlags::IN, listener))?;
                    }
                    connections.remove(&fd);
                    sys.close(fd)?; // and with it its registration
                }
                // Its turn is over, and no edge will tell of what it left: said again, it is told of again.
                _ if args.edge && connection.interrupted => {
                    sys.epoll_ctl(epoll, EPOLL_CTL_MOD, fd, event(all, fd))?;
                }
                next if args.edge || next == before => {}
                Next::Read => sys.epoll_ctl(epoll, EPOLL_CTL_MOD, fd, event(EpollFlags::IN, fd))?,
                Next::Write => sys.epoll_ctl(epoll, EPOLL_CTL_MOD, fd, event(EpollFlags::OUT, fd))?,
            }
        }
    }
    connections.keys().try_for_each(|fd| sys.close(*fd))?;
    sys.close(epoll)?;
    host.shut_down()
}
