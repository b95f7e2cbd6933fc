//! Several messages in one call: `sendmmsg` and `recvmmsg`.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tunstack_core::error::Error;
use tunstack_core::stack::Readiness;

use super::abi::MsgFlags;
use super::file::{File, Kind};
use super::message::{MOST_PARTS, ReceivedMessage};
use super::transfer::{receive, transmit};
use super::{Result, Sockets};
use crate::engine::Interest;

/// Messages that one call takes at the most (`UIO_MAXIOV`): of more it takes the first.
const MOST_MESSAGES: usize = 1024;

/// A message to send, as `sendmsg` and `sendmmsg` take it.
#[derive(Clone, Copy, Debug)]
pub struct MessageOut<'a> {
    /// Where to; `None`: to the peer.
    pub name: Option<SocketAddr>,
    /// The data, which is one datagram where it is one.
    pub data: &'a [IoSlice<'a>],
    /// The control message `UDP_SEGMENT` of `IPPROTO_UDP`: the size of the datagrams that it is cut into, whatever the
    /// option of that name says; 0: it is one. Of no effect on TCP.
    pub segment_size: Option<u16>,
    /// Set by `sendmmsg`: octets sent.
    pub sent: usize,
}

impl<'a> MessageOut<'a> {
    /// To the peer, and without a control message.
    pub const fn new(data: &'a [IoSlice<'a>]) -> Self {
        Self { name: None, data, segment_size: None, sent: 0 }
    }
}

/// A place for a message, as `recvmmsg` takes it.
#[derive(Debug)]
pub struct MessageIn<'a, 'b> {
    /// Room for the data.
    pub data: &'a mut [IoSliceMut<'b>],
    /// Set by `recvmmsg`: what came.
    pub received: ReceivedMessage,
}

impl<'a, 'b> MessageIn<'a, 'b> {
    /// A place with nothing in it.
    pub fn new(data: &'a mut [IoSliceMut<'b>]) -> Self {
        Self { data, received: ReceivedMessage::default() }
    }
}

impl Sockets {
    /// `sendmsg(2)` with a control message. `sent` is not set.
    ///
    /// # Errors
    /// Those of [`sendmsg`](Self::sendmsg); `EMSGSIZE` also where the parts are larger than the path takes, `EINVAL` where
    /// there are more than 128.
    pub fn sendmsg_with(&self, fd: RawFd, message: &MessageOut<'_>, flags: MsgFlags) -> Result<usize> {
        let file = self.file(fd)?;
        if message.data.len() > MOST_PARTS {
            return Err(Errno::MSGSIZE);
        }
        self.transmit_cut(&file, message.data, (message.name.as_ref(), message.segment_size), flags)
    }

    /// `sendmmsg(2)`. Gives how many messages were sent, of 1024 at the most; of datagrams many in one pass over the device.
    ///
    /// # Errors
    /// What the first met with: those of [`sendmsg_with`](Self::sendmsg_with).
    pub fn sendmmsg(&self, fd: RawFd, messages: &mut [MessageOut<'_>], flags: MsgFlags) -> Result<usize> {
        let file = self.file(fd)?;
        let most = messages.len().min(MOST_MESSAGES);
        let mut done = 0;
        while let Some(rest @ [_, ..]) = messages.get_mut(done..most) {
            let sent = match file.kind {
                Kind::Datagram => Self::send_datagrams(&file, rest, flags, done == 0),
                Kind::Stream => self.send_one(&file, rest, flags),
            };
            match sent {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            // Of a stream, the next octets are for another call where these did not all go.
            let last = &messages[done - 1];
            if last.sent < last.data.iter().map(|part| part.len()).sum() {
                break;
            }
        }
        Ok(done)
    }

    fn send_one(&self, file: &Arc<File>, rest: &mut [MessageOut<'_>], flags: MsgFlags) -> Result<usize> {
        let Some(message) = rest.first_mut() else { return Ok(0) };
        if message.data.len() > MOST_PARTS {
            return Err(Errno::MSGSIZE);
        }
        message.sent = self.transmit(file, message.data, message.name.as_ref(), flags)?;
        Ok(1)
    }

    /// Sends datagrams until the device should have a turn, in one hold of the lock.
    fn send_datagrams(
        file: &File,
        rest: &mut [MessageOut<'_>],
        flags: MsgFlags,
        first: bool,
    ) -> Result<usize> {
        if flags.contains(MsgFlags::FASTOPEN) {
            return Err(Errno::OPNOTSUPP);
        }
        let begin = rest.first().ok_or(Errno::INVAL)?;
        if begin.data.len() > MOST_PARTS {
            return Err(Errno::MSGSIZE);
        }
        file.wait(Interest::Writable, flags, |stack, id, now| {
            if !first && stack.readiness(id).contains(Readiness::ERROR) {
                // It came meanwhile, and is for the next call.
                return Ok(0);
            }
            let mut done = 0;
            for message in rest.iter_mut() {
                if done > 0 && (stack.has_batch() || message.data.len() > MOST_PARTS) {
                    break;
                }
                // That of a datagram is refused by the stack, if at all.
                let Ok(to) = message.name.as_ref().map(|name| file.remote(name)).transpose() else { break };
                let aim = (to, message.segment_size);
                match transmit(stack, id, file.kind, message.data, aim, flags, &mut 0, now) {
                    Ok(sent) => message.sent = sent,
                    Err(error) if done == 0 => return Err(error),
                    Err(_) => break,
                }
                done += 1;
            }
            Ok(done)
        })
    }

    /// `recvmmsg(2)`: waits until there is a message for each place, or, with [`MsgFlags::WAITFORONE`], for one; what is there is
    /// taken in one hold of the lock. Gives how many came, of 1024 at the most. As in Linux the time limit is looked at when a
    /// message has come, and ends no wait.
    ///
    /// # Errors
    /// What the first met with: those of [`recvmsg`](Self::recvmsg).
    pub fn recvmmsg(
        &self,
        fd: RawFd,
        messages: &mut [MessageIn<'_, '_>],
        flags: MsgFlags,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        let file = self.file(fd)?;
        let most = messages.len().min(MOST_MESSAGES);
        let one = flags.contains(MsgFlags::WAITFORONE);
        let mut flags = flags.difference(MsgFlags::WAITFORONE);
        let clock = &self.engine().shard().clock;
        let deadline = clock.deadline(timeout);
        let mut done = 0;
        while let Some(rest @ [_, ..]) = messages.get_mut(done..most) {
            let more = match file.kind {
                // The first of them waits as that of `recvmsg` does.
                Kind::Datagram if done > 0 => self.take_datagrams(&file, rest, flags),
                _ => self.receive_one(&file, rest, flags),
            };
            match more {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            flags |= if one { MsgFlags::DONTWAIT } else { MsgFlags::empty() };
            if deadline.is_some_and(|deadline| clock.now() >= deadline) {
                break;
            }
        }
        Ok(done)
    }

    fn receive_one(
        &self,
        file: &Arc<File>,
        rest: &mut [MessageIn<'_, '_>],
        flags: MsgFlags,
    ) -> Result<usize> {
        let Some(message) = rest.first_mut() else { return Ok(0) };
        if message.data.len() > MOST_PARTS {
            return Err(Errno::MSGSIZE);
        }
        let received = self.receive(file, message.data, flags)?;
        message.received = self.told(file, received, flags);
        Ok(1)
    }

    /// Takes what is there, in one hold of the lock, once there is something.
    fn take_datagrams(&self, file: &File, rest: &mut [MessageIn<'_, '_>], flags: MsgFlags) -> Result<usize> {
        file.wait(Interest::Readable, flags, |stack, id, _| {
            let mut done = 0;
            for message in rest.iter_mut() {
                let readiness = stack.readiness(id);
                // What went wrong meanwhile is for the next call, as is the end, which is found again and again.
                let ended = readiness.intersects(Readiness::ERROR | Readiness::READ_CLOSED);
                if ended || message.data.len() > MOST_PARTS {
                    return Ok(done);
                }
                match receive(stack, id, file.kind, message.data, flags, &mut 0) {
                    Ok(received) => message.received = self.told(file, received, flags),
                    Err(Error::WouldBlock) if done > 0 => break,
                    Err(error) => return Err(error),
                }
                done += 1;
            }
            Ok(done)
        })
    }
}
