//! What the figures were measured on, and how: it stands above them, and is kept with them.

use serde_json::{Map, Value, json};
use tunstack::device::setup::Offload;

use super::plan::Plan;
use super::proc;

/// All that a figure depends on, beside what is measured.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Conditions {
    /// This program's.
    pub(super) version: String,
    /// Processors, in words.
    pub(super) machine: String,
    /// Their nominal frequency, a second, where it is known.
    pub(super) hertz: Option<f64>,
    /// The kernel's release.
    pub(super) kernel: String,
    pub(super) mtu: u64,
    pub(super) offload: String,
    pub(super) shards: u64,
    /// Whether this stack might read by an io_uring.
    pub(super) uring: bool,
    /// Whether the kernel steered the flows of this stack's device.
    pub(super) steer: bool,
    /// Whether it joined what this stack sent.
    pub(super) gro: bool,
    /// How long this stack looks for packets before it sleeps, seconds, where that was not left to it.
    pub(super) spin: Option<f64>,
    /// How long a run was measured.
    pub(super) seconds: f64,
    pub(super) runs: u64,
}

impl Conditions {
    /// Those of this machine now. `offload` is what a device has that was made as planned.
    pub(super) fn of(plan: &Plan, offload: Offload) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: proc::machine(),
            hertz: proc::hertz(),
            kernel: proc::kernel(),
            mtu: plan.mtu.into(),
            offload: if offload == Offload::Off { "off" } else { "on" }.to_owned(),
            shards: plan.shards.into(),
            uring: plan.uring,
            steer: plan.steer,
            gro: plan.gro,
            spin: plan.spin.map(|time| time.as_secs_f64()),
            seconds: plan.seconds.as_secs_f64(),
            runs: plan.runs as u64,
        }
    }

    pub(super) fn to_json(&self) -> Map<String, Value> {
        let pairs = [
            ("version", json!(self.version)),
            ("machine", json!(self.machine)),
            ("hertz", json!(self.hertz)),
            ("kernel", json!(self.kernel)),
            ("mtu", json!(self.mtu)),
            ("offload", json!(self.offload)),
            ("shards", json!(self.shards)),
            ("uring", json!(self.uring)),
            ("steer", json!(self.steer)),
            ("gro", json!(self.gro)),
            ("spin", json!(self.spin)),
            ("seconds", json!(self.seconds)),
            ("runs", json!(self.runs)),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What [`to_json`](Self::to_json) made.
    pub(super) fn from_json(document: &Value) -> Option<Self> {
        let text = |name: &str| document[name].as_str().map(ToOwned::to_owned);
        Some(Self {
            version: text("version")?,
            machine: text("machine")?,
            hertz: document["hertz"].as_f64(),
            kernel: text("kernel")?,
            mtu: document["mtu"].as_u64()?,
            offload: text("offload")?,
            shards: document["shards"].as_u64()?,
            // It could not be forbidden at first.
            uring: document["uring"].as_bool().unwrap_or(true),
            // These could not be had at first.
            steer: document["steer"].as_bool().unwrap_or(false),
            gro: document["gro"].as_bool().unwrap_or(false),
            spin: document["spin"].as_f64(),
            seconds: document["seconds"].as_f64()?,
            runs: document["runs"].as_u64()?,
        })
    }

    /// That no io_uring was allowed, behind what the device was, if it could have been read by one.
    pub(super) fn uring_text(&self) -> &'static str {
        let could = self.offload == "off" && self.shards == 1;
        if could && !self.uring { ", no io_uring" } else { "" }
    }

    /// That flows were steered, behind what the device was.
    pub(super) fn steer_text(&self) -> &'static str {
        if self.steer { ", flows steered" } else { "" }
    }

    /// That what was sent was joined, behind what the device was.
    pub(super) fn gro_text(&self) -> &'static str {
        if self.gro { ", GRO" } else { "" }
    }

    /// The machine in a line.
    pub(super) fn host(&self) -> String {
        let clock = self.hertz.map(|hertz| format!(", {:.2} GHz nominal", hertz / 1e9)).unwrap_or_default();
        format!("{}{clock}, Linux {}", self.machine, self.kernel)
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::example;

    #[test]
    fn what_no_uring_would_read_says_nothing_of_it() {
        let mut of = example(vec![]).conditions;
        let mut text = |offload: &str, shards, uring| {
            (of.offload, of.shards, of.uring) = (offload.to_owned(), shards, uring);
            of.uring_text()
        };
        assert_eq!(text("off", 1, false), ", no io_uring");
        assert_eq!([text("off", 1, true), text("on", 1, false), text("off", 2, false)], [""; 3]);
    }
}
