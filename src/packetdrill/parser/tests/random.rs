//! No text makes the parser panic or run on, and what it says of each stands in that text.

use proptest::prelude::*;

use super::super::super::source::Place;
use super::{defines, parse};

/// Scripts that between them have every construct.
const SEEDS: [&str; 4] = [
    "--tolerance_usecs=7000\n--define=PORT=80\n`sysctl -w a=b`\n\
     0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n\
     +0 setsockopt(3, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0\n\
     +.1 < [ect0] 1234 > PORT S 0:0(0) win 32792 <mss 1460,sackOK,nop,nop,nop,wscale 7>\n\
     +0~+.2 > S2. 0:0(0) ack 1 <...>\n+0 %{ assert tcpi_unacked == 0, 1 }%\n`clean`\n",
    "1...1.5 accept(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"192.0.2.1\")}, [16]) = 4\n\
     +0 write(4, \"a\\r\\n\\x00\" \"b\", 4) = -1 EAGAIN (Resource temporarily unavailable)\n\
     * > ipv4 [ttl 3] 192.0.2.1 > 192.0.2.2: (tos 0x2, flowlabel 0x1) P.5 1:1461(1460) ack 1 win 5 urg 9\n",
    "+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=MSG_TRUNC|0x4,\n\
     msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=10}]}, 0) = 10 // why\n\
     2~3 > . 4294967290:4(10) <nop,nop,sack 1:2 3:4,nop,nop,TS val 1 ecr 2>\n\
     +0 poll([{fd=4, events=POLLIN, revents=0}], 1, -1) = 1\n",
    "# more\n+0 < icmp unreachable frag_needed mtu 1200 [1:1461(1460)]\n+0 < icmp echo_request id 7 [raw (8)]\n\
     +0 > udp 53 > 65535 (100) /* b */\n+0 > F. 1:1(0) <FO 00112233,nop,nop,md5 00,eol>\n\
     +0 > . 1:1(0) <ECN e1b 1 ceb 2 e0b 3,nop>\n+0 bind(3, inet6_addr(\"fd::1\"), \"abc\"...) = 0 (note)\n",
];

/// Pieces of the language, and what only looks like some.
const PIECES: [&str; 32] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<",
    ">",
    "...",
    ".",
    "-",
    "+",
    "*",
    "~",
    "=",
    "|",
    ",",
    ":",
    "::",
    "\"",
    "`",
    "%{",
    "}%",
    "/*",
    "*/",
    "//",
    "\\",
    "0x",
    "99999999999999999999",
    "--define=S=.",
    "\u{e9}",
    "\n",
];

/// A few changes to one of [`SEEDS`]: where, how much is taken away, what comes there.
fn changed() -> impl Strategy<Value = String> {
    let change =
        (any::<prop::sample::Index>(), 0usize..4, prop::sample::select(PIECES.to_vec()), any::<bool>());
    (prop::sample::select(SEEDS.to_vec()), prop::collection::vec(change, 1..6)).prop_map(|(seed, changes)| {
        let mut script: Vec<char> = seed.chars().collect();
        for (at, taken, piece, insert) in changes {
            let at = at.index(script.len() + 1);
            let end = (at + taken).min(script.len());
            let piece = if insert { piece } else { "" };
            script.splice(at..end, piece.chars());
        }
        script.into_iter().collect()
    })
}

/// Reads `script`, with symbols and without, and looks at what an error says of it.
fn read(script: &str) -> Result<(), TestCaseError> {
    for defines in [vec![], defines(&[("S", ">"), ("A", "\"x"), ("ack", ""), ("a", "`b`")])] {
        let Err(error) = parse(script, &defines) else { continue };
        prop_assert!(error.span.start <= error.span.end && error.span.end <= script.len());
        prop_assert!(script.get(error.span.range()).is_some(), "{:?} cuts a character", error.span);
        prop_assert_eq!(error.place, Place::of(script, error.span));
        let line = error.to_string();
        prop_assert!(!line.contains('\n') && line.chars().count() < 400, "{}", line);
        prop_assert_eq!(error.render("a", script).lines().count(), 3);
    }
    Ok(())
}

#[test]
fn the_seeds_are_valid() {
    for seed in SEEDS {
        super::read(seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn octets(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&String::from_utf8_lossy(&octets))?;
    }

    #[test]
    fn pieces(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60)) {
        read(&pieces.concat())?;
    }

    #[test]
    fn scripts_with_mistakes(script in changed()) {
        read(&script)?;
    }
}
