//! The captures, and what a display filter shows of each: the README's tables.

use crate::stories;

/// A file in `pcap/`.
pub(crate) struct Capture {
    /// Its name without the ending.
    pub(crate) name: &'static str,
    /// Makes it.
    pub(crate) make: fn() -> Vec<u8>,
    /// What to look at.
    pub(crate) shows: &'static [Row],
}

/// A display filter and what it shows.
pub(crate) struct Row {
    pub(crate) filter: &'static str,
    /// The packets, as [`in_words`] writes them.
    pub(crate) packets: &'static str,
    pub(crate) what: &'static str,
}

const fn row(filter: &'static str, packets: &'static str, what: &'static str) -> Row {
    Row { filter, packets, what }
}

impl Capture {
    pub(crate) fn file(&self) -> String {
        format!("{}.pcapng", self.name)
    }

    /// The table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut table = "| Display filter | Packets | What they are |\n|---|---|---|\n".to_owned();
        for row in self.shows {
            table += &format!("| `{}` | {} | {} |\n", row.filter, row.packets, row.what);
        }
        table
    }
}

/// Rising numbers, runs of them joined: `1, 4-6`.
pub(crate) fn in_words(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    let text = runs.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".to_owned() } else { text }
}

#[test]
fn runs_are_joined() {
    assert_eq!(in_words(&[1, 4, 5, 6, 8, 9]), "1, 4-6, 8-9");
    assert_eq!(in_words(&[]), "none");
}

pub(crate) const CAPTURES: &[Capture] = &[
    Capture {
        name: "handshake",
        make: stories::handshake,
        shows: &[
            row("tcp.flags.syn == 1", "1-2", "the two SYNs, with all their options"),
            row(
                "tcp.flags.syn == 1 && tcp.flags.ack == 1",
                "2",
                "the server's, which acknowledges the client's",
            ),
            row("frame.comment contains \"SYN-SENT -> ESTABLISHED\"", "2", "where the client's side stands"),
            row("frame.comment contains \"handshake done\"", "3", "the third step"),
            row("tcp.len > 0", "4", "the first text"),
            row("tcp.analysis.flags", "none", "anything that Wireshark finds odd"),
        ],
    },
    Capture {
        name: "four-way-close",
        make: stories::four_way_close,
        shows: &[
            row("tcp.flags.fin == 1", "4, 6", "the two FINs"),
            row("frame.comment contains \"FIN-WAIT\"", "4-6", "the client waits for the server"),
            row("frame.comment contains \"TIME-WAIT\"", "6-7", "both directions have ended"),
        ],
    },
    Capture {
        name: "simultaneous-open",
        make: stories::simultaneous_open,
        shows: &[
            row("tcp.flags.syn == 1 && tcp.flags.ack == 0", "1-2", "the SYNs that cross"),
            row(
                "tcp.flags.syn == 1 && tcp.flags.ack == 1",
                "3-4",
                "each acknowledged with the own SYN again",
            ),
            row(
                "frame.comment contains \"SYN-SENT -> SYN-RECEIVED\"",
                "2",
                "the arrow of Figure 5 that is rarely taken",
            ),
            row(
                "frame.comment contains \"SYN-RECEIVED -> ESTABLISHED\"",
                "4",
                "the other SYN,ACK is all it takes",
            ),
            row("tcp.analysis.retransmission", "3-4", "Wireshark sees the SYNs a second time"),
        ],
    },
    Capture {
        name: "simultaneous-close",
        make: stories::simultaneous_close,
        shows: &[
            row("tcp.flags.fin == 1", "4-5", "the FINs that cross"),
            row("frame.comment contains \"CLOSING\"", "5-7", "the state between"),
            row("frame.comment contains \"CLOSING -> TIME-WAIT\"", "7", "its end"),
        ],
    },
    Capture {
        name: "half-close",
        make: stories::half_close,
        shows: &[
            row("tcp.stream == 0 && tcp.flags.fin == 1", "5, 12", "the client ends first"),
            row(
                "tcp.stream == 0 && frame.comment contains \"FIN-WAIT-2\" && tcp.len > 0",
                "8, 10",
                "the server goes on",
            ),
            row("tcp.stream == 1 && tcp.flags.fin == 1", "19, 25", "the server ends first"),
            row(
                "tcp.stream == 1 && frame.comment contains \"CLOSE-WAIT\" && tcp.len > 0",
                "21, 23",
                "the client goes on",
            ),
            row(
                "frame.comment contains \"LAST-ACK -> CLOSED\"",
                "26",
                "the second to close has nothing to wait for",
            ),
        ],
    },
    Capture {
        name: "refused",
        make: stories::refused,
        shows: &[
            row("tcp.flags.reset == 1", "2", "the answer"),
            row("frame.comment contains \"CLOSED\"", "2", "what it means"),
        ],
    },
    Capture {
        name: "reset-with-unread-data",
        make: stories::reset_with_unread_data,
        shows: &[
            row("tcp.flags.reset == 1", "6, 13", "the two resets"),
            row("frame.comment contains \"closed with data unread\"", "6", "the first"),
            row("frame.comment contains \"data after close\"", "13", "the second"),
        ],
    },
    Capture {
        name: "retransmission-timeout",
        make: stories::retransmission_timeout,
        shows: &[
            row("frame.comment contains \"lost on the link\"", "6-7", "what the link lost"),
            row("tcp.analysis.retransmission", "7-8", "sent again"),
            row("frame.comment contains \"timer ran out\"", "7-8", "why"),
            row("tcp.analysis.rto", "7-8", "how long Wireshark saw the sender wait"),
        ],
    },
    Capture {
        name: "fast-retransmit",
        make: stories::fast_retransmit,
        shows: &[
            row("frame.comment contains \"lost on the link\"", "6", "the segment that is lost"),
            row("tcp.analysis.duplicate_ack", "20, 22, 24, 26-35", "duplicate ACKs"),
            row(
                "tcp.options.sack.count > 0",
                "20, 22, 24, 26-35",
                "what else has come, as the receiver tells",
            ),
            row("frame.comment contains \"limited transmit\"", "21, 23", "new data on the first two"),
            row("tcp.analysis.fast_retransmission", "25", "the segment again, on the third"),
            row(
                "frame.comment contains \"ssthresh=8688\"",
                "24-36",
                "half of the 17376 octets that were in flight",
            ),
            row("frame.comment contains \"fast recovery\"", "24-35", "while it lasts"),
        ],
    },
    Capture {
        name: "fast-retransmit-both-ends",
        make: stories::fast_retransmit_both_ends,
        shows: &[
            row("frame.comment contains \"lost on the link\"", "9", "left the client and arrived nowhere"),
            row(
                "frame.interface_name == \"server\" && tcp.dstport == 8123 && frame.comment contains \"gap\"",
                "21, 23, 25, 27, 29, 31, 36, 51, 53, 55, 57, 59, 61",
                "arrived beyond the gap",
            ),
            row(
                "frame.interface_name == \"client\" && frame.comment contains \"fast retransmit\"",
                "46",
                "sent again",
            ),
            row(
                "frame.interface_name == \"server\" && frame.comment contains \"ACK: gap filled\"",
                "64",
                "the gap is filled",
            ),
        ],
    },
    Capture {
        name: "zero-window",
        make: stories::zero_window,
        shows: &[
            row("tcp.analysis.window_full", "7", "fills the window"),
            row("tcp.analysis.zero_window", "11, 13, 15, 17", "nothing more, please"),
            row("tcp.analysis.zero_window_probe", "12, 14, 16", "is it still closed?"),
            row("tcp.analysis.zero_window_probe_ack", "13, 15, 17", "it is"),
            row("tcp.analysis.window_update", "18, 25", "go on"),
            row("frame.comment contains \"probe\"", "12, 14, 16", "the probes by our comments"),
            row(
                "frame.comment contains \"duplicate ACK\"",
                "none",
                "the answers to probes are no duplicate ACKs",
            ),
        ],
    },
    Capture {
        name: "out-of-order-sack",
        make: stories::out_of_order_sack,
        shows: &[
            row("tcp.analysis.lost_segment", "6, 8, 12", "a segment is missing before this one"),
            row("frame.comment contains \"waits for a gap\"", "6, 8, 10, 12, 14, 16", "kept"),
            row("tcp.options.sack.count == 1", "7, 21, 25", "one block; the last is the D-SACK"),
            row("tcp.options.sack.count == 3", "13, 15, 17", "three, the newest first"),
            row("frame.comment contains \"ACK: gap filled\"", "19, 21, 23", "a gap is filled"),
            row("frame.comment contains \"D-SACK\"", "25", "the first block tells what came twice"),
        ],
    },
    Capture {
        name: "paws",
        make: stories::paws,
        shows: &[
            row("frame.comment contains \"PAWS\"", "8-9", "dropped, and the answer"),
            row("tcp.options.timestamp.tsval == 1664402498", "4, 8", "the time that gives it away"),
        ],
    },
    Capture {
        name: "udp",
        make: stories::udp,
        shows: &[
            row("udp && !icmp", "1-3", "the datagrams"),
            row("icmp.type == 3 && icmp.code == 3", "4", "port unreachable"),
            row("udp.checksum.status == 0", "none", "bad checksums"),
        ],
    },
    Capture {
        name: "ping",
        make: stories::ping,
        shows: &[
            row("icmp.type == 8", "1, 3, 5", "requests"),
            row("icmp.type == 0", "2, 4, 6", "replies"),
            row("icmp.resptime > 0", "2, 4, 6", "with the round trip that Wireshark found"),
        ],
    },
    Capture {
        name: "ipv4-fragments",
        make: stories::ipv4_fragments,
        shows: &[
            row("ip.flags.mf == 1", "1, 3-5, 7, 9", "all fragments"),
            row("ip.fragments", "3, 6", "where Wireshark has the whole"),
            row("frame.comment contains \"fragment 1 of 3\"", "4", "the first of the answer's"),
            row("frame.comment contains \"whole with this fragment\"", "3", "where the stack has the whole"),
            row("icmp.type == 11 && icmp.code == 1", "9", "the rest never came"),
        ],
    },
    Capture {
        name: "ipv6",
        make: stories::ipv6,
        shows: &[
            row("tcp", "1-9", "a connection"),
            row("tcp.options.mss_val == 1440", "1-2", "20 octets less than over IPv4"),
            row("icmpv6.type in {128, 129}", "10-11", "ping"),
            row("icmpv6.type == 1 && icmpv6.code == 4", "13", "port unreachable"),
            row("ipv6.fraghdr", "14-15", "fragments"),
        ],
    },
];
