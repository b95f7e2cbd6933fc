//! What an idle established connection costs: 100,000 of them, with real handshakes, between two engines over a
//! pipe. Each end is a connection record, its place in the table, the timing wheel and the slab, and the handle
//! that the program holds.
//!
//! `cargo bench --bench idle_memory [-- CONNECTIONS]`

use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use tunstack::core::addr::Prefix;
use tunstack::core::config::Config;
use tunstack::device::pipe::Pipe;
use tunstack::engine::Engine;
use tunstack::net::{TcpListener, TcpStream};

/// Ports that the server listens on: each takes as many connections from one address as there are ephemeral
/// ports, and no more.
const CONNECTIONS_A_PORT: usize = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let wanted = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(100_000usize);
    let (near, far) = Pipe::pair(1500)?;
    let client = engine(near, [10, 7, 0, 1])?;
    let server = engine(far, [10, 7, 0, 2])?;

    // What is allocated once, by the first connections, is not a cost of each.
    let warm = establish(&client, &server, 1000, 1)?;
    let before = resident()?;
    let streams = establish(&client, &server, wanted, 100)?;
    let after = resident()?;

    let ends = 2 * wanted;
    let grown = after.saturating_sub(before);
    println!("connections: {wanted}, both ends in this process");
    println!("resident memory grew by {:.1} MB", grown as f64 / 1e6);
    println!("bytes per end of a connection: {}", grown / ends);
    drop((warm, streams));
    Ok(())
}

fn engine(device: Pipe, address: [u8; 4]) -> std::io::Result<Engine> {
    let mut config =
        Config { addresses: vec![Prefix::new(Ipv4Addr::from(address).into(), 24)], ..Config::default() };
    // All of them open at once, from one host.
    config.ephemeral_ports = (1024, 65_535);
    Engine::builder().device(device).config(config).start()
}

/// Opens `count` connections and gives both ends of all.
fn establish(
    client: &Engine,
    server: &Engine,
    count: usize,
    first_port: u16,
) -> std::io::Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(2 * count);
    let mut left = count;
    for port in first_port.. {
        let here = left.min(CONNECTIONS_A_PORT);
        let address = SocketAddr::from(([10, 7, 0, 2], port));
        let listener = TcpListener::bind_on(server, address)?;
        let accepting = thread::spawn(move || {
            listener.incoming().take(here).collect::<std::io::Result<Vec<TcpStream>>>()
        });
        for _ in 0..here {
            streams.push(client.connect(address)?);
        }
        let accepted =
            accepting.join().map_err(|_| std::io::Error::other("the accepting thread panicked"))?;
        streams.extend(accepted?);
        left -= here;
        if left == 0 {
            break;
        }
    }
    Ok(streams)
}

/// Resident memory of this process, octets.
fn resident() -> Result<usize, Box<dyn Error>> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split_whitespace().nth(1).ok_or("statm has no second field")?.parse()?;
    Ok(pages * rustix::param::page_size())
}
