//! The kernel's side: its sockets in a network of their own, a TUN whose far end is the script, in real time.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tunstack::core::addr::Prefix;
use tunstack::device::Device;
use tunstack::device::netlink;
use tunstack::device::tun::Tun;
use tunstack::packetdrill::call::SystemCalls;
use tunstack::packetdrill::net::Net;
use tunstack::packetdrill::packet;

use super::side::{Came, Side};
use crate::kernel::{Kernel, own_network};

/// The device's name. Nobody else is in the network.
const DEVICE: &str = "tun0";

/// For so long nothing has to come before what a stimulus has brought about is said to be over.
const QUIET: Duration = Duration::from_micros(300);

/// How long an address may take to become one of the kernel's.
const ADDRESS: Duration = Duration::from_secs(2);

/// The kernel.
#[derive(Debug)]
pub(crate) struct Host {
    tun: Tun,
    began: Instant,
}

impl Host {
    /// Puts the thread that calls it into a network of its own and makes that ready.
    pub(crate) fn start(net: &Net) -> Result<Self, String> {
        own_network().map_err(|error| format!("no network: {error}"))?;
        let made = |what: &'static str| move |error| format!("{what}: {error}");
        let tun = Tun::open(Some(DEVICE)).map_err(made("no TUN"))?;
        netlink::set_mtu(DEVICE, net.mtu.into()).map_err(made("MTU"))?;
        netlink::set_up("lo", true).map_err(made("loopback"))?;
        netlink::set_up(DEVICE, true).map_err(made("TUN"))?;
        netlink::add_address(DEVICE, net.local, net.prefix, None).map_err(made("address"))?;
        let remote = Prefix::new(net.remote.into(), net.remote_prefix);
        netlink::add_route(DEVICE, remote).map_err(made("route"))?;
        let began = Instant::now();
        while !netlink::is_local(net.local).map_err(made("address"))? {
            if began.elapsed() > ADDRESS {
                return Err(format!("{} does not become the kernel's", net.local));
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(Self { tun, began: Instant::now() })
    }

    /// What has come when nothing has for `quiet`; at the latest at `limit`.
    fn gather(&self, quiet: Duration, limit: Option<Duration>) -> io::Result<Vec<Came>> {
        let mut all = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let wait = limit.map_or(quiet, |limit| limit.saturating_sub(self.now()));
            let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
            let device = self.tun.readable();
            if poll(&mut [PollFd::new(&device, PollFlags::IN)], Some(&wait))? == 0 {
                return Ok(all);
            }
            let when = self.now();
            let len = rustix::io::read(device, &mut buffer[..])?;
            all.push(Came { when, seen: packet::decode(&buffer[..len]), why: None });
        }
    }
}

impl Side for Host {
    fn name(&self) -> &'static str {
        super::KERNEL
    }

    fn restart(&mut self) {
        self.began = Instant::now();
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn wait(&mut self, until: Duration) -> Result<Vec<Came>, String> {
        self.gather(Duration::ZERO, Some(until)).map_err(|error| format!("TUN: {error}"))
    }

    fn settle(&mut self) -> Result<Vec<Came>, String> {
        self.gather(QUIET, None).map_err(|error| format!("TUN: {error}"))
    }

    fn receive(&mut self, packet: &[u8]) -> Result<(), String> {
        match rustix::io::write(self.tun.readable(), packet) {
            Ok(len) if len == packet.len() => Ok(()),
            other => Err(format!("TUN: {} octets to write: {other:?}", packet.len())),
        }
    }

    fn calls(&self) -> &dyn SystemCalls {
        &Kernel
    }

    fn sysctl(&mut self, name: &str, value: &str) -> Result<(), String> {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        match fs::write(&path, value) {
            // What an older kernel has no setting for, it has not.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(|error| format!("{path}: {error}")),
        }
    }
}
