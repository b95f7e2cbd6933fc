//! Runs a case: two stacks by their five calls, two programs and the link between them, in virtual time.

use std::net::IpAddr;

use bytes::Bytes;
use tunstack::core::addr::{Endpoint, Prefix};
use tunstack::core::config::Config;
use tunstack::core::error::Error;
use tunstack::core::stack::{Checksum, Inbound, Readiness, SocketId, Stack, drive};
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::pattern::{Pattern, Way};

use crate::app::App;
use crate::case::{Case, HostCase};
use crate::forge::{SYN, see};
use crate::hostile::Hostile;

const PORT: u16 = 80;

pub(crate) struct Host {
    pub(crate) stack: Stack,
    case: HostCase,
    listener: Option<SocketId>,
    socket: Option<SocketId>,
    pub(crate) app: App,
    wake: Option<Instant>,
    most_memory: usize,
}

/// Everything while it runs.
pub(crate) struct Run {
    pub(crate) now: Instant,
    pub(crate) hosts: [Host; 2],
    pub(crate) link: Hostile,
    mtu: usize,
}

fn address(v6: bool, host: usize) -> IpAddr {
    let text = match (v6, host) {
        (false, 0) => "10.0.0.1",
        (false, _) => "10.0.0.2",
        (true, 0) => "fd00::1",
        (true, _) => "fd00::2",
    };
    text.parse().expect("an address")
}

fn stack(case: &Case, host: usize) -> Stack {
    let of = &case.hosts[host];
    let mut config = Config {
        addresses: vec![Prefix::new(address(case.v6, host).into(), if case.v6 { 64 } else { 24 })],
        mtu: case.mtu,
        ..Config::default()
    };
    config.tcp.window_scaling = of.window_scaling;
    config.tcp.timestamps = of.timestamps;
    config.tcp.sack = of.sack;
    config.tcp.send_buffer = of.send_buffer;
    config.tcp.receive_buffer = of.receive_buffer;
    (config.tcp.send_buffer_max, config.tcp.receive_buffer_max) = (0, 0);
    // The link drops what it likes, the same segment again and again; giving up is another test's matter.
    config.tcp.r2 = Duration::from_secs(1_000_000);
    config.tcp.syn_retries = 250;
    config.tcp.syn_ack_retries = 250;
    config.tcp.msl = config.tcp.r2 / 2;
    let mut seed = [host as u8; 32];
    seed[..8].copy_from_slice(&case.seed.to_le_bytes());
    Stack::new(config, seed)
}

impl Run {
    /// Both hosts, the server listening and the client connecting, `at` after the epoch.
    fn begin(case: &Case, at: Instant) -> Self {
        let remote = Endpoint::new(address(case.v6, 1).into(), PORT);
        let mut stacks = [stack(case, 0), stack(case, 1)];
        let ids = [0, 1].map(|i: usize| {
            let id = stacks[i].tcp_socket(remote.address.family());
            let mut options = stacks[i].options(id).expect("a socket");
            options.nodelay = case.hosts[i].nodelay;
            options.cork = case.hosts[i].cork;
            options.keepalive = case.hosts[i].keepalive;
            stacks[i].set_options(id, options, at).expect("a socket");
            id
        });
        stacks[1].bind(ids[1], remote).expect("a free port");
        stacks[1].listen(ids[1], 4).expect("a free port");
        assert_eq!(stacks[0].connect(ids[0], remote, at), Err(Error::InProgress));
        let (up, down) = (Pattern::of_connection(1, 1, Way::Up), Pattern::of_connection(1, 1, Way::Down));
        let mut host = 0;
        let hosts = stacks.map(|stack| {
            let i = host;
            host += 1;
            let (out, inward) = if i == 0 { (up, down) } else { (down, up) };
            Host {
                stack,
                case: case.hosts[i],
                listener: (i == 1).then_some(ids[1]),
                socket: (i == 0).then_some(ids[0]),
                app: App::new(&case.scripts[i], out, inward, case.hosts[i].zero_copy),
                wake: None,
                most_memory: 0,
            }
        });
        Self { now: at, hosts, link: Hostile::new(case.delay, case.links.clone()), mtu: case.mtu.into() }
    }

    /// The same, begun when a sequence number is about to wrap, where the case asks for that: they grow by one
    /// every 4 µs (RFC 6528 §3).
    pub(crate) fn new(case: &Case) -> Self {
        let at = Instant::from_secs(1);
        let Some((server, before)) = case.wrap else { return Self::begin(case, at) };
        let clean = Case { links: [Vec::new(), Vec::new()], delay: 0, ..case.clone() };
        let mut probe = Self::begin(&clean, at);
        let mut iss = None;
        for _ in 0..4 {
            probe.step(&mut |from, packet| {
                let syn = see(packet).filter(|seen| seen.bits & SYN != 0 && from == usize::from(server));
                iss = iss.or(syn.map(|seen| seen.seq));
            });
        }
        let iss = iss.expect("the handshake begins at once");
        let ticks = before.wrapping_add(iss).wrapping_neg();
        Self::begin(case, at + Duration::from_micros(4 * u64::from(ticks)))
    }

    /// Lets what is due now happen; then time moves on, if anything lies ahead. Says so.
    pub(crate) fn step(&mut self, sent: &mut dyn FnMut(usize, &[u8])) -> bool {
        while let Some((to, packet)) = self.link.pop(self.now) {
            let host = &mut self.hosts[to];
            let packet = Bytes::from(packet);
            let mut inbound = Inbound::plain(&packet);
            inbound.backing = host.case.zero_copy.then_some(&packet);
            host.stack.receive(self.now, inbound);
            self.settle(to, sent);
        }
        (0..2).for_each(|host| self.settle(host, sent));
        let next = [self.link.next(), self.hosts[0].next(self.now), self.hosts[1].next(self.now)];
        let Some(next) = next.into_iter().flatten().min() else { return false };
        self.now = self.now.max(next);
        true
    }

    /// Stack and program of one host, until they are quiet.
    fn settle(&mut self, which: usize, sent: &mut dyn FnMut(usize, &[u8])) {
        let (now, mtu) = (self.now, self.mtu);
        let host = &mut self.hosts[which];
        for round in 0.. {
            assert!(round < 50_000, "stack and program push each other on for ever");
            let (link, mut burst) = (&mut self.link, 0);
            host.wake = drive(
                &mut host.stack,
                now,
                |datagram| {
                    burst += 1;
                    assert!(burst < 100_000, "the stack sends for ever");
                    assert_eq!((datagram.gso_size, datagram.checksum), (0, Checksum::Complete));
                    let mut packet = vec![0; datagram.len()];
                    datagram.copy_to(&mut packet).expect("room for it");
                    assert!(packet.len() <= mtu, "{} octets for a device that takes {mtu}", packet.len());
                    sent(which, &packet);
                    link.send(now, which, packet);
                },
                |_| {},
            );
            assert!(host.wake.is_none_or(|at| at > now), "a timer that is due and not run: {:?}", host.wake);
            host.judge_memory();
            if !host.poll(now) {
                return;
            }
        }
    }
}

impl Host {
    fn next(&self, now: Instant) -> Option<Instant> {
        let app = self.socket.and(self.app.wake(now)).filter(|at| *at < Instant::FAR_FUTURE);
        self.wake.into_iter().chain(app).min()
    }

    fn poll(&mut self, now: Instant) -> bool {
        if self.socket.is_none()
            && let Some(listener) = self.listener
            && let Ok(id) = self.stack.try_accept(listener)
        {
            self.socket = Some(id);
            // The one connection there is to be.
            self.stack.close(listener, now).expect("the handle is ours");
            self.listener = None;
        }
        let Some(id) = self.socket else { return false };
        // Nobody waits for the handshake by a write or a read.
        let told = Readiness::SOFT_ERROR | Readiness::URGENT_AHEAD;
        if !self.app.closed && self.stack.readiness(id).difference(told).is_empty() {
            return false;
        }
        self.app.poll(&mut self.stack, id, now)
    }

    /// What a connection holds is bounded by what its buffers may hold.
    fn judge_memory(&mut self) {
        let Some(info) = self.socket.filter(|_| !self.app.closed).and_then(|id| self.stack.tcp_info(id))
        else {
            return;
        };
        self.most_memory = self.most_memory.max(info.memory);
        // Chunks are up to 64 KiB; out of order, a window of short runs costs twice its octets.
        let limit = self.case.send_buffer as usize + 4 * self.case.receive_buffer as usize + (256 << 10);
        assert!(info.memory <= limit, "{} octets of memory, {info:?}", info.memory);
        assert!(info.receive_queue + info.out_of_order <= self.case.receive_buffer as usize, "{info:?}");
        // What is written is taken in runs of up to 64 KiB, and the limit is asked before each.
        assert!(info.send_queue <= self.case.send_buffer as usize + (64 << 10), "{info:?}");
    }

    /// Gives up what is still held: a listener nobody came to, a connection that hangs half open.
    pub(crate) fn let_go(&mut self, now: Instant) -> bool {
        let mut any = false;
        if let Some(listener) = self.listener.take() {
            self.stack.close(listener, now).expect("the handle is ours");
            any = true;
        }
        if let Some(id) = self.socket
            && !self.app.closed
        {
            self.stack.close(id, now).expect("the handle is ours");
            self.app.closed = true;
            any = true;
        }
        any
    }

    pub(crate) fn describe(&self) -> String {
        let app = &self.app;
        let info = self.socket.and_then(|id| self.stack.tcp_info(id));
        let (w, r, eof, error, closed) = (app.written, app.read, app.eof, app.error, app.closed);
        format!("written {w}, read {r}, eof {eof}, error {error:?}, closed {closed}, {info:?}")
    }
}
