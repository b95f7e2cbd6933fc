//! Two hosts, a link between them, and a hand on both stacks: what a story is told with.

use std::net::IpAddr;

use tunstack::core::addr::{Endpoint, Family, Prefix};
use tunstack::core::config::Config;
use tunstack::core::error::Error;
use tunstack::core::sockopt::{Shutdown, SocketOptions};
use tunstack::core::stack::{SocketId, Stack};
use tunstack::core::tcp::congestion::Algorithm;
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::host::Host;
use tunstack::sim::link::Fault;
use tunstack::sim::network::Passing;
use tunstack::sim::record::PeerId;
use tunstack::sim::world::World;

/// The port the server listens on.
pub(crate) const PORT: u16 = 8123;
/// The full segments of this link: what 1500 octets leave beside IPv4, TCP and the timestamps.
pub(crate) const SEGMENT: usize = 1448;

/// A client and a server, 10 ms apart on a link of 10 Mbit/s. Nothing happens on them but what a story says.
pub(crate) struct Lab {
    pub(crate) world: World,
    pub(crate) client: PeerId,
    pub(crate) server: PeerId,
    client_ip: IpAddr,
    server_ip: IpAddr,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::at("10.0.0.1", "10.0.0.2")
    }

    pub(crate) fn v6() -> Self {
        Self::at("fd00::1", "fd00::2")
    }

    fn at(client: &str, server: &str) -> Self {
        let [client_ip, server_ip]: [IpAddr; 2] = [client, server].map(|a| a.parse().unwrap());
        let config = |address: IpAddr| {
            let length = if address.is_ipv4() { 24 } else { 64 };
            let addresses = vec![Prefix::new(address.into(), length)];
            let mut config = Config { addresses, trace: true, ..Config::default() };
            // The stories are those of RFC 5681 and RFC 6298: what came after them has others.
            config.tcp.congestion = Algorithm::Reno;
            config.tcp.tail_loss_probes = false;
            config
        };
        let mut world = World::new(1);
        let (client, server) =
            (world.host("client", config(client_ip)), world.host("server", config(server_ip)));
        world.connect_both(client, server, "10mbit,10ms".parse().unwrap());
        Self { world, client, server, client_ip, server_ip }
    }

    fn ip(&self, host: PeerId) -> IpAddr {
        if host == self.client { self.client_ip } else { self.server_ip }
    }

    pub(crate) fn end(&self, host: PeerId, port: u16) -> Endpoint {
        Endpoint::new(self.ip(host).into(), port)
    }

    fn family(&self) -> Family {
        if self.client_ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.world.run_for(Duration::from_millis(ms));
    }

    /// Makes a call to a host's stack, and lets the stack do what follows from it at once.
    pub(crate) fn on<T>(&mut self, host: PeerId, call: impl FnOnce(&mut Stack, Instant) -> T) -> T {
        let now = self.world.now();
        let result = call(self.world.peer_mut::<Host>(host).stack_mut(), now);
        self.world.run_until(now);
        result
    }

    /// A TCP socket with options, bound to the host's address.
    fn socket(&mut self, host: PeerId, port: u16, set: impl FnOnce(&mut SocketOptions)) -> SocketId {
        let (family, local) = (self.family(), self.end(host, port));
        self.on(host, |stack, now| {
            let id = stack.tcp_socket(family);
            let mut options = stack.options(id).unwrap();
            set(&mut options);
            stack.set_options(id, options, now).unwrap();
            stack.bind(id, local).unwrap();
            id
        })
    }

    /// Lets the server listen.
    pub(crate) fn listen(&mut self, set: impl FnOnce(&mut SocketOptions)) -> SocketId {
        let id = self.socket(self.server, PORT, set);
        self.on(self.server, |stack, _| stack.listen(id, 16)).unwrap();
        id
    }

    /// Begins a connection from one host and port to another's.
    pub(crate) fn connect(&mut self, (from, port): (PeerId, u16), (to, to_port): (PeerId, u16)) -> SocketId {
        let id = self.socket(from, port, |_| ());
        let remote = self.end(to, to_port);
        let begun = self.on(from, |stack, now| stack.connect(id, remote, now));
        assert!(matches!(begun, Ok(()) | Err(Error::InProgress)), "{begun:?}");
        id
    }

    pub(crate) fn accept(&mut self, listener: SocketId) -> SocketId {
        self.on(self.server, |stack, _| stack.try_accept(listener)).unwrap()
    }

    /// A connection between the two, 100 ms after the SYN: the client's socket and the server's.
    pub(crate) fn connected(&mut self) -> (SocketId, SocketId) {
        self.connected_with(40_000, |_| ())
    }

    /// The same from another port of the client, to a listener with options.
    pub(crate) fn connected_with(
        &mut self,
        port: u16,
        set: impl FnOnce(&mut SocketOptions),
    ) -> (SocketId, SocketId) {
        let listener = self.listen(set);
        let client = self.connect((self.client, port), (self.server, PORT));
        self.wait(100);
        let server = self.accept(listener);
        self.close(self.server, listener);
        (client, server)
    }

    pub(crate) fn write(&mut self, host: PeerId, id: SocketId, text: &[u8]) {
        assert_eq!(self.on(host, |stack, now| stack.try_write(id, text, now)), Ok(text.len()));
    }

    /// A UDP socket bound to a port.
    pub(crate) fn udp(&mut self, host: PeerId, port: u16) -> SocketId {
        let (family, local) = (self.family(), self.end(host, port));
        self.on(host, |stack, _| {
            let id = stack.udp_socket(family);
            stack.bind(id, local).unwrap();
            id
        })
    }

    pub(crate) fn send(&mut self, host: PeerId, id: SocketId, text: &[u8], to: Endpoint) {
        let sent = self.on(host, |stack, now| stack.try_send_to(id, text, Some(to), now));
        assert_eq!(sent, Ok(text.len()));
    }

    /// A datagram that must have come.
    pub(crate) fn receive(&mut self, host: PeerId, id: SocketId) -> Result<Vec<u8>, Error> {
        let mut text = vec![0; 65_535];
        let got = self.on(host, |stack, _| stack.try_receive_from(id, &mut text, false))?;
        text.truncate(got.copied);
        Ok(text)
    }

    /// The client pings the server so often, and hears of each.
    pub(crate) fn ping(&mut self, count: u16) {
        let (family, server) = (self.family(), self.end(self.server, 0));
        let id = self.on(self.client, |stack, _| stack.ping_socket(family));
        for sequence in 1..=count {
            let mut request = vec![if family == Family::V4 { 8 } else { 128 }, 0, 0, 0, 0, 0];
            request.extend(sequence.to_be_bytes());
            request.extend(b"is anybody there? -- 40 octets of text--");
            self.send(self.client, id, &request, server);
            self.wait(100);
            let reply = self.receive(self.client, id).unwrap();
            assert_eq!(reply[6..], request[6..]);
        }
    }

    /// Reads so many octets, which must have come.
    #[track_caller]
    pub(crate) fn read(&mut self, host: PeerId, id: SocketId, octets: usize) -> Vec<u8> {
        let mut text = vec![0; octets];
        let mut had = 0;
        while had < octets {
            had += match self.on(host, |stack, _| stack.try_read(id, &mut text[had..])) {
                Ok(0) => panic!("end of file after {had} of {octets} octets"),
                Ok(n) => n,
                Err(e) => panic!("{e} after {had} of {octets} octets"),
            };
        }
        text
    }

    /// Reads an end of file.
    #[track_caller]
    pub(crate) fn read_end(&mut self, host: PeerId, id: SocketId) {
        assert_eq!(self.on(host, |stack, _| stack.try_read(id, &mut [0; 64])), Ok(0));
    }

    /// Ends a host's direction.
    pub(crate) fn shutdown(&mut self, host: PeerId, id: SocketId) {
        self.on(host, |stack, now| stack.shutdown(id, Shutdown::Write, now)).unwrap();
    }

    pub(crate) fn close(&mut self, host: PeerId, id: SocketId) {
        self.on(host, |stack, now| stack.close(id, now)).unwrap();
    }

    /// Does `fault` to the packets of `from` with text that come in these places, counted from 1.
    pub(crate) fn fault_on_text(&mut self, from: PeerId, places: &[(u32, Fault)]) {
        let places = places.to_vec();
        let mut place = 0;
        self.world.scenario(from, move |passing: Passing<'_>| {
            if text_of(passing.packet).is_empty() {
                return None;
            }
            place += 1;
            places.iter().find(|(p, _)| *p == place).map(|(_, fault)| *fault)
        });
    }

    /// What these hosts saw.
    pub(crate) fn capture(&self, hosts: &[PeerId]) -> Vec<u8> {
        self.world.capture(hosts)
    }
}

/// So many octets of text, each line with its number.
pub(crate) fn text(octets: usize) -> Vec<u8> {
    let lines = (1..).map(|n| format!("line {n:04} of the text\n"));
    let mut text: Vec<u8> = lines.take(octets / 22 + 1).collect::<String>().into();
    text.truncate(octets);
    text
}

/// The text of a TCP segment over IPv4 without options.
pub(crate) fn text_of(packet: &[u8]) -> &[u8] {
    let tcp = &packet[20..];
    &tcp[usize::from(tcp[12] >> 4) * 4..]
}

/// A UDP datagram as a client sends it.
pub(crate) fn udp_packet() -> Vec<u8> {
    let mut lab = Lab::new();
    let (id, to) = (lab.udp(lab.client, 40_000), lab.end(lab.server, PORT));
    lab.send(lab.client, id, b"text", to);
    lab.world.records().next().expect("the datagram").packet.to_vec()
}
