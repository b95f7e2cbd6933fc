//! What calls mean for the connections of a script.

use super::Effect;
use crate::bsd::abi::{IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_STREAM};
use crate::packetdrill::flow::{Flows, Protocol};

impl Effect {
    /// Lets the connections know.
    ///
    /// # Errors
    ///
    /// One line where the script has no such socket or connection.
    pub fn learn(&self, flows: &mut Flows) -> Result<(), String> {
        match *self {
            Self::Opened { fd, kind, protocol, .. } => {
                // No packet is of any other socket.
                if let Some(protocol) = spoken(kind, protocol) {
                    flows.socket(fd, protocol);
                }
                Ok(())
            }
            Self::Bound { fd, to } => {
                flows.bound(fd, to);
                Ok(())
            }
            Self::Disconnected { fd } => {
                flows.disconnected(fd);
                Ok(())
            }
            Self::Closed { fd } => {
                flows.closed(fd);
                Ok(())
            }
            Self::Listening { fd } => flows.listening(fd),
            Self::Connecting { fd, to } => flows.connecting(fd, to),
            Self::Accepted { fd, peer } => flows.accepted(fd, peer),
        }
    }
}

/// What a socket speaks.
const fn spoken(kind: i32, protocol: i32) -> Option<Protocol> {
    match (kind, protocol) {
        (SOCK_STREAM, 0 | IPPROTO_TCP) => Some(Protocol::Tcp),
        (SOCK_DGRAM, 0 | IPPROTO_UDP) => Some(Protocol::Udp),
        (_, libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6) => Some(Protocol::Icmp),
        _ => None,
    }
}
