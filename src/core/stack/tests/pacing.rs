//! Paced connections, and BBR, of two whole stacks over a link with a rate and a queue.

use super::*;
use crate::config::TcpConfig;
use crate::sockopt::SocketOptions;
use crate::tcp::congestion::{Algorithm, Congestion, Hystart};
use crate::tcp::rtt::RttEstimator;
use crate::tcp::tcb::{Is, Tcb};

/// The way from the first host to the second has a bottleneck; back it is only long.
struct Link {
    pair: Pair,
    /// Octets a second.
    rate: u64,
    /// Octets that may wait.
    queue: u64,
    busy: Instant,
    delay: Duration,
    /// One of so many packets is lost at random; 0: none.
    loss: u64,
    dice: u64,
    /// When packets with text left the first host, and how long they were.
    departures: Vec<(Instant, usize)>,
    longest: u64,
}

impl Link {
    fn new(rate: u64, queue: u64, delay: Duration) -> Self {
        let pair = Pair::new();
        Self {
            pair,
            rate,
            queue,
            busy: Instant::ZERO,
            delay,
            loss: 0,
            dice: 7,
            departures: Vec::new(),
            longest: 0,
        }
    }

    fn tcb(&mut self, host: usize, id: SocketId) -> &mut Tcb {
        match &mut self.pair.hosts[host].slab.get_mut(id).unwrap().kind {
            Kind::Connection(tcb) => tcb,
            _ => panic!("no connection"),
        }
    }

    fn pump(&mut self) -> Option<Instant> {
        let now = self.pair.now;
        let mut out = Vec::new();
        let mut next: Option<Instant> = None;
        for (i, host) in self.pair.hosts.iter_mut().enumerate() {
            let deadline = drive(
                host,
                now,
                |d| {
                    let mut packet = vec![0; d.len()];
                    d.copy_to(&mut packet).unwrap();
                    out.push((1 - i, packet));
                },
                |_| {},
            );
            next = [next, deadline].into_iter().flatten().min();
        }
        for (to, packet) in out {
            let mut arrives = now + self.delay;
            if to == 1 {
                if packet.len() > 100 {
                    self.departures.push((now, packet.len()));
                }
                self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                let waiting = self.busy.saturating_since(now).as_nanos() as u64 * self.rate / 1_000_000_000;
                let unlucky = self.loss > 0 && (self.dice >> 33).is_multiple_of(self.loss);
                if waiting + packet.len() as u64 > self.queue || unlucky {
                    continue;
                }
                self.longest = self.longest.max(waiting);
                let takes = Duration::from_nanos(packet.len() as u64 * 1_000_000_000 / self.rate);
                self.busy = self.busy.max(now) + takes;
                arrives = self.busy + self.delay;
            }
            let at = self.pair.wire.partition_point(|w| w.0 <= arrives);
            self.pair.wire.insert(at, (arrives, to, packet));
        }
        [next, self.pair.wire.front().map(|w| w.0)].into_iter().flatten().min()
    }

    /// What is to leave leaves, and the next to arrive arrives.
    fn turn(&mut self) {
        let next = self.pump().expect("it stalls");
        self.pair.now = self.pair.now.max(next);
        while self.pair.wire.front().is_some_and(|w| w.0 <= self.pair.now) {
            let (_, to, packet) = self.pair.wire.pop_front().unwrap();
            self.pair.hosts[to].receive(self.pair.now, Inbound::plain(&packet));
        }
    }

    /// The first writes without end, the second reads, for a time. Gives the octets read.
    fn run(&mut self, from: SocketId, to: SocketId, time: Duration) -> u64 {
        let end = self.pair.now + time;
        let text = vec![7; 1 << 16];
        let mut read = 0;
        let mut buffer = vec![0; 1 << 16];
        while self.pair.now < end {
            let now = self.pair.now;
            while self.pair.hosts[0].try_write(from, &text, now).is_ok() {}
            while let Ok(n) = self.pair.hosts[1].try_read(to, &mut buffer) {
                read += n as u64;
            }
            self.turn();
        }
        read
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn limited(rate: u64) -> (Link, SocketId, SocketId) {
    let mut link = Link::new(100_000_000, 1 << 30, Duration::from_millis(5));
    let (c, s) = link.pair.connected();
    let now = link.pair.now;
    let options = SocketOptions { max_pacing_rate: rate, ..link.pair.hosts[0].options(c).unwrap() };
    link.pair.hosts[0].set_options(c, options, now).unwrap();
    (link, c, s)
}

#[test]
fn no_faster_than_the_program_says() {
    for rate in [20_000, 1_000_000, 20_000_000] {
        let (mut link, c, s) = limited(rate);
        link.run(c, s, SECOND);
        let found = link.run(c, s, SECOND * 2) / 2;
        assert!(found <= rate * 102 / 100 + 3000 && found * 100 + 300_000 >= rate * 97, "{rate}: {found}");
    }
}

#[test]
fn the_first_window_leaves_at_once_and_then_bursts_of_a_millisecond_or_two_segments() {
    let (mut link, c, s) = limited(1_000_000);
    let start = link.pair.now;
    link.run(c, s, SECOND);
    let at_once = link.departures.iter().filter(|(at, _)| *at == start).count();
    assert_eq!(at_once, 10);
    let mut bursts: Vec<(Instant, usize)> = Vec::new();
    for (at, len) in &link.departures[10..] {
        match bursts.last_mut() {
            Some(last) if last.0 == *at => last.1 += len,
            _ => bursts.push((*at, *len)),
        }
    }
    assert!(bursts.len() > 250 && bursts.iter().all(|(_, len)| *len <= 2 * 1500 + 1500), "{bursts:?}");
    for pair in bursts.windows(2) {
        assert!(pair[1].0.saturating_since(pair[0].0) >= Duration::from_micros(1300), "{pair:?}");
    }
}

/// No limit is none, and one that is lifted lets go.
#[test]
fn a_limit_is_taken_away() {
    for free in [0, u64::MAX] {
        let (mut link, c, s) = limited(1000);
        assert!(link.run(c, s, SECOND * 4) < 25_000);
        let now = link.pair.now;
        let options = SocketOptions { max_pacing_rate: free, ..link.pair.hosts[0].options(c).unwrap() };
        link.pair.hosts[0].set_options(c, options, now).unwrap();
        assert!(link.run(c, s, SECOND * 3) > 50_000_000);
    }
}

/// Twice the window a round trip in slow start: the second flight, of twenty segments, takes about half of one, although what
/// it answers was acknowledged in 2 ms.
#[test]
fn all_are_paced_where_that_is_asked_for() {
    let mut link = Link::new(10_000_000, 1 << 20, Duration::from_millis(50));
    let config = link.pair.hosts[0].config_mut();
    config.tcp.pacing = true;
    let (c, s) = link.pair.connected();
    let begin = link.pair.now;
    link.run(c, s, Duration::from_millis(195));
    let second: Vec<_> = link.departures.iter().filter(|(at, _)| *at > begin).collect();
    let (first, last) = (second[0].0, second[19].0);
    let took = last.saturating_since(first);
    assert!(took >= Duration::from_millis(30) && took <= Duration::from_millis(90), "{took:?}");
}

/// Two connected stacks over a link of `rate` octets a second, a queue of `queue` octets and 50 ms each way, of which the first
/// has this algorithm and paces slow start if `paced`. That the handshake took less is forgotten.
fn starting(algorithm: Algorithm, rate: u64, queue: u64, paced: bool) -> (Link, SocketId, SocketId) {
    let mut link = Link::new(rate, queue, Duration::from_millis(50));
    let config = link.pair.hosts[0].config_mut();
    (config.tcp.slow_start_pacing, config.tcp.congestion) = (paced, algorithm);
    config.tcp.congestion_settings.hystart = Hystart::Off;
    let (c, s) = link.pair.connected();
    link.tcb(0, c).rtt = RttEstimator::new(SECOND);
    (link, c, s)
}

/// Until slow start has ended, and 150 ms more: the largest window, and the threshold.
fn end_of_slow_start(link: &mut Link, c: SocketId, s: SocketId) -> (u64, u64) {
    let mut most = 0;
    while link.tcb(0, c).congestion.ssthresh() == u32::MAX {
        most = link.tcb(0, c).congestion.cwnd();
        link.run(c, s, Duration::from_millis(1));
    }
    link.run(c, s, Duration::from_millis(150));
    (most.into(), link.tcb(0, c).congestion.ssthresh().into())
}

/// The most segments that leave within a millisecond, of those after the first ten.
fn longest_train(link: &Link) -> usize {
    let rest = &link.departures[10..];
    let ms = Duration::from_millis(1);
    let train = |n: usize| rest[n..].iter().take_while(|(at, _)| at.saturating_since(rest[n].0) < ms).count();
    (0..rest.len()).map(train).max().expect("more than ten left")
}

/// 1.25 windows a round trip, of 128 segments at the least: two in a millisecond while the window is no larger, and a burst.
#[test]
fn slow_start_is_paced_unless_that_is_not_wanted() {
    for paced in [false, true] {
        let (mut link, c, s) = starting(Algorithm::Reno, 100_000_000, 1 << 30, paced);
        link.run(c, s, Duration::from_millis(390));
        let (sent, train) = (link.departures.len(), longest_train(&link));
        assert!(sent > 100, "{sent} have left");
        assert!(if paced { train <= 8 } else { train >= 30 }, "{train} in a train, paced: {paced}");
    }
}

/// At 1.25 windows a round trip less than the window is in flight, for longer than a time-out: it was used nevertheless, and
/// does not decay while it grows, though there is room for more than the program writes.
#[test]
fn a_window_that_grows_by_its_pace_does_not_decay() {
    let (mut link, c, s) = starting(Algorithm::Reno, 1_000_000_000, 1 << 30, true);
    for (host, id) in [(0, c), (1, s)] {
        link.pair.hosts[host].config_mut().tcp.receive_buffer_max = 32 << 20;
        Arc::make_mut(&mut link.tcb(host, id).options).send_buffer = 32 << 20;
    }
    let (now, text) = (link.pair.now, vec![7; 20 << 20]);
    assert_eq!(link.pair.hosts[0].try_write(c, &text, now), Ok(text.len()));
    let mut buffer = vec![0; 1 << 16];
    let (mut largest, mut full, mut longest) = (0, now, Duration::ZERO);
    while largest < 4000 * 1460 {
        link.turn();
        while link.pair.hosts[1].try_read(s, &mut buffer).is_ok() {}
        let now = link.pair.now;
        let tcb = link.tcb(0, c);
        let cwnd = tcb.congestion.cwnd();
        assert!(cwnd >= largest, "{cwnd} of {largest}");
        if tcb.is.contains(Is::CWND_LIMITED) {
            full = now;
        }
        (largest, longest) = (cwnd, longest.max(now.saturating_since(full)));
    }
    let rto = link.tcb(0, c).rtt.rto();
    assert!(longest > rto, "{longest:?}, {rto:?}");
}

/// The pace goes by the last round trip, where a handshake of two seconds stands in the smoothed one for long.
#[test]
fn a_slow_handshake_does_not_hold_slow_start_back() {
    let (mut link, c, s) = starting(Algorithm::Reno, 100_000_000, 1 << 30, true);
    link.tcb(0, c).rtt.sample(SECOND * 2, Duration::ZERO, SECOND * 120, 1);
    link.run(c, s, Duration::from_millis(390));
    assert!(link.tcb(0, c).rtt.srtt() > Some(SECOND), "{:?}", link.tcb(0, c).rtt.srtt());
    assert!(link.departures.len() > 100, "{} have left", link.departures.len());
}

/// What all fits in the window is paced like the rest: over a short queue its end would be lost, and nothing follows to tell.
#[test]
fn the_end_of_what_there_is_to_send_is_paced_too() {
    let (mut link, c, s) = starting(Algorithm::Reno, 100_000_000, 1 << 30, true);
    let (now, text) = (link.pair.now, vec![7; 25 * 1460]);
    assert_eq!(link.pair.hosts[0].try_write(c, &text, now), Ok(text.len()));
    let mut buffer = vec![0; 1 << 16];
    let mut read = 0;
    while read < text.len() {
        link.turn();
        read += link.pair.hosts[1].try_read(s, &mut buffer).unwrap_or(0);
    }
    let second =
        link.departures.iter().filter(|(at, _)| at.saturating_since(now) > Duration::from_millis(50));
    let second: Vec<_> = second.map(|(at, _)| *at).collect();
    assert!(second.len() >= 15, "{}", second.len());
    // At 160 segments in 100 ms, but for the burst that it ends with.
    let took = second[second.len() - 1].saturating_since(second[0]);
    assert!(took >= Duration::from_millis(7) && took <= Duration::from_millis(11), "{took:?}");
}

/// A slow start that fills a queue of one product, 1000 segments in all with what is on its way, learns of it with nearly twice
/// that underway. What the path bore is half of the window then, and of that is left what the algorithm leaves of a window.
#[test]
fn an_overflow_is_answered_by_what_the_path_bore() {
    for (algorithm, percent) in [(Algorithm::Reno, 50), (Algorithm::Cubic, 70)] {
        let left = [true, false].map(|paced| {
            let (mut link, c, s) = starting(algorithm, 7_500_000, 750_000, paced);
            let (most, ssthresh) = end_of_slow_start(&mut link, c, s);
            ssthresh * 100 / most
        });
        assert!(left[0].abs_diff(percent / 2) <= 3, "{algorithm:?}: {left:?}");
        assert!(left[1] > percent - 15, "{algorithm:?}: {left:?}");
    }
}

/// However much is lost where no queue shows, and a few segments where one does: that is noise.
#[test]
fn not_every_loss_is_an_overflow() {
    for (rate, shows, losing) in [(100_000_000, false, 50_000), (1_500_000, true, 500)] {
        let (mut link, c, s) = starting(Algorithm::Cubic, rate, 1 << 30, true);
        link.run(c, s, Duration::from_millis(650));
        let tcb = link.tcb(0, c);
        let (recent, least) = (tcb.rtt.recent().unwrap(), tcb.rtt.min_rtt().unwrap());
        assert_eq!(recent >= least * 5 / 4, shows, "{recent:?} {least:?}");
        assert!(tcb.congestion.cwnd() > 200 * 1460 && tcb.congestion.ssthresh() == u32::MAX);
        link.loss = if shows { 1 } else { 5 };
        link.run(c, s, Duration::from_micros(losing));
        link.loss = 0;
        let (most, ssthresh) = end_of_slow_start(&mut link, c, s);
        assert!((68..=71).contains(&(ssthresh * 100 / most)), "{ssthresh} of {most}");
        let resent = link.tcb(0, c).tally.resent;
        assert!(if shows { (1..=4).contains(&resent) } else { resent > 50 }, "{resent} sent again");
    }
}

fn bbr(rate: u64, queue: u64, rtt: u64) -> (Link, SocketId, SocketId) {
    let mut link = Link::new(rate, queue, Duration::from_millis(rtt / 2));
    let (c, s) = link.pair.connected();
    link.tcb(0, c).congestion = Congestion::new(Algorithm::Bbr, 1448, 10, &TcpConfig::default());
    Arc::make_mut(&mut link.tcb(0, c).options).send_buffer = 4 << 20;
    (link, c, s)
}

#[test]
fn bbr_fills_a_link_and_not_its_queue() {
    let (rate, bdp) = (2_500_000, 100_000);
    let (mut link, c, s) = bbr(rate, bdp, 40);
    link.run(c, s, SECOND * 2);
    link.longest = 0;
    let found = link.run(c, s, SECOND * 10);
    assert!(found * 100 >= rate * 10 * 92, "{found}: of text, with headers 96 %");
    assert!(link.longest <= bdp, "{}", link.longest);
    let info = link.pair.hosts[0].tcp_info(c).unwrap();
    let (delivery_rate, app_limited) = info.delivery_rate;
    assert!((2_200_000..2_600_000).contains(&delivery_rate) && !app_limited, "{delivery_rate}");
    assert!(info.pacing_rate.is_some_and(|rate| rate < 3_300_000));
}

#[test]
fn bbr_bears_losses() {
    let (mut link, c, s) = bbr(2_500_000, 100_000, 40);
    link.loss = 100;
    let found = link.run(c, s, SECOND * 10);
    assert!(found >= 25_000_000 * 65 / 100, "{found}");
    // Everything for a while: a time-out, and back to speed.
    link.loss = 1;
    link.run(c, s, SECOND);
    link.loss = 0;
    link.run(c, s, SECOND * 5);
    let found = link.run(c, s, SECOND * 3);
    assert!(found >= 7_500_000 * 85 / 100, "{found}");
}

#[test]
fn bbr_without_sack() {
    let mut link = Link::new(2_500_000, 100_000, Duration::from_millis(20));
    link.pair.hosts[1].config_mut().tcp.sack = false;
    let (c, s) = link.pair.connected();
    link.tcb(0, c).congestion = Congestion::new(Algorithm::Bbr, 1448, 10, &TcpConfig::default());
    link.loss = 1000;
    let found = link.run(c, s, SECOND * 10);
    // It hears of one loss a round trip, and each is more than is tolerated (§4.1.3.5.1): it is not fast, but goes on.
    assert!(found >= 2_500_000, "{found}");
}

/// A program that has little to say is not taken for a slow path.
#[test]
fn what_the_program_limits_is_marked() {
    let mut link = Link::new(2_500_000, 100_000, Duration::from_millis(20));
    let (c, s) = link.pair.connected();
    for _ in 0..5 {
        let now = link.pair.now;
        link.pair.hosts[0].try_write(c, &[1; 2000], now).unwrap();
        let (mut buffer, mut read) = ([0; 4000], 0);
        while read < 2000 {
            link.turn();
            while let Ok(n) = link.pair.hosts[1].try_read(s, &mut buffer) {
                read += n;
            }
        }
    }
    let now = link.pair.now;
    link.pair.hosts[0].try_write(c, &[1; 2000], now).unwrap();
    link.pump();
    let (rate, limited) = link.pair.hosts[0].tcp_info(c).unwrap().delivery_rate;
    assert!(limited && rate > 0 && rate < 100_000, "{rate}");
}
