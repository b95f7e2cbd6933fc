//! Packets of ours that cross with the kernel's: they are kept until its have come.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};

use tunstack::core::packet::{Body, Checksum, Datagram, Inbound, Received};
use tunstack::core::time::Instant;
use tunstack::device::{Capabilities, Device, Frames};
use tunstack::engine::Engine;

use crate::forward::forward;
use crate::host::{plain, start_on, until};

/// As [`start`](crate::host::start), with a gate before a device without offload: it keeps packets that are whole. It is
/// open.
pub(crate) fn start_gated() -> (Engine, Arc<Gate>) {
    let mut gate = None;
    let engine = start_on(
        &plain(),
        |_| {},
        |device| {
            let device = Arc::new(Gate { device, held: Mutex::default() });
            gate = Some(Arc::clone(&device));
            Box::new(device)
        },
    );
    (engine, gate.unwrap())
}

/// A device that keeps what is sent until it is let through.
pub(crate) struct Gate {
    device: Box<dyn Device>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    closed: bool,
    packets: VecDeque<Vec<u8>>,
}

impl Gate {
    pub(crate) fn close(&self) {
        self.held.lock().unwrap().closed = true;
    }

    /// Lets the oldest packet through, once there is one.
    pub(crate) fn pass_one(&self) {
        until("a packet at the gate", || !self.held.lock().unwrap().packets.is_empty());
        let mut held = self.held.lock().unwrap();
        let packet = held.packets.pop_front().unwrap();
        self.pass(&packet);
    }

    pub(crate) fn open(&self) {
        let mut held = self.held.lock().unwrap();
        held.closed = false;
        for packet in held.packets.drain(..) {
            self.pass(&packet);
        }
    }

    fn pass(&self, packet: &[u8]) {
        let datagram = Datagram {
            head: packet,
            body: Body::EMPTY,
            gso_size: 0,
            checksum: Checksum::Complete,
            event: None,
        };
        self.device.send(Instant::ZERO, &datagram).unwrap();
    }
}

impl Device for Gate {
    forward!(device: recv settled deadline capabilities readable);

    fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        let mut held = self.held.lock().unwrap();
        if !held.closed {
            return self.device.send(now, datagram);
        }
        let pieces = [datagram.head].into_iter().chain(datagram.body.pieces());
        held.packets.push_back(pieces.collect::<Vec<_>>().concat());
        Ok(())
    }
}
