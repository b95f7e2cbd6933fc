//! `ip`: the attributes of routes and links that a stack has settings for.

use std::time::Duration;

use super::{Act, Attribute};

/// Words that say which route is meant: there is one, to the other end of the script.
const WHICH: [&str; 9] = ["via", "dev", "src", "proto", "scope", "table", "metric", "onlink", "lock"];

/// What `ip` with these words asks for.
///
/// # Errors
/// There is something among them that is not known.
pub(super) fn ip(words: &[&str], acts: &mut Vec<Act>) -> Result<(), ()> {
    let words: Vec<&str> = words.iter().filter(|word| !matches!(**word, "-4" | "-6")).copied().collect();
    match &words[..] {
        ["tcp_metrics", "flush", ..] => {
            acts.push(Act::Forget);
            Ok(())
        }
        ["route", "add" | "change" | "replace" | "append", _to, attributes @ ..] => route(attributes, acts),
        ["link", "set", attributes @ ..] => {
            let attributes: Vec<&str> = attributes.iter().filter(|word| **word != "up").copied().collect();
            match attributes[..] {
                ["dev", _, "mtu", mtu] | [_, "mtu", mtu] => {
                    acts.push(Act::Route(Attribute::Mtu(number(mtu)?)));
                    Ok(())
                }
                ["dev", _] | [_] => Ok(()),
                _ => Err(()),
            }
        }
        _ => Err(()),
    }
}

fn route(attributes: &[&str], acts: &mut Vec<Act>) -> Result<(), ()> {
    let mut words = attributes.iter().copied();
    // Judged by the MTU, wherever that stands.
    let mut mss = None;
    while let Some(word) = words.next() {
        if word == "onlink" {
            continue;
        }
        let mut value = words.next().ok_or(())?;
        if value == "lock" {
            value = words.next().ok_or(())?;
        }
        let attribute = match word {
            word if WHICH.contains(&word) => continue,
            "mtu" => Attribute::Mtu(number(value)?),
            "advmss" => {
                mss = Some(Attribute::AdvertisedMss(number(value)?));
                continue;
            }
            "initcwnd" => Attribute::InitialWindow(number(value)?),
            "rto_min" => Attribute::MinimumRto(time(value)?),
            _ => return Err(()),
        };
        acts.push(Act::Route(attribute));
    }
    acts.extend(mss.map(Act::Route));
    Ok(())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, ()> {
    text.parse().map_err(drop)
}

/// `200ms`, `1s`; a number alone is milliseconds, as in `ip`.
fn time(text: &str) -> Result<Duration, ()> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, Duration::from_millis(1)),
        None => match text.strip_suffix('s') {
            Some(digits) => (digits, Duration::from_secs(1)),
            None => (text, Duration::from_millis(1)),
        },
    };
    unit.checked_mul(number(digits)?).ok_or(())
}
