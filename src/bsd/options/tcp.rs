//! `IPPROTO_TCP`.

use std::time::Duration;

use rustix::io::Errno;
use tunstack_core::error::Error;
use tunstack_core::sockopt::SocketOptions;
use tunstack_core::tcp::fast_open::Modes;
use tunstack_core::tcp::fast_open::secret::Secrets;
use tunstack_core::tcp::state::State;
use tunstack_core::user_timeout::UserTimeout;

use super::super::Result;
use super::super::abi::*;
use super::super::file::File;
use super::super::tcp_info;
use super::row::{How, Row, natural, off, read_only, within};

/// The length of a name (`TCP_CA_NAME_MAX`, `TCP_ULP_NAME_MAX`).
const NAME: usize = 16;

pub(super) const ROWS: &[Row] = &[
    Row(TCP_NODELAY, How::Int(nodelay, set_nodelay)),
    Row(TCP_MAXSEG, How::Int(max_segment, set_max_segment)),
    Row(TCP_CORK, How::Flag(|o| &mut o.cork)),
    Row(TCP_KEEPIDLE, How::Int(|f| Ok(seconds(f.options()?.keepalive_time)), set_keepalive_time)),
    Row(TCP_KEEPINTVL, How::Int(|f| Ok(seconds(f.options()?.keepalive_interval)), set_keepalive_interval)),
    Row(TCP_KEEPCNT, How::Int(|f| Ok(f.options()?.keepalive_probes.into()), set_keepalive_probes)),
    Row(TCP_SYNCNT, How::Int(|f| Ok(f.options()?.syn_retries.into()), set_syn_retries)),
    Row(TCP_LINGER2, How::Int(linger2, set_linger2)),
    Row(TCP_DEFER_ACCEPT, How::Int(defer_accept, set_defer_accept)),
    Row(TCP_WINDOW_CLAMP, How::Int(window_clamp, set_window_clamp)),
    Row(TCP_INFO, How::Octets(info, read_only)),
    Row(TCP_QUICKACK, How::Int(quick_acks, set_quick_acks)),
    Row(TCP_CONGESTION, How::Octets(congestion, set_congestion)),
    Row(TCP_THIN_LINEAR_TIMEOUTS, How::Stays(off, within::<0, 1>)),
    // Linux does nothing with it since 4.11.
    Row(TCP_THIN_DUPACK, How::Int(off, |_, v| within::<0, 1>(v).map(drop))),
    Row(TCP_USER_TIMEOUT, How::Int(user_timeout, set_user_timeout)),
    Row(TCP_UTO, How::Flag(|o| &mut o.user_timeout_option.enabled)),
    Row(TCP_UTO_ADVERTISED, How::Int(advertised_user_timeout, set_advertised_user_timeout)),
    Row(TCP_UTO_CHANGEABLE, How::Int(user_timeout_changeable, set_user_timeout_changeable)),
    Row(TCP_UTO_RECEIVED, How::Read(peer_user_timeout)),
    Row(TCP_REPAIR, How::Stays(off, |v| within::<-1, 1>(v).map(|v| v.max(0)))),
    Row(TCP_FASTOPEN, How::Int(fast_open, set_fast_open)),
    Row(TCP_FASTOPEN_KEY, How::Octets(fast_open_key, set_fast_open_key)),
    // To be set under TCP_REPAIR alone.
    Row(TCP_TIMESTAMP, How::Int(|_| Err(Errno::NOPROTOOPT), |_, _| Err(Errno::PERM))),
    Row(TCP_NOTSENT_LOWAT, How::Int(unsent_low_water, set_unsent_low_water)),
    Row(TCP_CC_INFO, How::Octets(nothing, read_only)),
    Row(TCP_SAVE_SYN, How::Stays(off, within::<0, 2>)),
    Row(TCP_SAVED_SYN, How::Octets(nothing, read_only)),
    Row(TCP_FASTOPEN_CONNECT, How::Int(fast_open_connect, set_fast_open_connect)),
    Row(TCP_ULP, How::Octets(nothing, set_upper_layer)),
    Row(TCP_FASTOPEN_NO_COOKIE, How::Int(fast_open_no_cookie, set_fast_open_no_cookie)),
    Row(TCP_INQ, How::Hint(0, within::<0, 1>)),
    Row(TCP_TX_DELAY, How::Stays(off, natural)),
];

fn defer_accept(file: &File) -> Result<i32> {
    let options = file.options()?;
    file.query(|stack, _| Ok(seconds(options.defer_accept_time(&stack.config().tcp))))
}

/// Rounded up to a time at which SYN,ACK times out; less than nothing is nothing.
fn set_defer_accept(file: &File, value: i32) -> Result<()> {
    let wait = Duration::from_secs(value.max(0).unsigned_abs().into());
    file.call(|stack, id, now| {
        let mut options = stack.options(id)?;
        options.set_defer_accept(wait, &stack.config().tcp);
        stack.set_options(id, options, now)
    })
}

/// Connections whose handshake may be pending; 0 is off.
fn fast_open(file: &File) -> Result<i32> {
    Ok(file.options()?.fast_open_queue.into())
}

/// Of a fresh socket or one that listens; no more than a backlog may be, nor 65535.
fn set_fast_open(file: &File, value: i32) -> Result<()> {
    let queue = natural(value)?.unsigned_abs();
    change_unconnected(file, true, |options, most| {
        options.fast_open_queue = u16::try_from(queue.min(most)).unwrap_or(u16::MAX);
    })
}

/// Changes the options of a socket that is fresh, or that `may_listen`; `change` is told the largest backlog.
fn change_unconnected(
    file: &File,
    may_listen: bool,
    change: impl FnOnce(&mut SocketOptions, u32),
) -> Result<()> {
    file.call(|stack, id, now| {
        match stack.state(id) {
            Some(State::Closed) => {}
            Some(State::Listen) if may_listen => {}
            _ => return Err(Error::Invalid),
        }
        let mut options = stack.options(id)?;
        change(&mut options, stack.config().tcp.max_backlog);
        stack.set_options(id, options, now)
    })
}

fn fast_open_connect(file: &File) -> Result<i32> {
    Ok(i32::from(file.options()?.fast_open_connect))
}

fn set_fast_open_connect(file: &File, value: i32) -> Result<()> {
    let on = within::<0, 1>(value)? == 1;
    let mode = file.query(|stack, _| Ok(stack.config().tcp.fast_open))?;
    if !mode.contains(Modes::CLIENT) {
        return Err(Errno::OPNOTSUPP);
    }
    change_unconnected(file, false, |options, _| options.fast_open_connect = on)
}

fn fast_open_no_cookie(file: &File) -> Result<i32> {
    Ok(i32::from(file.options()?.fast_open_no_cookie))
}

fn set_fast_open_no_cookie(file: &File, value: i32) -> Result<()> {
    let on = within::<0, 1>(value)? == 1;
    change_unconnected(file, true, |options, _| options.fast_open_no_cookie = on)
}

/// One secret or two.
fn fast_open_key(file: &File, _: usize) -> Result<Vec<u8>> {
    let secrets = file.query(|stack, id| stack.fast_open_secrets(id))?;
    Ok([Some(secrets.primary), secrets.backup].into_iter().flatten().flatten().collect())
}

fn set_fast_open_key(file: &File, value: &[u8]) -> Result<()> {
    let (secrets, []) = value.as_chunks() else { return Err(Errno::INVAL) };
    let secrets = match *secrets {
        [primary] => Secrets { primary, backup: None },
        [primary, backup] => Secrets { primary, backup: Some(backup) },
        _ => return Err(Errno::INVAL),
    };
    file.call(|stack, id, _| stack.set_fast_open_secrets(id, secrets))
}

fn nothing(_: &File, _: usize) -> Result<Vec<u8>> {
    Ok(Vec::new())
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

fn nodelay(file: &File) -> Result<i32> {
    Ok(i32::from(file.options()?.nodelay))
}

/// Said again it lets go again what waits, be it for a cork.
fn set_nodelay(file: &File, value: i32) -> Result<()> {
    file.change_options(|options| options.nodelay = false)?;
    file.change_options(|options| options.nodelay = value != 0)
}

fn set_syn_retries(file: &File, value: i32) -> Result<()> {
    let retries = within::<1, 127>(value)?;
    file.change_options(|options| options.syn_retries = u8::try_from(retries).unwrap_or(u8::MAX))
}

/// No time at all is -1.
fn linger2(file: &File) -> Result<i32> {
    let time = file.options()?.fin_wait_2_timeout;
    Ok(if time.is_zero() { -1 } else { seconds(time) })
}

/// Negative: none at all; 0: what the stack has; 2 minutes at the most.
fn set_linger2(file: &File, value: i32) -> Result<()> {
    let usual = file.query(|stack, _| Ok(stack.config().tcp.fin_wait_2_timeout))?;
    let time = match value {
        ..0 => Duration::ZERO,
        0 => usual,
        _ => Duration::from_secs(value.min(120).unsigned_abs().into()),
    };
    file.change_options(|options| options.fin_wait_2_timeout = time)
}

/// Without one 0.
fn window_clamp(file: &File) -> Result<i32> {
    Ok(i32::try_from(file.options()?.window_clamp).unwrap_or(0))
}

/// Half the least receive buffer (`SOCK_MIN_RCVBUF`) at the least; taken away only where nothing is open.
fn set_window_clamp(file: &File, value: i32) -> Result<()> {
    file.call(|stack, id, now| {
        let mut options = stack.options(id)?;
        options.window_clamp = match value {
            0 if stack.state(id) != Some(State::Closed) => return Err(Error::Invalid),
            0 => u32::MAX,
            _ => value.max(1152).unsigned_abs(),
        };
        stack.set_options(id, options, now)
    })
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

fn congestion(file: &File, _: usize) -> Result<Vec<u8>> {
    let mut name = file.options()?.congestion.name().as_bytes().to_vec();
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
    let found = file.query(|stack, _| Ok(stack.config().tcp.congestion_by_name(name)))?;
    let algorithm = found.ok_or(Errno::NOENT)?;
    file.change_options(|options| options.congestion = algorithm)
}

fn user_timeout(file: &File) -> Result<i32> {
    let limit = file.options()?.user_timeout.unwrap_or_default();
    Ok(i32::try_from(limit.as_millis()).unwrap_or(i32::MAX))
}

fn set_user_timeout(file: &File, value: i32) -> Result<()> {
    let millis = natural(value)?.unsigned_abs();
    let limit = (millis > 0).then(|| Duration::from_millis(millis.into()));
    file.change_options(|options| options.set_user_timeout(limit))
}

fn advertised_user_timeout(file: &File) -> Result<i32> {
    let told = file.options()?.user_timeout_option.advertised;
    Ok(told.map_or(0, |told| seconds(told.time())))
}

/// Rounded up to what the option can say.
fn set_advertised_user_timeout(file: &File, value: i32) -> Result<()> {
    let told = UserTimeout::new(Duration::from_secs(natural(value)?.unsigned_abs().into()));
    file.change_options(|options| options.user_timeout_option.advertised = told)
}

fn user_timeout_changeable(file: &File) -> Result<i32> {
    Ok(i32::from(file.options()?.user_timeout_changeable()))
}

fn set_user_timeout_changeable(file: &File, value: i32) -> Result<()> {
    file.change_options(|options| options.user_timeout_option.changeable = Some(value != 0))
}

fn peer_user_timeout(file: &File) -> Result<i32> {
    let told = file.query(|stack, id| Ok(stack.tcp_info(id).and_then(|info| info.peer_user_timeout)))?;
    Ok(told.map_or(0, seconds))
}

fn quick_acks(file: &File) -> Result<i32> {
    let of_connection = file.query(|stack, id| Ok(stack.tcp_info(id).map(|info| info.quick_acks)))?;
    let before = || file.hints.get(IPPROTO_TCP, TCP_QUICKACK).unwrap_or(1);
    Ok(of_connection.map_or_else(before, i32::from))
}

/// Before there is a connection it means nothing: each begins with quick acknowledgments.
fn set_quick_acks(file: &File, value: i32) -> Result<()> {
    file.call(|stack, id, now| match stack.set_quick_acks(id, value != 0, now) {
        Err(Error::NotConnected) => {
            file.hints.set(IPPROTO_TCP, TCP_QUICKACK, i32::from(value != 0));
            Ok(())
        }
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
