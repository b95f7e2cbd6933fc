//! An echo server with a TCP/IP stack of its own. Run it as root, then type: nc 10.7.0.2 7

use tunstack::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tun = TunConfig::default(); // tun0: 10.7.0.2 and fd07::2 are ours, 10.7.0.1 and fd07::1 the host's
    let config = Config { addresses: tun.addr.into_iter().chain(tun.addr6).collect(), ..Config::default() };
    let engine = Engine::builder().device(bring_up(&tun)?).config(config).start()?;
    for stream in engine.listen("[::]:7")?.incoming() {
        match stream {
            Ok(stream) => _ = std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream)),
            Err(_) => engine.check()?, // that one was reset before its turn, or else the engine has ended
        }
    }
    Ok(())
}
