//! Several hosts behind one end of a link.

use bytes::Bytes;
use tunstack_core::packet::Received;
use tunstack_core::time::Instant;
use tunstack_core::wire::ip;

use super::host::{Host, Outgoing, Peer};

/// Hosts that share an end of a link: what comes goes to the one that has the address, at once.
#[derive(Default)]
pub struct Site {
    hosts: Vec<Host>,
}

impl Site {
    /// A site with these hosts.
    pub const fn new(hosts: Vec<Host>) -> Self {
        Self { hosts }
    }

    /// Its hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Its hosts, to do something to.
    pub fn hosts_mut(&mut self) -> &mut [Host] {
        &mut self.hosts
    }
}

impl Peer for Site {
    fn receive(&mut self, now: Instant, packet: Bytes) -> Option<Received> {
        let host = match &mut self.hosts[..] {
            [one] => one,
            hosts => {
                let to = ip::parse(&packet).ok()?.header.dst;
                hosts.iter_mut().find(|host| host.stack().is_local(to))?
            }
        };
        host.receive(now, packet)
    }

    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(Outgoing)) {
        self.hosts.iter_mut().for_each(|host| host.poll(now, send));
    }

    fn next_wake(&self) -> Option<Instant> {
        self.hosts.iter().filter_map(Peer::next_wake).min()
    }

    fn done(&self) -> bool {
        self.hosts.iter().all(Peer::done)
    }

    fn describe(&self) -> String {
        self.hosts.iter().map(Peer::describe).collect::<Vec<_>>().join("\n")
    }
}
