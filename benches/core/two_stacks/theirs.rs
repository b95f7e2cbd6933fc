//! smoltcp: its settings as they are (acknowledgments delayed, no congestion control), checksums ignored, and a device
//! whose queue is ours.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Checksum, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::Moved;

/// One end of the link.
struct End {
    mtu: usize,
    /// Packets that it may send in one go.
    batch: usize,
    arrived: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
    free: Vec<Vec<u8>>,
}

impl End {
    fn new(mtu: usize, batch: usize) -> Self {
        Self { mtu, batch, arrived: VecDeque::new(), sent: VecDeque::new(), free: Vec::new() }
    }
}

struct Rx<'a>(Vec<u8>, &'a mut Vec<Vec<u8>>);

struct Tx<'a>(&'a mut VecDeque<Vec<u8>>, Option<Vec<u8>>);

impl phy::RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(&self.0);
        self.1.push(self.0);
        result
    }
}

impl phy::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = self.1.unwrap_or_default();
        // What it held before is written over, so nothing need be cleared.
        if packet.len() < len {
            packet.resize(len, 0);
        }
        packet.truncate(len);
        let result = f(&mut packet);
        self.0.push_back(packet);
        result
    }
}

impl Device for End {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        let packet = self.arrived.pop_front()?;
        let room = self.free.pop();
        Some((Rx(packet, &mut self.free), Tx(&mut self.sent, room)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        (self.sent.len() < self.batch).then(|| Tx(&mut self.sent, self.free.pop()))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        let sums = &mut capabilities.checksum;
        (sums.ipv4, sums.tcp) = (Checksum::None, Checksum::None);
        capabilities
    }
}

struct Host {
    device: End,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
}

impl Host {
    fn new(address: IpAddress, mtu: usize, buffers: usize, batch: usize, seed: u64) -> Self {
        let mut device = End::new(mtu, batch);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut device, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            // There is room for the first, and only one is added.
            _ = addresses.push(IpCidr::new(address, 24));
        });
        let buffer = || tcp::SocketBuffer::new(vec![0; buffers]);
        let mut sockets = SocketSet::new(Vec::new());
        let socket = sockets.add(tcp::Socket::new(buffer(), buffer()));
        Self { device, interface, sockets, socket }
    }

    fn poll(&mut self, now: Instant) {
        self.interface.poll(now, &mut self.device, &mut self.sockets);
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.socket)
    }
}

/// What has been sent arrives; the memory of what arrived before goes back.
fn carry(from: &mut Host, to: &mut Host) -> usize {
    let packets = from.device.sent.len();
    to.device.arrived.append(&mut from.device.sent);
    from.device.free.append(&mut to.device.free);
    packets
}

pub(crate) fn run(
    mtu: usize,
    buffers: usize,
    batch: usize,
    length: Duration,
) -> Result<Moved, Box<dyn Error>> {
    let epoch = std::time::Instant::now();
    let (near, far) = (IpAddress::v4(10, 7, 0, 1), IpAddress::v4(10, 7, 0, 2));
    let mut client = Host::new(near, mtu, buffers, batch, 1);
    let mut server = Host::new(far, mtu, buffers, usize::MAX, 2);
    server.socket().listen(80)?;
    let socket = client.sockets.get_mut::<tcp::Socket<'_>>(client.socket);
    socket.connect(client.interface.context(), (far, 80), 40_000)?;
    for _ in 0..4 {
        client.poll(Instant::ZERO);
        carry(&mut client, &mut server);
        server.poll(Instant::ZERO);
        carry(&mut server, &mut client);
    }
    let text = vec![0x5a; 64 << 10];
    let mut room = vec![0; 64 << 10];
    crate::measure(length, |now| {
        let now = Instant::from_micros((now - epoch).as_micros() as i64);
        let socket = client.socket();
        while socket.can_send() {
            socket.send_slice(&text)?;
        }
        client.poll(now);
        let packets = carry(&mut client, &mut server);
        server.poll(now);
        let socket = server.socket();
        let mut octets = 0;
        while socket.can_recv() {
            octets += socket.recv_slice(&mut room)?;
        }
        server.poll(now);
        carry(&mut server, &mut client);
        Ok((octets, packets))
    })
}
