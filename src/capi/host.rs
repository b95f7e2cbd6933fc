//! The one stack of the process: started, stopped, and what went wrong with it.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use libc::{c_char, c_int, c_uint};
use rust::bsd::{Errno, Result, Sockets};
use rust::core::addr::Prefix;
use rust::device::Device;
use rust::device::pipe::Pipe;
use rust::device::setup::{TunConfig, bring_up};
use rust::engine::Engine;
use rust::prelude::Config;

use crate::address::{done, fail};

struct Host {
    sockets: Sockets,
    /// Without a device: the far end of the wire, where nobody is.
    _nobody: Option<Pipe>,
}

static HOST: RwLock<Option<Host>> = RwLock::new(None);

thread_local! {
    static WHY: RefCell<CString> = RefCell::default();
}

/// The calls; `ENETDOWN` before the stack is started.
pub(crate) fn sockets() -> Result<Sockets> {
    let host = HOST.read().unwrap_or_else(PoisonError::into_inner);
    host.as_ref().map(|host| host.sockets.clone()).ok_or(Errno::NETDOWN)
}

/// Keeps what went wrong for `tunstack_error`, and gives -1.
fn explain(errno: Errno, why: &str) -> c_int {
    let text = CString::new(why.replace('\0', " ")).unwrap_or_default();
    WHY.with(|last| *last.borrow_mut() = text);
    fail(errno)
}

/// An address with the length of its prefix, such as "10.7.0.2/24"; null and "" are none.
///
/// # Safety
/// `text` is null or a C string.
unsafe fn prefix(text: *const c_char) -> std::result::Result<Option<Prefix>, String> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, and so a C string.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || format!("\"{text}\" is no address with a prefix, such as 10.7.0.2/24 or fd07::2/64");
    let (address, length) = text.split_once('/').ok_or_else(wrong)?;
    let ip: std::net::IpAddr = address.parse().map_err(|_| wrong())?;
    let length: u8 = length.parse().map_err(|_| wrong())?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    if length > most {
        return Err(wrong());
    }
    Ok(Some(Prefix::new(ip.into(), length)))
}

/// Starts the stack: makes the TUN device `device` ("tun0" when null), brings it up with the stack at `address`
/// ("10.7.0.2/24") and
/// `address6` ("fd07::2/64"), either of which may be null, and the host at the first other address of each prefix.
///
/// Returns 0, or -1 with `errno`, where `tunstack_error` says it in words: `EPERM` or `EACCES` without the right
/// to make devices, `EBUSY` when the device is in use, `EINVAL` for an address that is none, `EALREADY` when the stack runs.
///
/// # Safety
/// Each argument is null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_start(
    device: *const c_char,
    address: *const c_char,
    address6: *const c_char,
) -> c_int {
    // SAFETY: as the caller promises.
    let (addr, addr6) = match unsafe { (prefix(address), prefix(address6)) } {
        (Ok(addr), Ok(addr6)) => (addr, addr6),
        (Err(why), _) | (_, Err(why)) => return explain(Errno::INVAL, &why),
    };
    let name = if device.is_null() {
        "tun0".to_owned()
    } else {
        // SAFETY: not null, and so a C string.
        unsafe { CStr::from_ptr(device) }.to_string_lossy().into_owned()
    };
    let tun = TunConfig { name: Some(name), addr, addr6, ..TunConfig::default() };
    let addresses = addr.into_iter().chain(addr6).collect();
    start(addresses, None, || {
        bring_up(&tun).map_err(|error| {
            let errno = std::error::Error::source(&error)
                .and_then(|e| e.downcast_ref::<std::io::Error>())
                .and_then(Errno::from_io_error);
            (errno.unwrap_or(Errno::IO), error.to_string())
        })
    })
}

/// Starts the stack without a device: its sockets reach each other at 127.0.0.1 and ::1, and nobody else. Needs no
/// right.
///
/// Returns 0, or -1 with `errno`.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_start_alone() -> c_int {
    match Pipe::pair(1500) {
        Ok((device, nobody)) => start(Vec::new(), Some(nobody), || Ok(device)),
        Err(error) => explain(Errno::from_io_error(&error).unwrap_or(Errno::IO), &error.to_string()),
    }
}

/// From now on the functions of this library are calls of `sockets`: for a Rust program that made the stack itself, which
/// has to outlive them.
pub fn adopt(sockets: Sockets) {
    let mut host = HOST.write().unwrap_or_else(PoisonError::into_inner);
    *host = Some(Host { sockets, _nobody: None });
}

fn start<D: Device + 'static>(
    addresses: Vec<Prefix>,
    nobody: Option<Pipe>,
    device: impl FnOnce() -> std::result::Result<D, (Errno, String)>,
) -> c_int {
    let mut host = HOST.write().unwrap_or_else(PoisonError::into_inner);
    if host.is_some() {
        return explain(Errno::ALREADY, "the stack runs already: tunstack_stop() ends it");
    }
    let device = match device() {
        Ok(device) => device,
        Err((errno, why)) => return explain(errno, &why),
    };
    let config = Config { addresses, ..Config::default() };
    match Engine::builder().device(device).config(config).start() {
        Ok(engine) => {
            *host = Some(Host { sockets: Sockets::new(&engine), _nobody: nobody });
            0
        }
        Err(error) => explain(Errno::from_io_error(&error).unwrap_or(Errno::IO), &error.to_string()),
    }
}

/// Ends the stack in order: connections deliver what was written and close; what has not ended after
/// `milliseconds` is reset. Calls that wait give `ESHUTDOWN`; descriptors that are still open are dead and are closed.
///
/// Returns 0, or -1 with `errno`: `ETIMEDOUT` when connections had to be reset, `ENETDOWN` when no stack ran.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_stop(milliseconds: c_uint) -> c_int {
    let host = HOST.write().unwrap_or_else(PoisonError::into_inner).take();
    let Some(host) = host else { return explain(Errno::NETDOWN, "no stack runs") };
    let ended = host.sockets.engine().shutdown(Duration::from_millis(milliseconds.into()));
    done(ended.map_err(|error| match error.kind() {
        std::io::ErrorKind::TimedOut => Errno::TIMEDOUT,
        _ => Errno::from_io_error(&error).unwrap_or(Errno::IO),
    }))
}

/// What went wrong with the last `tunstack_start` of this thread, in words and with what to do about it. Valid until the
/// thread's next call of a function of this library that fails; never null.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_error() -> *const c_char {
    WHY.with(|last| last.borrow().as_ptr())
}
