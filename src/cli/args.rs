//! The command line.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args as ClapArgs, Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;
use tunstack::core::addr::Prefix;
use tunstack::sim::link::LinkConfig;

use super::{echo, get, link, nc, output, ping, serve, up};

const EXAMPLES: &str = "\
Examples:
  Serve a page from a TCP/IP stack in this process, and fetch it with the kernel's:
      sudo tunstack demo
      curl http://10.7.0.2/

  Serve a directory, let others put files into it, and write down every packet:
      sudo tunstack serve ~/Public --upload --pcap run.pcapng
      curl -T photo.jpg http://10.7.0.2/

  Go without root from now on:
      sudo tunstack up --user $USER
      tunstack demo

  See how it does on a bad line:
      sudo tunstack demo --link 10mbit,50ms,2%

Exit codes:
  0  done, or ended by Ctrl-C in good order
  1  it could not be done; one line on standard error says why
  2  the command line makes no sense
  130  ended by Ctrl-C before it was done

A first Ctrl-C (or SIGTERM) closes connections in order, finishes the capture and removes
what was made; a second one ends at once.";

/// A TCP/IP stack in a process of its own, on a TUN device.
///
/// The stack lives in this program: it has addresses of its own, and the host's kernel reaches it over the
/// TUN device as it reaches any other host. Each command makes the device, does its work over it and removes
/// it again; `up` makes one that stays.
#[derive(Parser, Debug)]
#[command(name = "tunstack", version, after_long_help = EXAMPLES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = false, propagate_version = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What all commands have in common.
#[derive(ClapArgs, Debug, Clone)]
pub(crate) struct Common {
    /// The TUN device: made if it is not there
    #[arg(long, global = true, value_name = "NAME", default_value = "tun0", help_heading = DEVICE)]
    pub(crate) dev: String,
    /// The stack's own IPv4 address, with the length of the prefix that it shares with the host
    #[arg(long, global = true, value_name = "A/LEN", default_value = "10.7.0.2/24", value_parser = prefix)]
    #[arg(help_heading = DEVICE)]
    pub(crate) addr: Prefix,
    /// The host's IPv4 address on the device [default: 10.7.0.1: the first other one of the prefix]
    #[arg(long, global = true, value_name = "A", help_heading = DEVICE, value_parser = address)]
    pub(crate) peer: Option<IpAddr>,
    /// The stack's own IPv6 address
    #[arg(long, global = true, value_name = "A/LEN", default_value = "fd07::2/64", value_parser = prefix)]
    #[arg(help_heading = DEVICE)]
    pub(crate) addr6: Prefix,
    /// The host's IPv6 address on the device [default: fd07::1: the first other one of the prefix]
    #[arg(long, global = true, value_name = "A", help_heading = DEVICE, value_parser = address)]
    pub(crate) peer6: Option<IpAddr>,
    /// Do without IPv6
    #[arg(long, global = true, help_heading = DEVICE)]
    pub(crate) no_ipv6: bool,
    /// The largest packet, octets: at least 1280 with IPv6, 68 without
    #[arg(long, global = true, value_name = "OCTETS", default_value_t = 1500, help_heading = DEVICE)]
    pub(crate) mtu: u32,
    /// Impair the link, each way: 100mbit,40ms,1% or lte,loss=2%,jitter=5ms
    ///
    /// Parts are joined by commas: a rate (kbit, mbit, gbit), a one-way delay (us, ms, s) and a loss (%) go
    /// by their units; jitter=, reorder=, duplicate=, corrupt= and queue= (packets) by name. A preset may
    /// come first: perfect, datacenter, lan, dsl, intercontinental, wifi, lte, satellite.
    #[arg(long, global = true, value_name = "SPEC", help_heading = DEVICE, value_parser = link::parse)]
    pub(crate) link: Option<LinkConfig>,
    /// Write every packet to FILE, as pcapng with a comment on each: open it in Wireshark
    ///
    /// A file of that name is replaced. When it cannot be written any more (full disk) the run goes on
    /// without it, the end says so, and the exit code is 1.
    #[arg(long, global = true, value_name = "FILE", help_heading = OUTPUT)]
    pub(crate) pcap: Option<PathBuf>,
    /// How much to log, on standard error: off, error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info", help_heading = OUTPUT)]
    #[arg(hide_possible_values = true, value_parser = level)]
    pub(crate) log: LevelFilter,
    /// Speak JSON, an object a line
    ///
    /// The line with "event":"ready" comes when all is set up and names devices, addresses and ports; the
    /// one with "event":"summary" comes last and has the stack's counters. They are on standard output, or
    /// on standard error for commands whose standard output carries data (nc, get).
    #[arg(long, global = true, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

const DEVICE: &str = "Device and addresses";
const OUTPUT: &str = "Output";

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Serve a page that shows its own connection, and a directory, on port 80
    #[command(after_help = "Then type: curl http://10.7.0.2/ or open that address in a browser.")]
    Demo(DemoArgs),
    /// Serve a directory by HTTP
    Serve(serve::ServeArgs),
    /// The small services of old: discard, source (chargen) and echo, over TCP and UDP
    Echo(echo::EchoArgs),
    /// Connect standard input and output to a connection, as netcat does
    Nc(nc::NcArgs),
    /// Fetch a URL
    Get(get::GetArgs),
    /// Send ICMP echo requests
    Ping(ping::PingArgs),
    /// Make a device that stays, for a user who then needs no root
    Up(up::UpArgs),
    /// Remove the device that `up` made
    #[command(after_help = "Example: sudo tunstack down --dev tun0")]
    Down,
}

/// Arguments of `demo`.
#[derive(ClapArgs, Debug)]
pub(crate) struct DemoArgs {
    /// The directory to serve at /files/ [default: a temporary one with files of several sizes]
    pub(crate) dir: Option<PathBuf>,
    /// The port of the page
    #[arg(long, default_value_t = 80)]
    pub(crate) port: u16,
}

impl Args {
    /// Reads the command line. Help and version go to standard output; what makes no sense is told in one
    /// line.
    ///
    /// # Errors
    /// The exit code, when there is nothing left to do.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        Self::try_parse().and_then(Self::check).map_err(|error| {
            let shows = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            if shows {
                let text = error.render();
                let mut out = std::io::stdout().lock();
                // Somebody who reads only the head of it has read enough.
                let _ = match std::io::IsTerminal::is_terminal(&out) {
                    true => write!(out, "{}", text.ansi()),
                    false => write!(out, "{text}"),
                };
                return ExitCode::SUCCESS;
            }
            output::complain(&one_line(&error.render().to_string()));
            ExitCode::from(2)
        })
    }

    /// What clap cannot say of global arguments, which a subcommand's parser sees without the others.
    fn check(self) -> Result<Self, clap::Error> {
        if self.common.no_ipv6 && self.common.peer6.is_some() {
            let text = "--peer6 makes no sense with --no-ipv6\n";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, text));
        }
        Ok(self)
    }
}

/// Clap's message without its layout: the paragraphs before the usage, in one line.
fn one_line(text: &str) -> String {
    let text = text.split("\nUsage:").next().unwrap_or(text);
    let said = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("For more"));
    let line = said.collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    format!("{} (try: tunstack --help)", line.replace(" tip: ", "; tip: "))
}

/// An address with the length of its prefix.
fn prefix(text: &str) -> Result<Prefix, String> {
    let Some((a, length)) = text.split_once('/') else {
        let a = address(text)?;
        let example = if a.is_ipv4() { 24 } else { 64 };
        return Err(format!("the length of the prefix is missing: write {text}/{example}"));
    };
    let a = address(a)?;
    let max = if a.is_ipv4() { 32 } else { 128 };
    match length.parse() {
        Ok(n) if n <= max => Ok(Prefix::new(a.into(), n)),
        _ => Err(format!("{length:?} is no length of a prefix: a number up to {max}")),
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is no IP address"))
}

fn level(text: &str) -> Result<LevelFilter, String> {
    text.parse().map_err(|_| "one of off, error, warn, info, debug, trace".to_owned())
}

/// Seconds, with a fraction if need be.
pub(crate) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    match std::time::Duration::try_from_secs_f64(seconds) {
        Ok(t) if !t.is_zero() && t.as_secs() < 1 << 32 => Ok(t),
        _ => Err("seconds, more than 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn common_flags_go_before_and_after_the_command() {
        for line in [
            "tunstack --dev tun7 --addr 10.9.0.2/24 --mtu 1400 echo",
            "tunstack echo --dev tun7 --addr 10.9.0.2/24 --mtu 1400",
        ] {
            let args = Args::try_parse_from(line.split(' ')).unwrap();
            assert_eq!((args.common.dev.as_str(), args.common.mtu), ("tun7", 1400));
            assert_eq!(args.common.addr.to_string(), "10.9.0.2/24");
            assert_eq!(args.common.addr6.to_string(), "fd07::2/64");
        }
    }

    #[test]
    fn errors_are_one_line() {
        for (line, says) in [
            ("tunstack", "requires a subcommand"),
            ("tunstack serve", "<DIR>"),
            ("tunstack echo --adr 10.0.0.1/8", "'--addr'"),
            ("tunstack echo --addr 10.7.0.2", "write 10.7.0.2/24"),
            ("tunstack echo --addr 10.7.0.2/33", "up to 32"),
            ("tunstack echo --addr6 fd07::x/64", "no IP address"),
            ("tunstack echo --link fast", "100mbit"),
            ("tunstack echo --log loud", "one of off"),
            ("tunstack ping", "<HOST>"),
            ("tunstack ping 10.7.0.1 -W 0", "more than 0"),
        ] {
            let error = Args::try_parse_from(line.split(' ')).unwrap_err();
            let text = one_line(&error.render().to_string());
            assert!(text.contains(says) && !text.contains('\n') && !text.contains("error:"), "{text}");
        }
    }
}
