//! The servers of `tunstack bench` on smoltcp, behind a plain TUN, to stand beside this stack in the same run:
//!
//! ```text
//! cargo build --release --features cli --example peer_smoltcp
//! sudo target/release/tunstack bench --peer-command target/release/examples/peer_smoltcp
//! ```
//!
//! One thread polls, as smoltcp is made to be used. What data passes is copied from and to buffers of the program, as a
//! call to read or write does it. Buffers of 1 MiB where the most octets a second count (`--buffer OCTETS`), 16 KiB elsewhere;
//! timestamps only for short connections, whose ports the kernel takes again soon where there are any.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{HardwareAddress, IpCidr};
use tunstack::core::addr::Prefix;
use tunstack::device::Device;
use tunstack::device::setup::{Offload, TunConfig, bring_up};

const DISCARD: u16 = 5001;
const SOURCE: u16 = 5002;
const HTTP: u16 = 5004;
const ECHO: [u16; 5] = [5003, 5013, 5023, 5033, 5005];
const PIECE: usize = 128 << 10;
const SMALL: usize = 16 << 10;
const PAGE: usize = 1000;
/// Listening sockets a port: at least these, and as many as there are connections, up to these.
const LISTENING: std::ops::RangeInclusive<usize> = 4..=64;

/// Turns after which standard input is looked at, even if there is more to do.
const ASKED: u32 = 64;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let mut args = env::args().skip_while(|arg| arg != "--buffer").skip(1);
    let buffer = args.next().map_or(Ok(1 << 20), |text| text.parse())?;
    let of = |name: &str| {
        env::var(name).map_err(|_| format!("{name} is not set: tunstack bench --peer-command does that"))
    };
    let prefix = |text: String| -> Result<Prefix, Box<dyn Error>> {
        let cidr = IpCidr::from_str(&text).map_err(|()| format!("{text} is no address with a prefix"))?;
        Ok(Prefix::new(std::net::IpAddr::from(cidr.address()).into(), cidr.prefix_len()))
    };
    let own = of("TUNSTACK_BENCH_ADDR")?;
    let config = TunConfig {
        name: Some(of("TUNSTACK_BENCH_DEV")?),
        addr: Some(prefix(own.clone())?),
        peer: Some(prefix(of("TUNSTACK_BENCH_HOST")?)?.address),
        addr6: None,
        mtu: of("TUNSTACK_BENCH_MTU")?.parse()?,
        // It sums and cuts for itself.
        offload: Offload::Off,
        ..TunConfig::default()
    };
    let tun = bring_up(&config)?;
    let mtu = config.mtu as usize;
    let device = Tun { fd: tun.readable(), mtu, arrived: vec![0; 1 << 16], leaving: vec![0; 1 << 16] };
    let address = IpCidr::from_str(&own).map_err(|()| "no address")?;
    Server::new(device, address, buffer).run()
}

/// One packet a read and a write, without an allocation.
struct Tun<'a> {
    fd: BorrowedFd<'a>,
    mtu: usize,
    arrived: Vec<u8>,
    leaving: Vec<u8>,
}

struct Arrived<'a>(&'a [u8]);

impl phy::RxToken for Arrived<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

struct Leaving<'a>(BorrowedFd<'a>, &'a mut [u8]);

impl phy::TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let packet = &mut self.1[..len];
        let result = f(packet);
        // The kernel drops what it does not like; TCP sends it again.
        let _ = rustix::io::write(self.0, packet);
        result
    }
}

impl phy::Device for Tun<'_> {
    type RxToken<'a>
        = Arrived<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Leaving<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: SmolInstant) -> Option<(Arrived<'_>, Leaving<'_>)> {
        let len = rustix::io::read(self.fd, &mut self.arrived[..]).ok()?;
        Some((Arrived(&self.arrived[..len]), Leaving(self.fd, &mut self.leaving)))
    }

    fn transmit(&mut self, _: SmolInstant) -> Option<Leaving<'_>> {
        Some(Leaving(self.fd, &mut self.leaving))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

/// The sockets of a port.
#[derive(Default)]
struct Port {
    listening: Vec<SocketHandle>,
    open: Vec<SocketHandle>,
    /// Closed ones, whose buffers serve again.
    free: Vec<SocketHandle>,
}

#[derive(Default)]
struct Counted {
    octets: u64,
    datagrams: u64,
    datagram_octets: u64,
}

struct Server<'a> {
    device: Tun<'a>,
    interface: Interface,
    sockets: SocketSet<'static>,
    ports: BTreeMap<u16, Port>,
    datagrams: [SocketHandle; 2],
    /// Whom to send datagrams of which length until when.
    burst: Option<(udp::UdpMetadata, usize, Instant)>,
    counted: Counted,
    buffer: usize,
    piece: Vec<u8>,
    answer: Vec<u8>,
    line: Vec<u8>,
}

fn millis() -> u32 {
    SmolInstant::now().total_millis() as u32
}

impl<'a> Server<'a> {
    fn new(mut device: Tun<'a>, address: IpCidr, buffer: usize) -> Self {
        let mut settings = Config::new(HardwareAddress::Ip);
        settings.random_seed = SmolInstant::now().total_micros().cast_unsigned();
        let mut interface = Interface::new(settings, &mut device, SmolInstant::now());
        interface.update_ip_addrs(|all| all.push(address).expect("there is room for one"));
        let mut sockets = SocketSet::new(Vec::new());
        let datagrams = [DISCARD, SOURCE].map(|port| {
            let queue = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 1024], vec![0; 1 << 20]);
            let mut socket = udp::Socket::new(queue(), queue());
            socket.bind(port).expect("a port of its own");
            sockets.add(socket)
        });
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {PAGE}\r\n\r\n");
        let ports =
            [DISCARD, SOURCE, HTTP].into_iter().chain(ECHO).map(|port| (port, Port::default())).collect();
        let mut server = Self {
            device,
            interface,
            sockets,
            ports,
            datagrams,
            burst: None,
            counted: Counted::default(),
            buffer,
            piece: vec![b'x'; PIECE],
            answer: [head.as_bytes(), &[b'x'; PAGE]].concat(),
            line: Vec::new(),
        };
        server.listen();
        server
    }

    fn run(mut self) -> Done {
        say("ready smoltcp")?;
        let mut turns = 0u32;
        loop {
            let now = SmolInstant::now();
            self.interface.poll(now, &mut self.device, &mut self.sockets);
            let moved = self.serve();
            turns = turns.wrapping_add(1);
            // There may be something to do for ever, and somebody may ask meanwhile.
            if moved && !turns.is_multiple_of(ASKED) {
                continue;
            }
            let wait = match moved {
                true => Some(smoltcp::time::Duration::ZERO),
                false => self.interface.poll_delay(SmolInstant::now(), &self.sockets),
            };
            let timeout = wait.map(|wait| Duration::from(wait).try_into().unwrap_or(Timespec::default()));
            let stdin = io::stdin();
            let mut ready =
                [PollFd::from_borrowed_fd(self.device.fd, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
            match poll(&mut ready, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            if !ready[1].revents().is_empty() && !self.answer_count()? {
                return Ok(());
            }
        }
    }

    /// Answers what is asked on standard input, and says whether more may come.
    fn answer_count(&mut self) -> Result<bool, Box<dyn Error>> {
        let mut octets = [0; 256];
        let n = rustix::io::read(io::stdin(), &mut octets)?;
        self.line.extend_from_slice(&octets[..n]);
        while let Some(end) = self.line.iter().position(|b| *b == b'\n') {
            self.line.drain(..=end);
            let Counted { octets, datagrams, datagram_octets } = self.counted;
            say(&format!("count {octets} {datagrams} {datagram_octets}"))?;
        }
        Ok(n > 0)
    }

    /// Does what programs do, and says whether anything was done.
    fn serve(&mut self) -> bool {
        let mut moved = self.serve_datagrams();
        let mut ports = std::mem::take(&mut self.ports);
        for (port, sockets) in &mut ports {
            let ready = |set: &SocketSet<'_>, h: &SocketHandle| {
                let state = set.get::<tcp::Socket<'_>>(*h).state();
                !matches!(state, tcp::State::Listen | tcp::State::SynReceived)
            };
            let mut n = 0;
            while let Some(handle) = sockets.listening.get(n) {
                if ready(&self.sockets, handle) {
                    sockets.open.push(sockets.listening.swap_remove(n));
                    moved = true;
                } else {
                    n += 1;
                }
            }
            let mut n = 0;
            while let Some(handle) = sockets.open.get(n) {
                moved |= self.connection(*port, *handle);
                if self.sockets.get::<tcp::Socket<'_>>(*handle).is_open() {
                    n += 1;
                } else {
                    sockets.free.push(sockets.open.swap_remove(n));
                }
            }
        }
        self.ports = ports;
        if moved {
            self.listen();
        }
        moved
    }

    /// Makes sure that each port has sockets that listen.
    fn listen(&mut self) {
        for (port, sockets) in &mut self.ports {
            let wanted = sockets.open.len().clamp(*LISTENING.start(), *LISTENING.end());
            while sockets.listening.len() < wanted {
                let handle = sockets.free.pop().unwrap_or_else(|| {
                    let (receive, send) = match *port {
                        DISCARD => (self.buffer, SMALL),
                        SOURCE => (SMALL, self.buffer),
                        _ => (SMALL, SMALL),
                    };
                    let buffer = |len| tcp::SocketBuffer::new(vec![0; len]);
                    let mut socket = tcp::Socket::new(buffer(receive), buffer(send));
                    socket.set_nagle_enabled(false);
                    if ![DISCARD, SOURCE].contains(port) {
                        socket.set_tsval_generator(Some(millis));
                    }
                    self.sockets.add(socket)
                });
                let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
                socket.listen(*port).expect("a closed socket listens");
                sockets.listening.push(handle);
            }
        }
    }

    fn connection(&mut self, port: u16, handle: SocketHandle) -> bool {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        let mut moved = false;
        if port == SOURCE {
            while socket.can_send() && matches!(socket.send_slice(&self.piece), Ok(1..)) {
                moved = true;
            }
        }
        while socket.can_recv() {
            let room = socket.send_capacity() - socket.send_queue();
            let most = match port {
                DISCARD | SOURCE => PIECE,
                // A request is in one segment here; its answer has to find room.
                HTTP if room < self.answer.len() => break,
                HTTP => PIECE,
                _ => room.min(PIECE),
            };
            let Ok(n @ 1..) = socket.recv_slice(&mut self.piece[..most]) else { break };
            moved = true;
            match port {
                DISCARD => self.counted.octets += n as u64,
                SOURCE => {}
                HTTP => _ = socket.send_slice(&self.answer),
                _ => _ = socket.send_slice(&self.piece[..n]),
            }
        }
        // The client has said all.
        if socket.state() == tcp::State::CloseWait && !socket.can_recv() {
            socket.close();
            moved = true;
        }
        moved
    }

    fn serve_datagrams(&mut self) -> bool {
        let [discard, source] = self.datagrams;
        let mut moved = false;
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(discard);
        while let Ok((n, _)) = socket.recv_slice(&mut self.piece) {
            self.counted.datagrams += 1;
            self.counted.datagram_octets += n as u64;
            moved = true;
        }
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(source);
        while let Ok((request, from)) = socket.recv() {
            if let &[a, b, c, d, e, f, ..] = request {
                let time = Duration::from_millis(u32::from_be_bytes([c, d, e, f]).into());
                self.burst = Some((from, u16::from_be_bytes([a, b]).into(), Instant::now() + time));
            }
        }
        if let Some((to, len, end)) = self.burst {
            if Instant::now() >= end {
                self.burst = None;
            }
            while socket.send_slice(&self.piece[..len], to).is_ok() {}
            moved = true;
        }
        moved
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
