//! Commands of a script at work: on the settings of a stack to be, or on those of one that runs.

use std::time::Duration;

use super::command::{Act, Attribute};
use super::stop::{Stop, fail};
use crate::core::config::Config;
use crate::packetdrill::net::{Net, WireVersion};
use crate::packetdrill::script::Span;
use crate::sysctl::{self, Effect, SysctlError};

/// Does one of them.
///
/// # Errors
/// A sysctl that is not known, which judges nothing; a value it does not take.
pub(super) fn change(config: &mut Config, act: &Act, net: &Net, span: Span) -> Result<(), Stop> {
    match act {
        Act::Sysctl { name, value, needed } => match sysctl::set(config, name, value) {
            // Most are noted, and the same ones in every script: their table says why.
            Ok(Effect::Set | Effect::Noted(_)) => Ok(()),
            Err(SysctlError::Unknown(_)) if !needed => Ok(()),
            Err(error @ SysctlError::Unknown(_)) => Err(Stop::Skipped(error.to_string())),
            Err(error) => fail(span, error.to_string()),
        },
        Act::Route(attribute) => route(config, *attribute, net),
        Act::Paced(on) => {
            config.tcp.pacing = *on;
            Ok(())
        }
        Act::Forget | Act::Sleep(_) | Act::Note(_) => Ok(()),
    }
}

fn route(config: &mut Config, attribute: Attribute, net: &Net) -> Result<(), Stop> {
    match attribute {
        Attribute::Mtu(mtu) if mtu <= net.mtu => config.mtu = mtu,
        Attribute::InitialWindow(segments @ 1..) => config.tcp.initial_window = segments,
        Attribute::MinimumRto(time) if time > Duration::ZERO => config.tcp.min_rto = time,
        // What the MTU allows anyway: the smaller of the two is offered.
        Attribute::AdvertisedMss(mss) if mss >= config.mtu.saturating_sub(headers(net)) => {}
        other => return Err(Stop::Skipped(format!("a route cannot have this here: {other:?}"))),
    }
    Ok(())
}

/// Octets of the headers of IP and TCP without options.
const fn headers(net: &Net) -> u16 {
    match net.wire_version {
        WireVersion::V4 => 40,
        WireVersion::V6 => 60,
    }
}
