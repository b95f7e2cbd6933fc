//! Scripts that are read, and scripts that are not.

mod malformed;

mod packets;

mod random;

mod syscalls;

use std::time::Duration;

use super::*;
use crate::packetdrill::script::{Action, Event, EventTime};

fn read(text: &str) -> Script {
    parse(text, &[]).unwrap_or_else(|error| panic!("{}", error.render("script", text)))
}

/// The only event of a script.
fn event(text: &str) -> Event {
    let mut events = read(text).events;
    assert_eq!(events.len(), 1, "{text}");
    events.remove(0)
}

fn refused(text: &str) -> String {
    parse(text, &[]).expect_err(text).to_string()
}

fn defines(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(symbol, value)| (symbol.to_owned(), value.to_owned())).collect()
}

const fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

#[test]
fn a_whole_script_has_its_parts_in_order() {
    let text = "// head\n--tolerance_usecs=7000\n--strict_segments\n`sysctl -w a=b`\n\
                0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n\
                +.1 > S 0:0(0) <...>\n\
                +0 `sleep 1`\n\
                +0 %{ assert 1 }%\n\
                `clean up`\n";
    let script = read(text);
    let names: Vec<&str> = script.options.iter().map(|option| option.name.as_str()).collect();
    assert_eq!(names, ["tolerance_usecs", "strict_segments"]);
    assert_eq!(script.options[0].value.as_deref(), Some("7000"));
    assert_eq!(script.options[1].value, None);
    assert_eq!(script.init.unwrap().line, "sysctl -w a=b");
    assert_eq!(script.cleanup.unwrap().line, "clean up");
    let [call, packet, command, code] = &script.events[..] else { panic!("{:?}", script.events) };
    assert!(matches!(&call.action, Action::Syscall(call) if call.name == "socket"));
    assert!(matches!(packet.action, Action::Packet(_)));
    assert!(matches!(&command.action, Action::Command(command) if command.line == "sleep 1"));
    assert!(matches!(&code.action, Action::Code(code) if code.text == "assert 1"));
    assert_eq!(&text[packet.span.range()], "+.1 > S 0:0(0) <...>");
    assert_eq!(&text[code.span.range()], "+0 %{ assert 1 }%");
}

#[test]
fn a_command_ahead_of_the_events_is_the_first_alone() {
    let script = read("`one`\n+0 `two`");
    assert_eq!((script.init.unwrap().line.as_str(), script.cleanup), ("one", None));
    assert_eq!(script.events.len(), 1);
}

#[test]
fn code_keeps_its_lines() {
    let event = event("0 %{\t\nif a:\n  b }c\n}%");
    assert!(matches!(event.action, Action::Code(code) if code.text == "\nif a:\n  b }c\n"));
}

#[test]
fn times() {
    let time = |text: &str| event(&format!("{text} > . 0:0(0)")).time;
    assert_eq!(time("1"), EventTime::Absolute(micros(1_000_000)));
    assert_eq!(time("1.5"), EventTime::Absolute(micros(1_500_000)));
    assert_eq!(time("+.001"), EventTime::Relative(micros(1_000)));
    assert_eq!(time("+ 0.000001"), EventTime::Relative(micros(1)));
    assert_eq!(time(".000000001"), EventTime::Absolute(Duration::from_nanos(1)));
    assert_eq!(time("*"), EventTime::Any);
    assert_eq!(time("1~1.25"), EventTime::AbsoluteRange(micros(1_000_000), micros(1_250_000)));
    assert_eq!(time("+.1~+.1"), EventTime::RelativeRange(micros(100_000), micros(100_000)));
    assert_eq!(time("4294967295.5"), EventTime::Absolute(Duration::new(u32::MAX.into(), 500_000_000)));
}

#[test]
fn options_have_values_of_every_kind() {
    let value = |text: &str| {
        let script = read(&format!("--x={text}\n+0 `a`"));
        (script.options[0].value.clone().unwrap(), script.events.len())
    };
    for text in ["5", "-5", "0x5", "1.5", "ipv4", "192.0.2.1", "fd::1", "192.0.2.1/24", "word-more"] {
        assert_eq!(value(text), (text.to_owned(), 1));
    }
    assert_eq!(value("\"two words\""), ("two words".to_owned(), 1));
    assert_eq!(value("a // comment"), ("a".to_owned(), 1));
    assert_eq!(read("--a = b\n0 `c`").options[0].value.as_deref(), Some("b"));
}

#[test]
fn symbols_stand_for_numbers_texts_commands_and_words() {
    let text = "--define=PORT=80\n--define=NAME=\"two words\"\n--define=DO=`do it`\n--define=WORD=SOL_IP\n\
                --define=HEX=0x10\n--define=FLAGS=S.\n--define=COOKIE=00112233\n--define=WHEN=.5\n\
                +WHEN > PORT > PORT FLAGS 0:0(0) <FO COOKIE, nop, nop>\n\
                +0 f(NAME, WORD, HEX, \"NAME\", OTHER) = PORT\n\
                +0 DO\nDO";
    let script = read(text);
    assert_eq!(script.options[1].value.as_deref(), Some("NAME=\"two words\""));
    let plain = "+.5 > 80 > 80 S. 0:0(0) <FO 00112233, nop, nop>\n\
                 +0 f(\"two words\", SOL_IP, 0x10, \"NAME\", OTHER) = 80\n+0 `do it`\n`do it`";
    let expected = read(plain);
    assert_eq!(script.events.len(), 3);
    assert_eq!(script.events[0].time, expected.events[0].time);
    assert_eq!(script.events[0].action, expected.events[0].action);
    let kinds = |event: &Event| match &event.action {
        Action::Syscall(call) => call.args.iter().chain([&call.result]).map(|v| v.kind.clone()).collect(),
        other => panic!("{other:?}"),
    };
    let found: Vec<_> = kinds(&script.events[1]);
    assert_eq!(found, kinds(&expected.events[1]));
    assert!(matches!(&script.events[2].action, Action::Command(command) if command.line == "do it"));
    assert_eq!(script.cleanup.unwrap().line, "do it");
}

#[test]
fn the_caller_defines_last_and_a_later_line_counts() {
    let text = "--define=A=1\n--define=A=2\n0 f(A, B) = A";
    let call = |defines: &[(String, String)]| {
        let script = parse(text, defines).unwrap();
        let Action::Syscall(call) = &script.events[0].action else { panic!("{script:?}") };
        format!("{:?} {:?}", call.args[1].kind, call.result.kind)
    };
    assert_eq!(call(&[]), "Word(\"B\") Integer(2)");
    assert_eq!(
        call(&defines(&[("A", "3"), ("B", "A")])),
        "Word(\"A\") Integer(3)",
        "nothing is looked up twice"
    );
}

#[test]
fn a_definition_that_does_not_fit_is_named() {
    let error = parse("0 > S 0:0(0) <mss MSS>", &defines(&[("MSS", "big")])).unwrap_err();
    assert_eq!(error.to_string(), "1:19: expected an MSS, found `big`, which `MSS` stands for");
}

#[test]
fn an_error_shows_its_line() {
    let text = "0 socket(..., SOCK_STREAM, 0) = 3\n+0 ] close(3) = 0\n";
    let error = parse(text, &[]).unwrap_err();
    assert_eq!(
        error.render("dir/a.pkt", text),
        "dir/a.pkt:2:4: expected a packet, a system call, a command or code, found `]`\n\
         2 | +0 ] close(3) = 0\n  |    ^\n"
    );
    assert_eq!(&text[error.span.range()], "]");
}
