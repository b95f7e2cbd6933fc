//! Addresses as programs name them, and what sockets of each family make of them.

use std::net::SocketAddr;

use rustix::io::Errno;
use tunstack_core::addr::{Address, Endpoint, Family};
use tunstack_core::tcp::state::State;

use super::Result;
use super::file::{File, Kind};

/// An endpoint that no IPv4 socket can use. The stack holds IPv4 as mapped addresses, which a program must not name to
/// an IPv4 socket; which error comes first is the stack's affair.
const fn of_ipv6(port: u16) -> Endpoint {
    Endpoint::new(Address::v6(core::net::Ipv6Addr::LOCALHOST), port)
}

impl File {
    /// What `bind` is asked for. An address of the other family is refused first of all: that of IPv4 is too short for
    /// an IPv6 socket.
    pub(super) fn local(&self, address: &SocketAddr) -> Result<Endpoint> {
        match (self.family, address) {
            (Family::V4, SocketAddr::V6(_)) => Err(Errno::AFNOSUPPORT),
            (Family::V6, SocketAddr::V4(_)) => Err(Errno::INVAL),
            _ => Ok(Endpoint::from(*address)),
        }
    }

    /// Whether a UDP socket of IPv6 that speaks that alone was named an address of IPv4 in its own form, for which Linux
    /// has another error than for one in IPv6's.
    pub(super) fn refuses_ipv4(&self, address: &SocketAddr) -> Result<bool> {
        if self.kind != Kind::Datagram || self.family != Family::V6 || address.is_ipv6() {
            return Ok(false);
        }
        self.query(|stack, id| {
            let local = stack.local_endpoint(id)?.address;
            Ok(stack.options(id)?.v6_only || !local.is_v4() && !local.is_unspecified())
        })
    }

    /// Whom `connect` or `sendto` names. UDP over IPv6 takes IPv4's addresses too; TCP does not.
    pub(crate) fn remote(&self, address: &SocketAddr) -> Result<Endpoint> {
        match (self.family, address, self.kind) {
            (Family::V4, SocketAddr::V6(v6), _) => Ok(of_ipv6(v6.port())),
            // Of a socket that is in use Linux says that first.
            (Family::V6, SocketAddr::V4(_), Kind::Stream)
                if self.query(|stack, id| Ok(stack.state(id) == Some(State::Closed)))? =>
            {
                Err(Errno::INVAL)
            }
            _ => Ok(Endpoint::from(*address)),
        }
    }
}
