//! One of the two that are compared.

use std::time::Duration;

use tunstack::packetdrill::call::SystemCalls;
use tunstack::packetdrill::seen::Seen;

/// A packet that a side has sent.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) when: Duration,
    /// What it is, or why it is none.
    pub(crate) seen: Result<Seen, String>,
    /// Why it was sent, where the side says that.
    pub(crate) why: Option<String>,
}

/// A stack to which a script happens. Times count from the script's start.
pub(crate) trait Side {
    fn name(&self) -> &'static str;
    /// The script starts now.
    fn restart(&mut self);
    fn now(&self) -> Duration;
    /// Lets time go on, and gives what the stack sends meanwhile.
    fn wait(&mut self, until: Duration) -> Result<Vec<Came>, String>;
    /// What the stack sends without waiting for anything.
    fn settle(&mut self) -> Result<Vec<Came>, String>;
    /// A packet arrives.
    fn receive(&mut self, packet: &[u8]) -> Result<(), String>;
    fn calls(&self) -> &dyn SystemCalls;
    /// Changes a setting, by its name with dots.
    fn sysctl(&mut self, name: &str, value: &str) -> Result<(), String>;
}
