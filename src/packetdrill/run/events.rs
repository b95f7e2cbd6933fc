//! The events of a script, one after the other.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use super::Failure;
use super::came::Came;
use super::code::Program;
use super::command::{self, Act};
use super::settings::Settings;
use super::setup;
use super::stop::{Stop, fail};
use super::time::{Due, Schedule, seconds};
use super::under_way::UnderWay;
use crate::bsd::Sockets;
use crate::core::time::Instant;
use crate::device::outbox::Outbox;
use crate::engine::{Engine, Stepper};
use crate::packetdrill::call::Calls;
use crate::packetdrill::flow::Flows;
use crate::packetdrill::net::Net;
use crate::packetdrill::script::{Action, Code, Command, Direction, Event, Span};

/// Steps of virtual time in a script at the most: many times what an hour of retransmissions takes.
const MOST_STEPS: u32 = 1_000_000;
/// Packets that the stack has sent and no event has asked for, at the most.
const MOST_PACKETS: usize = 50_000;

/// A script being run.
pub(super) struct Run<'a> {
    pub(super) text: &'a str,
    pub(super) folder: &'a Path,
    pub(super) net: Net,
    pub(super) engine: Engine,
    pub(super) stepper: Stepper,
    pub(super) outbox: Outbox,
    pub(super) sockets: Sockets,
    pub(super) calls: Calls,
    pub(super) flows: Flows,
    pub(super) program: Program,
    pub(super) notes: Vec<String>,
    pub(super) schedule: Schedule,
    /// What the stack has sent and no event has asked for yet.
    pub(super) came: VecDeque<Came>,
    /// The call that waits.
    pub(super) under_way: Option<UnderWay>,
    /// What became of the packet that came in last.
    pub(super) received: Option<String>,
    steps: u32,
    events: usize,
}

/// What a run is made of.
pub(super) struct Parts<'a> {
    pub(super) text: &'a str,
    pub(super) folder: &'a Path,
    pub(super) settings: Settings,
    pub(super) engine: Engine,
    pub(super) stepper: Stepper,
    pub(super) outbox: Outbox,
}

impl<'a> Run<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Self {
        let net = parts.settings.net;
        Self {
            text: parts.text,
            folder: parts.folder,
            calls: Calls::new(&net),
            sockets: Sockets::new(&parts.engine),
            flows: Flows::new(&net),
            net,
            engine: parts.engine,
            stepper: parts.stepper,
            outbox: parts.outbox,
            program: Program::default(),
            notes: parts.settings.notes,
            schedule: Schedule::default(),
            came: VecDeque::new(),
            under_way: None,
            received: None,
            steps: 0,
            events: 0,
        }
    }

    /// All of them, and the end of a call that still waits.
    pub(super) fn events(&mut self, events: &[Event]) -> Result<(), Stop> {
        for event in events {
            let due = self.schedule.due(event, self.now()).or_else(|what| fail(event.span, what))?;
            self.event(event, due)?;
            self.events += 1;
        }
        self.await_call()
    }

    fn event(&mut self, event: &Event, due: Due) -> Result<(), Stop> {
        match &event.action {
            Action::Packet(packet) => match packet.direction {
                Direction::Inbound => {
                    self.wait(event.span, due)?;
                    self.inbound(event.span, packet)
                }
                Direction::Outbound => self.outbound(event, packet, due),
            },
            Action::Syscall(call) if call.end.is_some() => self.begin_call(event, call, due),
            Action::Syscall(call) => {
                self.wait(event.span, due)?;
                self.call(call)
            }
            Action::Command(command) => {
                self.wait(event.span, due)?;
                self.command(command)
            }
            Action::Code(code) => {
                self.wait(event.span, due)?;
                self.code(code)
            }
        }
    }

    /// The time since the script's start.
    pub(super) fn now(&self) -> Duration {
        self.stepper.now().saturating_since(Instant::ZERO)
    }

    /// Lets time go on until an event is due, and checks that it is not too late for it.
    pub(super) fn wait(&mut self, span: Span, due: Due) -> Result<(), Stop> {
        self.wait_until(due.start)?;
        // Whatever came before the first one is not the script's.
        if self.events == 0 {
            return Ok(());
        }
        due.check(self.now(), &self.net).map_err(|(expected, actual)| {
            let mut failure = Failure::new(span, "the event was due earlier");
            failure.differences.push(("time".to_owned(), expected, actual));
            failure.into()
        })
    }

    pub(super) fn wait_until(&mut self, when: Duration) -> Result<(), Stop> {
        while self.now() < when && self.advance(when)? {}
        Ok(())
    }

    /// Does what is due next, no later than `limit`; false: nothing is before `limit`, which has come.
    pub(super) fn advance(&mut self, limit: Duration) -> Result<bool, Stop> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            let at = seconds(self.now());
            return fail(
                Span::default(),
                format!("after {MOST_STEPS} steps of time, at {at} s, the script has no end"),
            );
        }
        // A call that is late is told of as soon as it is.
        let latest = self.under_way.as_ref().map_or(limit, |call| call.latest().min(limit));
        let stepped = self.stepper.step(Instant::ZERO + latest);
        self.settled()?;
        Ok(stepped || latest < limit)
    }

    /// Takes in what has come of the last thing that was done.
    pub(super) fn settled(&mut self) -> Result<(), Stop> {
        self.stepper.settle();
        while let Some(letter) = self.outbox.take() {
            self.came.extend(Came::of(letter));
        }
        if self.came.len() > MOST_PACKETS {
            let what = format!("the stack has sent more than {MOST_PACKETS} packets that no event expects");
            return fail(Span::default(), what);
        }
        self.look_at_call()
    }

    fn command(&mut self, command: &Command) -> Result<(), Stop> {
        let acts = command::read(&command.line, self.folder).map_err(|refused| refused.at(command.span))?;
        for act in acts {
            match act {
                Act::Sleep(time) => self.wait_until(self.now().saturating_add(time))?,
                Act::Note(note) => self.note(note),
                Act::Forget => self.engine.forget_fast_open(),
                act => {
                    self.engine.configure(|config| setup::change(config, &act, &self.net, command.span))?
                }
            }
        }
        Ok(())
    }

    fn code(&mut self, code: &Code) -> Result<(), Stop> {
        let Some(fd) = self.flows.current().and_then(|flow| flow.fd) else {
            return fail(code.span, "the code asks for TCP_INFO, but the connection has no descriptor");
        };
        let variables = self.calls.tcp_info(&self.sockets, fd).or_else(|what| fail(code.span, what))?;
        self.program.add(code, variables);
        Ok(())
    }

    /// Ends the stack and all that waits in it; gives the code that is to be run, and the notes.
    pub(super) fn end(mut self) -> (Program, Vec<String>) {
        self.calls.finish(&self.sockets);
        drop(self.stepper);
        if let Some(call) = self.under_way {
            call.end();
        }
        (self.program, self.notes)
    }

    /// What has no effect, once.
    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The packet of an event as the script has it.
    pub(super) fn source(&self, event: &Event) -> String {
        let text = self.text.get(event.span.range()).unwrap_or_default();
        let packet = text.find(['<', '>']).and_then(|at| text.get(at..)).unwrap_or(text);
        packet.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
