//! An echo server of tokio's tasks: each connection gets back what it sends, until it sends no more (RFC 862).
//!
//! Run it as root, then type: nc -N 10.7.0.2 7 <README.md

mod common;

use clap::Parser;
use tokio::io::{AsyncWriteExt, copy};
use tunstack::aio::{TcpListener, TcpStream};

/// A TCP echo server with an IP address of its own.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    host: common::HostArgs,
    /// The port
    #[arg(long, default_value_t = 7)]
    port: u16,
}

#[tokio::main]
async fn main() -> common::Done {
    let args = Args::parse();
    let host = args.host.up()?;
    let listener = TcpListener::bind_on(&host.engine, host.any(args.port)).await?;
    let ending = host.shut_down_on_ctrl_c();
    host.serving("echo over TCP", listener.local_addr()?.port());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => _ = tokio::spawn(echo(stream)),
            Err(error) if host.ended(&error)? => return ending.wait(),
            Err(_) => {} // that one was reset before its turn
        }
    }
}

/// An error is of this connection alone, and nobody is left to be told of it.
async fn echo(mut stream: TcpStream) {
    let (mut reader, mut writer) = stream.split();
    if copy(&mut reader, &mut writer).await.is_ok() {
        let _ = writer.shutdown().await;
    }
}
