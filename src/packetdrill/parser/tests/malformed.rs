//! Scripts that are not in the language: the line, the column and what was expected there.

use super::super::LONGEST;
use super::{parse, refused};

/// Each script, and its error whole.
const TABLE: &[(&str, &str)] = &[
    // The whole.
    ("", "1:1: expected an event's time, found the end of the script"),
    ("// nothing\n", "2:1: expected an event's time, found the end of the script"),
    ("`init`", "1:7: expected an event's time, found the end of the script"),
    ("--a=\n", "2:1: expected a value, found the end of the script"),
    ("--a=<", "1:5: expected a value, found `<`"),
    ("--define\n0 `a`", "2:1: expected `=SYMBOL=value` behind `--define`, found `0`"),
    ("--define=5=6", "1:10: expected a symbol, found `5`"),
    ("--define=A 0 `a`", "1:12: expected `=` and the symbol's value, found `0`"),
    ("0 `a`\n`b`\n`c`", "3:1: expected the end of the script behind the clean-up command, found `c`"),
    ("0 `a`\n--late=1", "2:1: expected an event's time, found `--late`"),
    ("0 `a`\nread() = 0", "2:1: expected an event's time, found `read`"),
    // What is not closed.
    (
        "0 `a`\n 1 `b",
        "2:4: expected a back-tick at the end of the command that starts here, found the end of the script",
    ),
    ("0 /* a", "1:3: expected `*/` at the end of the comment that starts here, found the end of the script"),
    ("0 %{ a", "1:3: expected `}%` at the end of the code that starts here, found the end of the script"),
    (
        "0 f(\"a) = 0",
        "1:5: expected `\"` at the end of the text that starts here, found the end of the script",
    ),
    // Times.
    ("+ > S 0:0(0)", "1:3: expected a time, found `>`"),
    ("+-1 `a`", "1:2: expected a time that is not negative, found `-1`"),
    ("-.5 `a`", "1:1: expected a time that is not negative, found `-.5`"),
    ("4294967296 `a`", "1:1: expected a time of at most 4294967295 seconds, found `4294967296`"),
    ("0.1234567891 `a`", "1:1: expected a time in nanoseconds at the finest, found `0.1234567891`"),
    ("0x1 `a`", "1:1: expected an event's time, found `0x1`"),
    ("2~1 > S 0:0(0)", "1:3: expected an end that is not before the range's start, found `1`"),
    ("+2~1 > S 0:0(0)", "1:4: expected `+`, as at the range's start, found `1`"),
    ("2~+3 > S 0:0(0)", "1:3: expected a time, found `+`"),
    ("* < S 0:0(0)", "1:3: expected an outbound packet behind `*`, found `<`"),
    ("* `a`", "1:3: expected an outbound packet behind `*`, found `a`"),
    ("0~1 read() = 0", "1:5: expected an outbound packet behind a range of times, found `read`"),
    ("+0~+1 < S 0:0(0)", "1:7: expected an outbound packet behind a range of times, found `<`"),
    ("0 ] a", "1:3: expected a packet, a system call, a command or code, found `]`"),
    ("0", "1:2: expected a packet, a system call, a command or code, found the end of the script"),
    // Segments.
    ("0 >", "1:4: expected a segment's flags, found the end of the script"),
    ("0 > 1:1(0)", "1:5: expected a segment's flags, found `1`"),
    (
        "0 > X 0:0(0)",
        "1:5: expected a segment's flags, each of `FSRPUEWCA.` once, or one digit for E, W and A, found `X`",
    ),
    (
        "0 > SS 0:0(0)",
        "1:5: expected a segment's flags, each of `FSRPUEWCA.` once, or one digit for E, W and A, found `SS`",
    ),
    (
        "0 > E.5 0:0(0)",
        "1:6: expected a segment's flags, each of `FSRPUEWCA.` once, or one digit for E, W and A, found `.5`",
    ),
    (
        "0 > .55 0:0(0)",
        "1:5: expected a segment's flags, each of `FSRPUEWCA.` once, or one digit for E, W and A, found `.55`",
    ),
    (
        "0 > S8. 0:0(0)",
        "1:5: expected a segment's flags, each of `FSRPUEWCA.` once, or one digit for E, W and A, found `S8`",
    ),
    ("0 > S", "1:6: expected a sequence number, found the end of the script"),
    ("0 > S 0", "1:8: expected `:` between sequence numbers, found the end of the script"),
    ("0 > S 0:", "1:9: expected a sequence number, found the end of the script"),
    ("0 > S 0:0", "1:10: expected `(` and the length of the data, found the end of the script"),
    ("0 > S 0:0(x)", "1:11: expected a length, found `x`"),
    ("0 > S 0:0(0", "1:12: expected `)` behind the length, found the end of the script"),
    ("0 > . 1:1000(1000)", "1:9: expected 1001, which is 1 and 1000 more, found `1000`"),
    ("0 > . -1:0(1)", "1:7: expected a sequence number from 0 to 4294967295, found `-1`"),
    (
        "0 > . 4294967296:4294967296(0)",
        "1:7: expected a sequence number from 0 to 4294967295, found `4294967296`",
    ),
    ("0 > . 1:65537(65536)", "1:15: expected a length from 0 to 65535, found `65536`"),
    ("0 > 65536 > 1 . 0:0(0)", "1:5: expected a port from 0 to 65535, found `65536`"),
    ("0 > 1 > S 0:0(0)", "1:9: expected a port, found `S`"),
    ("0 > . 0:0(0) ack", "1:17: expected an acknowledgment number, found the end of the script"),
    ("0 > . 0:0(0) win 65536", "1:18: expected a window from 0 to 65535, found `65536`"),
    ("0 > . 0:0(0) urg -1", "1:18: expected an urgent pointer from 0 to 65535, found `-1`"),
    ("0 > . 0:0(0) win 1 ack 1", "1:20: expected an event's time, found `ack`"),
    // TCP options.
    ("0 > . 0:0(0) <", "1:15: expected a TCP option, found the end of the script"),
    ("0 > . 0:0(0) <>", "1:15: expected a TCP option, found `>`"),
    (
        "0 > . 0:0(0) <noop>",
        "1:15: expected `nop`, `eol`, `mss`, `wscale`, `sackOK`, `sack`, `TS`, `md5`, `UTO`, `FO`, `FOEXP` or `ECN`, \
         found `noop`",
    ),
    ("0 > . 0:0(0) <nop nop>", "1:19: expected `,` or `>`, found `nop`"),
    ("0 > . 0:0(0) <..., nop>", "1:18: expected `>`, found `,`"),
    ("0 < . 0:0(0) <...>", "1:15: expected the options of an inbound packet, found `...`"),
    ("0 > . 0:0(0) <mss 65536>", "1:19: expected an MSS from 0 to 65535, found `65536`"),
    ("0 > . 0:0(0) <wscale 256>", "1:22: expected a window scale from 0 to 255, found `256`"),
    ("0 > . 0:0(0) <sack>", "1:19: expected a block's left edge, found `>`"),
    ("0 > . 0:0(0) <sack 1>", "1:21: expected `:` between a block's edges, found `>`"),
    ("0 > . 0:0(0) <TS 1>", "1:18: expected `val`, found `1`"),
    ("0 > . 0:0(0) <TS val 1>", "1:23: expected `ecr`, found `>`"),
    ("0 > . 0:0(0) <FO 123>", "1:18: expected the cookie in pairs of hexadecimal digits, found `123`"),
    ("0 > . 0:0(0) <FO 12xy>", "1:18: expected the cookie in pairs of hexadecimal digits, found `12xy`"),
    ("0 > . 0:0(0) <md5 -1>", "1:19: expected the digest in pairs of hexadecimal digits, found `-1`"),
    ("0 > . 0:0(0) <ECN>", "1:18: expected `e0b` or `e1b`, found `>`"),
    ("0 > . 0:0(0) <ECN e0b 16777216>", "1:23: expected a counter from 0 to 16777215, found `16777216`"),
    ("0 > . 0:0(0) <ECN e0b 1 e1b 1>", "1:25: expected `,` or `>`, found `e1b`"),
    ("0 > . 0:0(0) <nop>", "1:18: expected options of a multiple of 4 octets (these have 1), found `>`"),
    (
        "0 > . 0:0(0) <nop,nop,sack 1:2 1:2 1:2 1:2, TS val 1 ecr 1>",
        "1:45: expected at most 40 octets of options, found `TS`",
    ),
    // IP.
    (
        "0 > [ect2] . 0:0(0)",
        "1:6: expected `noecn`, `ect0`, `ect1`, `ect01`, `ce`, `tos`, `ttl` or `flowlabel`, found `ect2`",
    ),
    ("0 > [ect0) . 0:0(0)", "1:10: expected `,` or `]`, found `)`"),
    ("0 > [ect0, ce] . 0:0(0)", "1:12: expected a label that was not said before, found `ce`"),
    ("0 < [ect01] . 0:0(0)", "1:6: expected one codepoint of ECN in an inbound packet, found `ect01`"),
    ("0 > [tos 0x100] . 0:0(0)", "1:10: expected the octet of DSCP and ECN from 0x0 to 0xff, found `0x100`"),
    ("0 > [tos 3] . 0:0(0)", "1:10: expected the octet of DSCP and ECN in hexadecimal, found `3`"),
    ("0 > [flowlabel 0x100000] .", "1:16: expected a flow label from 0x0 to 0xfffff, found `0x100000`"),
    ("0 > [ttl 256] .", "1:10: expected a TTL from 0 to 255, found `256`"),
    ("0 > ipv4 fd::1 > fd::2: .", "1:10: expected an IPv4 address, found `fd::1`"),
    ("0 > ipv6 fd::1 > 1.2.3.4: .", "1:18: expected an IPv6 address, found `1.2.3.4`"),
    ("0 > ipv6 fd::1 > fd::2 .", "1:24: expected `:` behind the header's addresses, found `.`"),
    // Datagrams and messages.
    ("0 > udp 5", "1:9: expected `(` and the length of the data, found `5`"),
    ("0 > udp (65536)", "1:10: expected a length from 0 to 65535, found `65536`"),
    ("0 < icmp", "1:9: expected the message's type, found the end of the script"),
    ("0 < icmp a b c", "1:14: expected an event's time, found `c`"),
    ("0 < icmp a mtu -1", "1:16: expected an MTU from 0 to 4294967295, found `-1`"),
    ("0 < icmp a id 65536", "1:15: expected an identifier from 0 to 65535, found `65536`"),
    ("0 < icmp a [tcp]", "1:13: expected a sequence number, `udp` or `raw`, found `tcp`"),
    ("0 < icmp a [1:2(1)", "1:19: expected `]` behind the quoted packet, found the end of the script"),
    ("0 < icmp a [1:2(2)]", "1:15: expected 3, which is 1 and 2 more, found `2`"),
    // System calls.
    ("0 read", "1:7: expected `(` and the call's arguments, found the end of the script"),
    ("0 ...1 > S", "1:8: expected the name of a system call, found `>`"),
    ("0 ... read() = 0", "1:7: expected a time, found `read`"),
    ("0 read(4 5) = 0", "1:10: expected `,` or `)`, found `5`"),
    ("0 read(4,) = 0", "1:10: expected a value, found `)`"),
    ("0 read(4)", "1:10: expected `=` and the call's result, found the end of the script"),
    ("0 read(4) =\n", "2:1: expected a value, found the end of the script"),
    ("0 read(4) = -1 EAGAIN (a\n1 `b`", "2:1: expected `)` behind the note, on its line, found `1`"),
    ("0 read(4) = 0 (a", "1:17: expected `)` behind the note, found the end of the script"),
    ("0 f(1.5) = 0", "1:5: expected a value, found `1.5`"),
    ("0 f(9223372036854775808) = 0", "1:5: expected a number of 64 bits, found `9223372036854775808`"),
    ("0 f(0x10000000000000000) = 0", "1:5: expected a number of 64 bits, found `0x10000000000000000`"),
    ("0 f(A|) = 0", "1:7: expected a value, found `)`"),
    ("0 f([1) = 0", "1:7: expected `,` or `]`, found `)`"),
    ("0 f({a=1) = 0", "1:9: expected `,` or `}`, found `)`"),
    ("0 f({a(1) 2}) = 0", "1:11: expected `=` and the field's value, found `2`"),
    ("0 f({a(1=2}) = 0", "1:9: expected `)` behind the count, found `=`"),
    ("0 f(g(1)) = 0", "1:6: expected `,` or `)`, found `(`"),
    ("0 f({p=htons(65536)}) = 0", "1:14: expected a number from 0 to 65535, found `65536`"),
    ("0 f(inet_addr(\"1.2.3\")) = 0", "1:15: expected an address in quotation marks, found `\"1.2.3\"`"),
    ("0 f(inet_addr(\"fd::1\")) = 0", "1:5: expected an IPv4 address, found `fd::1`"),
    (
        "0 f(inet6_addr(\"1.2.3.4\"))",
        "1:16: expected an IPv6 address in quotation marks, found `\"1.2.3.4\"`",
    ),
    (
        "0 f(\"a\\q\") = 0",
        "1:5: expected an escape of C: one of `abfnrtv\\\"'?`, `xHH` or octal digits, found `\\q`",
    ),
    (
        "0 f({(label 1, tc 0, ttl 1)})",
        "1:6: expected a field, found `(`: a stack of MPLS labels is not supported",
    ),
    ("0 f({flags 0x0, sum 0})", "1:6: expected a field, found `flags`: a header of GRE is not supported"),
    // Places.
    ("0 `\u{e9}\u{e9}` \u{e9}", "1:8: expected an event's time, found `\u{e9}`"),
    ("\n\t0 `a`\r\n\tx", "3:2: expected an event's time, found `x`"),
];

#[test]
fn every_mistake_has_its_place_and_what_was_expected() {
    let wrong: Vec<String> = TABLE
        .iter()
        .map(|&(script, expected)| (script, expected, refused(script)))
        .filter(|(_, expected, found)| expected != found)
        .map(|(script, expected, found)| format!("{script:?}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_script_has_a_longest_length() {
    let script = |length: usize| format!("0 `a`{}", " ".repeat(length - 5));
    assert!(parse(&script(LONGEST), &[]).is_ok());
    let error = refused(&script(LONGEST + 1));
    assert_eq!(error, "1:1: expected a script of at most 262144 octets, found 262145 octets");
}

#[test]
fn what_is_repeated_of_a_script_is_short_and_on_one_line() {
    let error = refused(&format!("0 {}", "a".repeat(100_000)));
    assert_eq!(error, "1:100003: expected `(` and the call's arguments, found the end of the script");
    let error = refused(&format!("0 close(3) {}", "b".repeat(100_000)));
    assert_eq!(error, format!("1:12: expected `=` and the call's result, found `{}…`", "b".repeat(40)));
    let error = refused(&format!("0 close(3) \"\n\u{1b}{}\"", "c".repeat(10_000)));
    assert!(error.contains("found `\"\\n\\u{1b}ccc") && error.len() < 140, "{error}");
}

#[test]
fn the_longest_scripts_are_read_to_their_end() {
    for unit in ["0 `a`\n", "+0 f({a=1}) = 0\n", "0 > . 1:1(0)\n", "0 f(\"\"\"\") = 0 (a)\n", "0 %{}%\n"] {
        let count = LONGEST / unit.len();
        assert_eq!(parse(&unit.repeat(count), &[]).map(|script| script.events.len()), Ok(count), "{unit}");
    }
}

#[test]
fn nothing_that_repeats_runs_on() {
    for unit in ["::::", "1:1:1:1:1:1:1:1:", "((", "/**/", "....", "\"\"", "%{}%", "{a(", "`", "a|"] {
        let script = unit.repeat(LONGEST / unit.len() - 8);
        for start in ["", "0 f(", "0 f() = 0 (", "0 > ", "--a="] {
            assert!(parse(&format!("{start}{script}"), &[]).is_err(), "{start}{unit}");
        }
    }
}
