//! Ours: default settings but for the checksums and the sizes of buffers, so with timestamps, SACK, CUBIC.

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tunstack_benches::{Pair, Setting, Way};
use tunstack_core::time;

use crate::Moved;

pub(crate) fn run(
    setting: Setting,
    way: Way,
    batch: usize,
    length: Duration,
) -> Result<Moved, Box<dyn Error>> {
    let epoch = Instant::now();
    let mut pair = Pair::connected(setting, time::Instant::ZERO)?;
    let text = Bytes::from(vec![0x5a; 64 << 10]);
    let mut room = vec![0; 64 << 10];
    crate::measure(length, |now| {
        let now = time::Instant::from_nanos((now - epoch).as_nanos() as u64);
        pair.write(&text, way, now)?;
        pair.send_there(now, batch);
        let packets = pair.there.len();
        pair.carry_there(now, 0);
        let octets = pair.read(&mut room, way)?;
        pair.carry_back(now);
        Ok((octets, packets))
    })
}
