//! TCP options: our own walk, because an unknown kind must be skipped by its length (RFC 9293 MUST-6).

use alloc::vec::Vec;

use arrayvec::ArrayVec;

use super::fast_open::{self, Cookie, FastOpen};
use crate::seq::{Seq, SeqRange};

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
const USER_TIMEOUT: u8 = 28;
const ACC_ECN_0: u8 = 172;
const ACC_ECN_1: u8 = 174;
const FAST_OPEN: u8 = 34;
const EXPERIMENT: u8 = 254;

/// What the data offset leaves for options (RFC 9293 §3.1): 15 words less the fixed five.
pub const MAX_OPTIONS_LEN: usize = 40;

/// The timestamps option (RFC 7323 §3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the receiver's clock, echoed.
    pub echo: u32,
}

/// Octets that the timestamps option takes up, with the NOPs that align it.
pub const TIMESTAMPS_LEN: usize = 12;

impl Timestamps {
    /// As it stands behind the header of nearly every segment (RFC 7323 appendix A).
    pub const fn emitted(&self) -> [u8; TIMESTAMPS_LEN] {
        let ([c, d, e, f], [g, h, i, j]) = (self.value.to_be_bytes(), self.echo.to_be_bytes());
        [NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10, c, d, e, f, g, h, i, j]
    }
}

/// At most four blocks fit in a header without timestamps, three with (RFC 2018 §3).
pub type SackBlocks = ArrayVec<SeqRange, 4>;

/// The AccECN option (RFC 9768 §3.2.3): counters of octets, 24 bits each, cut off from the end.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccEcn {
    /// Whether the counter of ECT(1) comes first and that of ECT(0) last (order 1, kind 174), or the other way round (order
    /// 0, kind 172). That of CE stands between them.
    pub ect_1_first: bool,
    /// The counters that are there, in this order.
    pub counters: ArrayVec<u32, 3>,
}

impl AccEcn {
    fn counter(&self, at: usize) -> Option<u32> {
        self.counters.get(at).copied()
    }

    /// EE0B: octets that came with ECT(0).
    pub fn ect_0(&self) -> Option<u32> {
        self.counter(if self.ect_1_first { 2 } else { 0 })
    }

    /// EE1B: octets that came with ECT(1).
    pub fn ect_1(&self) -> Option<u32> {
        self.counter(if self.ect_1_first { 0 } else { 2 })
    }

    /// ECEB: octets that came with CE.
    pub fn ce(&self) -> Option<u32> {
        self.counter(1)
    }

    /// Octets that it takes up with so many counters, with the NOPs that align it.
    pub const fn emitted_len(counters: usize) -> usize {
        (2 + 3 * counters).next_multiple_of(4)
    }
}

/// The options of one segment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Maximum segment size (kind 2), octets.
    pub mss: Option<u16>,
    /// Window scale shift (kind 3), as it stands on the wire: 0 to 255.
    pub window_scale: Option<u8>,
    /// SACK permitted (kind 4).
    pub sack_permitted: bool,
    /// SACK blocks (kind 5), in the order of the wire.
    pub sack: SackBlocks,
    /// Timestamps (kind 8).
    pub timestamps: Option<Timestamps>,
    /// User timeout (kind 28), as it stands on the wire: granularity bit and 15 bits of value (RFC 5482 §3).
    pub user_timeout: Option<u16>,
    /// Accurate ECN (kinds 172 and 174).
    pub acc_ecn: Option<AccEcn>,
    /// Fast Open (kind 34, or 254 with the identifier 0xF989). Means something on a SYN alone (RFC 7413 §4.1.1).
    pub fast_open: Option<FastOpen>,
    /// A length was impossible: below 2 or past the end, where the walk ended and what came before stands;
    /// or not that of its kind, where the option was passed over.
    pub malformed: bool,
}

impl Options {
    /// Reads the options of a header, in whatever order and alignment (MUST-64). Never fails: what cannot be
    /// read is passed over, and [`malformed`](Self::malformed) tells. Unknown kinds are skipped by their
    /// length (MUST-6), a length that cannot be ends the walk (MUST-7). Of a repeated option the first counts.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.2
    //= id=MUST-64
    //# receivers MUST be prepared to process options even if they do not begin on a word boundary
    //# (MUST-64).
    pub fn parse(bytes: &[u8]) -> Self {
        // What nearly every segment of a connection with timestamps carries (RFC 7323 appendix A).
        if let &[NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10, a, b, c, d, e, f, g, h] = bytes {
            return Self { timestamps: Some(timestamps([a, b, c, d, e, f, g, h])), ..Self::default() };
        }
        let mut options = Self::default();
        let mut rest = bytes;
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
        //= id=MUST-4
        //# the following options MUST be supported
        while let Some((&kind, after)) = rest.split_first() {
            rest = match kind {
                END => break,
                NO_OPERATION => after,
                _ => {
                    // The length counts kind and length octet too.
                    let data = after
                        .split_first()
                        .and_then(|(&len, data)| data.split_at_checked(usize::from(len).checked_sub(2)?));
                    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
                    //= id=MUST-7
                    //# TCP implementations MUST be prepared to handle an illegal option length (e.g., zero)
                    let Some((data, rest)) = data else {
                        options.malformed = true;
                        break;
                    };
                    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
                    //# A TCP implementation MUST (MUST-6) ignore without error any TCP Option it does not
                    //# implement, assuming that the option has a length field.
                    options.take(kind, data);
                    rest
                }
            };
        }
        options
    }

    fn take(&mut self, kind: u8, data: &[u8]) {
        match (kind, data) {
            (MSS, &[a, b]) => _ = self.mss.get_or_insert(u16::from_be_bytes([a, b])),
            (WINDOW_SCALE, &[shift]) => _ = self.window_scale.get_or_insert(shift),
            (SACK_PERMITTED, []) => self.sack_permitted = true,
            (SACK, _) => match data.as_chunks::<8>() {
                (blocks, []) if matches!(blocks.len(), 1..=4) => {
                    if self.sack.is_empty() {
                        self.sack.extend(blocks.iter().map(|&block| sack_block(block)));
                    }
                }
                _ => self.malformed = true,
            },
            (TIMESTAMPS, data) if let Some((&stamps, [])) = data.split_first_chunk() => {
                _ = self.timestamps.get_or_insert(timestamps(stamps));
            }
            //= https://www.rfc-editor.org/rfc/rfc5482#section-3.3
            //= id=rfc5482-3.3-2, rfc5482-3.3-3
            (USER_TIMEOUT, &[a, b]) => _ = self.user_timeout.get_or_insert(u16::from_be_bytes([a, b])),
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3
            //# For forward compatibility, if the AccECN Option is of any other length, implementations MUST use
            //# those whole 3-octet fields that fit within the length and ignore the remainder of the option,
            //# treating it as padding.
            (ACC_ECN_0 | ACC_ECN_1, data) => {
                let (fields, _) = data.as_chunks::<3>();
                //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3
                //# All implementations of a Data Sender that read any AccECN Option MUST be able to read AccECN
                //# Options of any of the above lengths.
                let counters = fields.iter().map(|&[a, b, c]| u32::from_be_bytes([0, a, b, c]));
                _ = self.acc_ecn.get_or_insert_with(|| AccEcn {
                    ect_1_first: kind == ACC_ECN_1,
                    counters: counters.take(3).collect(),
                });
            }
            //= https://www.rfc-editor.org/rfc/rfc7413#section-4.1.1
            //= id=rfc7413-4.1.1-2
            //# Options with invalid Length values or without the SYN flag set MUST be ignored.
            (FAST_OPEN, cookie) => self.take_fast_open(cookie, false),
            (EXPERIMENT, [a, b, cookie @ ..]) if [*a, *b] == fast_open::EXPERIMENT => {
                self.take_fast_open(cookie, true);
            }
            (MSS | WINDOW_SCALE | SACK_PERMITTED | TIMESTAMPS | USER_TIMEOUT, _) => self.malformed = true,
            _ => {}
        }
    }

    fn take_fast_open(&mut self, cookie: &[u8], experimental: bool) {
        match Cookie::new(cookie) {
            Some(cookie) => _ = self.fast_open.get_or_insert(FastOpen { cookie, experimental }),
            None => self.malformed = true,
        }
    }

    /// Octets that [`emit`](Self::emit) appends: a multiple of 4, at most [`MAX_OPTIONS_LEN`].
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //= id=MUST-69
    //# The content of the header beyond the End of Option List Option MUST be header padding of zeros
    //# (MUST-69).
    pub fn emitted_len(&self) -> usize {
        if self.sack.is_empty() {
            return self.len_without_sack();
        }
        let blocks = self.sack.len().min(self.max_sack_blocks());
        self.len_without_sack() + if blocks == 0 { 0 } else { 4 + 8 * blocks }
    }

    /// The timestamps, where there is nothing else to emit.
    pub fn only_timestamps(&self) -> Option<Timestamps> {
        let others = self.mss.is_some()
            || self.window_scale.is_some()
            || self.sack_permitted
            || !self.sack.is_empty()
            || self.user_timeout.is_some()
            || self.acc_ecn.is_some()
            || self.fast_open.is_some();
        self.timestamps.filter(|_| !others)
    }

    /// How many SACK blocks fit beside the other options that are set: 4 alone, 3 with timestamps
    /// (RFC 2018 §3).
    pub fn max_sack_blocks(&self) -> usize {
        // Two NOPs, kind and length stand before the blocks.
        MAX_OPTIONS_LEN.saturating_sub(self.len_without_sack() + 4) / 8
    }

    /// Whether Fast Open's option goes with the others that are set; where it does not, it is left out.
    pub fn fast_open_fits(&self) -> bool {
        self.fast_open.as_ref().is_none_or(|option| self.len_of_common() + option.len() <= MAX_OPTIONS_LEN)
    }

    /// Where Fast Open's option has no room: leaves the user timeout out, which the next segment can tell too, and then as
    /// many counters of AccECN, whose option is there to test the path, as have to go.
    pub fn make_room(&mut self) {
        if !self.fast_open_fits() {
            self.user_timeout = None;
        }
        while !self.fast_open_fits() {
            let Some(option) = &mut self.acc_ecn else { return };
            if option.counters.pop().is_none() {
                self.acc_ecn = None;
            }
        }
    }

    fn len_without_sack(&self) -> usize {
        let fast_open = self.fast_open.as_ref().filter(|_| self.fast_open_fits());
        self.len_of_common() + fast_open.map_or(0, FastOpen::len)
    }

    fn len_of_common(&self) -> usize {
        let timestamps_or_sack_permitted = match (self.timestamps, self.sack_permitted) {
            (Some(_), _) => 12,
            (None, true) => 4,
            (None, false) => 0,
        };
        let of = |present: bool| if present { 4 } else { 0 };
        of(self.mss.is_some())
            + timestamps_or_sack_permitted
            + of(self.window_scale.is_some())
            + of(self.user_timeout.is_some())
            + self.acc_ecn.as_ref().map_or(0, |option| AccEcn::emitted_len(option.counters.len()))
    }

    /// Appends the options, each aligned so that the whole is a multiple of 4 octets, in the order that Linux
    /// has made the common one. On a SYN that is MSS, SACK-permitted, timestamps, NOP, window scale, with
    /// NOPs in the place of what is missing; later NOP, NOP, timestamps, NOP, NOP, SACK. AccECN stands behind the
    /// timestamps. The user timeout and Fast Open come last. SACK blocks for which there is no room are left out from the
    /// end.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //= id=MUST-68
    //# MUST have length fields
    pub fn emit(&self, out: &mut Vec<u8>) {
        if let Some(mss) = self.mss {
            let [a, b] = mss.to_be_bytes();
            out.extend_from_slice(&[MSS, 4, a, b]);
        }
        match (self.timestamps, self.sack_permitted) {
            (Some(Timestamps { value, echo }), permitted) => {
                let [a, b] = if permitted { [SACK_PERMITTED, 2] } else { [NO_OPERATION, NO_OPERATION] };
                let ([c, d, e, f], [g, h, i, j]) = (value.to_be_bytes(), echo.to_be_bytes());
                out.extend_from_slice(&[a, b, TIMESTAMPS, 10, c, d, e, f, g, h, i, j]);
            }
            (None, true) => out.extend_from_slice(&[NO_OPERATION, NO_OPERATION, SACK_PERMITTED, 2]),
            (None, false) => {}
        }
        if let Some(option) = &self.acc_ecn {
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3
            //# When a Data Receiver sends an AccECN Option, it MUST set the Kind field to 172 if using Order 0, or
            //# to 174 if using Order 1.
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3
            //# The length field MUST indicate which fields are present as follows: Options of each length and
            //# order
            let len = 2 + 3 * option.counters.len();
            out.extend_from_slice(&[if option.ect_1_first { ACC_ECN_1 } else { ACC_ECN_0 }, len as u8]);
            for counter in &option.counters {
                let [_, a, b, c] = counter.to_be_bytes();
                out.extend_from_slice(&[a, b, c]);
            }
            out.extend(core::iter::repeat_n(NO_OPERATION, len.next_multiple_of(4) - len));
        }
        if let Some(shift) = self.window_scale {
            out.extend_from_slice(&[NO_OPERATION, WINDOW_SCALE, 3, shift]);
        }
        let blocks = if self.sack.is_empty() { 0 } else { self.sack.len().min(self.max_sack_blocks()) };
        if blocks > 0 {
            out.extend_from_slice(&[NO_OPERATION, NO_OPERATION, SACK, (2 + 8 * blocks) as u8]);
            for block in self.sack.iter().take(blocks) {
                out.extend_from_slice(&block.start.get().to_be_bytes());
                out.extend_from_slice(&block.end.get().to_be_bytes());
            }
        }
        if let Some(timeout) = self.user_timeout {
            let [a, b] = timeout.to_be_bytes();
            out.extend_from_slice(&[USER_TIMEOUT, 4, a, b]);
        }
        if let Some(option) = self.fast_open.as_ref().filter(|_| self.fast_open_fits()) {
            option.emit([FAST_OPEN, EXPERIMENT, NO_OPERATION], out);
        }
    }
}

const fn timestamps([a, b, c, d, e, f, g, h]: [u8; 8]) -> Timestamps {
    Timestamps { value: u32::from_be_bytes([a, b, c, d]), echo: u32::from_be_bytes([e, f, g, h]) }
}

const fn sack_block([a, b, c, d, e, f, g, h]: [u8; 8]) -> SeqRange {
    SeqRange::new(Seq::new(u32::from_be_bytes([a, b, c, d])), Seq::new(u32::from_be_bytes([e, f, g, h])))
}

#[cfg(test)]
mod tests;
