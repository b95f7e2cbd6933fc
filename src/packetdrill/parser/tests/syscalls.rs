//! System calls and their values.

use super::super::super::script::*;
use super::{event, micros, read, refused};

fn call(text: &str) -> Syscall {
    match event(&format!("+.1{text}")).action {
        Action::Syscall(call) => *call,
        other => panic!("{other:?}"),
    }
}

/// A value in short: names bare, texts quoted, calls and structures with their signs.
fn short(value: &Value) -> String {
    let all = |values: &[Value], between: &str| values.iter().map(short).collect::<Vec<_>>().join(between);
    match &value.kind {
        ValueKind::Ellipsis => "...".to_owned(),
        ValueKind::Integer(number) => number.to_string(),
        ValueKind::Word(name) => name.clone(),
        ValueKind::Text(octets, more) => {
            format!("\"{}\"{}", octets.escape_ascii(), if *more { "..." } else { "" })
        }
        ValueKind::Or(values) => format!("<{}>", all(values, "|")),
        ValueKind::Named(name, value) => format!("<{name}={}>", short(value)),
        ValueKind::List(values) => format!("[{}]", all(values, " ")),
        ValueKind::Call(name, args) => format!("{name}({})", all(args, " ")),
        ValueKind::Struct(fields) => {
            let field = |field: &Field| {
                let count = field.count.as_ref().map(|count| format!("({})", short(count)));
                let name = field.name.as_ref().map(|name| format!("{name}{}=", count.unwrap_or_default()));
                format!("{}{}", name.unwrap_or_default(), short(&field.value))
            };
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(" "))
        }
    }
}

fn argument(text: &str) -> String {
    short(&call(&format!(" f({text}) = 0")).args[0])
}

#[test]
fn results_errors_and_notes() {
    let found = call(" accept(3, ..., ...) = -1 EAGAIN (Resource temporarily unavailable)");
    assert_eq!((found.name.as_str(), found.args.len(), short(&found.result).as_str()), ("accept", 3, "-1"));
    assert_eq!(found.errno.as_deref(), Some("EAGAIN"));
    assert_eq!(found.note.as_deref(), Some("Resource temporarily unavailable"));
    let found = call(" fcntl(3, F_GETFL) = 0x802 (flags O_RDWR|O_NONBLOCK)");
    assert_eq!((short(&found.result).as_str(), found.errno), ("2050", None));
    assert_eq!(found.note.as_deref(), Some("flags O_RDWR|O_NONBLOCK"));
    let found = call(" f() = O_RDWR (a (nested) one)");
    assert_eq!((short(&found.result).as_str(), found.note.as_deref()), ("O_RDWR", Some("a (nested) one")));
    let found = call(" close(3) = -1 EBADF");
    assert_eq!((found.errno.as_deref(), found.note, found.args.len()), (Some("EBADF"), None, 1));
    assert_eq!(call(" f() = 0").args, []);
}

#[test]
fn the_end_of_a_call_that_waits() {
    assert_eq!(call("...0.2 read(4, ..., 10) = 10").end, Some(micros(200_000)));
    assert_eq!(call("...0.1 read(4, ..., 10) = 10").end, Some(micros(100_000)));
    assert_eq!(call(" read(4, ..., 10) = 10").end, None);
    assert_eq!(
        refused("1...0.9 read() = 0"),
        "1:5: expected an end that is not before the call's start, found `0.9`"
    );
}

#[test]
fn a_call_knows_where_it_stands() {
    let text = "0 close(3) = 0 // done\n+0 close(4) = -1 EBADF (Bad)\n";
    let spans: Vec<&str> = read(text)
        .events
        .iter()
        .map(|event| match &event.action {
            Action::Syscall(call) => &text[call.span.range()],
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(spans, ["close(3) = 0", "close(4) = -1 EBADF (Bad)"]);
}

#[test]
fn numbers_and_names() {
    for (text, value) in [
        ("5", "5"),
        ("-5", "-5"),
        ("0x10", "16"),
        ("0xffffffffffffffff", "-1"),
        ("9223372036854775807", "9223372036854775807"),
        ("...", "..."),
        ("SOL_SOCKET", "SOL_SOCKET"),
        ("A|B|0x4", "<A|B|4>"),
        ("name=A|B", "<name=<A|B>>"),
        ("[]", "[]"),
        ("[1, [A|B], ...]", "[1 [<A|B>] ...]"),
    ] {
        assert_eq!(argument(text), value);
    }
}

#[test]
fn texts_their_escapes_and_pieces() {
    for (text, value) in [
        (r#""GET / HTTP""#, r#""GET / HTTP""#),
        (r#""a\r\n\t\\\"\x00\xff\0\177\4012""#, r#""a\r\n\t\\\"\x00\xff\x00\x7f 12""#),
        (r#""a" "b" "c""#, r#""abc""#),
        (r#""abc"..."#, r#""abc"..."#),
        (r#""""#, r#""""#),
    ] {
        assert_eq!(argument(text), value);
    }
}

#[test]
fn structures() {
    for (text, value) in [
        (
            "{sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"192.0.2.1\")}",
            "{sa_family=AF_INET sin_port=htons(8080) sin_addr=inet_addr(\"192.0.2.1\")}",
        ),
        (
            "{sa_family=AF_INET6, sin_port=htons(0), sin_addr=inet_addr(\"fd::1\")}",
            "{sa_family=AF_INET6 sin_port=htons(0) sin_addr=inet_addr(\"fd::1\")}",
        ),
        (
            "{msg_name(...)=..., msg_iov(2)=[{..., 1000}, {\"ab\", 2}], msg_flags=A|B, \
             msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=10}]}",
            "{msg_name(...)=... msg_iov(2)=[{... 1000} {\"ab\" 2}] msg_flags=<A|B> \
             msg_control=[{cmsg_level=SOL_TCP cmsg_type=TCP_CM_INQ cmsg_data=10}]}",
        ),
        ("{onoff=1, linger=0}", "{onoff=1 linger=0}"),
        (
            "[{fd=4, events=POLLIN, revents=POLLIN|POLLHUP}]",
            "[{fd=4 events=POLLIN revents=<POLLIN|POLLHUP>}]",
        ),
        ("{events=EPOLLIN|EPOLLET, u64=0xffffffffffffffff}", "{events=<EPOLLIN|EPOLLET> u64=-1}"),
        ("{ee_errno=ENOMSG, ee_info=0}", "{ee_errno=ENOMSG ee_info=0}"),
        ("{scm_sec=0,scm_nsec=20000000}", "{scm_sec=0 scm_nsec=20000000}"),
        ("{}", "{}"),
        ("{1, {2, 3}}", "{1 {2 3}}"),
        ("inet6_addr(\"fd::1\")", "inet6_addr(\"fd::1\")"),
    ] {
        assert_eq!(argument(text), value);
    }
}

#[test]
fn an_address_is_a_number_as_memory_has_it() {
    let number = u32::from_ne_bytes([192, 0, 2, 1]);
    assert_eq!(argument("inet_addr(\"192.0.2.1\")"), number.to_string());
    assert_eq!(argument("[inet_addr(\"192.0.2.1\")]"), format!("[{number}]"));
}

#[test]
fn values_nest_to_a_limit() {
    let nested = |depth: usize| format!("0 f({}{}) = 0", "[".repeat(depth), "]".repeat(depth));
    read(&nested(32));
    let error = refused(&nested(33));
    assert_eq!(error, "1:37: expected values that nest at most 32 deep, found `[`");
    let error = refused(&format!("0 f({}1) = 0", "a=".repeat(20_000)));
    assert!(error.contains("nest at most 32 deep"), "{error}");
    let error = refused(&format!("0 f({}", "{a(".repeat(20_000)));
    assert!(error.contains("nest at most 32 deep"), "{error}");
}
