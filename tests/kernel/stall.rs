//! A peer that stops reading.

use std::net::Shutdown;
use std::thread;

use crate::ends::{Meeting, Pattern, Whose};
use crate::host::{LONG, start, tcp_ext, until};

/// Nothing is read until both buffers are full and the closed window has been probed a few times; then all.
pub(crate) fn stops_reading_and_resumes() {
    let engine = start();
    for meeting in Meeting::all() {
        for server_stops in [false, true] {
            let (client, server) = meeting.connect(&engine);
            let (stops, sends, sender) = if server_stops {
                (server, client, meeting.client)
            } else {
                (client, server, meeting.server)
            };
            let probes = || match sender {
                Whose::Ours => engine.counters().tcp_window_probes,
                Whose::Kernels => tcp_ext("TCPWinProbe"),
            };
            stops.set_buffers(50_000);
            sends.set_buffers(50_000);
            let data = Pattern(7);
            let before = probes();
            let mut buf = [0; 10_000];
            let mut sent = 0;
            until("a closed window that is probed", || {
                data.fill(sent as u64, &mut buf);
                sent += sends.try_write(&buf);
                probes() >= before + 2
            });
            println!("{sent} octets before nothing moved");
            thread::scope(|scope| {
                scope.spawn(|| {
                    data.write(&sends, sent as u64, 3_000_000, 30_000);
                    sends.shutdown(Shutdown::Write).unwrap();
                });
                data.read_to_end(&stops, 0, sent + 3_000_000);
            });
        }
    }
    engine.shutdown(LONG).unwrap();
}
