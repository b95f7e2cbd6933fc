//! Dialogues of netcats: how they end between two kernels is how they must end with us.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::ends::{Pattern, Whose};
use crate::host::{ADDRESSES, ready, until, until_routed};
use crate::program::{Tunstack, child, code, has};

/// More than any buffer on the way.
const MUCH: usize = 9_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Client,
    Server,
}
use Side::{Client, Server};

/// One step of a dialogue.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Standard input gets so many octets.
    Say(Side, usize),
    /// Standard input ends.
    End(Side),
    /// So many octets have come out in all.
    Heard(Side, usize),
    /// It ends by itself.
    Exit(Side),
}
use Step::{End, Exit, Heard, Say};

/// Options of client and server, and what happens.
struct Dialogue {
    name: &'static str,
    options: [&'static [&'static str]; 2],
    steps: &'static [Step],
}

/// With `-l` a netcat goes as soon as its peer has ended, even with `-N`, so a server that has more to say
/// must have ended first.
const DIALOGUES: &[Dialogue] = &[
    Dialogue {
        name: "the server ends first, the client has more to say",
        options: [&["-N"], &["-N"]],
        steps: &[
            Say(Server, 10),
            End(Server),
            Heard(Client, 10),
            Say(Client, MUCH),
            Heard(Server, MUCH),
            End(Client),
            Exit(Server),
            Exit(Client),
        ],
    },
    Dialogue {
        name: "the client ends first, after both have said much",
        options: [&["-N"], &[]],
        steps: &[
            Say(Server, MUCH),
            Heard(Client, MUCH),
            Say(Client, MUCH),
            End(Client),
            Heard(Server, MUCH),
            Exit(Server),
            Exit(Client),
        ],
    },
    Dialogue {
        name: "the client ends first and the server at once after it",
        options: [&["-N"], &["-N"]],
        steps: &[Say(Client, 10), End(Client), Heard(Server, 10), End(Server), Exit(Client), Exit(Server)],
    },
    Dialogue {
        name: "a client without -N does not tell its end",
        options: [&[], &["-N"]],
        steps: &[
            Say(Client, 10),
            End(Client),
            Heard(Server, 10),
            Say(Server, MUCH),
            Heard(Client, MUCH),
            End(Server),
            Exit(Client),
            Exit(Server),
        ],
    },
];

/// A netcat that runs.
struct Nc {
    child: Child,
    input: Option<ChildStdin>,
    heard: Arc<Mutex<Vec<u8>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Nc {
    fn start(mut command: Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let mut output = child.stdout.take().unwrap();
        let reader = thread::spawn({
            let heard = Arc::clone(&heard);
            move || {
                let mut buf = vec![0; 65_536];
                loop {
                    match output.read(&mut buf).unwrap() {
                        0 => break,
                        n => heard.lock().unwrap().extend_from_slice(&buf[..n]),
                    }
                }
            }
        });
        Self { input: child.stdin.take(), child, heard, reader: Some(reader) }
    }
}

impl Drop for Nc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a dialogue went.
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    /// Exit codes of client and server.
    codes: [Option<i32>; 2],
    /// Octets each of them has heard.
    heard: [usize; 2],
    /// Resets that were sent and received by the kernel.
    resets: u64,
}

fn resets() -> u64 {
    let text = fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = text.lines().filter_map(|l| l.strip_prefix("Tcp: ")).map(str::split_whitespace);
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let resets = names.zip(values).filter(|(name, _)| ["EstabResets", "OutRsts"].contains(name));
    resets.map(|(_, n)| n.parse::<u64>().unwrap()).sum()
}

/// Somebody listens on the port.
fn listens(port: u16) -> bool {
    let suffix = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        fs::read_to_string(table).unwrap().lines().any(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            fields[1].ends_with(&suffix) && fields[3] == "0A"
        })
    })
}

fn netcat(options: &[&str]) -> Command {
    let mut command = child("nc");
    command.args(options);
    command
}

fn tunstack(options: &[&str]) -> Command {
    let mut command = child(env!("CARGO_BIN_EXE_tunstack"));
    command.args(["--log", "warn", "--json", "nc"]).args(options);
    command
}

/// A listening `tunstack nc`, ready for its client.
fn listening(options: &[&str]) -> Nc {
    let mut command = tunstack(options);
    command.stderr(Stdio::piped());
    let mut nc = Nc::start(command);
    let mut lines = BufReader::new(nc.child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("ready"), "{first}");
    // What it says later must not find a closed pipe.
    thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("    {line}")));
    nc
}

/// A port that is free on the host.
fn port() -> String {
    TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port().to_string()
}

fn hold(dialogue: &Dialogue, whose: [Whose; 2], addresses: (&str, &str)) -> Outcome {
    let (host, stack) = addresses;
    let (before, port) = (resets(), port());
    let [client_options, server_options] = dialogue.options;
    let (to, server) = match whose[1] {
        Whose::Kernels => {
            // Its address comes with the device, which a client of ours brings.
            let any = if host.contains(':') { "::" } else { "0.0.0.0" };
            let server = Nc::start(netcat(&[server_options, &["-l", any, &port]].concat()));
            until("the server", || listens(port.parse().unwrap()));
            (host, server)
        }
        Whose::Ours => {
            let server = listening(&[server_options, &["-l", stack, &port]].concat());
            until_routed();
            (stack, server)
        }
    };
    let target = [client_options, &[to, &port]].concat();
    let client = Nc::start(match whose[0] {
        Whose::Kernels => netcat(&target),
        Whose::Ours => tunstack(&target),
    });
    let mut ends = [client, server];
    let mut codes = [None, None];
    for step in dialogue.steps {
        println!("  {step:?}");
        match *step {
            Say(side, n) => {
                let data = Pattern(side as u64).take(n);
                ends[side as usize].input.as_mut().unwrap().write_all(&data).unwrap();
            }
            End(side) => drop(ends[side as usize].input.take()),
            Heard(side, n) => {
                let heard = &ends[side as usize].heard;
                until("what was said", || heard.lock().unwrap().len() >= n);
            }
            Exit(side) => {
                let end = &mut ends[side as usize];
                codes[side as usize] = code(&mut end.child);
                end.reader.take().unwrap().join().unwrap();
            }
        }
    }
    let heard = [Client, Server].map(|side| {
        let heard = ends[side as usize].heard.lock().unwrap();
        let other = if side == Client { Server } else { Client };
        assert!(*heard == Pattern(other as u64).take(heard.len()), "other octets than were said");
        heard.len()
    });
    Outcome { codes, heard, resets: resets() - before }
}

pub(crate) fn dialogues() {
    if !has("nc") {
        return;
    }
    ready();
    for dialogue in DIALOGUES {
        println!("{}", dialogue.name);
        let expected = hold(dialogue, [Whose::Kernels, Whose::Kernels], ("127.0.0.1", "127.0.0.1"));
        println!("{expected:?}");
        assert_eq!((expected.codes, expected.resets), ([Some(0), Some(0)], 0));
        for addresses in ADDRESSES {
            for whose in [[Whose::Ours, Whose::Kernels], [Whose::Kernels, Whose::Ours]] {
                println!("{whose:?} {addresses:?}");
                assert_eq!(hold(dialogue, whose, addresses), expected);
            }
        }
    }
}

/// The echo service sends all back that came before the half-close, and ends after it.
pub(crate) fn echo() {
    if !has("nc") {
        return;
    }
    let program = Tunstack::start(&["echo"]);
    for (_, stack) in ADDRESSES {
        let mut nc = Nc::start(netcat(&["-N", stack, "5003"]));
        let data = Pattern(3).take(MUCH);
        let mut input = nc.input.take().unwrap();
        input.write_all(&data).unwrap();
        drop(input);
        assert_eq!(code(&mut nc.child), Some(0));
        nc.reader.take().unwrap().join().unwrap();
        assert!(*nc.heard.lock().unwrap() == data, "other octets than were said");
    }
    program.end();
}
