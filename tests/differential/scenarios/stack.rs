//! Our side: a stack in virtual time.

use std::time::Duration;

use tunstack::bsd::Sockets;
use tunstack::core::addr::Prefix;
use tunstack::core::config::Config;
use tunstack::core::time::Instant;
use tunstack::device::outbox::{Letter, Outbox};
use tunstack::engine::{Engine, Stepper};
use tunstack::packetdrill::call::SystemCalls;
use tunstack::packetdrill::net::Net;
use tunstack::packetdrill::packet;
use tunstack::sysctl;

use super::side::{Came, Side};

/// Our stack.
#[derive(Debug)]
pub(crate) struct Stack {
    engine: Engine,
    stepper: Stepper,
    outbox: Outbox,
    sockets: Sockets,
}

impl Stack {
    pub(crate) fn start(net: &Net) -> Result<Self, String> {
        let outbox = Outbox::new(net.mtu).map_err(|error| error.to_string())?;
        let addresses = vec![Prefix::new(net.local.into(), net.prefix)];
        let config = Config { mtu: net.mtu, trace: true, addresses, ..Config::default() };
        let builder = Engine::builder().device(outbox.clone()).config(config).seed([7; 32]);
        let (engine, stepper) = builder.start_stepped().map_err(|error| error.to_string())?;
        let sockets = Sockets::new(&engine);
        Ok(Self { engine, stepper, outbox, sockets })
    }

    fn sent(&self) -> Vec<Came> {
        std::iter::from_fn(|| self.outbox.take()).flat_map(came).collect()
    }
}

/// The packets that a device would have made of one.
fn came(letter: Letter) -> Vec<Came> {
    let when = letter.when.saturating_since(Instant::ZERO);
    let why = letter.event.map(|event| event.to_string());
    match packet::decode_offloaded(&letter.packet, letter.gso_size) {
        Ok(seen) => {
            let split = packet::split(seen).into_iter();
            split.map(|seen| Came { when, seen: Ok(seen), why: why.clone() }).collect()
        }
        Err(what) => vec![Came { when, seen: Err(what), why }],
    }
}

impl Side for Stack {
    fn name(&self) -> &'static str {
        super::OURS
    }

    fn restart(&mut self) {}

    fn now(&self) -> Duration {
        self.stepper.now().saturating_since(Instant::ZERO)
    }

    fn wait(&mut self, until: Duration) -> Result<Vec<Came>, String> {
        while self.now() < until && self.stepper.step(Instant::ZERO + until) {}
        Ok(self.sent())
    }

    fn settle(&mut self) -> Result<Vec<Came>, String> {
        Ok(self.sent())
    }

    fn receive(&mut self, packet: &[u8]) -> Result<(), String> {
        // What becomes of it shows in what comes of it.
        let _received = self.stepper.receive(packet);
        Ok(())
    }

    fn calls(&self) -> &dyn SystemCalls {
        &self.sockets
    }

    fn sysctl(&mut self, name: &str, value: &str) -> Result<(), String> {
        let set = self.engine.configure(|config| sysctl::set(config, name, value).map(drop));
        set.map_err(|error| error.to_string())
    }
}
