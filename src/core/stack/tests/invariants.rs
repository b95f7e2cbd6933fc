//! What must hold of a stack between any two calls.

use super::*;

impl Stack {
    /// Panics where the books of memory are not what there is, or more is held than may be.
    fn check_memory(&self) {
        let Some(budget) = self.memory.budget() else { return };
        let (mut send, mut receive, mut out_of_order, mut records) = (0, 0, 0, 0);
        for (_, socket) in self.slab.iter() {
            match &socket.kind {
                Kind::Connection(tcb) => {
                    send += tcb.send_buffer.summed_memory();
                    receive += tcb.receive_buffer.summed_memory() + tcb.reassembly.memory();
                    out_of_order += usize::from(!tcb.reassembly.is_empty());
                }
                Kind::Request(_) | Kind::TimeWait(_) => records += crate::memory::RECORD,
                _ => {}
            }
        }
        let memory = &self.memory;
        assert!(memory.held() <= budget && memory.packets() <= budget / 8, "{memory:?}");
        let looped: usize = self.looped.iter().map(|(packet, _)| super::memory::looped(packet)).sum();
        let packets = self.departures.memory() + looped;
        assert_eq!((memory.send(), memory.records(), memory.packets()), (send, records, packets));
        self.starved.check(&self.slab);
        // A queue takes something beside what it says itself.
        let beside = memory.receive().checked_sub(receive);
        assert!(beside.is_some_and(|b| b <= 512 * out_of_order), "{memory:?}: {receive} are received");
    }

    /// Panics where books and sockets disagree.
    pub(super) fn check_invariants(&self) {
        let (mut in_table, mut time_waits, mut orphans) = (0, 0, 0);
        let mut requests = alloc::collections::BTreeMap::new();
        let mut ports = alloc::collections::BTreeMap::new();
        let mut waiting = Vec::new();
        for (id, socket) in self.slab.iter() {
            let found = |quad| self.table.find(&quad, settle::quad_of(&self.slab, &self.time_waits));
            let quad = socket.quad(&self.time_waits);
            assert_eq!(quad.and_then(found) == Some(id.index()), socket.tabled, "{id:?} in the table");
            if let Some(quad) = quad.filter(|_| socket.tabled) {
                in_table += 1;
                if socket.holds(&self.time_waits).is_some() {
                    *ports.entry(quad.local.port).or_insert(0u32) += 1;
                }
            }
            match &socket.kind {
                Kind::Connection(tcb) => {
                    let orphan = tcb.is.contains(crate::tcp::tcb::Is::ORPHAN);
                    orphans += u32::from(orphan);
                    assert!(!(orphan && socket.held), "{id:?} has an owner and is an orphan");
                    let over = matches!(tcb.state(), State::Closed | State::TimeWait);
                    assert!(!(orphan && over), "{id:?} is over and nobody can close it");
                    check_tcb(tcb);
                }
                Kind::Request(request) => {
                    if let Some((listener, _)) = self.listener_of(request) {
                        *requests.entry(listener).or_insert(0u32) += 1;
                    }
                }
                Kind::TimeWait(_) => time_waits += 1,
                Kind::Listener(listener) => waiting.extend(listener.waiting().map(|w| w.connection)),
                Kind::Idle(_) | Kind::Udp(_) | Kind::Ping(_) => {}
            }
            let port = match &socket.kind {
                Kind::Idle(idle) => Some(idle.local.port),
                Kind::Listener(listener) => Some(listener.local.port),
                Kind::Connection(tcb) => Some(tcb.quad.local.port),
                _ => None,
            };
            if let Some(port) = port {
                let bound = self.tcp_bound.at(port).contains(&id.index());
                assert_eq!(bound, socket.own.contains(Own::BOUND), "{id:?} in the map of bound ports");
            }
            if socket.queued {
                // One that was removed from this slot leaves its entry behind, which ends when its turn comes.
                assert!(self.turns.count(id.index()) >= 1, "{id:?} says it is queued");
            }
            if socket.changed {
                assert!(self.changed.contains(&id.index()), "{id:?} says it is reported");
            }
        }
        self.check_memory();
        for (id, socket) in self.slab.iter() {
            if let Kind::Connection(tcb) = &socket.kind {
                let unaccepted = !socket.held && !tcb.is.contains(crate::tcp::tcb::Is::ORPHAN);
                assert_eq!(unaccepted, waiting.contains(&id), "{id:?} has exactly one owner");
            }
            if let Kind::Listener(listener) = &socket.kind {
                let here = requests.get(&id.index()).copied().unwrap_or(0);
                assert_eq!(listener.requests(), here, "requests of {id:?}");
            }
        }
        assert_eq!(self.table.len(), in_table, "table entries without a socket");
        for flow in self.flows.iter() {
            let found = self.table.find(&flow.quad, settle::quad_of(&self.slab, &self.time_waits));
            assert_eq!((flow.key, flow.index), (self.table.key(&flow.quad), found), "{}", flow.quad);
        }
        assert_eq!(self.time_waits.len(), time_waits);
        assert_eq!(self.orphans, orphans);
        assert!(ports.keys().all(|&port| self.tcp_ports.is_used(port)));
        assert_eq!(self.tcp_ports.total(), ports.values().sum::<u32>(), "ports held without a socket");
    }
}

fn check_tcb(tcb: &Tcb) {
    let snd = &tcb.snd;
    assert!(snd.una.at_or_before(snd.nxt), "SND.UNA is beyond SND.NXT");
    if matches!(tcb.state(), State::Closed) {
        return;
    }
    let end = tcb.data_end().add(u32::from(tcb.fin_due()));
    let nxt = if tcb.syn_unacked() { snd.nxt.max(snd.iss.add(1)) } else { snd.nxt };
    assert!(nxt.at_or_before(end), "{}: SND.NXT {nxt} beyond what there is, {end}", tcb.state());
    assert!(tcb.congestion.cwnd() > 0 && tcb.congestion.ssthresh() > 0);
    if !tcb.syn_unacked() {
        tcb.recovery.board().check(snd.una, snd.nxt);
        assert!(
            snd.una.after(snd.iss) || snd.una.since(snd.iss) > 0,
            "{}: SYN not acknowledged",
            tcb.state()
        );
    }
}
