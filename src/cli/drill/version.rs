//! The addresses that scripts run with, and what depends on them.

use std::net::IpAddr;

use clap::ValueEnum;
use tunstack::packetdrill::run;
use tunstack::packetdrill::{parser, script::OptionLine};

use super::define;
use super::scripts::Script;

/// Addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Version {
    /// IPv4
    Ipv4,
    /// Sockets of IPv6 with addresses of IPv4
    Ipv4MappedIpv6,
    /// IPv6
    Ipv6,
    /// One after the other; a script whose head names one runs with that alone
    All,
}

/// As the command line or a script's head gives it.
type Setting = (String, Option<String>);

impl Version {
    const EACH: [Self; 3] = [Self::Ipv4, Self::Ipv4MappedIpv6, Self::Ipv6];

    const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv4MappedIpv6 => "ipv4-mapped-ipv6",
            Self::Ipv6 => "ipv6",
            Self::All => "all",
        }
    }

    fn is_v6(self) -> bool {
        self == Self::Ipv6
    }

    /// What scripts for all three rely on.
    fn settings(self) -> Vec<Setting> {
        let mut settings = vec![("ip_version".to_owned(), Some(self.name().to_owned()))];
        if self.is_v6() {
            for (name, value) in [
                ("local_ip", "fd3d:0a0b:17d6::1"),
                ("gateway_ip", "fd3d:0a0b:17d6:8888::1"),
                ("remote_ip", "fd3d:fa7b:d17d::1"),
            ] {
                settings.push((name.to_owned(), Some(value.to_owned())));
            }
        }
        settings.extend(self.mtu());
        settings.extend(self.symbols());
        settings
    }

    /// By which a full segment has as many octets over IPv6 as over IPv4.
    fn mtu(self) -> Option<Setting> {
        self.is_v6().then(|| ("mtu".to_owned(), Some("1520".to_owned())))
    }

    /// The symbols whose values depend on the kind of addresses.
    fn symbols(self) -> impl Iterator<Item = Setting> {
        let (level, kind) = match self {
            Self::Ipv4 => ("SOL_IP", "IP_RECVERR"),
            _ => ("SOL_IPV6", "IPV6_RECVERR"),
        };
        let code = (!self.is_v6()).then(|| define("CODE=host_unreachable"));
        let others =
            [define(&format!("CMSG_LEVEL_IP={level}")), define(&format!("CMSG_TYPE_RECVERR={kind}"))];
        code.into_iter().chain(others)
    }

    /// With the addresses that the head gives or else those that are the default.
    fn as_said(self) -> Vec<Setting> {
        self.symbols().collect()
    }
}

/// How a script is to be run: a variant's name for the report, and settings. `own` are those of the command line.
pub(super) fn runs(
    script: &Script,
    asked: Option<Version>,
    own: &[Setting],
) -> Vec<(Option<&'static str>, Vec<Setting>)> {
    // What cannot be read is told when it is run.
    let head = parser::head(&run::read_script(&script.path).unwrap_or_default());
    let own = own.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
    let said = version(own).or_else(|| version(of(&head)));
    let one = |version: Version| (Some(version.name()), version.settings());
    let mut runs = match (asked, said) {
        (None, said) => vec![(None, said.unwrap_or(Version::Ipv4).as_said())],
        // Of all, a script that is about some takes those: its head says so, or else its name.
        (Some(Version::All), Some(said)) => {
            vec![(None, said.as_said().into_iter().chain(said.mtu()).collect())]
        }
        (Some(Version::All), None) if named_v6(script).is_some() => {
            let meant = Version::EACH.into_iter().filter(|version| Some(version.is_v6()) == named_v6(script));
            meant.map(one).collect()
        }
        (Some(Version::All), None) => {
            Version::EACH.into_iter().filter(|version| suits(&head, *version)).map(one).collect()
        }
        (Some(version), _) => vec![one(version)],
    };
    // What the head says of these is no default's to override.
    let defined: Vec<&str> = of(&head).filter(|(name, _)| *name == "define").filter_map(symbol).collect();
    let sized = of(&head).any(|(name, _)| name == "mtu");
    for (_, settings) in &mut runs {
        settings.retain(|(name, value)| match name.as_str() {
            "define" => symbol((name, value.as_deref())).is_none_or(|name| !defined.contains(&name)),
            "mtu" => !sized,
            _ => true,
        });
    }
    runs
}

fn of(head: &[OptionLine]) -> impl Iterator<Item = (&str, Option<&str>)> {
    head.iter().map(|option| (option.name.as_str(), option.value.as_deref()))
}

/// The symbol of a `--define`.
fn symbol<'a>((_, value): (&str, Option<&'a str>)) -> Option<&'a str> {
    value?.split_once('=').map(|(symbol, _)| symbol)
}

/// Whether the script's name says that it is about IPv6 (`true`) or IPv4.
fn named_v6(script: &Script) -> Option<bool> {
    let stem = script.path.file_stem()?.to_str()?;
    if stem.ends_with("-mapped-ipv6") {
        return Some(false);
    }
    let ends = [("-v6", true), ("-ipv6", true), ("-v4", false), ("-ipv4", false)];
    ends.into_iter().find(|(end, _)| stem.ends_with(end)).map(|(_, v6)| v6)
}

/// The addresses that options name, the last of which has the last word.
fn version<'a>(options: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Option<Version> {
    let said = options.filter(|(name, _)| *name == "ip_version").last()?.1;
    Version::EACH.into_iter().find(|version| said == Some(version.name()))
}

/// Whether a script can be run with these addresses: its head may give ends that are of the other family.
fn suits(head: &[OptionLine], version: Version) -> bool {
    let mut ends = of(head)
        .filter(|(name, _)| matches!(*name, "local_ip" | "remote_ip"))
        .filter_map(|(_, value)| value?.split('/').next()?.parse::<IpAddr>().ok());
    ends.all(|end| end.is_ipv6() == version.is_v6())
}
