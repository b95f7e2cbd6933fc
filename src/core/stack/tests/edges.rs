//! What an event says is new, on sockets of one stack that talk to each other.

use super::*;

struct Alone {
    stack: Stack,
    now: Instant,
}

const R: Readiness = Readiness::READABLE;
const W: Readiness = Readiness::WRITABLE;

impl Alone {
    fn new() -> Self {
        let mut config = Config { addresses: vec![Prefix::new(v4(1), 24)], ..Config::default() };
        // What one end writes the other takes.
        (config.tcp.send_buffer, config.tcp.receive_buffer) = (1 << 20, 1 << 20);
        Self { stack: Stack::new(config, [7; 32]), now: Instant::from_secs(1) }
    }

    /// Runs until nothing happens for a while and gives how `id` then stands and all that was new.
    fn news(&mut self, id: SocketId) -> Option<(Readiness, Readiness)> {
        let end = self.now + Duration::from_secs(1);
        let mut told: Option<(Readiness, Readiness)> = None;
        for _ in 0..10_000 {
            let (stack, now) = (&mut self.stack, self.now);
            let deadline = drive(
                stack,
                now,
                |_| panic!("nothing leaves the host"),
                |event| {
                    if event.id == id {
                        assert!(event.readiness.contains(event.edges), "{event:?}");
                        let before = told.map_or(Readiness::empty(), |(_, edges)| edges);
                        told = Some((event.readiness, before | event.edges));
                    }
                },
            );
            self.now = deadline.filter(|&deadline| deadline < end).unwrap_or(end).max(self.now);
            if self.now == end {
                return told;
            }
        }
        panic!("does not come to rest");
    }

    fn connected(&mut self) -> (SocketId, SocketId) {
        let at = Endpoint::new(v4(1), 80);
        let listener = self.stack.tcp_socket(Family::V4);
        self.stack.bind(listener, at).unwrap();
        self.stack.listen(listener, 16).unwrap();
        let client = self.stack.tcp_socket(Family::V4);
        assert_eq!(self.stack.connect(client, at, self.now), Err(Error::InProgress));
        assert_eq!(self.news(listener), Some((R, R)));
        let server = self.stack.try_accept(listener).unwrap();
        self.news(client);
        (client, server)
    }

    fn fill(&mut self, id: SocketId) {
        while self.stack.try_write(id, &[0; 4096], self.now).is_ok() {}
    }

    fn empty(&mut self, id: SocketId) {
        while self.stack.try_read(id, &mut [0; 4096]).is_ok() {}
    }
}

#[test]
fn a_datagram_is_news_though_another_waits() {
    let mut host = Alone::new();
    let at = Endpoint::new(v4(1), 9);
    let (from, to) = (host.stack.udp_socket(Family::V4), host.stack.udp_socket(Family::V4));
    host.stack.bind(to, at).unwrap();
    let send = |host: &mut Alone| host.stack.try_send_to(from, b"news", Some(at), host.now).unwrap();
    let receive = |host: &mut Alone| host.stack.try_receive_from(to, &mut [0; 9], false).map(|r| r.copied);
    send(&mut host);
    host.news(to);
    send(&mut host);
    assert_eq!(host.news(to), Some((R | W, R)));
    assert_eq!(receive(&mut host), Ok(4));
    assert_eq!(host.news(to), None, "one is left: nothing is new");
    assert_eq!(receive(&mut host), Ok(4));
    assert_eq!(host.news(to), Some((W, Readiness::empty())));
    send(&mut host);
    assert_eq!(host.news(to), Some((R | W, R)));
}

#[test]
fn what_rises_and_what_arrives_at_once_are_both_news() {
    let mut host = Alone::new();
    let (a, b) = host.connected();
    assert!(host.stack.try_write(b, b"unread", host.now).is_ok());
    assert_eq!(host.news(a), Some((R | W, R)));
    // Both buffers fill up: the other end does not read.
    while {
        host.fill(a);
        host.news(a);
        host.stack.readiness(a).contains(W)
    } {}
    // Room and more data by the same segment, on a socket that has been readable all the time.
    host.empty(b);
    assert!(host.stack.try_write(b, b"more", host.now).is_ok());
    assert_eq!(host.news(a), Some((R | W, R | W)));
}

#[test]
fn room_that_went_and_came_is_news_and_room_that_stands_is_not() {
    let mut host = Alone::new();
    let (a, b) = host.connected();
    assert!(host.stack.try_write(b, b"x", host.now).is_ok());
    assert_eq!(host.news(a), Some((R | W, R)), "data is no news to who writes");
    host.fill(a);
    assert!(!host.stack.readiness(a).contains(W));
    // The peer's buffer takes some of it before anybody asks for events.
    let (level, edges) = host.news(a).unwrap();
    assert!(level.contains(W) && edges.contains(W), "{level:?} {edges:?}");
}
