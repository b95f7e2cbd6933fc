//! `SOL_SOCKET`.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tunstack_core::addr::Family;
use tunstack_core::error::Error;
use tunstack_core::sockopt::BufferLock;
use tunstack_core::tcp::state::State;

use super::super::Result;
use super::super::abi::*;
use super::super::file::{File, Kind};
use super::row::{How, Row, any, flag, int, natural, off, read_only, within};
use crate::engine::socket::Socket;

/// What `SO_SNDBUF` and `SO_RCVBUF` take at the most, before it is doubled: sysctl `wmem_max` and `rmem_max` as Linux
/// 6.18 has them.
const MOST: u32 = 4 << 20;
/// The least send buffer, doubled (`SOCK_MIN_SNDBUF`).
const LEAST_SEND: u32 = 4608;
/// The least receive buffer, doubled (`SOCK_MIN_RCVBUF`).
const LEAST_RECEIVE: u32 = 2304;

pub(super) const ROWS: &[Row] = &[
    Row(SO_DEBUG, How::Hint(0, flag)),
    Row(SO_REUSEADDR, How::Flag(|o| &mut o.reuse_address)),
    Row(SO_TYPE, How::Read(|f| Ok(if f.kind == Kind::Stream { SOCK_STREAM } else { SOCK_DGRAM }))),
    Row(SO_ERROR, How::Read(take_error)),
    // No route names a router: whatever is sent goes straight to the device.
    Row(SO_DONTROUTE, How::Hint(0, flag)),
    Row(SO_BROADCAST, How::Flag(|o| &mut o.broadcast)),
    Row(SO_SNDBUF, How::Int(send_buffer, |f, v| set_send_buffer(f, limited(v)))),
    Row(SO_RCVBUF, How::Int(receive_buffer, |f, v| set_receive_buffer(f, limited(v)))),
    Row(SO_SNDBUFFORCE, How::Int(no_option, |f, v| set_send_buffer(f, forced(v)))),
    Row(SO_RCVBUFFORCE, How::Int(no_option, |f, v| set_receive_buffer(f, forced(v)))),
    Row(SO_BUF_LOCK, How::Int(buffer_lock, set_buffer_lock)),
    Row(SO_KEEPALIVE, How::Flag(|o| &mut o.keepalive)),
    Row(SO_OOBINLINE, How::Flag(|o| &mut o.oob_inline)),
    Row(SO_NO_CHECK, How::Stays(off, flag)),
    Row(SO_PRIORITY, How::Hint(0, any)),
    Row(SO_LINGER, How::Octets(linger, set_linger)),
    Row(SO_BSDCOMPAT, How::Int(off, |_, _| Ok(()))),
    Row(SO_REUSEPORT, How::Flag(|o| &mut o.reuse_port)),
    Row(SO_PASSCRED, How::Int(not_supported, |_, _| Err(Errno::OPNOTSUPP))),
    Row(SO_PASSSEC, How::Int(not_supported, |_, _| Err(Errno::OPNOTSUPP))),
    // Nobody's: pid 0, uid -1, gid -1.
    Row(SO_PEERCRED, How::Octets(|_, _| Ok([0, -1, -1].map(i32::to_ne_bytes).concat()), read_only)),
    Row(SO_RCVLOWAT, How::Int(receive_low_water, set_receive_low_water)),
    Row(SO_SNDLOWAT, How::Read(|_| Ok(1))),
    Row(SO_RCVTIMEO, How::Octets(receive_timeout, set_receive_timeout)),
    Row(SO_SNDTIMEO, How::Octets(send_timeout, set_send_timeout)),
    Row(SO_RCVTIMEO_NEW, How::Octets(receive_timeout, set_receive_timeout)),
    Row(SO_SNDTIMEO_NEW, How::Octets(send_timeout, set_send_timeout)),
    Row(SO_BINDTODEVICE, How::Octets(|_, _| Ok(Vec::new()), bind_to_device)),
    // No filter can be attached.
    Row(SO_DETACH_FILTER, How::Int(no_option, |_, _| Err(Errno::NOENT))),
    Row(SO_LOCK_FILTER, How::Stays(off, flag)),
    Row(SO_TIMESTAMP, How::Stays(off, flag)),
    Row(SO_TIMESTAMPNS, How::Stays(off, flag)),
    Row(SO_TIMESTAMP_NEW, How::Stays(off, flag)),
    Row(SO_TIMESTAMPNS_NEW, How::Stays(off, flag)),
    Row(SO_TIMESTAMPING, How::Octets(|_, _| Ok(vec![0; 8]), set_timestamping)),
    Row(SO_TIMESTAMPING_NEW, How::Octets(|_, _| Ok(vec![0; 8]), set_timestamping)),
    Row(SO_ACCEPTCONN, How::Read(accepts)),
    Row(SO_MARK, How::Hint(0, any)),
    Row(SO_RCVMARK, How::Stays(off, flag)),
    Row(SO_PROTOCOL, How::Read(|f| Ok(if f.kind == Kind::Stream { IPPROTO_TCP } else { IPPROTO_UDP }))),
    Row(SO_DOMAIN, How::Read(|f| Ok(if f.family == Family::V4 { AF_INET } else { AF_INET6 }))),
    Row(SO_RXQ_OVFL, How::Stays(off, flag)),
    Row(SO_WIFI_STATUS, How::Stays(off, flag)),
    Row(SO_PEEK_OFF, How::Stays(|_| Ok(-1), any)),
    // No error is ever queued.
    Row(SO_SELECT_ERR_QUEUE, How::Hint(0, flag)),
    Row(SO_BUSY_POLL, How::Hint(0, natural)),
    Row(SO_PREFER_BUSY_POLL, How::Hint(0, flag)),
    Row(SO_BUSY_POLL_BUDGET, How::Int(no_option, |_, v| within::<0, 0xffff>(v).map(drop))),
    Row(SO_MAX_PACING_RATE, How::Octets(max_pacing_rate, set_max_pacing_rate)),
    Row(SO_INCOMING_CPU, How::Hint(-1, any)),
    Row(SO_INCOMING_NAPI_ID, How::Read(off)),
    Row(SO_MEMINFO, How::Octets(memory, read_only)),
    Row(SO_COOKIE, How::Octets(cookie, read_only)),
    Row(SO_ZEROCOPY, How::Stays(off, within::<0, 1>)),
    Row(SO_BINDTOIFINDEX, How::Stays(off, natural)),
    Row(SO_TXREHASH, How::Int(rehash, set_rehash)),
];

fn no_option(_: &File) -> Result<i32> {
    Err(Errno::NOPROTOOPT)
}

fn not_supported(_: &File) -> Result<i32> {
    Err(Errno::OPNOTSUPP)
}

fn take_error(file: &File) -> Result<i32> {
    file.call(|stack, id, _| Ok(stack.take_error(id).map_or(0, Error::errno)))
}

fn accepts(file: &File) -> Result<i32> {
    file.query(|stack, id| Ok(i32::from(stack.state(id) == Some(State::Listen))))
}

/// Linux counts a buffer with what the kernel needs to hold it, so it doubles what a program asks for; of a TCP
/// receive buffer half is for data, of a UDP queue all but what each datagram costs. A send buffer holds nearly all of
/// it, since what is written lies in long runs.
fn doubled(file: &File, octets: u32) -> i32 {
    let shown = if file.kind == Kind::Stream { octets.saturating_mul(2) } else { octets };
    i32::try_from(shown).unwrap_or(i32::MAX)
}

fn of_doubled(file: &File, octets: u32) -> u32 {
    if file.kind == Kind::Stream { octets / 2 } else { octets }
}

/// What a program may ask for; as in Linux a negative number is a large one.
fn limited(value: i32) -> u32 {
    value.cast_unsigned().min(MOST) * 2
}

/// The same without the limit. Linux wants `CAP_NET_ADMIN` for it, which is no matter of a stack in the program's own
/// process.
fn forced(value: i32) -> u32 {
    value.max(0).cast_unsigned().min(i32::MAX.cast_unsigned() / 2) * 2
}

fn send_buffer(file: &File) -> Result<i32> {
    Ok(i32::try_from(file.options()?.send_buffer).unwrap_or(i32::MAX))
}

fn set_send_buffer(file: &File, octets: u32) -> Result<()> {
    file.change_options(|options| {
        options.send_buffer = octets.max(LEAST_SEND);
        options.buffer_lock |= BufferLock::SEND;
    })
}

fn receive_buffer(file: &File) -> Result<i32> {
    Ok(doubled(file, file.options()?.receive_buffer))
}

fn set_receive_buffer(file: &File, octets: u32) -> Result<()> {
    let octets = of_doubled(file, octets.max(LEAST_RECEIVE));
    file.change_options(|options| {
        options.receive_buffer = octets;
        options.buffer_lock |= BufferLock::RECEIVE;
    })
}

fn buffer_lock(file: &File) -> Result<i32> {
    Ok(file.options()?.buffer_lock.bits().into())
}

/// What is taken out of it grows again from where it is.
fn set_buffer_lock(file: &File, value: i32) -> Result<()> {
    let lock = u8::try_from(value).ok().and_then(BufferLock::from_bits).ok_or(Errno::INVAL)?;
    file.change_options(|options| options.buffer_lock = lock)
}

fn receive_low_water(file: &File) -> Result<i32> {
    Ok(i32::try_from(file.options()?.receive_low_water).unwrap_or(i32::MAX))
}

/// Negative is as much as there can be: of a TCP connection what its buffer takes or may grow to. UDP takes no notice.
fn set_receive_low_water(file: &File, value: i32) -> Result<()> {
    let octets = if value < 0 { i32::MAX } else { value.max(1) };
    file.change_options(|options| options.receive_low_water = octets.cast_unsigned())
}

/// `struct linger`: `l_onoff`, `l_linger` in seconds. Switched off it keeps its time, as in Linux.
fn linger(file: &File, _: usize) -> Result<Vec<u8>> {
    let kept = || file.hints.get(SOL_SOCKET, SO_LINGER).unwrap_or(0);
    let (on, seconds) = match file.options()?.linger {
        Some(time) => (1, (time.as_secs() as u32).cast_signed()),
        None => (0, kept()),
    };
    Ok([on, seconds].map(i32::to_ne_bytes).concat())
}

fn set_linger(file: &File, value: &[u8]) -> Result<()> {
    let (Some(on), Some(seconds)) = (int(value), value.get(4..).and_then(int)) else {
        return Err(Errno::INVAL);
    };
    if on != 0 {
        file.hints.set(SOL_SOCKET, SO_LINGER, seconds);
    }
    let time = Duration::from_secs(seconds.cast_unsigned().into());
    file.change_options(|options| options.linger = (on != 0).then_some(time))
}

/// A wait that is over before it begins: what a negative time means.
const AT_ONCE: Duration = Duration::from_nanos(1);

/// `struct timeval` of 64-bit Linux, which is also that of the new names.
fn timeval(time: Option<Duration>) -> Vec<u8> {
    let time = time.unwrap_or_default();
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    [seconds, time.subsec_micros().into()].map(i64::to_ne_bytes).concat()
}

fn of_timeval(value: &[u8]) -> Result<Option<Duration>> {
    let long = |at: usize| value.get(at..)?.first_chunk().map(|octets| i64::from_ne_bytes(*octets));
    let (Some(seconds), Some(micros)) = (long(0), long(8)) else { return Err(Errno::INVAL) };
    let Some(micros) = u32::try_from(micros).ok().filter(|micros| *micros < 1_000_000) else {
        return Err(Errno::DOM);
    };
    let Ok(seconds) = u64::try_from(seconds) else { return Ok(Some(AT_ONCE)) };
    let time = Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros.into()));
    // What no clock will see is for ever.
    let endless = time.is_zero() || u64::try_from(time.as_nanos()).is_err();
    Ok((!endless).then_some(time))
}

fn set_timeout(
    file: &File,
    value: &[u8],
    set: fn(&Socket, Option<Duration>) -> io::Result<()>,
) -> Result<()> {
    set(&file.socket, of_timeval(value)?).map_err(super::super::file::errno)
}

fn receive_timeout(file: &File, _: usize) -> Result<Vec<u8>> {
    Ok(timeval(file.socket.read_timeout()))
}

fn set_receive_timeout(file: &File, value: &[u8]) -> Result<()> {
    set_timeout(file, value, Socket::set_read_timeout)
}

fn send_timeout(file: &File, _: usize) -> Result<Vec<u8>> {
    Ok(timeval(file.socket.write_timeout()))
}

fn set_send_timeout(file: &File, value: &[u8]) -> Result<()> {
    set_timeout(file, value, Socket::set_write_timeout)
}

/// There is one device, and it has no name here: only to be bound to none can be asked for.
fn bind_to_device(_: &File, value: &[u8]) -> Result<()> {
    if value.first().is_none_or(|octet| *octet == 0) { Ok(()) } else { Err(Errno::NODEV) }
}

fn set_timestamping(_: &File, value: &[u8]) -> Result<()> {
    match int(value) {
        None => Err(Errno::INVAL),
        Some(0) => Ok(()),
        Some(_) => Err(Errno::NOPROTOOPT),
    }
}

/// `unsigned long`, octets a second, with all ones for no limit; or 32 bits of it where there is room for no more.
fn max_pacing_rate(file: &File, room: usize) -> Result<Vec<u8>> {
    let rate = file.options()?.max_pacing_rate;
    let short = || u32::try_from(rate).unwrap_or(u32::MAX).to_ne_bytes().to_vec();
    Ok(if room < 8 { short() } else { rate.to_ne_bytes().to_vec() })
}

fn set_max_pacing_rate(file: &File, value: &[u8]) -> Result<()> {
    let rate = match (value.first_chunk(), value.first_chunk()) {
        (Some(octets), _) => u64::from_ne_bytes(*octets),
        (None, Some(octets)) => match u32::from_ne_bytes(*octets) {
            u32::MAX => u64::MAX,
            rate => rate.into(),
        },
        (None, None) => return Err(Errno::INVAL),
    };
    file.change_options(|options| options.max_pacing_rate = rate)
}

/// What lies in the receive buffer, its size, what is in flight, the send buffer's size, and what lies in that, where
/// Linux has them; memory kept in advance, of options, behind a lock and the datagrams dropped are 0.
fn memory(file: &File, _: usize) -> Result<Vec<u8>> {
    let [send, receive] = [send_buffer(file)?, receive_buffer(file)?];
    let info = file.query(|stack, id| Ok(stack.tcp_info(id)))?;
    let count = |octets: usize| i32::try_from(octets).unwrap_or(i32::MAX);
    let [unread, written, unsent] =
        info.map_or([0; 3], |info| [info.receive_queue, info.send_queue, info.unsent].map(count));
    let fields = [unread, receive, written.saturating_sub(unsent).max(0), send, 0, written, 0, 0, 0];
    Ok(fields.map(i32::to_ne_bytes).concat())
}

fn cookie(file: &File, room: usize) -> Result<Vec<u8>> {
    let id = file.socket.id();
    let shard = u64::from(id.shard()) << 56;
    let cookie = (shard ^ u64::from(id.generation()) << 32 | u64::from(id.index())).wrapping_add(1);
    if room < size_of_val(&cookie) { Err(Errno::INVAL) } else { Ok(cookie.to_ne_bytes().to_vec()) }
}

/// Whether a hash of the path is chosen anew after a time-out, which no path of ours depends on.
fn rehash(file: &File) -> Result<i32> {
    match file.kind {
        Kind::Stream => Ok(file.hints.get(SOL_SOCKET, SO_TXREHASH).unwrap_or(1)),
        Kind::Datagram => Err(Errno::OPNOTSUPP),
    }
}

fn set_rehash(file: &File, value: i32) -> Result<()> {
    rehash(file)?;
    let value = within::<-1, 1>(value)?;
    file.hints.set(SOL_SOCKET, SO_TXREHASH, if value == -1 { 1 } else { value });
    Ok(())
}
