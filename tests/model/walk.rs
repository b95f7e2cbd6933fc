//! A stack and the model, side by side.

use tunstack::core::addr::{Endpoint, Prefix};
use tunstack::core::config::Config;
use tunstack::core::error::Error;
use tunstack::core::sockopt::Shutdown;
use tunstack::core::stack::{Inbound, Received, SocketId, Stack, drive};
use tunstack::core::tcp::state::{Event, State};
use tunstack::core::time::{Duration, Instant};

use crate::forge::{ACK, FIN, Forged, RST, SYN, see};
use crate::model::{Model, Outcomes, Segment, le, lt};
use crate::rules::{Answer, Out, octet};
use crate::steps::{AckAt, At, Step, Thrown};

/// The peer's numbers where nothing else says where they begin: its window wraps.
const PEER_ISS: u32 = 0xffff_fe00;

/// The clock's first reading, at which ISS of this pair of sockets is shortly before it wraps (`first_numbers_wrap`).
pub(crate) const BEGAN: u64 = 1_000_000_000;

pub(crate) struct Walk {
    stack: Stack,
    pub(crate) model: Model,
    now: Instant,
    listener: Option<SocketId>,
    handle: Option<SocketId>,
    us: Endpoint,
    them: Endpoint,
    buffer: u32,
    /// From which states to which, and what was due.
    pub(crate) seen: Vec<(State, State, Answer)>,
}

impl Walk {
    pub(crate) fn new(buffer: u32, began: Instant) -> Self {
        let [us, them] = ["10.0.0.1", "10.0.0.2"].map(|a| a.parse::<std::net::IpAddr>().expect("an address"));
        let mut config =
            Config { addresses: vec![Prefix::new(us.into(), 24)], trace: true, ..Config::default() };
        // The RFC alone: no option but MSS. Challenges are not held back, which RFC 5961 §7 allows and does not ask for.
        config.tcp.window_scaling = false;
        config.tcp.timestamps = false;
        config.tcp.sack = false;
        config.tcp.receive_buffer = buffer;
        config.tcp.receive_buffer_max = 0;
        config.tcp.challenge_limit = u8::MAX;
        Self {
            stack: Stack::new(config, [7; 32]),
            model: Model::new(),
            now: began,
            listener: None,
            handle: None,
            us: Endpoint::new(us.into(), 80),
            them: Endpoint::new(them.into(), 5_000),
            buffer,
            seen: Vec::new(),
        }
    }

    fn ms(&self) -> u64 {
        self.now.as_millis()
    }

    fn pump(&mut self) -> Vec<Out> {
        let mut sent = Vec::new();
        let ends = (self.us, self.them);
        drive(
            &mut self.stack,
            self.now,
            |datagram| {
                let mut packet = vec![0; datagram.len()];
                datagram.copy_to(&mut packet).expect("room for it");
                let seen = see(&packet).expect("a TCP segment");
                assert_eq!((seen.from, seen.to), ends);
                // Behind an IPv4 header without options.
                let window = u16::from_be_bytes([packet[34], packet[35]]);
                sent.push(Out {
                    seq: seen.seq,
                    ack: seen.ack,
                    has_ack: seen.bits & ACK != 0,
                    syn: seen.bits & SYN != 0,
                    fin: seen.bits & FIN != 0,
                    rst: seen.bits & RST != 0,
                    window: window.into(),
                    text: packet[packet.len() - seen.len as usize..].to_vec(),
                });
                assert!(sent.len() < 1_000, "sends for ever");
            },
            |_| {},
        );
        sent
    }

    /// Where the stack is; of a connection that no program holds only whether it is there.
    fn observed(&self) -> Option<State> {
        if let Some(id) = self.handle {
            // The handle goes on showing TIME-WAIT; what stands in it is a record of its own.
            let state = self.stack.state(id);
            let alone = self.stack.slots() == 1 + usize::from(self.listener.is_some());
            return if state == Some(State::TimeWait) && alone { Some(State::Closed) } else { state };
        }
        let gone = self.stack.slots() == usize::from(self.listener.is_some());
        gone.then_some(self.model.none().state)
    }

    /// After an event: one of the outcomes is what the stack has made of it.
    fn judge(&mut self, outcomes: Outcomes, said: Option<State>) -> Result<(), String> {
        let before = self.model.clone();
        let sent = self.pump();
        self.accept();
        let observed = said.or_else(|| self.observed());
        let mut why = Vec::new();
        for (mut model, answer) in outcomes {
            let judged = model
                .sent(answer, &sent, self.ms(), self.buffer)
                .and_then(|()| self.compare(&model, observed))
                .and_then(|()| reachable(before.state, model.state));
            match judged {
                Ok(()) => {
                    self.seen.push((before.state, model.state, answer));
                    self.model = model;
                    let again = before.state == State::TimeWait && self.model.state == State::SynReceived;
                    self.forget(again);
                    return Ok(());
                }
                Err(e) => why.push(format!("not {} because {e}", model.state)),
            }
        }
        Err(format!("{}\nbefore: {before:?}\nsent: {sent:?}", why.join("\n")))
    }

    fn compare(&self, model: &Model, observed: Option<State>) -> Result<(), String> {
        if let Some(state) = observed {
            let none = |s| matches!(s, State::Closed | State::Listen);
            if state != model.state && !(none(state) && model.is_none()) {
                return Err(format!("the stack is in {state}"));
            }
        }
        if self.stack.slots() == usize::from(self.listener.is_some()) && !model.is_none() {
            return Err("the stack has no connection".into());
        }
        let Some(info) = self.handle.and_then(|id| self.stack.tcp_info(id)) else { return Ok(()) };
        if model.is_none() || info.state != model.state {
            return Ok(());
        }
        let v = info.variables;
        let mut pairs = vec![("SND.UNA", v.una.get(), model.una), ("SND.NXT", v.snd_nxt.get(), model.nxt)];
        if model.knows_peer() {
            pairs.push(("RCV.NXT", v.rcv_nxt.get(), model.rcv_nxt));
        }
        if model.state.is_synchronized() && model.state != State::TimeWait {
            pairs.push(("SND.WND", v.snd_wnd, model.wnd));
            pairs.push(("RCV.NXT+RCV.WND", v.rcv_nxt.get().wrapping_add(v.rcv_wnd), model.edge));
        }
        match pairs.iter().find(|(_, is, should)| is != should) {
            Some((name, is, should)) => Err(format!("{name} is {is}, not {should}")),
            None => Ok(()),
        }
    }

    fn accept(&mut self) {
        let accepted = self.listener.and_then(|l| self.stack.try_accept(l).ok());
        if let Some(id) = accepted
            && let Some(old) = self.handle.replace(id)
        {
            self.stack.close(old, self.now).expect("the handle is ours");
        }
    }

    /// A handle to a connection that is over is of no use.
    fn forget(&mut self, again: bool) {
        if (again || self.model.is_none())
            && let Some(id) = self.handle.take()
        {
            self.stack.close(id, self.now).expect("the handle is ours");
        }
    }

    pub(crate) fn step(&mut self, step: &Step) -> Result<(), String> {
        let done = match *step {
            Step::Arrives(thrown) => self.arrives(thrown),
            Step::Wait(ms) => self.wait(ms.into()),
            Step::Connect => self.connect(),
            Step::Listen => self.listen(),
            Step::Unlisten => self.unlisten(),
            Step::Write(n) => self.write(n.into()),
            Step::Read(n) => self.read(n.into()),
            Step::Shutdown | Step::Close | Step::Abort => self.end(step),
        };
        done.map_err(|why| format!("{step:?}: {why}"))
    }

    fn arrives(&mut self, thrown: Thrown) -> Result<(), String> {
        let s = self.segment(thrown);
        let bits = [(s.has_ack, ACK), (s.syn, SYN), (s.fin, FIN), (s.rst, RST)];
        let place = if s.syn { 0 } else { s.seq.wrapping_sub(self.model.irs).wrapping_sub(1) };
        let packet = Forged {
            seq: s.seq,
            ack: s.ack,
            bits: bits.iter().map(|&(on, bit)| if on { bit } else { 0 }).sum(),
            window: s.window as u16,
            text: (0..s.text).map(|i| octet(place.wrapping_add(i))).collect(),
            options: if s.syn { vec![2, 4, 3, 232] } else { Vec::new() },
            ..Forged::default()
        };
        let outcomes = self.model.arrives(&s, self.ms());
        let received = self.stack.receive(self.now, Inbound::plain(&packet.packet(self.them, self.us)));
        let Received::Tcp(Some(event)) = received else { return Err(format!("{received:?}")) };
        self.judge(outcomes, Some(event.state)).map_err(|why| format!("{s:?} ({:?})\n{why}", event.what))
    }

    /// Numbers for a segment. A peer does not contradict itself: there is one FIN, and no text after it. What would
    /// follow otherwise the RFC does not say.
    fn segment(&self, t: Thrown) -> Segment {
        let m = &self.model;
        let text = u32::from(t.text);
        let seq = match t.seq {
            At::Next | At::Ends if !m.knows_peer() => PEER_ISS,
            At::Next => m.rcv_nxt,
            At::Edge => m.edge,
            At::Ends => m.rcv_nxt.wrapping_sub(text),
            At::Any(n) => n,
        };
        let ack = match t.ack {
            AckAt::Next => m.nxt,
            AckAt::Una => m.una,
            AckAt::Oldest => m.una.wrapping_sub(m.max_wnd),
            AckAt::Any(n) => n,
        };
        let mut s = Segment {
            seq: seq.wrapping_add(t.seq_off as u32),
            ack: if t.bits & ACK != 0 { ack.wrapping_add(t.ack_off as u32) } else { 0 },
            has_ack: t.bits & ACK != 0,
            syn: t.bits & SYN != 0,
            fin: t.bits & FIN != 0,
            rst: t.bits & RST != 0,
            window: t.window.into(),
            text,
        };
        let past = s.seq.wrapping_add(s.text);
        match m.peer_fin {
            Some(at) if lt(at, past) => {
                s.text = if lt(s.seq, at) { at.wrapping_sub(s.seq) } else { 0 };
                s.fin &= s.seq.wrapping_add(s.text) == at;
            }
            Some(at) => s.fin &= past == at,
            None => s.fin &= m.held.iter().all(|r| le(r.1, past)),
        }
        s
    }

    fn wait(&mut self, ms: u64) -> Result<(), String> {
        let end = self.now + Duration::from_millis(ms);
        loop {
            let next = self.stack.poll_timeout().filter(|&t| t <= end);
            self.now = next.map_or(end, |t| t.max(self.now));
            let sent = self.pump();
            let now = self.ms();
            let (may, must) = self.model.may_have_ended(now);
            let over = |s| matches!(s, Some(State::Closed | State::Listen));
            if !self.model.is_none() && over(self.observed()) {
                if !may {
                    return Err(format!("over too soon\n{:?}\n{sent:?}", self.model));
                }
                self.model = self.model.none();
                self.forget(false);
            } else if must && !self.model.is_none() {
                return Err(format!("should be over\n{:?}", self.model));
            } else {
                self.model
                    .sent(Answer::Free, &sent, now, self.buffer)
                    .and_then(|()| self.compare(&self.model, self.observed()))
                    .map_err(|why| format!("{why}\n{:?}", self.model))?;
            }
            if self.model.ack_due.is_some_and(|due| now >= due) {
                return Err("not acknowledged in half a second (MUST-40)".into());
            }
            if next.is_none() {
                return Ok(());
            }
        }
    }

    fn fresh(&mut self) -> SocketId {
        let id = self.stack.tcp_socket(self.us.address.family());
        let mut options = self.stack.options(id).expect("just made");
        options.reuse_address = true;
        self.stack.set_options(id, options, self.now).expect("just made");
        self.stack.bind(id, self.us).expect("a free port");
        id
    }

    fn connect(&mut self) -> Result<(), String> {
        if self.model.state != State::Closed {
            return Ok(());
        }
        let id = self.fresh();
        let result = self.stack.connect(id, self.them, self.now);
        if result != Err(Error::InProgress) {
            return Err(format!("{result:?}"));
        }
        self.handle = Some(id);
        self.judge(vec![(self.model.connect(self.ms()), Answer::Free)], None)
    }

    fn listen(&mut self) -> Result<(), String> {
        if self.model.state != State::Closed {
            return Ok(());
        }
        let id = self.fresh();
        self.stack.listen(id, 4).map_err(|e| e.to_string())?;
        self.listener = Some(id);
        self.model.listening = true;
        self.judge(vec![(self.model.none(), Answer::Silent)], None)
    }

    /// Where a handshake is under way it would go on or not: that is the listener's affair, and the RFC has none.
    fn unlisten(&mut self) -> Result<(), String> {
        if self.model.state == State::SynReceived {
            return Ok(());
        }
        let Some(id) = self.listener.take() else { return Ok(()) };
        self.stack.close(id, self.now).expect("the handle is ours");
        let mut model = self.model.clone();
        model.listening = false;
        let model = if model.is_none() { model.none() } else { model };
        self.judge(vec![(model, Answer::Silent)], None)
    }

    fn write(&mut self, n: u32) -> Result<(), String> {
        let Some(id) = self.handle else { return Ok(()) };
        let text: Vec<u8> = (0..n).map(|i| octet(self.model.written.wrapping_add(i))).collect();
        let open = matches!(self.model.state, State::Established | State::CloseWait) && !self.model.closed;
        let idle = self.model.una == self.model.fin_seq();
        let mut model = self.model.clone();
        match self.stack.try_write(id, &text, self.now) {
            Ok(n) if open => {
                model.written += n as u32;
                if idle {
                    model.progress = self.ms();
                }
            }
            Err(_) if !open || !idle => {}
            other => return Err(format!("{other:?} in {}", self.model.state)),
        }
        self.judge(vec![(model, Answer::Free)], None)
    }

    fn read(&mut self, n: u32) -> Result<(), String> {
        let Some(id) = self.handle else { return Ok(()) };
        let mut buf = vec![0; n as usize];
        let due = self.model.unread().min(n);
        let got = self.stack.try_read(id, &mut buf).unwrap_or(0);
        if got != due as usize {
            return Err(format!("{got} octets instead of {due}: {:?}", self.model));
        }
        let mut model = self.model.clone();
        if buf[..got].iter().zip(model.read..).any(|(&is, place)| is != octet(place)) {
            return Err("not what was sent".into());
        }
        model.read += due;
        self.judge(vec![(model, Answer::Free)], None)
    }

    fn end(&mut self, step: &Step) -> Result<(), String> {
        let Some(id) = self.handle else { return Ok(()) };
        let now = self.ms();
        let (outcomes, result) = match step {
            Step::Shutdown => (self.model.shutdown(now), self.stack.shutdown(id, Shutdown::Write, self.now)),
            Step::Close => {
                self.handle = None;
                (self.model.close(now), self.stack.close(id, self.now))
            }
            _ => (self.model.abort(), self.stack.abort(id, self.now)),
        };
        if result.is_err() && self.model.state != State::TimeWait {
            return Err(format!("{result:?}"));
        }
        self.judge(outcomes, None)
    }
}

/// What one segment or call does is at most three arrows of the stack's own table: from SYN-SENT or SYN-RECEIVED through
/// ESTABLISHED, or from FIN-WAIT-1 through FIN-WAIT-2. TIME-WAIT may begin again as a request.
fn reachable(from: State, to: State) -> Result<(), String> {
    let mut places = vec![from];
    for _ in 0..3 {
        let next: Vec<State> =
            places.iter().flat_map(|s| Event::ALL.into_iter().filter_map(|e| s.on(e))).collect();
        places.extend(next);
        places.sort_by_key(|&s| s as u8);
        places.dedup();
    }
    let none = |s| matches!(s, State::Closed | State::Listen);
    let again = from == State::TimeWait && to == State::SynReceived;
    if again || places.iter().any(|&s| s == to || none(s) && none(to)) {
        return Ok(());
    }
    Err(format!("State::on does not lead from {from} to {to}"))
}
