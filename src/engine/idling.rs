//! Nothing to do for the one who sits: it looks for packets as long as that may pay, and sleeps.

use std::io;
use std::time::Duration;

use tunstack_core::time::Instant;

use super::seat::{Caller, Poller, Tools, Who};
use super::shard::Shard;
use super::sleep::Ended;

/// The time between two looks at a device that hung up: it would end every sleep at once.
const PAUSE: Duration = Duration::from_millis(10);

/// What was seen without sleeping.
pub(super) enum Seen {
    /// So many packets.
    Packets(usize),
    /// What would have ended a sleep.
    Else(Ended),
    Nothing,
}

/// Looks without sleeping, as long as that may pay, for all that would end a sleep. `first`: once in any case, for packets.
pub(super) fn look(
    shard: &Shard,
    tools: &mut Tools,
    until: Instant,
    mut first: bool,
    now: &mut Instant,
    caller: Option<&Caller<'_>>,
) -> io::Result<Seen> {
    if first {
        let count = shard.take(*now, &mut tools.frames)?;
        if count > 0 {
            return Ok(Seen::Packets(count));
        }
    }
    if until <= *now {
        return Ok(Seen::Nothing);
    }
    let time = tools.luck.time(shard.spin);
    if time.is_zero() {
        return Ok(Seen::Nothing);
    }
    let until = until.min(*now + time);
    let also = caller.and_then(Caller::poller).map(Poller::readable);
    loop {
        if !std::mem::take(&mut first) {
            let count = shard.take(*now, &mut tools.frames)?;
            if count > 0 {
                tools.luck.looked(true);
                return Ok(Seen::Packets(count));
            }
        }
        // That another thread has something for it says nothing of those that packets come from.
        if caller.is_some_and(Caller::is_woken) {
            return Ok(Seen::Nothing);
        }
        if *now >= until {
            tools.luck.looked(false);
            return Ok(Seen::Nothing);
        }
        // A nudge tells of an earlier timer, of wakers that nobody else runs and of the end; and a poll with descriptors has
        // its events from no packet.
        if let Some(ended) = shard.nudge.look(also)? {
            return Ok(Seen::Else(ended));
        }
        std::hint::spin_loop();
        *now = shard.clock.now();
    }
}

/// Sleeps until a packet, a nudge or the time. After a pause where the device hung up before.
pub(super) fn sleep(
    shard: &Shard,
    tools: &Tools,
    time: Duration,
    until: Instant,
    caller: Option<&Caller<'_>>,
) -> io::Result<Ended> {
    // A wake-up before this is seen here; one after it nudges, or is readable.
    let (_polls, also) = match caller.map(|caller| &caller.who) {
        None => (None, None),
        Some(Who::Call { parker, .. }) => match parker.poll() {
            Some(polls) => (Some(polls), None),
            None => return Ok(Ended::default()),
        },
        // Whoever did it may have told it by what it sleeps with.
        Some(Who::Poller(poller)) if poller.is_roused() => {
            return Ok(Ended { also: true, ..Ended::default() });
        }
        Some(Who::Poller(poller)) => (None, Some(poller.readable())),
    };
    let timeout = (until < Instant::FAR_FUTURE).then_some(time);
    if tools.hang_ups > 0 {
        shard.nudge.pause(PAUSE.min(timeout.unwrap_or(PAUSE)))?;
    }
    shard.nudge.sleep(shard.device.readable(), also, timeout)
}
