//! `IPPROTO_TCP`.

use std::time::Duration;

use rustix::io::Errno;
use tunstack_core::error::Error;
use tunstack_core::stack::{SocketId, Stack};
use tunstack_core::tcp::congestion::Congestion;
use tunstack_core::tcp::state::State;

use super::super::Result;
use super::super::abi::*;
use super::super::file::File;
use super::super::tcp_info;
use super::row::{How, Row, any, natural, off, read_only, within};

/// The length of a name (`TCP_CA_NAME_MAX`, `TCP_ULP_NAME_MAX`).
const NAME: usize = 16;

pub(super) const ROWS: &[Row] = &[
    Row(TCP_NODELAY, How::Flag(|o| &mut o.nodelay)),
    Row(TCP_MAXSEG, How::Int(max_segment, set_max_segment)),
    Row(TCP_CORK, How::Flag(|o| &mut o.cork)),
    Row(TCP_KEEPIDLE, How::Int(|f| Ok(seconds(f.options()?.keepalive_time)), set_keepalive_time)),
    Row(TCP_KEEPINTVL, How::Int(|f| Ok(seconds(f.options()?.keepalive_interval)), set_keepalive_interval)),
    Row(TCP_KEEPCNT, How::Int(|f| Ok(f.options()?.keepalive_probes.into()), set_keepalive_probes)),
    Row(TCP_SYNCNT, How::Stays(|f| config(f, |c| c.syn_retries.into()), within::<1, 127>)),
    Row(TCP_LINGER2, How::Stays(|f| config(f, |c| seconds(c.fin_wait_2_timeout)), linger2)),
    Row(TCP_DEFER_ACCEPT, How::Stays(off, |v| Ok(v.max(0)))),
    Row(TCP_WINDOW_CLAMP, How::Stays(off, any)),
    Row(TCP_INFO, How::Octets(info, read_only)),
    Row(TCP_QUICKACK, How::Int(quick_acks, set_quick_acks)),
    Row(TCP_CONGESTION, How::Octets(congestion, set_congestion)),
    Row(TCP_THIN_LINEAR_TIMEOUTS, How::Stays(off, within::<0, 1>)),
    // Linux does nothing with it since 4.11.
    Row(TCP_THIN_DUPACK, How::Int(off, |_, v| within::<0, 1>(v).map(drop))),
    Row(TCP_USER_TIMEOUT, How::Int(user_timeout, set_user_timeout)),
    Row(TCP_REPAIR, How::Stays(off, |v| within::<-1, 1>(v).map(|v| v.max(0)))),
    Row(TCP_FASTOPEN, How::Stays(off, natural)),
    // To be set under TCP_REPAIR alone.
    Row(TCP_TIMESTAMP, How::Int(|_| Err(Errno::NOPROTOOPT), |_, _| Err(Errno::PERM))),
    Row(TCP_NOTSENT_LOWAT, How::Int(unsent_low_water, set_unsent_low_water)),
    Row(TCP_CC_INFO, How::Octets(nothing, read_only)),
    Row(TCP_SAVE_SYN, How::Stays(off, within::<0, 2>)),
    Row(TCP_SAVED_SYN, How::Octets(nothing, read_only)),
    Row(TCP_FASTOPEN_CONNECT, How::Stays(off, within::<0, 1>)),
    Row(TCP_ULP, How::Octets(nothing, set_upper_layer)),
    Row(TCP_FASTOPEN_NO_COOKIE, How::Stays(off, within::<0, 1>)),
    Row(TCP_INQ, How::Stays(off, within::<0, 1>)),
    Row(TCP_TX_DELAY, How::Stays(off, natural)),
];

fn nothing(_: &File, _: usize) -> Result<Vec<u8>> {
    Ok(Vec::new())
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

fn config(file: &File, part: fn(&tunstack_core::config::TcpConfig) -> i32) -> Result<i32> {
    file.query(|stack, _| Ok(part(&stack.config().tcp)))
}

/// Negative: none at all; 0: what the system has; 2 minutes at the most.
fn linger2(value: i32) -> Result<i32> {
    Ok(value.clamp(-1, 120))
}

/// The MSS in use, or the limit where nothing is connected yet; Linux's 536 where there is none either.
fn max_segment(file: &File) -> Result<i32> {
    file.query(|stack, id| {
        let limit = stack.options(id)?.max_segment;
        let open = stack.tcp_info(id).filter(|info| info.state != State::Closed);
        let octets = match (open, limit) {
            (Some(info), _) => info.snd_mss,
            (None, 0) => 536,
            (None, limit) => limit.into(),
        };
        Ok(i32::try_from(octets).unwrap_or(i32::MAX))
    })
}

fn set_max_segment(file: &File, value: i32) -> Result<()> {
    let limit = if value == 0 { 0 } else { within::<88, 32767>(value)? };
    file.change_options(|options| options.max_segment = u16::try_from(limit).unwrap_or(0))
}

fn to_seconds(value: i32) -> Result<Duration> {
    Ok(Duration::from_secs(within::<1, 32767>(value)?.unsigned_abs().into()))
}

fn set_keepalive_time(file: &File, value: i32) -> Result<()> {
    let time = to_seconds(value)?;
    file.change_options(|options| options.keepalive_time = time)
}

fn set_keepalive_interval(file: &File, value: i32) -> Result<()> {
    let time = to_seconds(value)?;
    file.change_options(|options| options.keepalive_interval = time)
}

fn set_keepalive_probes(file: &File, value: i32) -> Result<()> {
    let probes = within::<1, 127>(value)?;
    file.change_options(|options| options.keepalive_probes = u8::try_from(probes).unwrap_or(u8::MAX))
}

fn info(file: &File, _: usize) -> Result<Vec<u8>> {
    file.call(|stack, id, now| Ok(tcp_info::octets(stack, id, now)))
}

fn congestion_name(stack: &Stack, id: SocketId) -> &'static str {
    let connection = stack.tcp_info(id).map(|info| info.congestion);
    connection.unwrap_or_else(|| Congestion::new(536, 1).name())
}

fn congestion(file: &File, _: usize) -> Result<Vec<u8>> {
    let mut name = file.query(|stack, id| Ok(congestion_name(stack, id).as_bytes().to_vec()))?;
    name.resize(NAME, 0);
    Ok(name)
}

/// A name ends with its first NUL, and with the room for it.
fn set_congestion(file: &File, value: &[u8]) -> Result<()> {
    if value.is_empty() {
        return Err(Errno::INVAL);
    }
    let value = &value[..value.len().min(NAME - 1)];
    let name = value.split(|octet| *octet == 0).next().unwrap_or_default();
    let has = file.query(|stack, id| Ok(congestion_name(stack, id)))?;
    if has.as_bytes() == name { Ok(()) } else { Err(Errno::NOENT) }
}

fn user_timeout(file: &File) -> Result<i32> {
    let limit = file.options()?.user_timeout.unwrap_or_default();
    Ok(i32::try_from(limit.as_millis()).unwrap_or(i32::MAX))
}

fn set_user_timeout(file: &File, value: i32) -> Result<()> {
    let millis = natural(value)?.unsigned_abs();
    let limit = (millis > 0).then(|| Duration::from_millis(millis.into()));
    file.change_options(|options| options.user_timeout = limit)
}

fn quick_acks(file: &File) -> Result<i32> {
    file.query(|stack, id| Ok(stack.tcp_info(id).is_none_or(|info| info.quick_acks).into()))
}

/// Before there is a connection it means nothing: each begins with quick acknowledgments.
fn set_quick_acks(file: &File, value: i32) -> Result<()> {
    file.call(|stack, id, now| match stack.set_quick_acks(id, value != 0, now) {
        Err(Error::NotConnected) => Ok(()),
        other => other,
    })
}

/// The number as it was written: a negative one is a limit that nothing reaches.
fn unsent_low_water(file: &File) -> Result<i32> {
    Ok(file.options()?.unsent_low_water.cast_signed())
}

fn set_unsent_low_water(file: &File, value: i32) -> Result<()> {
    file.change_options(|options| options.unsent_low_water = value.cast_unsigned())
}

/// No protocol goes between TCP and the program.
fn set_upper_layer(_: &File, value: &[u8]) -> Result<()> {
    Err(if value.is_empty() { Errno::INVAL } else { Errno::NOENT })
}
