//! What a side does when a script's calls are made and its packets arrive, written down and not judged.

use std::time::Duration;

use tunstack::packetdrill::call::{Calls, Effect};
use tunstack::packetdrill::flow::Flows;
use tunstack::packetdrill::net::Net;
use tunstack::packetdrill::packet;
use tunstack::packetdrill::parser;
use tunstack::packetdrill::script::{Action, Direction, Event, EventTime, Script, Syscall};

use super::seen::{Sent, observe};
use super::side::{Came, Side};

/// A line of a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// When the script says so; of a packet, as long after what the script did last as it was measured to be.
    pub(crate) when: Duration,
    pub(crate) what: What,
}

/// What a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// The script did something: its text, and what a call gave.
    Done { text: String, result: Option<String> },
    /// The side sent something.
    Sent(Sent),
}

/// All that happened on one side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trace {
    pub(crate) side: &'static str,
    pub(crate) lines: Vec<Line>,
    /// When it was looked at for the last time.
    pub(crate) end: Duration,
    /// How much later than it says the script did something, at the most.
    pub(crate) late: Duration,
}

/// A script whose packets out and results are not looked at.
#[derive(Debug)]
pub(crate) struct Stimuli {
    text: String,
    script: Script,
    pub(crate) net: Net,
    /// Whether windows are compared.
    pub(crate) windows: bool,
}

impl Stimuli {
    pub(crate) fn read(name: &str, text: &str) -> Result<Self, String> {
        let script = parser::parse(text, &[]).map_err(|error| error.render(name, text))?;
        // TSvals are each side's own: those that are echoed are computed.
        let mut net = Net::default();
        net.apply("tcp_ts_ecr_scaled", None)?;
        let mut windows = false;
        for option in &script.options {
            match (option.name.as_str(), option.value.as_deref()) {
                ("windows", None) => windows = true,
                (name, value) => match net.apply(name, value) {
                    Ok(true) => {}
                    Ok(false) => return Err(format!("no such option: --{name}")),
                    Err(what) => return Err(what),
                },
            }
        }
        net.check()?;
        Ok(Self { text: text.to_owned(), script, net, windows })
    }

    /// The same over IPv6.
    pub(crate) fn over_ipv6(&mut self) -> Result<(), String> {
        self.net.apply("ip_version", Some("ipv6")).map(drop)
    }

    fn source(&self, event: &Event) -> String {
        let text = self.text.get(event.span.range()).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Lets it happen to a side.
    pub(crate) fn run(&self, side: &mut dyn Side) -> Result<Trace, String> {
        for (name, value) in super::SETTINGS {
            side.sysctl(name, value)?;
        }
        let mut recorder = Recorder {
            side,
            net: &self.net,
            windows: self.windows,
            calls: Calls::new(&self.net),
            flows: Flows::new(&self.net),
            lines: Vec::new(),
            due: Duration::ZERO,
            late: Duration::ZERO,
            latest: Duration::ZERO,
        };
        recorder.side.restart();
        let mut time = Duration::ZERO;
        for event in &self.script.events {
            time = match event.time {
                EventTime::Absolute(time) => time,
                EventTime::Relative(after) => time + after,
                // Packets out alone have such times, and they are passed over.
                EventTime::Any | EventTime::AbsoluteRange(..) | EventTime::RelativeRange(..) => continue,
            };
            recorder
                .until(time)
                .and_then(|()| recorder.event(event, self.source(event)))
                .map_err(|what| format!("{}, at {}: {what}", recorder.side.name(), self.source(event)))?;
        }
        recorder.calls.finish(recorder.side.calls());
        let Recorder { side, lines, latest: late, .. } = recorder;
        Ok(Trace { side: side.name(), end: side.now(), lines, late })
    }
}

struct Recorder<'a> {
    side: &'a mut dyn Side,
    net: &'a Net,
    windows: bool,
    calls: Calls,
    flows: Flows,
    lines: Vec<Line>,
    /// When the script did something last, by its own time.
    due: Duration,
    /// How much later that was, on a machine that has other things to do.
    late: Duration,
    /// The most of it.
    latest: Duration,
}

impl Recorder<'_> {
    fn until(&mut self, due: Duration) -> Result<(), String> {
        let came = self.side.wait(due)?;
        self.came(came)?;
        (self.due, self.late) = (due, self.side.now().saturating_sub(due));
        self.latest = self.latest.max(self.late);
        Ok(())
    }

    fn event(&mut self, event: &Event, text: String) -> Result<(), String> {
        let when = self.due;
        match &event.action {
            Action::Packet(packet) if packet.direction == Direction::Outbound => return Ok(()),
            Action::Packet(packet) => {
                let flow = self.flows.for_inbound(packet)?;
                let octets = packet::build(packet, flow, self.net)?;
                self.lines.push(Line { when, what: What::Done { text, result: None } });
                self.side.receive(&octets)?;
            }
            Action::Syscall(call) => self.call(call, when, text)?,
            Action::Command(command) => {
                self.lines.push(Line { when, what: What::Done { text, result: None } });
                self.command(&command.line)?;
            }
            Action::Code(_) => return Err("code judges, and here nothing is judged".to_owned()),
        }
        let came = self.side.settle()?;
        self.came(came)
    }

    fn call(&mut self, call: &Syscall, when: Duration, text: String) -> Result<(), String> {
        if call.end.is_some() {
            return Err("calls that wait are not made here".to_owned());
        }
        let prepared = self.calls.prepare(call).map_err(|error| error.to_string())?;
        prepared.before().iter().try_for_each(|effect| effect.learn(&mut self.flows))?;
        let done = prepared.run(self.side.calls());
        let recorded = self.calls.record(call, done).map_err(|error| error.to_string())?;
        // The result that the script has is not what came.
        let text = text.rsplit_once(" = ").map_or(text.as_str(), |(call, _)| call).to_owned();
        let line = Line { when, what: What::Done { text, result: Some(recorded.text) } };
        self.lines.push(line);
        // What has come of the call, an accepted connection say, is older than what it means.
        let came = self.side.settle()?;
        self.came(came)?;
        for effect in &recorded.effects {
            effect.learn(&mut self.flows)?;
            if let Effect::Opened { fd, .. } | Effect::Accepted { fd, .. } = effect {
                self.never_waits(*fd)?;
            }
        }
        Ok(())
    }

    /// No call of a socket waits, so that none holds up the script.
    fn never_waits(&self, fd: i32) -> Result<(), String> {
        let Some(live) = self.calls.live(fd) else { return Ok(()) };
        let flags = self.side.calls().fcntl(live, libc::F_GETFL, 0);
        let set = flags.and_then(|now| self.side.calls().fcntl(live, libc::F_SETFL, now | libc::O_NONBLOCK));
        set.map(drop).map_err(|errno| format!("fcntl of {fd}: {errno}"))
    }

    /// Time alone passes, or a setting changes.
    fn command(&mut self, line: &str) -> Result<(), String> {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["true"] => Ok(()),
            ["sysctl", "-q", setting] => match setting.split_once('=') {
                // Commas stand for the blanks between several numbers.
                Some((name, value)) => self.side.sysctl(name, &value.replace(',', " ")),
                None => Err(format!("expected a name and a value: {setting}")),
            },
            _ => Err(format!("expected `true` or `sysctl -q name=value`, found {line}")),
        }
    }

    fn came(&mut self, came: Vec<Came>) -> Result<(), String> {
        for Came { when, seen, why } in came {
            let seen = seen.map_err(|what| format!("sent what is no packet: {what}"))?;
            // Whoever has a device tells its neighbours.
            if seen.ip.dst != self.net.remote {
                continue;
            }
            let sent = observe(&mut self.flows, self.net, &seen, self.windows, why)?;
            let when = when.saturating_sub(self.late).max(self.due);
            self.lines.push(Line { when, what: What::Sent(sent) });
        }
        Ok(())
    }
}
