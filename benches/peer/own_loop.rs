//! The servers of `tunstack bench` on this stack's core alone, behind a plain TUN, to stand beside those on its sockets, and
//! beside stacks whose program is in their own loop as well:
//!
//! ```text
//! cargo build --release --features cli --example peer_own_loop
//! sudo target/release/tunstack bench --offload off --peer-command target/release/examples/peer_own_loop
//! ```
//!
//! One thread and one loop: no socket, no lock, and nobody to be woken. What data passes is copied from and to buffers of the
//! program, as a call to read or write does it. The settings are those of the servers on sockets: the usual ones, without
//! Nagle's algorithm. But each packet is read by itself, as the others of one thread do it: `--uring` reads many at a
//! time where that takes less, as the servers on sockets do it. `--no-timestamps` is for bulk alone, where smoltcp's and others
//! have none either: segments have 12 octets more for text then, and the ports of short connections are not free again soon.

use std::collections::VecDeque;
use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tunstack::core::addr::{Address, Endpoint, Family, Prefix};
use tunstack::core::config::Config;
use tunstack::core::error::Error as StackError;
use tunstack::core::stack::{Event, Readiness, SocketId, Stack};
use tunstack::core::time::Instant;
use tunstack::device::either::TunDevice;
use tunstack::device::setup::{Offload, TunConfig, bring_up};
use tunstack::device::{Device, Frames};

const DISCARD: u16 = 5001;
const SOURCE: u16 = 5002;
const HTTP: u16 = 5004;
const ECHO: [u16; 5] = [5003, 5013, 5023, 5033, 5005];
const PIECE: usize = 128 << 10;
const BACKLOG: u32 = 4096;
const PAGE: usize = 1000;
/// The longest head of a request that is read.
const HEAD: usize = 8 << 10;
const END: &[u8] = b"\r\n\r\n";

/// Packets that are read, or sent, before it is the other's turn: who sends on and on keeps the acknowledgments waiting that
/// it needs itself.
const BURST: usize = 64;
/// How long it looks for packets before it sleeps: a peer that answers at once answers before it would be awake again.
const LOOK: Duration = Duration::from_micros(50);
/// So many looks in vain in a row change nothing; after each that follows, twice as many sleeps go without, up to 2 to the
/// power of [`FAILURES`]. So does the engine.
const FORGIVEN: u32 = 3;
const FAILURES: u32 = 8;
/// How long an acknowledgment may wait for an answer to go with; all that are due are given in the same pass.
const PATIENCE: Duration = Duration::from_millis(1);
/// Passes after which standard input is looked at, even if there is more to do.
const ASKED: u32 = 64;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let of = |name: &str| {
        env::var(name).map_err(|_| format!("{name} is not set: tunstack bench --peer-command does that"))
    };
    let own = prefix(&of("TUNSTACK_BENCH_ADDR")?)?;
    let config = TunConfig {
        name: Some(of("TUNSTACK_BENCH_DEV")?),
        addr: Some(own),
        peer: Some(prefix(&of("TUNSTACK_BENCH_HOST")?)?.address),
        addr6: None,
        mtu: of("TUNSTACK_BENCH_MTU")?.parse()?,
        // As the others have it, who sum and cut for themselves.
        offload: Offload::Off,
        // A process of one thread pays little for a call.
        uring: env::args().any(|arg| arg == "--uring"),
        ..TunConfig::default()
    };
    let timestamps = !env::args().any(|arg| arg == "--no-timestamps");
    let name = if timestamps { "tunstack's core" } else { "core, no timestamps" };
    Server::new(bring_up(&config)?, own, timestamps)?.run(name)
}

fn prefix(text: &str) -> Result<Prefix, Box<dyn Error>> {
    let (address, length) =
        text.split_once('/').ok_or_else(|| format!("{text} has no length of a prefix"))?;
    Ok(Prefix::new(address.parse::<IpAddr>()?.into(), length.parse()?))
}

/// What a port is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Discard,
    Source,
    Echo,
    Http,
}

/// What the program has at a slot of the stack.
enum Slot {
    Nothing,
    Listener(Service),
    Connection(Connection),
    DiscardDatagrams,
    SourceOfDatagrams,
}

/// What turns need beside the connection whose they are.
struct Tools {
    piece: Vec<u8>,
    /// To each request, whatever it asks for.
    answer: Vec<u8>,
    /// Octets that were taken.
    octets: u64,
}

struct Connection {
    id: SocketId,
    service: Service,
    /// It waits for its turn.
    is_ready: bool,
    /// What has not found room yet: nothing more is read before that is gone.
    unsent: Vec<u8>,
    /// The beginning of a request.
    head: Vec<u8>,
}

impl Connection {
    const fn new(id: SocketId, service: Service) -> Self {
        Self { id, service, is_ready: false, unsent: Vec::new(), head: Vec::new() }
    }

    /// Whether a turn would do anything.
    fn has_to_do(&self, readiness: Readiness) -> bool {
        let writes = self.service == Service::Source || !self.unsent.is_empty();
        readiness.contains(if writes { Readiness::WRITABLE } else { Readiness::READABLE })
    }

    /// Reads or writes a piece, and says whether there may be more.
    fn turn(&mut self, stack: &mut Stack, tools: &mut Tools, now: Instant) -> Result<bool, StackError> {
        if self.service == Service::Source {
            stack.try_write(self.id, &tools.piece, now)?;
            return Ok(true);
        }
        if !self.unsent.is_empty() {
            let sent = stack.try_write(self.id, &self.unsent, now)?;
            self.unsent.drain(..sent);
            if !self.unsent.is_empty() {
                return Ok(true);
            }
            // What was needed once is not to be memory of the connection for ever.
            self.unsent = Vec::new();
        }
        let begun = self.head.len();
        tools.piece[..begun].copy_from_slice(&self.head);
        let room = if self.service == Service::Http { begun..HEAD } else { 0..PIECE };
        let n = stack.try_read(self.id, &mut tools.piece[room])?;
        match self.service {
            Service::Source => {}
            Service::Discard => tools.octets += n as u64,
            Service::Echo => self.send(stack, &tools.piece[..n], now)?,
            Service::Http => {
                let mut rest = &tools.piece[..begun + n];
                while let Some(end) = rest.windows(END.len()).position(|four| four == END) {
                    rest = &rest[end + END.len()..];
                    self.send(stack, &tools.answer, now)?;
                }
                self.head.clear();
                self.head.extend_from_slice(rest);
                // A request without an end is one.
                return Ok(n > 0 && rest.len() < HEAD);
            }
        }
        Ok(n > 0)
    }

    /// Writes, and keeps what there is no room for.
    fn send(&mut self, stack: &mut Stack, data: &[u8], now: Instant) -> Result<(), StackError> {
        let wait = !self.unsent.is_empty() || data.is_empty();
        let sent = match if wait { Ok(0) } else { stack.try_write(self.id, data, now) } {
            Err(StackError::WouldBlock) => 0,
            other => other?,
        };
        self.unsent.extend_from_slice(&data[sent..]);
        Ok(())
    }
}

#[derive(Default)]
struct Datagrams {
    count: u64,
    octets: u64,
    /// Whom to send datagrams of which length until when, and from which socket.
    burst: Option<(SocketId, Endpoint, usize, Instant)>,
}

/// Looking for packets before a sleep.
#[derive(Default)]
struct Look {
    /// Until when, while it lasts.
    until: Option<Instant>,
    /// Looks in a row that found nothing.
    failures: u32,
    /// Sleeps before which it is not tried.
    left_out: u32,
}

impl Look {
    /// There was something to do.
    fn has_found(&mut self) {
        if self.until.take().is_some() {
            self.failures = 0;
        }
    }

    /// There was nothing: whether it is looked again, or slept.
    fn goes_on(&mut self, now: Instant) -> bool {
        match self.until {
            Some(until) if now < until => return true,
            Some(_) => {
                self.until = None;
                self.failures = (self.failures + 1).min(FORGIVEN + FAILURES);
                self.left_out = (1 << self.failures.saturating_sub(FORGIVEN)) - 1;
            }
            None if self.left_out == 0 => self.until = Some(now + LOOK),
            None => self.left_out -= 1,
        }
        self.until.is_some()
    }
}

struct Server {
    device: TunDevice,
    stack: Stack,
    frames: Frames,
    /// Of the stack's time.
    epoch: std::time::Instant,
    /// At the indices of the stack's sockets.
    slots: Vec<Slot>,
    /// Connections that have a turn, each once.
    ready: VecDeque<SocketId>,
    /// The last pass has left packets to send.
    unsent: bool,
    tools: Tools,
    datagrams: Datagrams,
    line: Vec<u8>,
}

impl Server {
    fn new(device: TunDevice, own: Prefix, timestamps: bool) -> Result<Self, Box<dyn Error>> {
        let mut seed = [0; 32];
        SysRng.try_fill_bytes(&mut seed)?;
        let mtu = device.capabilities().mtu.min(Config::default().mtu);
        let mut config = Config { addresses: vec![own], mtu, ..Config::default() };
        config.tcp.timestamps = timestamps;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {PAGE}\r\n\r\n");
        let mut server = Self {
            device,
            stack: Stack::new(config, seed),
            frames: Frames::new(BURST, mtu.into()),
            epoch: std::time::Instant::now(),
            slots: Vec::new(),
            ready: VecDeque::new(),
            unsent: false,
            tools: Tools {
                piece: vec![b'x'; PIECE],
                answer: [head.as_bytes(), &[b'x'; PAGE]].concat(),
                octets: 0,
            },
            datagrams: Datagrams::default(),
            line: Vec::new(),
        };
        let all = [(DISCARD, Service::Discard), (SOURCE, Service::Source), (HTTP, Service::Http)];
        for (port, service) in all.into_iter().chain(ECHO.map(|port| (port, Service::Echo))) {
            server.listen(port, service).map_err(|e| format!("cannot listen at port {port}: {e}"))?;
        }
        for (port, slot) in [(DISCARD, Slot::DiscardDatagrams), (SOURCE, Slot::SourceOfDatagrams)] {
            let id = server.stack.udp_socket(Family::V4);
            server.stack.bind(id, any(port)).map_err(|e| format!("cannot use UDP port {port}: {e}"))?;
            server.put(id, slot);
        }
        Ok(server)
    }

    fn listen(&mut self, port: u16, service: Service) -> Result<(), StackError> {
        let stack = &mut self.stack;
        let id = stack.tcp_socket(Family::V4);
        let mut options = stack.options(id)?;
        // Each connection has the options of its listener.
        options.nodelay = true;
        stack.set_options(id, options, Instant::ZERO)?;
        stack.bind(id, any(port))?;
        stack.listen(id, BACKLOG)?;
        self.put(id, Slot::Listener(service));
        Ok(())
    }

    fn put(&mut self, id: SocketId, slot: Slot) {
        let index = id.index() as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || Slot::Nothing);
        }
        self.slots[index] = slot;
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }

    fn run(mut self, name: &str) -> Done {
        say(&format!("ready {name}"))?;
        let (mut passes, mut look) = (0u32, Look::default());
        loop {
            let now = self.now();
            let works = self.pass(now)?;
            // There may be something to do for ever, and somebody may ask meanwhile.
            let goes_on = if works {
                passes = passes.wrapping_add(1);
                look.has_found();
                !passes.is_multiple_of(ASKED)
            } else {
                look.goes_on(now)
            };
            if goes_on {
                continue;
            }
            let wait = match works {
                true => Some(Duration::ZERO),
                false => self.stack.poll_timeout().map(|due| due.saturating_since(now)),
            };
            let timeout = wait.map(|wait| wait.try_into().unwrap_or(Timespec::default()));
            let stdin = io::stdin();
            let mut ready = [
                PollFd::from_borrowed_fd(self.device.readable(), PollFlags::IN),
                PollFd::new(&stdin, PollFlags::IN),
            ];
            match poll(&mut ready, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            if !ready[1].revents().is_empty() && !self.answer_count()? {
                return Ok(());
            }
        }
    }

    /// Takes in what has come, lets each that is ready have a turn, and sends what comes of that, as far as a pass goes. Says
    /// whether there was anything to do.
    fn pass(&mut self, now: Instant) -> io::Result<bool> {
        self.frames.clear();
        let begun = self.frames.expects_burst().then(std::time::Instant::now);
        let came = self.device.recv(now, &mut self.frames)? > 0;
        if let Some(begun) = begun {
            self.frames.took(begun.elapsed());
        }
        let is_due = self.stack.poll_timeout().is_some_and(|due| due <= now);
        let goes_on = self.unsent || !self.ready.is_empty() || self.datagrams.burst.is_some();
        if !(came || is_due || goes_on) {
            return Ok(false);
        }
        // Answers go in this very pass, and acknowledgments with them.
        self.stack.hold_acks(Some(now + PATIENCE));
        for inbound in self.frames.iter() {
            self.stack.receive(now, inbound);
        }
        self.stack.hold_acks(None);
        self.stack.handle_timeout(now);
        self.take_events();
        let mut left = BURST;
        let mut all_left = !self.unsent || self.transmit(&mut left, now);
        // Those that are ready now: what comes meanwhile is seen before they have their next turn.
        for _ in 0..self.ready.len() {
            // What one writes leaves before another writes, as on sockets: what the peer gets in turns wakes another of its
            // threads each time.
            if !all_left {
                break;
            }
            let Some(id) = self.ready.pop_front() else { break };
            self.turn(id, now);
            all_left = self.transmit(&mut left, now);
        }
        self.send_datagrams(now);
        self.stack.release_acks();
        self.unsent = !self.transmit(&mut left, now);
        self.take_events();
        Ok(true)
    }

    /// Sends so many packets at the most, and says whether that was all there is to send.
    fn transmit(&mut self, left: &mut usize, now: Instant) -> bool {
        while *left > 0 {
            // It is looked at where it was put: to move it right behind that is dear.
            let next = self.stack.poll_transmit(now);
            let Some(datagram) = &next else { return true };
            // The kernel drops what it does not like; TCP sends it again.
            let _ = self.device.send(now, datagram);
            *left -= 1;
        }
        false
    }

    fn take_events(&mut self) {
        while let Some(Event { id, readiness, .. }) = self.stack.poll_event() {
            match self.slots.get_mut(id.index() as usize) {
                Some(Slot::Connection(connection))
                    if !connection.is_ready && connection.has_to_do(readiness) =>
                {
                    connection.is_ready = true;
                    self.ready.push_back(id);
                }
                Some(Slot::Listener(service)) => {
                    let service = *service;
                    // What each has sent already is another event.
                    while let Ok(new) = self.stack.try_accept(id) {
                        self.put(new, Slot::Connection(Connection::new(new, service)));
                    }
                }
                Some(Slot::DiscardDatagrams) => {
                    while let Ok(received) = self.stack.try_receive_from(id, &mut self.tools.piece, false) {
                        self.datagrams.count += 1;
                        self.datagrams.octets += received.copied as u64;
                    }
                }
                Some(Slot::SourceOfDatagrams) => self.asked_for_datagrams(id),
                _ => {}
            }
        }
    }

    /// One piece. Who has more to do then has another turn in the next pass.
    fn turn(&mut self, id: SocketId, now: Instant) {
        let Some(slot) = self.slots.get_mut(id.index() as usize) else { return };
        let Slot::Connection(connection) = slot else { return };
        match connection.turn(&mut self.stack, &mut self.tools, now) {
            Ok(true) | Err(StackError::WouldBlock) => {
                connection.is_ready = connection.has_to_do(self.stack.readiness(id));
                if connection.is_ready {
                    self.ready.push_back(id);
                }
            }
            Ok(false) | Err(_) => {
                *slot = Slot::Nothing;
                // It is there until then; what was written is still delivered.
                let _ = self.stack.close(id, now);
            }
        }
    }

    /// A length, 16 bits, and milliseconds, 32 bits.
    fn asked_for_datagrams(&mut self, id: SocketId) {
        while let Ok(received) = self.stack.try_receive_from(id, &mut self.tools.piece, false) {
            if let &[a, b, c, d, e, f, ..] = &self.tools.piece[..received.copied] {
                let time = Duration::from_millis(u32::from_be_bytes([c, d, e, f]).into());
                let length = u16::from_be_bytes([a, b]).into();
                self.datagrams.burst = Some((id, received.from, length, self.now() + time));
            }
        }
    }

    fn send_datagrams(&mut self, now: Instant) {
        let Some((id, to, length, end)) = self.datagrams.burst else { return };
        if now >= end {
            self.datagrams.burst = None;
            return;
        }
        for _ in 0..BURST {
            // Full queues and answers that nobody listens are part of it.
            if self.stack.try_send_to(id, &self.tools.piece[..length], Some(to), now).is_err() {
                break;
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
            let Datagrams { count, octets, .. } = self.datagrams;
            say(&format!("count {} {count} {octets}", self.tools.octets))?;
        }
        Ok(n > 0)
    }
}

fn any(port: u16) -> Endpoint {
    Endpoint::new(Address::v4(Ipv4Addr::UNSPECIFIED), port)
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
