//! An echo server with a fixed number of threads, each of which serves one connection after the other: those that
//! come when all are busy wait in the accept queue of the listener.
//!
//! Run it as root, then type: nc -N 10.7.0.2 7 <README.md

mod common;

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::thread;

use clap::Parser;
use tunstack::net::{TcpListener, TcpStream};

/// A TCP echo server with an IP address of its own: a pool of threads.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    host: common::HostArgs,
    /// The port
    #[arg(long, default_value_t = 7)]
    port: u16,
    /// How many threads: as many connections are served at a time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

fn main() -> common::Done {
    let args = Args::parse();
    let host = args.host.up()?;
    let listener = host.engine.listen(host.any(args.port))?;
    let ending = host.shut_down_on_ctrl_c();
    host.serving("echo over TCP", listener.local_addr()?.port());
    thread::scope(|pool| {
        let threads: Vec<_> = (0..args.threads).map(|_| pool.spawn(|| serve(&host, &listener))).collect();
        threads
            .into_iter()
            .try_for_each(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    ending.wait()
}

/// What each thread does.
fn serve(host: &common::Host, listener: &TcpListener) -> common::Done {
    let mut data = vec![0; 64 << 10];
    loop {
        match listener.accept() {
            // An error is of this connection alone, and nobody is left to be told of it.
            Ok((stream, _)) => _ = echo(&stream, &mut data),
            Err(error) if host.ended(&error)? => return Ok(()),
            Err(_) => {} // that one was reset before its turn
        }
    }
}

fn echo(mut stream: &TcpStream, data: &mut [u8]) -> io::Result<()> {
    loop {
        match stream.read(data)? {
            0 => return stream.shutdown(Shutdown::Write),
            n => stream.write_all(&data[..n])?,
        }
    }
}
