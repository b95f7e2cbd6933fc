//! An echo server on `poll`: one thread and an array of descriptors.
//!
//! Run it as root, then type: nc -N 10.7.0.2 7 <README.md

mod common;
#[path = "common/connection.rs"]
mod connection;

use std::os::fd::{AsFd, AsRawFd, RawFd};

use clap::Parser;
use connection::{Connection, Next};
use tunstack::bsd::{Errno, PollFd, PollFlags, Sockets};

/// A TCP echo server with an IP address of its own: one thread and poll.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    host: common::HostArgs,
    /// The port
    #[arg(long, default_value_t = 7)]
    port: u16,
}

fn wait_for(fd: RawFd, events: PollFlags) -> PollFd {
    PollFd { fd, events, revents: PollFlags::empty() }
}

fn main() -> common::Done {
    let args = Args::parse();
    let most_connections = common::many_descriptors()?;
    let host = args.host.up()?;
    let sys = Sockets::new(&host.engine);
    let listener = common::listen(&sys, &host.any(args.port))?;
    host.serving("echo over TCP", sys.getsockname(listener)?.port());
    let mut connections: Vec<Connection> = Vec::new();
    let ctrl_c = host.ctrl_c.as_fd().as_raw_fd();
    let mut fds = vec![wait_for(ctrl_c, PollFlags::IN), wait_for(listener, PollFlags::IN)];
    loop {
        fds.truncate(2);
        // Where there is no room for more, they wait in the accept queue.
        let room = connections.len() < most_connections;
        fds[1].events = if room { PollFlags::IN } else { PollFlags::empty() };
        fds.extend(connections.iter().map(|connection| {
            let events = if connection.next == Next::Write { PollFlags::OUT } else { PollFlags::IN };
            wait_for(connection.fd, events)
        }));
        match sys.poll(&mut fds, -1) {
            Err(Errno::INTR) => continue, // the signal itself: its descriptor is readable next
            other => other?,
        };
        if !fds[0].revents.is_empty() {
            break;
        }
        // A hang-up or an error, for which nobody asked, is found by the call that comes upon it.
        for (connection, _) in connections.iter_mut().zip(&fds[2..]).filter(|(_, fd)| !fd.revents.is_empty())
        {
            connection.go_on(&sys, 1);
        }
        for closed in connections.extract_if(.., |c| c.next == Next::Close) {
            sys.close(closed.fd)?;
        }
        while !fds[1].revents.is_empty()
            && connections.len() < most_connections
            && let Some(connection) = Connection::accept(&sys, listener)?
        {
            connections.push(connection);
        }
    }
    connections.iter().try_for_each(|connection| sys.close(connection.fd))?;
    host.shut_down()
}
