//! `IPPROTO_UDP`.

use super::super::abi::*;
use super::row::{How, Row, any, flag, off, within};

pub(super) const ROWS: &[Row] = &[
    Row(UDP_CORK, How::Stays(off, flag)),
    Row(UDP_ENCAP, How::Stays(off, any)),
    Row(UDP_NO_CHECK6_TX, How::Stays(off, flag)),
    Row(UDP_NO_CHECK6_RX, How::Stays(off, flag)),
    Row(UDP_SEGMENT, How::Stays(off, within::<0, 0xffff>)),
    Row(UDP_GRO, How::Stays(off, flag)),
];
