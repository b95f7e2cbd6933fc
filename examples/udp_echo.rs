//! A UDP echo server (RFC 862): each datagram goes back to whom it came from.
//!
//! Run it as root, then type: nc -u 10.7.0.2 7

mod common;

use clap::Parser;

/// A UDP echo server with an IP address of its own.
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
    let host = args.host.up()?;
    let socket = host.engine.bind_udp(host.any(args.port))?;
    let ending = host.shut_down_on_ctrl_c();
    host.serving("UDP echo", socket.local_addr()?.port());
    let mut datagram = vec![0; 65_535]; // the length field's most: nothing is cut off
    loop {
        let echoed =
            socket.recv_from(&mut datagram).and_then(|(len, from)| socket.send_to(&datagram[..len], from));
        match echoed {
            Ok(_) => {}
            Err(error) if host.ended(&error)? => return ending.wait(),
            Err(error) => common::complain!("{error}"), // of one peer, or told by ICMP: the others go on
        }
    }
}
