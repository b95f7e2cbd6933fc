//! Every script between every pair of stacks. Where smoltcp is at both ends, it is the simulator that is
//! tested.

use tunstack::core::error::Error;
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::behaviour::{Behaviour, End};

use crate::pair::{KINDS, Kind, Pair, V6, secs};

#[test]
fn both_send_and_check_every_octet() {
    for kinds in KINDS {
        let (client, server) = (Behaviour::exchange(300_000, 100_000), Behaviour::exchange(100_000, 300_000));
        let pair = Pair::new(kinds, 1, "10mbit,10ms", client, server).run();
        pair.assert_complete(300_000, 100_000);
        let (c, s) = (pair.client(), pair.server());
        let opened = c.opened_at.expect("open").as_micros();
        assert!((20_000..21_000).contains(&opened), "one round trip: {opened} us");
        assert!(c.shut_at.is_some() && c.eof_at.is_some() && c.eof_at <= c.ended_at);
        assert_eq!(c.endpoints.map(|(l, r)| (r, l)), s.endpoints);
        pair.settle();
    }
}

#[test]
fn ipv6_as_well() {
    for kinds in KINDS {
        let (client, server) = (Behaviour::exchange(100_000, 70_000), Behaviour::exchange(70_000, 100_000));
        let pair = Pair::at(V6, kinds, 1, "10mbit,10ms", client, server).run();
        pair.assert_complete(100_000, 70_000);
        pair.settle();
    }
}

#[test]
fn losses_are_repaired_and_the_seed_decides_how() {
    for kinds in KINDS {
        let run = |seed| {
            let (client, server) = (Behaviour::exchange(50_000, 50_000), Behaviour::exchange(50_000, 50_000));
            let link = "10mbit,10ms,2%,dup=1%,corrupt=1%,reorder=2%/5ms";
            let pair = Pair::new(kinds, seed, link, client, server).run();
            pair.assert_complete(50_000, 50_000);
            pair.world.trace_hash()
        };
        let hashes: Vec<_> = (0..5).map(run).collect();
        assert_eq!(hashes, (0..5).map(run).collect::<Vec<_>>());
        assert_ne!(hashes[0], hashes[1]);
    }
}

#[test]
fn a_wrong_octet_is_noticed() {
    for kinds in KINDS {
        // Other octets than the receiver counts on.
        let (client, server) = (Behaviour::exchange(5000, 0).seed(2), Behaviour::exchange(0, 5000));
        let pair = Pair::new(kinds, 1, "1ms", client, server).run();
        let s = pair.server();
        assert!(s.wrong_at.is_some_and(|at| at < 8) && !s.is_complete(0, 5000), "{s:?}");
    }
}

#[test]
fn the_server_half_closes_first() {
    for kinds in KINDS {
        let (client, server) = (Behaviour::half_close_last(70_000, 10), Behaviour::exchange(10, 70_000));
        let pair = Pair::new(kinds, 1, "5ms", client, server).run();
        pair.assert_complete(70_000, 10);
        let (c, s) = (pair.client(), pair.server());
        assert!(c.eof_at < s.last_octet_at, "the client sends after the end of file");
        assert!(s.shut_at < c.shut_at);
        pair.settle();
    }
}

#[test]
fn a_reader_that_pauses_stops_the_sender() {
    for kinds in KINDS {
        // More than the buffers of both ends hold.
        let n = 6_000_000;
        let server = Behaviour::exchange(0, n).pause_reading(100_000, Duration::from_secs(5));
        let pair = Pair::new(kinds, 1, "100mbit,1ms", Behaviour::exchange(n, 0), server).run();
        pair.assert_complete(n, 0);
        assert!(pair.client().written_at > Some(secs(5)), "{:?}", pair.client());
        pair.settle();
    }
}

#[test]
fn resets_end_both_sides() {
    for kinds in KINDS {
        for how in [End::Abort, End::LingerZero] {
            let client = Behaviour::reset_after(1000, 0, how);
            let pair = Pair::new(kinds, 1, "5ms", client, Behaviour::exchange(0, 1_000_000)).run();
            let (c, s) = (pair.client(), pair.server());
            assert!(c.is_complete(1000, 0), "{kinds:?} {how:?} {c:?}");
            assert!(matches!(s.failure(), Some(Error::Reset | Error::BrokenPipe)), "{kinds:?} {how:?} {s:?}");
            pair.settle();
        }
        let client = Behaviour::close_unread(Duration::from_secs(1));
        let pair = Pair::new(kinds, 1, "5ms", client, Behaviour::exchange(1000, 1)).run();
        assert_eq!(pair.client().error, None);
        assert_eq!(pair.server().failure(), Some(Error::Reset), "{kinds:?}");
        pair.settle();
    }
}

#[test]
fn both_close_at_the_same_time() {
    for kinds in KINDS {
        let at = secs(2);
        let (client, server) = (Behaviour::close_at(500, 700, at), Behaviour::close_at(700, 500, at));
        let pair = Pair::new(kinds, 1, "30ms", client, server).run();
        pair.assert_complete(500, 700);
        assert_eq!((pair.client().ended_at, pair.server().ended_at), (Some(at), Some(at)));
        pair.settle();
    }
}

#[test]
fn closing_at_once_is_no_error() {
    for kinds in KINDS {
        let (client, server) = (Behaviour::close_at_once(), Behaviour::close_at_once());
        let pair = Pair::new(kinds, 1, "30ms", client, server).run();
        pair.assert_complete(0, 0);
        pair.settle();
        // What was written before the close arrives all the same.
        let (client, server) = (Behaviour::send_and_close(40_000), Behaviour::sink(40_000));
        let pair = Pair::new(kinds, 1, "1mbit,30ms", client, server).run();
        pair.assert_complete(40_000, 0);
        pair.settle();
    }
}

#[test]
fn sizes_are_kept_to() {
    for kinds in KINDS {
        let client = Behaviour::exchange(10_000, 10_000).write_sizes([1, 700, 13]).read_sizes([5, 3000]);
        let server = Behaviour::exchange(10_000, 10_000).zero_copy();
        let pair = Pair::new(kinds, 1, "1ms", client, server).run();
        pair.assert_complete(10_000, 10_000);
        pair.settle();
    }
}

#[test]
fn nobody_listens() {
    for kinds in KINDS {
        use tunstack::sim::host::Host;
        use tunstack::sim::world::World;

        use crate::pair::{CLIENT, PORT, V4, config};
        use crate::smol::{Smol, SmolConfig};
        use tunstack::core::addr::Endpoint;
        use tunstack::sim::client::Client;

        let mut world = World::new(1);
        let ip = |a: &str| a.parse::<std::net::IpAddr>().unwrap();
        let remote = Endpoint::new(ip(V4.1).into(), PORT);
        let script = Behaviour::exchange(1, 1);
        let client = match kinds.0 {
            Kind::Ours => {
                let id = world.host("client", config(V4.0));
                world.run(id, Client::new(remote, script).start_at(secs(1)));
                id
            }
            Kind::Smol => {
                world.add("client", Smol::new(SmolConfig::new(ip(V4.0), 1)).client(remote, script, secs(1)))
            }
        };
        let server = match kinds.1 {
            Kind::Ours => world.host("server", config(V4.1)),
            Kind::Smol => world.add("server", Smol::new(SmolConfig::new(ip(V4.1), 2))),
        };
        world.connect_both(client, server, "7ms".parse().unwrap());
        world.run_to_end(secs(60));
        let outcome = match kinds.0 {
            Kind::Ours => world.app::<Client>(CLIENT).outcomes().next().cloned(),
            Kind::Smol => world.peer::<Smol>(CLIENT).outcomes().next().cloned(),
        };
        let c = outcome.expect("a connection");
        assert_eq!(c.error, Some(("connect", Error::Refused, Instant::from_millis(1014))), "{kinds:?}");
        assert_eq!(c.started_at, Some(secs(1)));
        if kinds.0 == Kind::Ours {
            assert_eq!(world.peer::<Host>(client).stack().sockets().count(), 0);
        }
    }
}
