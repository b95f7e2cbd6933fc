//! smoltcp as an independent peer on a simulated link, with the same scripts as our own hosts.
//!
//! Its FIN is held back until all data before it is acknowledged. smoltcp 0.14 has a weakness there: three
//! duplicate ACKs with nothing but the FIN outstanding set a mark for fast retransmission that an empty send
//! buffer never clears, and then the FIN is not sent again when its timer runs out. With loss that is
//! frequent if the FIN leaves with the data, and rare this way. Where it happens, the run ends with smoltcp
//! in FIN-WAIT-1, CLOSING or LAST-ACK, and no wake.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{HardwareAddress, IpCidr, IpEndpoint};
use tunstack::core::addr::Endpoint;
use tunstack::core::error::Error;
use tunstack::core::packet::Received;
use tunstack::core::time::Instant;
use tunstack::sim::behaviour::Behaviour;
use tunstack::sim::connection::{Connection, Outcome, Role, Socket};
use tunstack::sim::host::{Outgoing, Peer};

/// The device of smoltcp: what has come and what is to go.
struct Queues {
    arrived: VecDeque<Bytes>,
    leaving: Vec<Vec<u8>>,
    mtu: usize,
}

struct Arrived(Bytes);

impl phy::RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Leaving<'a>(&'a mut Vec<Vec<u8>>);

impl phy::TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push(packet);
        result
    }
}

impl phy::Device for Queues {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Leaving<'a>;

    fn receive(&mut self, _: SmolInstant) -> Option<(Arrived, Leaving<'_>)> {
        let packet = self.arrived.pop_front()?;
        Some((Arrived(packet), Leaving(&mut self.leaving)))
    }

    fn transmit(&mut self, _: SmolInstant) -> Option<Leaving<'_>> {
        Some(Leaving(&mut self.leaving))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

/// What smoltcp is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SmolConfig {
    /// Its address.
    pub(crate) address: IpAddr,
    /// Its MTU.
    pub(crate) mtu: usize,
    /// Octets of each socket's two buffers.
    pub(crate) buffer: usize,
    /// Decides its initial sequence numbers.
    pub(crate) seed: u64,
    /// Whether it offers timestamps.
    pub(crate) timestamps: bool,
    /// Whether it uses Nagle's algorithm.
    pub(crate) nagle: bool,
}

impl SmolConfig {
    /// An MTU of 1500, buffers of 64 KiB, no timestamps.
    pub(crate) fn new(address: IpAddr, seed: u64) -> Self {
        Self { address, mtu: 1500, buffer: 64 * 1024, seed, timestamps: false, nagle: true }
    }
}

thread_local! {
    /// smoltcp asks a plain function for timestamps, which has no other way to the virtual time.
    static MILLIS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// A host with smoltcp as its stack, and the programs on it.
pub(crate) struct Smol {
    config: SmolConfig,
    interface: Interface,
    device: Queues,
    sockets: SocketSet<'static>,
    server: Option<Server>,
    clients: Vec<Client>,
    /// Connections in the order they began, with their sockets until the script gives them up.
    connections: Vec<(Option<SocketHandle>, Connection)>,
    /// Sockets that no script holds any more.
    released: Vec<SocketHandle>,
    wake: Option<Instant>,
    scratch: Vec<u8>,
}

struct Server {
    port: u16,
    behaviour: Rc<Behaviour>,
    expected: usize,
    accepted: usize,
    /// smoltcp's listeners become connections: so many are ready at a time.
    listening: Vec<SocketHandle>,
}

struct Client {
    remote: Endpoint,
    behaviour: Rc<Behaviour>,
    start_at: Instant,
    begun: bool,
}

impl Smol {
    pub(crate) fn new(config: SmolConfig) -> Self {
        let mut device = Queues { arrived: VecDeque::new(), leaving: Vec::new(), mtu: config.mtu };
        let mut settings = Config::new(HardwareAddress::Ip);
        settings.random_seed = config.seed;
        let mut interface = Interface::new(settings, &mut device, SmolInstant::ZERO);
        let prefix = if config.address.is_ipv4() { 24 } else { 64 };
        interface.update_ip_addrs(|all| all.push(IpCidr::new(config.address.into(), prefix)).unwrap());
        Self {
            config,
            interface,
            device,
            sockets: SocketSet::new(Vec::new()),
            server: None,
            clients: Vec::new(),
            connections: Vec::new(),
            released: Vec::new(),
            wake: Some(Instant::ZERO),
            scratch: Vec::new(),
        }
    }

    /// Accepts connections at `port`; done when `expected` of them have ended.
    pub(crate) fn server(mut self, port: u16, behaviour: Behaviour, expected: usize) -> Self {
        let behaviour = Rc::new(behaviour);
        self.server = Some(Server { port, behaviour, expected, accepted: 0, listening: Vec::new() });
        for _ in 0..4 {
            self.listen();
        }
        self
    }

    /// Connects to `remote` at `start_at`.
    pub(crate) fn client(mut self, remote: Endpoint, behaviour: Behaviour, start_at: Instant) -> Self {
        self.clients.push(Client { remote, behaviour: Rc::new(behaviour), start_at, begun: false });
        self
    }

    /// How each connection went, in the order they began.
    pub(crate) fn outcomes(&self) -> impl ExactSizeIterator<Item = &Outcome> {
        self.connections.iter().map(|(_, c)| c.outcome())
    }

    fn socket(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; self.config.buffer]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(self.config.nagle);
        if self.config.timestamps {
            socket.set_tsval_generator(Some(|| MILLIS.get()));
        }
        self.sockets.add(socket)
    }

    fn listen(&mut self) {
        let handle = self.socket();
        let server = self.server.as_mut().expect("there is a server");
        self.sockets.get_mut::<tcp::Socket<'_>>(handle).listen(server.port).expect("a fresh socket listens");
        server.listening.push(handle);
    }

    fn begin_clients(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for i in 0..self.clients.len() {
            if self.clients[i].begun || self.clients[i].start_at > now {
                continue;
            }
            self.clients[i].begun = true;
            moved = true;
            let handle = self.socket();
            let client = &self.clients[i];
            let remote = IpEndpoint::new(client.remote.address.ip().into(), client.remote.port);
            let port = 49_152 + u16::try_from(i).expect("few clients");
            let mut connection = Connection::new(Rc::clone(&client.behaviour), Role::Client, now);
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
            if socket.connect(self.interface.context(), remote, port).is_err() {
                connection.fail("connect", Error::AddrNotAvailable, now);
                self.sockets.remove(handle);
                self.connections.push((None, connection));
            } else {
                self.connections.push((Some(handle), connection));
            }
        }
        moved
    }

    fn accept(&mut self, now: Instant) -> bool {
        let Some(server) = &mut self.server else { return false };
        let sockets = &self.sockets;
        let ready = |h: &SocketHandle| {
            let state = sockets.get::<tcp::Socket<'_>>(*h).state();
            !matches!(state, tcp::State::Listen | tcp::State::SynReceived)
        };
        let (accepted, listening): (Vec<_>, Vec<_>) = server.listening.iter().partition(|h| ready(h));
        server.listening = listening;
        server.accepted += accepted.len();
        let more = server.accepted < server.expected;
        for handle in &accepted {
            let connection = Connection::new(Rc::clone(&server.behaviour), Role::Server, now);
            self.connections.push((Some(*handle), connection));
        }
        for _ in 0..accepted.len() * usize::from(more) {
            self.listen();
        }
        !accepted.is_empty()
    }

    fn run_scripts(&mut self, now: Instant) -> bool {
        let mut moved = self.begin_clients(now) | self.accept(now);
        for (held, connection) in &mut self.connections {
            let Some(handle) = *held else { continue };
            let mut socket = SmolSocket(self.sockets.get_mut(handle));
            moved |= connection.poll(&mut socket, now, &mut self.scratch);
            if connection.ended() {
                self.released.push(handle);
                *held = None;
            }
        }
        // As a program's kernel would: what nobody will read is answered by a reset.
        self.released.retain(|handle| {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(*handle);
            if socket.recv_queue() > 0 {
                socket.abort();
                moved = true;
            }
            let open = socket.is_open() || socket.remote_endpoint().is_some();
            if !open {
                self.sockets.remove(*handle);
            }
            open
        });
        moved
    }
}

fn smol_time(now: Instant) -> SmolInstant {
    SmolInstant::from_micros(i64::try_from(now.as_micros()).expect("within 292,000 years"))
}

impl Peer for Smol {
    fn receive(&mut self, _: Instant, packet: Bytes) -> Option<Received> {
        self.device.arrived.push_back(packet);
        None
    }

    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(Outgoing)) {
        let at = smol_time(now);
        MILLIS.set(now.as_millis() as u32);
        for _ in 0..10_000 {
            self.interface.poll(at, &mut self.device, &mut self.sockets);
            let moved = self.run_scripts(now);
            self.device.leaving.drain(..).for_each(|packet| send(packet.into()));
            let next = self.interface.poll_at(at, &self.sockets);
            if !moved && next.is_none_or(|next| next > at) {
                let micros =
                    |t: SmolInstant| Instant::from_micros(u64::try_from(t.total_micros()).unwrap_or(0));
                let scripts = self.connections.iter().filter_map(|(held, c)| held.and(c.next_wake()));
                let starts = self.clients.iter().filter(|c| !c.begun).map(|c| c.start_at);
                self.wake = next.map(micros).into_iter().chain(scripts).chain(starts).min();
                return;
            }
        }
        panic!("livelock: smoltcp and its programs push each other on for ever");
    }

    fn next_wake(&self) -> Option<Instant> {
        self.wake
    }

    fn done(&self) -> bool {
        self.server.as_ref().is_none_or(|s| s.accepted >= s.expected)
            && self.clients.iter().all(|c| c.begun)
            && self.connections.iter().all(|(_, c)| c.ended())
    }

    fn describe(&self) -> String {
        let mut text = format!("smoltcp, wakes at {:?}", self.wake);
        for (held, connection) in &self.connections {
            let state = held.map(|h| self.sockets.get::<tcp::Socket<'_>>(h).state());
            text += &format!("\n  {state:?} {connection:?}");
        }
        for handle in &self.released {
            text += &format!("\n  given up: {:?}", self.sockets.get::<tcp::Socket<'_>>(*handle).state());
        }
        text
    }
}

struct SmolSocket<'a>(&'a mut tcp::Socket<'static>);

fn endpoint(e: IpEndpoint) -> Endpoint {
    Endpoint::new(IpAddr::from(e.addr).into(), e.port)
}

impl Socket for SmolSocket<'_> {
    fn opened(&mut self) -> Result<bool, Error> {
        match self.0.state() {
            tcp::State::SynSent | tcp::State::SynReceived | tcp::State::Listen => Ok(false),
            tcp::State::Closed => Err(Error::Refused),
            _ => Ok(true),
        }
    }

    fn endpoints(&self) -> Option<(Endpoint, Endpoint)> {
        Some((endpoint(self.0.local_endpoint()?), endpoint(self.0.remote_endpoint()?)))
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        match self.0.recv_slice(buf) {
            Ok(0) => Err(Error::WouldBlock),
            Ok(n) => Ok(n),
            Err(tcp::RecvError::Finished) => Ok(0),
            Err(tcp::RecvError::InvalidState) => Err(Error::Reset),
        }
    }

    fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        match self.0.send_slice(data) {
            Ok(0) => Err(Error::WouldBlock),
            Ok(n) => Ok(n),
            Err(tcp::SendError::InvalidState) => Err(Error::BrokenPipe),
        }
    }

    fn shutdown_write(&mut self) -> Result<(), Error> {
        if self.0.send_queue() > 0 && self.0.may_send() {
            return Err(Error::WouldBlock);
        }
        self.0.close();
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        if self.0.recv_queue() > 0 {
            return self.abort();
        }
        self.shutdown_write()
    }

    fn close_with_reset(&mut self) -> Result<(), Error> {
        self.abort()
    }

    fn abort(&mut self) -> Result<(), Error> {
        self.0.abort();
        Ok(())
    }
}
