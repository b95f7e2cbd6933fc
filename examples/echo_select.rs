//! An echo server on `select`: one thread, sets of descriptors, and no more of them than a set has room for.
//!
//! Run it as root, then type: nc -N 10.7.0.2 7 <README.md

mod common;
#[path = "common/connection.rs"]
mod connection;

use std::os::fd::{AsFd, AsRawFd};

use clap::Parser;
use connection::{Connection, Next};
use tunstack::bsd::{Errno, FD_SETSIZE, FdSet, Sockets};

/// A TCP echo server with an IP address of its own: one thread and select.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    host: common::HostArgs,
    /// The port
    #[arg(long, default_value_t = 7)]
    port: u16,
}

fn main() -> common::Done {
    let args = Args::parse();
    let most_connections = common::many_descriptors()?;
    let host = args.host.up()?;
    let sys = Sockets::new(&host.engine);
    let listener = common::listen(&sys, &host.any(args.port))?;
    host.serving("echo over TCP", sys.getsockname(listener)?.port());
    let ctrl_c = host.ctrl_c.as_fd().as_raw_fd();
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        let (mut readable, mut writable) = (FdSet::new(), FdSet::new());
        readable.insert(ctrl_c)?;
        // Where there is no room for more, they wait in the accept queue.
        if connections.len() < most_connections {
            readable.insert(listener)?;
        }
        for connection in &connections {
            let set = if connection.next == Next::Write { &mut writable } else { &mut readable };
            set.insert(connection.fd)?;
        }
        let most = connections.iter().map(|c| c.fd).max().unwrap_or(0).max(listener).max(ctrl_c);
        match sys.select(most + 1, Some(&mut readable), Some(&mut writable), None, None) {
            Err(Errno::INTR) => continue, // the signal itself: its descriptor is readable next
            other => other?,
        };
        if readable.contains(ctrl_c) {
            break;
        }
        for connection in &mut connections {
            if readable.contains(connection.fd) || writable.contains(connection.fd) {
                connection.go_on(&sys, 1);
            }
        }
        for closed in connections.extract_if(.., |c| c.next == Next::Close) {
            sys.close(closed.fd)?;
        }
        while readable.contains(listener)
            && connections.len() < most_connections
            && let Some(connection) = Connection::accept(&sys, listener)?
        {
            if usize::try_from(connection.fd).is_ok_and(|fd| fd < FD_SETSIZE) {
                connections.push(connection);
            } else {
                sys.close(connection.fd)?; // there is no room for its number in any set
            }
        }
    }
    connections.iter().try_for_each(|connection| sys.close(connection.fd))?;
    host.shut_down()
}
