//! What `/proc` tells of processes and of the machine.

use std::fs;
use std::time::Duration;

use super::super::output::Failure;

/// Processor time of a process, all its threads together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Cpu {
    pub(super) user: Duration,
    pub(super) system: Duration,
}

impl Cpu {
    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }

    pub(super) const fn total(self) -> Duration {
        self.user.saturating_add(self.system)
    }
}

pub(super) fn cpu(pid: u32) -> Result<Cpu, Failure> {
    let path = format!("/proc/{pid}/stat");
    let text = read(&path)?;
    ticks(&text).ok_or_else(|| unreadable(&path))
}

/// `proc_pid_stat(5)`: the fields after the name, which is in parentheses and may have any character in it.
fn ticks(stat: &str) -> Option<Cpu> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let second = rustix::param::clock_ticks_per_second();
    let mut time = |skip| {
        let ticks: u64 = fields.nth(skip)?.parse().ok()?;
        Some(Duration::from_secs_f64(ticks as f64 / second as f64))
    };
    Some(Cpu { user: time(11)?, system: time(0)? })
}

/// Resident memory of a process, octets.
pub(super) fn resident(pid: u32) -> Result<f64, Failure> {
    // `statm` is late by what each processor has not reported yet.
    let path = format!("/proc/{pid}/smaps_rollup");
    kibibytes(&read(&path)?, "Rss:").ok_or_else(|| unreadable(&path))
}

/// The kernel's slabs, octets.
pub(super) fn slab() -> Result<f64, Failure> {
    let path = "/proc/meminfo";
    kibibytes(&read(path)?, "Slab:").ok_or_else(|| unreadable(path))
}

fn kibibytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

/// The processor's name and how many there are.
pub(super) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{count} x {}", model.map_or("processor", |(_, name)| name))
}

/// The kernel's release.
pub(super) fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|e| Failure::of(format!("cannot read {path}"), &e))
}

fn unreadable(path: &str) -> Failure {
    Failure::Failed(format!("cannot read {path}: not as expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time() {
        let line = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 1 0 5 0 0";
        let second = rustix::param::clock_ticks_per_second() as f64;
        let time = |ticks: f64| Duration::from_secs_f64(ticks / second);
        assert_eq!(ticks(line), Some(Cpu { user: time(250.0), system: time(50.0) }));
        assert_eq!(ticks("7 (a) S 1"), None);
        let own = cpu(std::process::id()).unwrap_or_default();
        let before = Cpu { user: own.user, system: Duration::MAX };
        assert_eq!(own.since(before).total(), Duration::ZERO);
    }

    #[test]
    fn memory() {
        assert_eq!(kibibytes("A: 1 kB\nSlab:   12 kB\n", "Slab:"), Some(12_288.0));
        assert_eq!(kibibytes("SReclaimable: 12 kB\n", "Slab:"), None);
        assert!(resident(std::process::id()).is_ok_and(|octets| octets > 1e5));
        assert!(slab().is_ok_and(|octets| octets > 1e5));
    }
}
