//! The command line.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::common::{Common, DEVICE};
use super::{bench, demo, drill, echo, get, nc, output, ping, race, serve, up};

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

/// Commands without a device of the user's, and the flags of a device that mean something to them nevertheless.
const WITHOUT_DEVICE: [(&str, &[&str]); 3] = [
    ("drill", &[]),
    ("race", &["link", "mtu"]),
    ("bench", &["mtu", "offload", "shards", "no_uring", "steer", "gro", "spin"]),
];

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Serve a page that shows its own connection, and a directory, on port 80
    #[command(after_help = "Then type: curl http://10.7.0.2/ or open that address in a browser.")]
    Demo(demo::DemoArgs),
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
    /// Run conformance scripts in packetdrill's language, in virtual time
    Drill(drill::DrillArgs),
    /// Race congestion control algorithms over an impaired link, in virtual time or against the kernel
    Race(race::RaceArgs),
    /// Measure this stack beside the host's kernel: throughput, round trips, connections, memory
    Bench(bench::BenchArgs),
}

impl Args {
    /// Reads the command line. Help and version go to standard output; what makes no sense is told in one
    /// line.
    ///
    /// # Errors
    /// The exit code, when there is nothing left to do.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        Self::parse_line(std::env::args_os()).and_then(Self::check).map_err(|error| {
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

    /// Scripts have no device: `drill` has its flags neither in its help nor on its line.
    fn parse_line<T: Into<OsString> + Clone>(line: impl IntoIterator<Item = T>) -> Result<Self, clap::Error> {
        let is_of_device = |arg: &Arg, but: &[&str]| {
            let id = arg.get_id().as_str();
            (arg.get_help_heading() == Some(DEVICE) || id.starts_with("pcap")) && !but.contains(&id)
        };
        let mut command = Self::command();
        // Hands the global flags on to the subcommands.
        command.build();
        for (name, but) in WITHOUT_DEVICE {
            let hidden = |arg: Arg| if is_of_device(&arg, but) { arg.hide(true) } else { arg };
            command = command.mut_subcommand(name, |own| own.mut_args(hidden));
        }
        let matches = command.try_get_matches_from_mut(line)?;
        let subcommand = matches.subcommand();
        for (name, but) in WITHOUT_DEVICE {
            let Some((_, own)) = subcommand.filter(|(given, _)| *given == name) else { continue };
            let given =
                |arg: &&Arg| own.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
            let flags = command.get_arguments().filter(|arg| is_of_device(arg, but));
            if let Some(arg) = { flags }.find(given) {
                let value = own.get_raw(arg.get_id().as_str()).and_then(|mut values| values.next());
                let (flag, value) = (arg.get_long().unwrap_or_default(), value.unwrap_or_default());
                let why = match name {
                    "drill" => format!("scripts have none{}", drill::instead(flag, &value.to_string_lossy())),
                    "bench" => "a benchmark makes its own".to_owned(),
                    _ => "a race has none, or makes its own".to_owned(),
                };
                let text = format!("--{flag} is a device's, and {why}\n");
                return Err(clap::Error::raw(ErrorKind::ArgumentConflict, text));
            }
        }
        Self::from_arg_matches(&matches)
    }

    /// What clap cannot say of global arguments, which a subcommand's parser sees without the others.
    fn check(self) -> Result<Self, clap::Error> {
        if self.common.no_ipv6 && self.common.peer6.is_some() {
            let text = "--peer6 makes no sense with --no-ipv6\n";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, text));
        }
        if self.common.pcap_split && self.common.pcap.is_none() {
            let text = "--pcap-split makes no sense without --pcap\n";
            return Err(clap::Error::raw(ErrorKind::MissingRequiredArgument, text));
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

#[cfg(test)]
mod tests {
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
    fn a_race_has_a_link_and_no_device() {
        let parse = |line: &str| Args::parse_line(line.split(' '));
        assert!(parse("tunstack race --link 10mbit --mtu 9000 --json").is_ok());
        for flag in [
            "--dev tun7",
            "--addr 10.9.0.2/24",
            "--pcap x",
            "--pcap-split",
            "--offload on",
            "--mem 1G",
            "--no-ipv6",
            "--steer",
            "--gro",
            "--shards 2",
        ] {
            let error = parse(&format!("tunstack race {flag}")).unwrap_err().to_string();
            assert!(error.contains("a race has none"), "{error}");
        }
    }

    #[test]
    fn a_benchmark_makes_its_device() {
        let parse = |line: &str| Args::parse_line(line.split(' '));
        assert!(
            parse("tunstack bench --offload on --mtu 9000 --shards 2 --no-uring --spin 20us --json").is_ok()
        );
        assert!(parse("tunstack bench --offload off --steer --gro").is_ok());
        for flag in ["--dev tun7", "--addr 10.9.0.2/24", "--link lte", "--pcap x"] {
            let error = parse(&format!("tunstack bench {flag}")).unwrap_err().to_string();
            assert!(error.contains("makes its own"), "{error}");
        }
    }

    #[test]
    fn drill_has_no_device() {
        let parse = |line: &str| Args::parse_line(line.split(' '));
        assert!(parse("tunstack drill x --json --log off").is_ok());
        assert!(parse("tunstack echo --dev tun7").is_ok());
        for (flag, instead) in [
            ("--dev=tun0", "none"),
            ("--addr=10.7.0.2/24", "local_ip"),
            ("--peer=10.7.0.1", "remote_ip"),
            ("--addr6=fd07::2/64", "local_ip"),
            ("--peer6=fd07::1", "remote_ip"),
            ("--no-ipv6", "--ip-version ipv4"),
            ("--mtu=1400", "--set mtu=1400"),
            ("--link=lte", "say themselves"),
            ("--pcap=x", "--captures"),
            ("--offload=on", "none"),
            ("--no-uring", "none"),
            ("--steer", "none"),
            ("--gro", "none"),
            ("--spin=20us", "none"),
            ("--mem=64M", "none"),
            ("--shards=2", "none"),
        ] {
            for line in [format!("tunstack drill x {flag}"), format!("tunstack {flag} drill x")] {
                let text = parse(&line).unwrap_err().to_string();
                let name = flag.split('=').next().unwrap();
                assert!(
                    text.contains(&format!("{name} is a device's")) && text.contains(instead),
                    "{line}: {text}"
                );
            }
        }
        let help = parse("tunstack drill --help").unwrap_err().to_string();
        assert!(help.contains("--json") && !help.contains("--addr") && !help.contains("--pcap"), "{help}");
        assert!(parse("tunstack echo --help").unwrap_err().to_string().contains("--addr"));
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
            ("tunstack race --queue much", "1bdp, 64k or 100p"),
            ("tunstack race --svg x --zoom 3..2", "such as 2.5..4"),
            ("tunstack race --zoom 1..2", "--svg"),
            ("tunstack race --kernel --flows 2", "cannot be used with"),
            ("tunstack bench --streams 0", "1 to 64"),
            ("tunstack bench --runs 0", "1..=99"),
            ("tunstack bench --from x --runs 2", "cannot be used with"),
            ("tunstack bench --from x --save y", "cannot be used with"),
            ("tunstack bench --only sideways", "up, down, both"),
        ] {
            let error = Args::try_parse_from(line.split(' ')).unwrap_err();
            let text = one_line(&error.render().to_string());
            assert!(text.contains(says) && !text.contains('\n') && !text.contains("error:"), "{text}");
        }
    }
}
