//! Ancillary data: what `recvmsg` gives beside octets (`cmsg(3)`).

use tunstack_core::stack::Readiness;

use super::abi::{IPPROTO_TCP, IPPROTO_UDP, MsgFlags, TCP_INQ, UDP_GRO};
use super::file::{File, Kind};
use super::transfer::Received;

/// A control message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Ancillary {
    /// `TCP_CM_INQ` of `IPPROTO_TCP`, asked for by `TCP_INQ`: how many octets the next call finds; 1 where there are none, but
    /// the end of the data.
    Unread(i32),
    /// `UDP_GRO` of `IPPROTO_UDP`, asked for by the option of that name: what was received are several datagrams, with so
    /// many octets each, the last of them perhaps fewer.
    SegmentSize(i32),
}

impl Ancillary {
    /// `cmsg_level`.
    pub const fn level(&self) -> i32 {
        match self {
            Self::Unread(_) => IPPROTO_TCP,
            Self::SegmentSize(_) => IPPROTO_UDP,
        }
    }

    /// `cmsg_type`.
    pub const fn kind(&self) -> i32 {
        match self {
            // TCP_CM_INQ.
            Self::Unread(_) => TCP_INQ,
            Self::SegmentSize(_) => UDP_GRO,
        }
    }

    /// `cmsg_data`.
    pub fn data(&self) -> Vec<u8> {
        match self {
            Self::Unread(octets) | Self::SegmentSize(octets) => octets.to_ne_bytes().to_vec(),
        }
    }
}

/// What there is to say to a call that has received something, or found the end of the data. Where the engine has ended since
/// that is nothing: what was received is had.
pub(super) fn beside(file: &File, received: &Received, flags: MsgFlags) -> Option<Ancillary> {
    if received.segment_size > 0 {
        return Some(Ancillary::SegmentSize(received.segment_size.into()));
    }
    let asked = file.kind == Kind::Stream && file.hints.get(IPPROTO_TCP, TCP_INQ) == Some(1);
    if !asked || flags.contains(MsgFlags::ERRQUEUE) {
        return None;
    }
    let unread = file.query(|stack, id| {
        let ended = stack.readiness(id).contains(Readiness::READ_CLOSED);
        Ok(stack.unread(id)?.max(usize::from(ended)))
    });
    Some(Ancillary::Unread(i32::try_from(unread.ok()?).unwrap_or(i32::MAX)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Sockets;
    use super::super::testing::connection;
    use super::*;
    use crate::device::pipe::Pipe;
    use crate::engine::Engine;

    #[test]
    fn what_has_been_received_is_had_though_the_engine_ends() {
        let (device, _other) = Pipe::pair(1500).unwrap();
        let engine = Engine::builder().device(device).start().unwrap();
        let sys = Sockets::new(&engine);
        let (_, _, server) = connection(&sys, |_| {});
        sys.setsockopt(server, IPPROTO_TCP, TCP_INQ, &1i32.to_ne_bytes()).unwrap();
        let file = sys.file(server).unwrap();
        assert_eq!(beside(&file, &Received::stream(1), MsgFlags::empty()), Some(Ancillary::Unread(0)));
        // As it may between the two holds of the lock.
        engine.shutdown(Duration::from_secs(10)).unwrap();
        assert_eq!(beside(&file, &Received::stream(1), MsgFlags::empty()), None);
    }
}
