//! The argument of `--link`: an impaired link, in a few words.

use std::time::Duration;

use tunstack::sim::link::LinkConfig;

/// Reads `lte`, `100mbit,40ms,1%` or `dsl,loss=2%,queue=50`: at most one preset, first; then a rate, a
/// delay and a loss by their units, and the rest by name.
pub(crate) fn parse(text: &str) -> Result<LinkConfig, String> {
    let mut link = LinkConfig::PERFECT;
    for (n, part) in text.split(',').map(str::trim).enumerate() {
        match part.split_once('=') {
            Some((name, value)) => named(&mut link, name, value)?,
            None if n == 0 && LinkConfig::preset(part).is_some() => {
                link = LinkConfig::preset(part).unwrap_or(link);
            }
            None => by_unit(&mut link, part)?,
        }
    }
    Ok(link)
}

fn by_unit(link: &mut LinkConfig, part: &str) -> Result<(), String> {
    if let Some(loss) = probability(part) {
        link.loss = loss;
    } else if let Some(rate) = rate(part) {
        link.rate_bps = Some(rate);
    } else if let Some(delay) = duration(part) {
        link.delay = delay;
    } else {
        let presets: Vec<_> = LinkConfig::PRESETS.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "{part:?} is no rate (100mbit), delay (40ms), loss (1%) or preset ({})",
            presets.join(", ")
        ));
    }
    Ok(())
}

fn named(link: &mut LinkConfig, name: &str, value: &str) -> Result<(), String> {
    let bad = |what: &str| format!("{name}={value}: {what}");
    let chance = || probability(value).ok_or_else(|| bad("write a probability such as 1%"));
    let time = || duration(value).ok_or_else(|| bad("write a time such as 40ms"));
    match name {
        "rate" => link.rate_bps = Some(rate(value).ok_or_else(|| bad("write a rate such as 100mbit"))?),
        "delay" => link.delay = time()?,
        "jitter" => link.jitter = time()?,
        "loss" => link.loss = chance()?,
        "duplicate" => link.duplicate = chance()?,
        "corrupt" => link.corrupt = chance()?,
        "reorder" => {
            link.reorder = chance()?;
            if link.reorder_delay.is_zero() {
                link.reorder_delay = Duration::from_millis(5);
            }
        }
        "queue" => link.queue.packets = Some(value.parse().map_err(|_| bad("write a number of packets"))?),
        _ => {
            return Err(format!(
                "{name:?} is none of rate, delay, jitter, loss, duplicate, corrupt, reorder, queue"
            ));
        }
    }
    Ok(())
}

fn probability(text: &str) -> Option<f64> {
    let percent: f64 = text.strip_suffix('%')?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// Bits a second, with the units that `tc` knows.
fn rate(text: &str) -> Option<u64> {
    let units = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1.0)];
    let text = text.to_ascii_lowercase();
    let (number, factor) = units.iter().find_map(|(unit, f)| Some((text.strip_suffix(unit)?, f)))?;
    let rate = number.parse::<f64>().ok()? * factor;
    (1.0..=1e15).contains(&rate).then_some(rate as u64)
}

/// A time with its unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (number, factor) = units.iter().find_map(|(unit, f)| Some((text.strip_suffix(unit)?, f)))?;
    let seconds = number.parse::<f64>().ok()? * factor;
    (0.0..=3600.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_presets_and_names() {
        let link = parse("100mbit,40ms,1%").unwrap();
        assert_eq!(link.rate_bps, Some(100_000_000));
        assert_eq!((link.delay, link.loss), (Duration::from_millis(40), 0.01));
        let link = parse("lte, loss=2.5%, jitter=1.5ms, queue=7, reorder=1%").unwrap();
        assert_eq!(link.rate_bps, LinkConfig::preset("lte").unwrap().rate_bps);
        assert_eq!((link.loss, link.jitter), (0.025, Duration::from_micros(1500)));
        assert_eq!(link.queue.packets, Some(7));
        assert!(!link.reorder_delay.is_zero(), "a packet that is not held back overtakes nobody");
    }

    #[test]
    fn nonsense() {
        for bad in ["", "fast", "101%", "-1%", "0mbit", "nanms", "40ms,lte", "loss=1", "size=3", "queue=x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
