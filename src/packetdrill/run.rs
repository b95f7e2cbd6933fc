//! Running a script: what it takes and what comes of it.
//!
//! A script has a stack of its own, in virtual time, whose packets nobody else sees. The commands before its first event
//! make the stack's settings, its events are run one after the other, and what its code asserts is judged at the end.
//! Nothing that a script says makes a run endless: steps of time and packets are counted, and code has its time.

use std::path::Path;
use std::time::Duration;

pub use super::outcome::{Failure, Options, Outcome, Verdict};
use super::packet;
use super::script::{Action, Script, Span};
use super::source::SyntaxError;
use crate::core::addr::Prefix;
use crate::core::config::Config;
use crate::device::outbox::Outbox;
use crate::engine::Engine;
use capture::Kept;
use command::Act;
pub use command::{Beside, beside_sysctls};
use events::{Parts, Run};
pub use file::read_script;
use settings::Settings;
use stop::Stop;

mod time;

mod stop;

mod settings;

mod file;

mod command;

mod cookie;

mod setup;

mod worker;

mod code;

mod capture;

mod came;

mod under_way;

mod events;

mod inbound;

mod outbound;

mod syscalls;

/// What the stack draws its numbers from: the same in every run, so that every run is the same.
const SEED: [u8; 32] = [7; 32];

/// Runs the script that `text` is. `name` is for what is left of it: the capture of a failure has it.
///
/// Where neither the script nor `options` define `TFO_COOKIE` it stands for the cookie that the stack gives the other end, from
/// the addresses and the secret (sysctl `tcp_fastopen_key`) that the stack begins with.
///
/// # Errors
/// The text is no script.
///
/// # Examples
///
/// ```
/// use tunstack::packetdrill::run::{Options, Verdict, run};
///
/// let script = "0 < S 0:0(0) win 1000\n+0 > R. 0:0(0) ack 1 win 0";
/// let outcome = run("nobody-listens.pkt", script, &Options::default())?;
/// assert_eq!(outcome.verdict, Verdict::Passed);
/// # Ok::<(), tunstack::packetdrill::source::SyntaxError>(())
/// ```
pub fn run(name: &str, text: &str, options: &Options) -> Result<Outcome, SyntaxError> {
    let script = cookie::parse(text, options)?;
    let mut outcome =
        Outcome { verdict: Verdict::Passed, took: Duration::ZERO, notes: Vec::new(), capture: None };
    if let Err(stop) = run_script(name, text, &script, options, &mut outcome) {
        outcome.verdict = stop.into();
    }
    Ok(outcome)
}

fn run_script(
    name: &str,
    text: &str,
    script: &Script,
    options: &Options,
    outcome: &mut Outcome,
) -> Result<(), Stop> {
    let mut settings = Settings::of(script, options)?;
    if settings.dry_run {
        return Err(Stop::Skipped("--dry_run: read and not run".to_owned()));
    }
    if settings.net.anyip {
        return Err(Stop::Skipped(
            "--is_anyip: the stack has the one address that a script gives it".to_owned(),
        ));
    }
    for event in &script.events {
        if let Action::Packet(packet) = &event.action {
            packet::check(packet, &settings.net).map_err(|what| Failure::new(event.span, what))?;
        }
    }
    let config = config(script, &mut settings, &options.folder)?;
    let no_stack = |error: std::io::Error| Failure::new(Span::default(), format!("no stack: {error}"));
    let outbox = Outbox::new(settings.net.mtu).map_err(no_stack)?;
    let (device, kept) = capture::device(outbox.clone(), options.captures.is_some()).map_err(no_stack)?;
    let builder = Engine::builder().device(device).config(config).seed(SEED);
    let (engine, stepper) = builder.start_stepped().map_err(no_stack)?;

    let command = settings.code_command.clone();
    let mut run = Run::new(Parts { text, folder: &options.folder, settings, engine, stepper, outbox });
    let mut result = run.events(&script.events);
    if let Some(cleanup) = &script.cleanup
        && let Err(refused) = command::read(&cleanup.line, &options.folder)
    {
        run.note(format!("clean-up: {refused}"));
    }
    outcome.took = run.now();
    let (program, notes) = run.end();
    outcome.notes = notes;
    if result.is_ok() {
        result = program.run(&command);
    }
    if let (Err(Stop::Failed(_)), Some(folder)) = (&result, &options.captures) {
        leave_capture(kept.as_ref(), folder, name, outcome);
    }
    result
}

fn leave_capture(kept: Option<&Kept>, folder: &Path, name: &str, outcome: &mut Outcome) {
    match kept.map(|kept| kept.write(folder, name)) {
        Some(Ok(path)) => outcome.capture = Some(path),
        Some(Err(error)) => outcome.notes.push(format!("no capture: {error}")),
        None => outcome.notes.push("no capture: built without the feature `capture`".to_owned()),
    }
}

/// The settings of the stack to be.
fn config(script: &Script, settings: &mut Settings, folder: &Path) -> Result<Config, Stop> {
    let net = &settings.net;
    let mut config = Config { mtu: net.mtu, trace: true, ..Config::default() };
    config.tcp.tolerate_missing_timestamps = !net.strict_timestamps;
    // Scripts tell window scales, and most are of the years in which Linux had `tcp_rmem` end at 6 MiB.
    config.tcp.receive_buffer_max = 3 << 20;
    // They are of a Linux without the queueing discipline `fq`, but where they ask for it: a window leaves at once.
    config.tcp.slow_start_pacing = false;
    let prefix = Prefix::new(net.local.into(), net.prefix);
    config.addresses.push(prefix);
    let span = script.init.as_ref().map_or_else(Span::default, |init| init.span);
    let mut acts = Vec::new();
    for name in &settings.init_scripts {
        acts.extend(command::read_file(name, folder).map_err(|refused| refused.at(span))?);
    }
    if let Some(init) = &script.init {
        acts.extend(command::read(&init.line, folder).map_err(|refused| refused.at(span))?);
    }
    for act in acts {
        match act {
            Act::Note(note) => settings.notes.push(note),
            act => setup::change(&mut config, &act, &settings.net, span)?,
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests;
