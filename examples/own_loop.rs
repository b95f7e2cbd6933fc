//! An echo server on the protocols themselves: one thread and a loop that is the program's own, without an engine, a lock
//! or a socket of any face. The stack is a value: packets and the time go in; packets, events and a deadline come out.
//!
//! Run it as root, then type: nc -N 10.7.0.2 7 <README.md

mod common;

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use rand::{TryRng, rngs::SysRng};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tunstack::core::addr::Endpoint;
use tunstack::core::config::{Config, Offload};
use tunstack::core::error::Error;
use tunstack::core::stack::{Event, SocketId, Stack};
use tunstack::core::time::Instant;
use tunstack::device::setup::bring_up;
use tunstack::device::{Device, Frames};

/// A TCP echo server with an IP address of its own: the stack in the program's loop.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    host: common::HostArgs,
    /// The port
    #[arg(long, default_value_t = 7)]
    port: u16,
}

/// Packets that are taken in, or sent, at a time: who only sends does not see what is acknowledged.
const BURST: usize = 64;

fn main() -> common::Done {
    let args = Args::parse();
    let ctrl_c = common::CtrlC::catch()?;
    let device = bring_up(&args.host.tun())?;
    let able = device.capabilities();
    let config = Config {
        addresses: args.host.addresses(),
        mtu: able.mtu,
        // A device that sums, and cuts large packets, leaves that much less to do.
        offload: Offload { checksum: able.checksum_offload, segmentation: able.max_gso },
        ..Config::default()
    };
    // What nobody can guess: sequence numbers and ports come from it (RFC 6528).
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed)?;
    let mut stack = Stack::new(config, seed);
    let any = Endpoint::from(args.host.any(args.port));
    let listener = stack.tcp_socket(any.address.family());
    stack.bind(listener, any)?;
    stack.listen(listener, 4096)?;
    args.host.serving("echo over TCP", args.port);

    let mut server = Server { stack, listener, unsent: HashMap::new() };
    let mut frames = Frames::new(BURST, if able.max_gso > 0 { 0xffff } else { able.mtu.into() });
    let begun = std::time::Instant::now();
    let clock = || Instant::ZERO + begun.elapsed();
    let (mut busy, mut end) = (false, None);
    while end.is_none() || busy || server.stack.orphans() > 0 {
        let due = server.stack.poll_timeout().into_iter().chain(end).min();
        let wait = if busy { Some(Duration::ZERO) } else { due.map(|due| due.saturating_since(clock())) };
        let wait = wait.map(Timespec::try_from).transpose()?;
        let (packets, signal) = (device.readable(), ctrl_c.as_fd());
        let mut fds = [packets, signal].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        // Ctrl-C stays where it has come.
        match poll(if end.is_some() { &mut fds[..1] } else { &mut fds }, wait.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let now = clock();
        frames.clear();
        // Of the ways to read a burst the one that takes less is found out by who takes the time.
        let expects = frames.expects_burst();
        device.recv(now, &mut frames)?;
        if expects {
            frames.took(clock().saturating_since(now));
        }
        for inbound in frames.iter() {
            server.stack.receive(now, inbound);
        }
        server.stack.handle_timeout(now);
        server.serve(now);
        if end.is_none() && !fds[1].revents().is_empty() {
            server.close_all(now);
            end = Some(now + common::LINGER);
        } else if end.is_some_and(|end| end <= now) && server.stack.orphans() > 0 {
            common::complain!("connections that did not end in {} s were reset", common::LINGER.as_secs());
            server.stack.abort_orphans_in(0..server.stack.slots_end(), now);
        }
        let mut left = BURST;
        while left > 0
            && let Some(datagram) = server.stack.poll_transmit(now)
        {
            // One that the device does not take is lost, as on any network: TCP sends it again.
            let _ = device.send(now, &datagram);
            left -= 1;
        }
        // There may be news from that, too, and they do not wait for another packet.
        busy = server.serve(now) || left == 0;
    }
    Ok(())
}

struct Server {
    stack: Stack,
    listener: SocketId,
    /// What each connection has yet to send back.
    unsent: HashMap<SocketId, Bytes>,
}

impl Server {
    /// Does what there is to do with those of whom the stack has something to tell, and says whether there were any.
    fn serve(&mut self, now: Instant) -> bool {
        let mut told = false;
        while let Some(Event { id, .. }) = self.stack.poll_event() {
            told = true;
            // What a new connection has sent already is told next.
            while id == self.listener
                && let Ok(new) = self.stack.try_accept(id)
            {
                self.unsent.insert(new, Bytes::new());
            }
            if let Some(unsent) = self.unsent.get_mut(&id)
                && echo(&mut self.stack, id, unsent, now) != Err(Error::WouldBlock)
            {
                // All is sent back, or it has failed: nobody is left to be told of that.
                self.close(id, now);
            }
        }
        told
    }

    /// The stack delivers what is written, and sends the FIN after that.
    fn close(&mut self, id: SocketId, now: Instant) {
        self.unsent.remove(&id);
        self.stack.close(id, now).expect("a socket that is ours");
    }

    fn close_all(&mut self, now: Instant) {
        let connections: Vec<_> = self.unsent.keys().copied().collect();
        connections.into_iter().chain([self.listener]).for_each(|id| self.close(id, now));
    }
}

/// Goes on until there is nothing to read, or no room for it, an error that says so; or all has been sent back, and the peer
/// sends no more. What found no room is the first to be written, and nothing is read before that.
fn echo(stack: &mut Stack, id: SocketId, unsent: &mut Bytes, now: Instant) -> Result<(), Error> {
    loop {
        if unsent.is_empty() {
            *unsent = stack.try_read_bytes(id, 64 << 10)?;
            if unsent.is_empty() {
                return Ok(());
            }
        }
        stack.try_write_bytes(id, unsent, now)?;
    }
}
