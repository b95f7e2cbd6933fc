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

/// Processor time of all programs and of the kernel together, since the machine was started.
pub(super) fn busy() -> Result<Duration, Failure> {
    let path = "/proc/stat";
    busy_ticks(&read(path)?).map(of_ticks).ok_or_else(|| unreadable(path))
}

/// `proc_stat(5)`: user, nice, system, idle, iowait, irq, softirq. What is stolen is another machine's.
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().find_map(|line| line.strip_prefix("cpu "))?.split_whitespace();
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, _, _, irq, softirq, ..] = ticks[..] else { return None };
    Some(user + nice + system + irq + softirq)
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// `proc_pid_stat(5)`: the fields after the name, which is in parentheses and may have any character in it.
fn ticks(stat: &str) -> Option<Cpu> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let mut time = |skip| fields.nth(skip)?.parse().ok().map(of_ticks);
    Some(Cpu { user: time(11)?, system: time(0)? })
}

/// Resident memory of a process, octets.
pub(super) fn resident(pid: u32) -> Result<f64, Failure> {
    // `statm` is late by what each processor has not reported yet.
    let path = format!("/proc/{pid}/smaps_rollup");
    kibibytes(&read(&path)?, "Rss:").ok_or_else(|| unreadable(&path))
}

/// Memory that programs may have yet, octets.
pub(super) fn available() -> Result<f64, Failure> {
    let path = "/proc/meminfo";
    kibibytes(&read(path)?, "MemAvailable:").ok_or_else(|| unreadable(path))
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

/// The processors' nominal frequency, a second, where it is known.
pub(super) fn hertz() -> Option<f64> {
    nominal(&fs::read_to_string("/proc/cpuinfo").ok()?)
}

/// That of the time stamp counter, where it is the same whatever the processor does: Linux presets its delay loop by it,
/// and tells twice as many millions as `bogomips`. (`cpu MHz` is that of the moment.)
fn nominal(cpuinfo: &str) -> Option<f64> {
    let field = |name: &str| {
        let line = cpuinfo.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_once(':')?.1.trim())
    };
    field("flags")?.split(' ').find(|flag| *flag == "constant_tsc")?;
    let bogomips: f64 = field("bogomips")?.parse().ok()?;
    (bogomips > 0.0).then_some(bogomips * 1e6 / 2.0)
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
    fn the_time_of_the_whole_machine() {
        let stat = "cpu  100 20 3 9000 800 7 60 5000 40 0\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5\n";
        assert_eq!(busy_ticks(stat), Some(190));
        assert_eq!(busy_ticks("cpu  100 20 3 9000\n"), None);
        assert_eq!(busy_ticks("cpu0 1 2 3 4 5 6 7 8\n"), None);
        assert!(busy().is_ok_and(|time| !time.is_zero()));
    }

    #[test]
    fn the_nominal_frequency() {
        let info = |flags: &str| {
            format!(
                "processor\t: 0\nmodel name\t: A\ncpu MHz\t\t: 800.0\nflags\t\t: {flags}\nbogomips\t: 4599.99\n"
            )
        };
        assert_eq!(nominal(&info("fpu constant_tsc sse")), Some(2_299_995_000.0));
        // There the counter may stand still or follow the clock.
        assert_eq!(nominal(&info("fpu tsc nonstop_tsc")), None);
        assert_eq!(nominal("processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp\n"), None);
    }

    #[test]
    fn memory() {
        assert_eq!(kibibytes("A: 1 kB\nSlab:   12 kB\n", "Slab:"), Some(12_288.0));
        assert_eq!(kibibytes("SReclaimable: 12 kB\n", "Slab:"), None);
        assert!(resident(std::process::id()).is_ok_and(|octets| octets > 1e5));
        assert!(slab().is_ok_and(|octets| octets > 1e5));
        assert!(available().is_ok_and(|octets| octets > 1e5));
    }
}
