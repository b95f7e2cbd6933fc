//! The load generator: an ordinary client on the kernel's sockets.

mod bulk;

mod trips;

mod connections;

mod http;

mod datagrams;

mod crowd;

pub(super) mod million;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

use super::super::output::{Failure, why};
use super::figures::Reading;
use super::lanes::{Lane, set_congestion_control};
use super::plan::{Column, Plan};

/// A server that says nothing for so long has failed.
const SILENCE: Duration = Duration::from_secs(5);
/// After this the kernel's deferred work is done.
const SETTLE: Duration = Duration::from_millis(300);

/// Measures one column over one lane. `tell` is told how far a long one is.
pub(super) fn measure(
    column: Column,
    lane: &mut Lane,
    plan: &Plan,
    tell: &dyn Fn(&str),
) -> Result<Vec<Reading>, Failure> {
    match column {
        Column::Bulk { way, streams } => bulk::measure(way, streams, lane, plan),
        Column::Trips { octets } => trips::measure(octets, lane, plan),
        Column::Connections { request, in_flight } => connections::measure(request, in_flight, lane, plan),
        Column::Http { connections } => http::measure(connections, lane, plan),
        Column::Datagrams { up, octets } => datagrams::measure(up, octets, lane, plan),
        Column::Crowd { connections } => crowd::measure(connections, lane, plan),
        Column::Million { idle } => million::measure(idle, lane, plan, tell),
    }
}

/// A connection that gives up on a silent server, without Nagle's algorithm.
fn connect(to: SocketAddr) -> Result<TcpStream, Failure> {
    let cannot = |e| cannot_connect(to, &e);
    let stream = dial(to).map_err(cannot)?;
    limit(&stream).map_err(cannot)?;
    Ok(stream)
}

fn cannot_connect(to: SocketAddr, error: &io::Error) -> Failure {
    Failure::of(format!("cannot connect to {to}"), error)
}

/// Makes it give up on a silent server.
fn limit(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))
}

fn dial(to: SocketAddr) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Before it connects: one that begins with another goes on with what that has set.
    set_congestion_control(&socket)?;
    rustix::net::connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Closes with a reset: what is still under way is not to burden the next measurement.
fn abort(stream: TcpStream) {
    // A stream that is gone already needs it no more.
    let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
}

/// Why a measurement has failed, with silence in words.
fn broken(column: &str, lane: &Lane, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("no answer in {} s", SILENCE.as_secs())
        }
        _ => why(error),
    };
    Failure::Failed(format!("{column}: {}: {reason}", lane.name))
}
