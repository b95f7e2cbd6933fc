//! `IPPROTO_UDP`.

use rustix::io::Errno;

use super::super::Result;
use super::super::abi::*;
use super::super::file::File;
use super::row::{How, Row, any, flag, off};

pub(super) const ROWS: &[Row] = &[
    Row(UDP_CORK, How::Stays(off, flag)),
    Row(UDP_ENCAP, How::Stays(off, any)),
    Row(UDP_NO_CHECK6_TX, How::Stays(off, flag)),
    Row(UDP_NO_CHECK6_RX, How::Stays(off, flag)),
    Row(UDP_SEGMENT, How::Int(segment_size, set_segment_size)),
    Row(UDP_GRO, How::Flag(|options| &mut options.receive_joined)),
];

fn segment_size(file: &File) -> Result<i32> {
    Ok(file.options()?.segment_size.into())
}

fn set_segment_size(file: &File, value: i32) -> Result<()> {
    let size = u16::try_from(value).map_err(|_| Errno::INVAL)?;
    file.change_options(|options| options.segment_size = size)
}
