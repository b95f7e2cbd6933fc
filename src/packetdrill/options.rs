//! TCP options between a script's words and the octets of a header.

use super::script::{AccEcn, TcpOption};

mod kind {
    pub(super) const EOL: u8 = 0;
    pub(super) const NOP: u8 = 1;
    pub(super) const MSS: u8 = 2;
    pub(super) const WINDOW_SCALE: u8 = 3;
    pub(super) const SACK_PERMITTED: u8 = 4;
    pub(super) const SACK: u8 = 5;
    pub(super) const TIMESTAMPS: u8 = 8;
    pub(super) const MD5: u8 = 19;
    pub(super) const USER_TIMEOUT: u8 = 28;
    pub(super) const FAST_OPEN: u8 = 34;
    pub(super) const ACCECN0: u8 = 172;
    pub(super) const ACCECN1: u8 = 174;
    pub(super) const EXPERIMENT: u8 = 254;
}
/// ExID of Fast Open before it had a kind of its own (RFC 7413 appendix A).
const FAST_OPEN_EXID: [u8; 2] = [0xf9, 0x89];

/// Octets of all options of a header at the most (RFC 9293 §3.1: the data offset has four bits).
pub(super) const MAX_LEN: usize = 40;

/// An option of a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SeenOption {
    /// One that scripts have a name for, numbers as they stand in it.
    Known(TcpOption),
    /// Any other kind, and a known one with a length it cannot have.
    Unknown {
        /// Its kind.
        kind: u8,
        /// What follows kind and length.
        data: Vec<u8>,
    },
    /// What is left behind a length that cannot be.
    Malformed(Vec<u8>),
}

/// The octets of an option, kind and length included; numbers as they are given.
///
/// # Errors
///
/// One line where the length octet cannot tell its length.
pub fn octets_of(option: &TcpOption) -> Result<Vec<u8>, String> {
    let (kind, data) = match option {
        TcpOption::Nop => return Ok(vec![kind::NOP]),
        TcpOption::Eol => return Ok(vec![kind::EOL]),
        TcpOption::Mss(mss) => (kind::MSS, mss.to_be_bytes().to_vec()),
        TcpOption::WindowScale(shift) => (kind::WINDOW_SCALE, vec![*shift]),
        TcpOption::SackPermitted => (kind::SACK_PERMITTED, Vec::new()),
        TcpOption::Sack(blocks) => {
            let edges = blocks.iter().flat_map(|(left, right)| [left, right]);
            (kind::SACK, edges.flat_map(|edge| edge.to_be_bytes()).collect())
        }
        TcpOption::Timestamps { val, ecr } => {
            (kind::TIMESTAMPS, [val.to_be_bytes(), ecr.to_be_bytes()].concat())
        }
        TcpOption::Md5(digest) => (kind::MD5, digest.clone()),
        TcpOption::UserTimeout(field) => (kind::USER_TIMEOUT, field.to_be_bytes().to_vec()),
        TcpOption::FastOpen(cookie) => (kind::FAST_OPEN, cookie.clone()),
        TcpOption::FastOpenExperimental(cookie) => (kind::EXPERIMENT, [&FAST_OPEN_EXID[..], cookie].concat()),
        TcpOption::AccEcn(AccEcn { e1b_first, counters }) => {
            let kind = if *e1b_first { kind::ACCECN1 } else { kind::ACCECN0 };
            let counters = counters.iter().map_while(|counter| *counter);
            // RFC 9768 §3.2.3: counters of 24 bits.
            (kind, counters.flat_map(|counter| (counter << 8).to_be_bytes().into_iter().take(3)).collect())
        }
    };
    let len = u8::try_from(data.len() + 2)
        .ok()
        .filter(|&len| usize::from(len) <= MAX_LEN)
        .ok_or_else(|| format!("TCP option {kind} with {} octets has no room in a header", data.len()))?;
    Ok([&[kind, len][..], &data].concat())
}

/// All options of a header, in order. `eol` does not end it: what stands behind it is shown, too.
pub fn read(mut octets: &[u8]) -> Vec<SeenOption> {
    let mut options = Vec::new();
    while let Some((&kind, rest)) = octets.split_first() {
        let single = match kind {
            kind::EOL => Some(TcpOption::Eol),
            kind::NOP => Some(TcpOption::Nop),
            _ => None,
        };
        if let Some(option) = single {
            options.push(SeenOption::Known(option));
            octets = rest;
            continue;
        }
        let whole = rest.first().map(|&len| usize::from(len)).filter(|len| (2..=MAX_LEN).contains(len));
        let Some((option, behind)) = whole.and_then(|len| octets.split_at_checked(len)) else {
            options.push(SeenOption::Malformed(octets.to_vec()));
            break;
        };
        let data = option.get(2..).unwrap_or_default();
        options.push(
            known(kind, data)
                .map_or_else(|| SeenOption::Unknown { kind, data: data.to_vec() }, SeenOption::Known),
        );
        octets = behind;
    }
    options
}

fn known(kind: u8, data: &[u8]) -> Option<TcpOption> {
    Some(match (kind, data) {
        (kind::MSS, &[a, b]) => TcpOption::Mss(u16::from_be_bytes([a, b])),
        (kind::WINDOW_SCALE, &[shift]) => TcpOption::WindowScale(shift),
        (kind::SACK_PERMITTED, []) => TcpOption::SackPermitted,
        (kind::SACK, data) if data.len() % 8 == 0 => {
            let words = data.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
            let words: Vec<u32> = words.collect();
            TcpOption::Sack(words.as_chunks::<2>().0.iter().map(|&[left, right]| (left, right)).collect())
        }
        (kind::TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => TcpOption::Timestamps {
            val: u32::from_be_bytes([a, b, c, d]),
            ecr: u32::from_be_bytes([e, f, g, h]),
        },
        (kind::MD5, digest) => TcpOption::Md5(digest.to_vec()),
        (kind::USER_TIMEOUT, &[a, b]) => TcpOption::UserTimeout(u16::from_be_bytes([a, b])),
        (kind::FAST_OPEN, cookie) => TcpOption::FastOpen(cookie.to_vec()),
        (kind::EXPERIMENT, [a, b, cookie @ ..]) if [*a, *b] == FAST_OPEN_EXID => {
            TcpOption::FastOpenExperimental(cookie.to_vec())
        }
        (kind::ACCECN0 | kind::ACCECN1, data) if data.len() % 3 == 0 && data.len() <= 9 => {
            let mut counters = [None; 3];
            for (place, &[a, b, c]) in counters.iter_mut().zip(data.as_chunks::<3>().0) {
                *place = Some(u32::from_be_bytes([0, a, b, c]));
            }
            TcpOption::AccEcn(AccEcn { e1b_first: kind == kind::ACCECN1, counters })
        }
        _ => return None,
    })
}
