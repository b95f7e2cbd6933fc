//! A UDP socket: who it speaks to, and what has come for it.

use crate::addr::{Address, Endpoint, Family};
use crate::error::Error;
use crate::ip::queue::Inbox;
pub use crate::ip::queue::{Labels, ReceivedDatagram};
use crate::ip::route::Routes;
use crate::sockopt::{Shutdown, SocketOptions};

/// A UDP socket.
#[derive(Clone, Debug)]
pub struct UdpSocket {
    family: Family,
    local: Endpoint,
    remote: Option<Endpoint>,
    /// What the program asked for.
    pub options: SocketOptions,
    inbox: Inbox,
}

impl UdpSocket {
    /// A socket that is neither bound nor connected.
    pub const fn new(family: Family, options: SocketOptions) -> Self {
        let any = match family {
            Family::V4 => Address::UNSPECIFIED_V4,
            Family::V6 => Address::UNSPECIFIED,
        };
        Self { family, local: Endpoint::new(any, 0), remote: None, options, inbox: Inbox::new() }
    }

    /// The family it was made for.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Our end; unspecified parts are not chosen yet.
    pub const fn local(&self) -> Endpoint {
        self.local
    }

    /// Sets our end. The caller has checked that the address is ours and that nobody holds the port.
    pub const fn set_local(&mut self, local: Endpoint) {
        self.local = local;
    }

    /// The peer of a connected socket.
    pub const fn remote(&self) -> Option<Endpoint> {
        self.remote
    }

    /// Connects the socket: datagrams go to `remote` by default and come from nobody else any more. `None`
    /// dissolves that. The caller sets our end to an address that reaches the peer.
    ///
    /// What came before from others stays to be read, and an error to be told, as in Linux.
    pub const fn set_remote(&mut self, remote: Option<Endpoint>) {
        self.remote = remote;
    }

    /// Whether the socket can speak to and from this address at all: an IPv4 socket speaks IPv4, an IPv6 one
    /// both unless `IPV6_V6ONLY` is set.
    pub const fn speaks(&self, address: Address) -> bool {
        match self.family {
            Family::V4 => address.is_v4(),
            Family::V6 => !(address.is_v4() && self.options.v6_only),
        }
    }

    /// How well a datagram from `remote` to `local` fits; `None` is not at all. The highest wins: a connected
    /// socket before one with an address, that before a wildcard of the family, that before one of both. A
    /// broadcast or multicast datagram goes to each that it fits.
    pub fn matches(&self, local: Endpoint, remote: Endpoint) -> Option<u8> {
        if self.local.port == 0 || self.local.port != local.port || !self.speaks(local.address) {
            return None;
        }
        let mut score = 1;
        if self.local.address != Address::UNSPECIFIED {
            let any_v4 = self.local.address == Address::UNSPECIFIED_V4;
            if any_v4 && local.address.is_v4() {
                score += 1;
            } else if self.local.address == local.address {
                score += 2;
            } else {
                return None;
            }
        }
        match self.remote {
            Some(peer) if peer == remote => Some(score + 4),
            Some(_) => None,
            None => Some(score),
        }
    }

    /// Takes a datagram that [`matches`](Self::matches), from the first of `ends` to the second, or several of
    /// `segment_size` octets each that the device joined. Says how many it has taken: the others were dropped, for the
    /// caller to count.
    pub fn deliver(
        &mut self,
        ends: (Endpoint, Endpoint),
        labels: Labels,
        payload: &[u8],
        segment_size: u16,
    ) -> usize {
        let limit = self.options.receive_buffer as usize;
        self.inbox.push_joined(ends, labels, payload, segment_size, limit)
    }

    /// An ICMP error came about a datagram that this socket sent. Only a connected socket hears of it, and
    /// only of a hard one, such as a port unreachable: the peer's, that is, and no passing trouble's (RFC 1122
    /// §4.1.3.3; Linux without `IP_RECVERR`). Says whether it did.
    pub const fn report(&mut self, error: Error, hard: bool) -> bool {
        let heard = hard && self.remote.is_some();
        if heard {
            self.inbox.set_error(Some(error));
        }
        heard
    }

    /// Copies the oldest datagram into `buf`, as much of it as fits; the rest is lost. `peek` leaves it.
    ///
    /// A pending error comes first, and after a shutdown for reading an empty one last: see
    /// [`Inbox::try_receive`].
    pub fn try_receive(&mut self, buf: &mut [u8], peek: bool) -> Result<ReceivedDatagram, Error> {
        self.inbox.try_receive(buf, peek, self.options.receive_joined)
    }

    /// Where a datagram given to the socket goes: to `to`, or to the peer without it.
    ///
    /// Errors, in this order, which is Linux's: [`Error::DestinationRequired`]; [`Error::AddrFamily`] (an IPv4 address
    /// on a socket that speaks IPv6 alone, or is bound to an address of it: [`Error::NetUnreachable`]);
    /// [`Error::Invalid`] for port 0; [`Error::Access`] for a broadcast without leave; [`Error::NetUnreachable`] where
    /// there is no way. See [`check_send`](Self::check_send) for what comes after them.
    pub fn destination(&self, to: Option<Endpoint>, routes: &Routes) -> Result<Endpoint, Error> {
        let mut to = to.or(self.remote).ok_or(Error::DestinationRequired)?;
        let ipv6_alone = !self.local.address.is_v4() && !self.local.address.is_unspecified();
        if !self.speaks(to.address) || to.address.is_v4() && ipv6_alone {
            return Err(if to.address.is_v4() { Error::NetUnreachable } else { Error::AddrFamily });
        }
        if to.port == 0 {
            return Err(Error::Invalid);
        }
        if to.address.is_unspecified() {
            // BSD's custom, which Linux keeps: to nobody in particular is to ourselves.
            to.address = loopback(to.address.family());
        }
        if routes.is_broadcast(to.address) && !self.options.broadcast {
            return Err(Error::Access);
        }
        if !routes.reachable(to.address) {
            return Err(Error::NetUnreachable);
        }
        Ok(to)
    }

    /// Whether what has a destination may be sent. Errors: a pending one, which is then forgotten;
    /// [`Error::BrokenPipe`] after a shutdown for writing.
    pub fn check_send(&mut self) -> Result<(), Error> {
        self.inbox.check_send()
    }

    /// The pending error, which is then forgotten (`SO_ERROR`).
    pub const fn take_error(&mut self) -> Option<Error> {
        self.inbox.take_error()
    }

    /// Whether an error is pending.
    pub const fn has_error(&self) -> bool {
        self.inbox.has_error()
    }

    /// Whether reading gives a datagram or the end.
    pub fn is_readable(&self) -> bool {
        self.inbox.is_readable()
    }

    /// Whether it was shut down for reading, and for writing.
    pub const fn closed(&self) -> (bool, bool) {
        (self.inbox.is_read_closed(), self.inbox.is_write_closed())
    }

    /// Whether a datagram waits, and no error before it.
    pub fn has_datagram(&self) -> bool {
        !self.inbox.has_error() && self.inbox.charged() > 0
    }

    /// Octets of the next datagram to read, 0 without one.
    pub fn next_len(&self) -> usize {
        self.inbox.next_len(self.options.receive_joined)
    }

    /// Octets that wait to be read, charged with their overhead.
    pub const fn queued(&self) -> usize {
        self.inbox.charged()
    }

    /// Shuts one direction or both. Without a peer that is [`Error::NotConnected`], but done nevertheless, as in
    /// Linux.
    pub const fn shutdown(&mut self, how: Shutdown) -> Result<(), Error> {
        self.inbox.shutdown(how);
        if self.remote.is_none() { Err(Error::NotConnected) } else { Ok(()) }
    }
}

const fn loopback(family: Family) -> Address {
    use core::net::{Ipv4Addr, Ipv6Addr};
    match family {
        Family::V4 => Address::v4(Ipv4Addr::LOCALHOST),
        Family::V6 => Address::v6(Ipv6Addr::LOCALHOST),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::net::IpAddr;

    use super::*;
    use crate::addr::Prefix;
    use crate::config::Config;

    fn end(s: &str, port: u16) -> Endpoint {
        Endpoint::new(s.parse::<IpAddr>().unwrap().into(), port)
    }

    fn socket(family: Family, local: Endpoint) -> UdpSocket {
        let mut socket = UdpSocket::new(family, SocketOptions::udp(&Config::default()));
        socket.set_local(local);
        socket
    }

    fn routes() -> Routes {
        Routes::new(vec![Prefix::new(end("10.7.0.2", 0).address, 24)])
    }

    #[test]
    fn the_closest_fit_wins() {
        let (to, from) = (end("10.7.0.2", 53), end("10.7.0.1", 4000));
        let both = socket(Family::V6, end("::", 53));
        let any = socket(Family::V4, end("0.0.0.0", 53));
        let specific = socket(Family::V4, to);
        let mut any_connected = socket(Family::V4, end("0.0.0.0", 53));
        any_connected.set_remote(Some(from));
        let mut connected = socket(Family::V4, to);
        connected.set_remote(Some(from));
        let ranked = [&both, &any, &specific, &any_connected, &connected];
        assert!(ranked.is_sorted_by(|a, b| a.matches(to, from) < b.matches(to, from)));
        assert!(both.matches(to, from).is_some());

        assert_eq!(connected.matches(to, end("10.7.0.1", 4001)), None);
        assert_eq!(specific.matches(end("10.7.0.3", 53), from), None);
        assert_eq!(specific.matches(end("10.7.0.2", 54), from), None);
        assert_eq!(specific.matches(end("10.7.0.255", 53), from), None);
        assert!(any.matches(end("10.7.0.255", 53), from).is_some());
        assert_eq!(any.matches(end("fd00::2", 53), end("fd00::1", 1)), None);
    }

    #[test]
    fn an_unbound_socket_gets_nothing() {
        let unbound = UdpSocket::new(Family::V6, SocketOptions::udp(&Config::default()));
        assert_eq!(unbound.matches(end("10.7.0.2", 0), end("10.7.0.1", 1)), None);
    }

    #[test]
    fn dual_stack_until_told_otherwise() {
        let (to, from) = (end("10.7.0.2", 53), end("10.7.0.1", 4000));
        let mut both = socket(Family::V6, end("::", 53));
        assert!(both.matches(to, from).is_some());
        assert!(both.matches(end("fd00::2", 53), end("fd00::1", 1)).is_some());
        both.options.v6_only = true;
        assert_eq!(both.matches(to, from), None);
        assert!(both.matches(end("fd00::2", 53), end("fd00::1", 1)).is_some());
        assert_eq!(both.destination(Some(from), &routes()), Err(Error::NetUnreachable));
        let v4 = socket(Family::V4, end("0.0.0.0", 53));
        assert_eq!(v4.destination(Some(end("fd00::1", 1)), &routes()), Err(Error::AddrFamily));
    }

    #[test]
    fn a_full_queue_refuses() {
        let mut s = socket(Family::V4, end("0.0.0.0", 53));
        s.options.receive_buffer = 200;
        let (to, from) = (end("10.7.0.2", 53), end("10.7.0.1", 4000));
        assert_eq!(s.deliver((from, to), Labels::default(), &[1; 36], 0), 1);
        assert_eq!(s.deliver((from, to), Labels::default(), &[2; 36], 0), 1);
        assert_eq!(s.deliver((from, to), Labels::default(), b"", 0), 0);
        assert_eq!(s.queued(), 200);
        let mut buf = [0; 64];
        let got = s.try_receive(&mut buf, false).unwrap();
        assert_eq!((got.copied, got.len, got.from, got.to, buf[0]), (36, 36, from, to, 1));
        assert_eq!(s.deliver((from, to), Labels::default(), b"", 0), 1);
    }

    #[test]
    fn empty_datagrams_are_datagrams() {
        let mut s = socket(Family::V4, end("0.0.0.0", 53));
        assert!(!s.is_readable());
        assert_eq!(s.try_receive(&mut [], false), Err(Error::WouldBlock));
        assert_eq!(s.deliver((end("10.7.0.1", 4000), end("10.7.0.2", 53)), Labels::default(), b"", 0), 1);
        assert!(s.is_readable());
        assert_eq!(s.try_receive(&mut [0; 4], true).unwrap().len, 0);
        assert_eq!(s.try_receive(&mut [0; 4], false).unwrap().from, end("10.7.0.1", 4000));
        assert!(!s.is_readable());
    }

    #[test]
    fn only_a_connected_socket_hears_of_errors() {
        let mut s = socket(Family::V4, end("10.7.0.2", 53));
        assert!(!s.report(Error::Refused, true));
        assert_eq!(s.take_error(), None);
        s.set_remote(Some(end("10.7.0.1", 4000)));
        assert!(!s.report(Error::HostUnreachable, false));
        assert!(s.report(Error::Refused, true));
        assert!(!s.is_readable() && s.has_error());
        assert_eq!(s.deliver((end("10.7.0.1", 4000), end("10.7.0.2", 53)), Labels::default(), b"x", 0), 1);
        assert_eq!(s.try_receive(&mut [0; 4], true), Err(Error::Refused));
        assert_eq!(s.try_receive(&mut [0; 4], false).map(|r| r.len), Ok(1));

        s.report(Error::Refused, true);
        // Finding out where to does not take it.
        assert_eq!(s.destination(None, &routes()), Ok(end("10.7.0.1", 4000)));
        assert_eq!(s.check_send(), Err(Error::Refused));
        assert_eq!(s.check_send(), Ok(()));
        s.report(Error::Refused, true);
        s.set_remote(None);
        assert_eq!(s.take_error(), Some(Error::Refused));
    }

    #[test]
    fn destinations() {
        let mut s = socket(Family::V6, end("::", 53));
        let r = routes();
        assert_eq!(s.destination(None, &r), Err(Error::DestinationRequired));
        assert_eq!(s.destination(Some(end("8.8.8.8", 0)), &r), Err(Error::Invalid));
        assert_eq!(s.destination(Some(end("8.8.8.8", 53)), &r), Ok(end("8.8.8.8", 53)));
        assert_eq!(s.destination(Some(end("2600::1", 53)), &r), Err(Error::NetUnreachable));
        assert_eq!(s.destination(Some(end("0.0.0.0", 53)), &r), Ok(end("127.0.0.1", 53)));
        assert_eq!(s.destination(Some(end("10.7.0.255", 53)), &r), Err(Error::Access));
        s.options.broadcast = true;
        assert_eq!(s.destination(Some(end("10.7.0.255", 53)), &r), Ok(end("10.7.0.255", 53)));
        // At an address of IPv6 it speaks that alone, which is asked before the port.
        s.set_local(end("::1", 53));
        assert_eq!(s.destination(Some(end("8.8.8.8", 0)), &r), Err(Error::NetUnreachable));
    }

    #[test]
    fn shutdown() {
        let mut s = socket(Family::V4, end("10.7.0.2", 53));
        let mut unconnected = s.clone();
        assert_eq!(unconnected.shutdown(Shutdown::Both), Err(Error::NotConnected));
        assert_eq!(unconnected.closed(), (true, true));
        s.set_remote(Some(end("10.7.0.1", 4000)));
        assert_eq!(s.deliver((end("10.7.0.1", 4000), end("10.7.0.2", 53)), Labels::default(), b"x", 0), 1);
        s.shutdown(Shutdown::Read).unwrap();
        assert_eq!(s.try_receive(&mut [0; 4], false).map(|r| r.len), Ok(1));
        assert_eq!(s.try_receive(&mut [0; 4], false).map(|r| r.from), Ok(Endpoint::UNSPECIFIED));
        assert!(s.is_readable() && s.closed() == (true, false));
        assert_eq!(s.check_send(), Ok(()));
        s.shutdown(Shutdown::Write).unwrap();
        assert_eq!(s.check_send(), Err(Error::BrokenPipe));
    }
}
