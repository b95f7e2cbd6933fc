//! An echo server with a thread for each connection, in the words of `std::net`.
//!
//! Run it as root, then type: nc -N 10.7.0.2 7 <README.md

mod common;

use std::io;
use std::net::Shutdown;
use std::thread;

use clap::Parser;
use tunstack::net::TcpStream;

/// A TCP echo server with an IP address of its own: a thread for each connection.
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
    let listener = host.engine.listen(host.any(args.port))?;
    let ending = host.shut_down_on_ctrl_c();
    host.serving("echo over TCP", listener.local_addr()?.port());
    loop {
        match listener.accept() {
            // Each has little to do: 64 KiB of stack are plenty.
            Ok((stream, _)) => {
                let thread = thread::Builder::new().stack_size(64 << 10);
                if let Err(error) = thread.spawn(move || echo(&stream)) {
                    common::complain!("a connection is closed: {error}");
                }
            }
            Err(error) if host.ended(&error)? => return ending.wait(),
            Err(_) => {} // that one was reset before its turn
        }
    }
}

/// An error is of this connection alone, and nobody is left to be told of it.
fn echo(stream: &TcpStream) {
    if io::copy(&mut &*stream, &mut &*stream).is_ok() {
        let _ = stream.shutdown(Shutdown::Write);
    }
}
