//! What a call gave, for who records it and judges nothing.

use super::address::of_packets;
use super::failure::plain;
use super::{Args, Calls, Done, Effect, Errno, Gives, Out, RawFd, Result, control, find, result};
use crate::packetdrill::script::Syscall;
use crate::packetdrill::symbols;

/// What a call gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// The result as a script writes it, and behind it in brackets what the call wrote elsewhere.
    pub text: String,
    /// What it means for the packets that follow.
    pub effects: Vec<Effect>,
}

impl Calls {
    /// Says what `call` gave, and learns what a new descriptor is called, without a look at what the script expects
    /// beside that name.
    ///
    /// # Errors
    ///
    /// There is no such call, or its result is none that a call can give.
    pub fn record(&mut self, call: &Syscall, done: Done) -> Result<Recorded> {
        let row = find(call)?;
        let args = Args { call };
        let made = row.gives == Gives::Descriptor || control::duplicates(&args);
        let mut text = match &done.result {
            Ok(live) if made => {
                let named = result::Expected::of(call)?.as_descriptor();
                let known = self.learn(call, named, *live as RawFd);
                match named.filter(|_| known) {
                    Some(named) => named.to_string(),
                    None => "a new descriptor".to_owned(),
                }
            }
            Ok(number) => number.to_string(),
            Err(errno) => format!("-1 {}", plain(*errno)),
        };
        if let Some(out) = written(&done.out, done.result.as_ref().err()) {
            text += &format!(" [{out}]");
        }
        // What is compared there is not asked for here, and what comes before it has no effect where that differs.
        let effects = (row.check)(self, &args, &done).unwrap_or_default();
        Ok(Recorded { text, effects })
    }
}

/// What the call wrote where its arguments point to. Of descriptors only how they are ready: their numbers are the
/// side's own.
fn written(out: &Out, error: Option<&Errno>) -> Option<String> {
    if error.is_some() {
        return None;
    }
    Some(match out {
        Out::Nothing | Out::Name(None) => return None,
        Out::Name(Some(name)) => {
            let name = of_packets(*name);
            format!("{} port {}", name.ip(), name.port())
        }
        Out::Message(message) => symbols::flags("MSG_", message.flags.bits().cast_unsigned()),
        Out::Octets(octets) => match <[u8; 4]>::try_from(octets.as_slice()) {
            Ok(number) => i32::from_ne_bytes(number).to_string(),
            Err(_) => format!("{} octets", octets.len()),
        },
        Out::Number(number) => number.to_string(),
        Out::Polled(fds) => {
            let ready = fds.iter().map(|fd| symbols::flags("POLL", fd.revents.bits().cast_unsigned().into()));
            ready.collect::<Vec<_>>().join(", ")
        }
        Out::Events(events) => {
            let ready = events.iter().map(|event| symbols::flags("EPOLL", event.events.bits()));
            ready.collect::<Vec<_>>().join(", ")
        }
    })
}
