//! Two of our stacks, connected.

use std::net::Ipv4Addr;

use bytes::Bytes;
use tunstack_core::addr::{Endpoint, Family, Prefix};
use tunstack_core::config::{Config, Offload};
use tunstack_core::error::Error;
use tunstack_core::stack::{SocketId, Stack};
use tunstack_core::time::Instant;

use crate::{Frames, Passage};

const CLIENT: [u8; 4] = [10, 7, 0, 1];
const SERVER: [u8; 4] = [10, 7, 0, 2];
const PORT: u16 = 80;

/// How text gets in and out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// `try_write` and `try_read`.
    Copied,
    /// `try_write_bytes` and `try_read_bytes`.
    Lent,
}

/// What a pair is to be.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The MTU of both, octets.
    pub mtu: u16,
    /// Not 0: runs of segments leave as one packet of up to so many octets.
    pub segmentation: u32,
    /// The send and the receive buffer, octets, which stay so; 0: they begin small and grow.
    pub buffers: u32,
    /// How packets get through the queues.
    pub passage: Passage,
}

/// A client and a server with a connection between them, and the two queues.
#[derive(Debug)]
pub struct Pair {
    /// Who sends.
    pub client: Stack,
    /// Who receives.
    pub server: Stack,
    /// The client's end of the connection.
    pub from: SocketId,
    /// The server's end.
    pub to: SocketId,
    /// What the server listens with.
    pub listener: SocketId,
    /// From the client to the server.
    pub there: Frames,
    /// From the server to the client.
    pub back: Frames,
}

impl Pair {
    /// Connected, at `now`.
    ///
    /// # Errors
    /// What a call of the stack gave.
    pub fn connected(setting: Setting, now: Instant) -> Result<Self, Error> {
        let size = usize::from(setting.mtu).max(setting.segmentation as usize);
        let mut client = stack(CLIENT, 1, setting);
        let mut server = stack(SERVER, 2, setting);
        let listener = server.tcp_socket(Family::V4);
        let at = Endpoint::new(Ipv4Addr::from(SERVER).into(), PORT);
        server.bind(listener, at)?;
        server.listen(listener, 8)?;
        let from = begin(&mut client, now)?;
        let (there, back) = (Frames::new(size, setting.passage), Frames::new(size, setting.passage));
        let mut pair = Self { client, server, from, to: listener, listener, there, back };
        for _ in 0..4 {
            pair.carry_there(now, usize::MAX);
            pair.carry_back(now);
        }
        pair.to = pair.server.try_accept(listener)?;
        Ok(pair)
    }

    /// The client begins another connection, which is [`from`](Self::from) then.
    ///
    /// # Errors
    /// What a call of the stack gave.
    pub fn connect(&mut self, now: Instant) -> Result<(), Error> {
        self.from = begin(&mut self.client, now)?;
        Ok(())
    }

    /// The client sends up to `most` packets into the queue, and the server receives them.
    pub fn carry_there(&mut self, now: Instant, most: usize) {
        self.send_there(now, most);
        while self.there.pop(|packet| _ = self.server.receive(now, packet)) {}
        while self.server.poll_event().is_some() {}
    }

    /// The client sends up to `most` packets into the queue.
    pub fn send_there(&mut self, now: Instant, most: usize) {
        self.client.handle_timeout(now);
        for _ in 0..most {
            // It is looked at where it was put: to move it right behind that is dear.
            let next = self.client.poll_transmit(now);
            let Some(datagram) = &next else { break };
            self.there.push(datagram);
        }
        while self.client.poll_event().is_some() {}
    }

    /// The server sends what it has, and the client receives it.
    pub fn carry_back(&mut self, now: Instant) {
        self.server.handle_timeout(now);
        while let Some(datagram) = &self.server.poll_transmit(now) {
            self.back.push(datagram);
        }
        while self.back.pop(|packet| _ = self.client.receive(now, packet)) {}
        while self.client.poll_event().is_some() {}
    }

    /// The client writes all that there is room for; says how many octets.
    ///
    /// # Errors
    /// What ended the connection.
    pub fn write(&mut self, text: &Bytes, way: Way, now: Instant) -> Result<usize, Error> {
        let mut written = 0;
        loop {
            let result = match way {
                Way::Copied => self.client.try_write(self.from, text, now),
                Way::Lent => self.client.try_write_bytes(self.from, &mut text.clone(), now),
            };
            match result {
                Ok(n) => written += n,
                Err(Error::WouldBlock) => return Ok(written),
                Err(error) => return Err(error),
            }
        }
    }

    /// The server reads all that there is; says how many octets.
    ///
    /// # Errors
    /// What ended the connection.
    pub fn read(&mut self, room: &mut [u8], way: Way) -> Result<usize, Error> {
        let mut read = 0;
        loop {
            let result = match way {
                Way::Copied => self.server.try_read(self.to, room),
                Way::Lent => self.server.try_read_bytes(self.to, usize::MAX).map(|bytes| bytes.len()),
            };
            match result {
                Ok(n) => read += n,
                Err(Error::WouldBlock) => return Ok(read),
                Err(error) => return Err(error),
            }
        }
    }
}

fn begin(client: &mut Stack, now: Instant) -> Result<SocketId, Error> {
    let from = client.tcp_socket(Family::V4);
    match client.connect(from, Endpoint::new(Ipv4Addr::from(SERVER).into(), PORT), now) {
        Ok(()) | Err(Error::InProgress) => Ok(from),
        Err(error) => Err(error),
    }
}

fn stack(address: [u8; 4], seed: u8, setting: Setting) -> Stack {
    let mut config = Config {
        addresses: vec![Prefix::new(Ipv4Addr::from(address).into(), 24)],
        mtu: setting.mtu,
        offload: Offload { checksum: true, segmentation: setting.segmentation },
        lends: setting.passage == Passage::Lent,
        ..Config::default()
    };
    if setting.buffers > 0 {
        config.tcp.send_buffer = setting.buffers;
        config.tcp.send_buffer_max = setting.buffers;
        config.tcp.receive_buffer = setting.buffers;
        config.tcp.receive_buffer_max = setting.buffers;
    }
    Stack::new(config, [seed; 32])
}
