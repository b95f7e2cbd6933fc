//! What the TCP User Timeout Option says, and what it is told to (RFC 5482).

use core::num::NonZeroU16;

use crate::time::Duration;

/// The granularity bit: minutes, not seconds.
const MINUTES: u16 = 1 << 15;

/// A time as the option has it: whole seconds up to 9 hours, whole minutes up to 22 days, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UserTimeout(NonZeroU16);

impl UserTimeout {
    /// A time, rounded up to what the option can say, and 32767 minutes at the most. `None` for zero, which it cannot.
    pub fn new(time: Duration) -> Option<Self> {
        let seconds = time.as_millis().div_ceil(1000);
        let field = match u16::try_from(seconds).ok().filter(|seconds| *seconds < MINUTES) {
            Some(seconds) => seconds,
            None => MINUTES | u16::try_from(seconds.div_ceil(60)).map_or(!MINUTES, |n| n.min(!MINUTES)),
        };
        Self::from_field(field)
    }

    /// From the field of the option, with its granularity bit; `None` for the two values that are reserved.
    //= https://www.rfc-editor.org/rfc/rfc5482#section-3.4
    //# Current TCP implementations MUST NOT send it and MUST ignore it upon reception.
    pub const fn from_field(field: u16) -> Option<Self> {
        match NonZeroU16::new(field) {
            Some(value) if field & !MINUTES != 0 => Some(Self(value)),
            _ => None,
        }
    }

    /// The field of the option.
    pub const fn field(self) -> u16 {
        self.0.get()
    }

    /// The time.
    //= https://www.rfc-editor.org/rfc/rfc5482#section-3.3
    //# When set (G = 1), the time interval in the "User Timeout" field MUST be interpreted as minutes.
    //= https://www.rfc-editor.org/rfc/rfc5482#section-3.3
    //# Otherwise (G = 0), the time interval in the "User Timeout" field MUST be interpreted as seconds.
    //= https://www.rfc-editor.org/rfc/rfc5482#section-3.3
    //# It MUST be interpreted as a 15-bit unsigned integer.
    pub const fn time(self) -> Duration {
        let (field, count) = (self.field(), (self.field() & !MINUTES) as u64);
        Duration::from_secs(if field & MINUTES == 0 { count } else { 60 * count })
    }
}

/// How the option is used: by a socket, or by all that say nothing else. Off by default, as RFC 5482 §3 has it.
//= https://www.rfc-editor.org/rfc/rfc5482#section-3
//# TCP implementations MAY provide system-wide default settings for the ENABLED, ADV_UTO and CHANGEABLE
//# connection parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UserTimeoutOption {
    /// ENABLED: it is sent, and heeded. Best set before the connection is opened.
    pub enabled: bool,
    /// CHANGEABLE: what the peer advertises changes how long data may stay unacknowledged. `None`: where no
    /// `user_timeout` is set.
    pub changeable: Option<bool>,
    /// ADV_UTO: what the peer is told. `None`: `user_timeout` where that is set, and else R2.
    pub advertised: Option<UserTimeout>,
}

#[cfg(test)]
mod tests {
    use super::*;

    //= https://www.rfc-editor.org/rfc/rfc5482#section-3.3
    //= type=test
    //= id=rfc5482-3.3-4, rfc5482-3.3-5, rfc5482-3.3-6
    #[test]
    fn seconds_and_minutes_of_fifteen_bits() {
        let time = |field| UserTimeout::from_field(field).map(UserTimeout::time);
        assert_eq!(time(1), Some(Duration::from_secs(1)));
        assert_eq!(time(0x7fff), Some(Duration::from_secs(32_767)));
        assert_eq!(time(0x8001), Some(Duration::from_secs(60)));
        assert_eq!(time(0xffff), Some(Duration::from_secs(60 * 32_767)));
    }

    //= https://www.rfc-editor.org/rfc/rfc5482#section-3.4
    //= type=test
    //# Current TCP implementations MUST NOT send it and MUST ignore it upon reception.
    #[test]
    fn zero_is_neither_read_nor_made() {
        assert_eq!([0, 0x8000].map(UserTimeout::from_field), [None; 2]);
        assert_eq!(UserTimeout::new(Duration::ZERO), None);
    }

    #[test]
    fn a_time_is_rounded_up_to_what_can_be_said() {
        let field = |time| UserTimeout::new(time).map(UserTimeout::field);
        assert_eq!(field(Duration::from_millis(1)), Some(1));
        assert_eq!(field(Duration::from_millis(924_600)), Some(925));
        assert_eq!(field(Duration::from_secs(32_767)), Some(0x7fff));
        assert_eq!(field(Duration::from_secs(32_768)), Some(0x8000 | 547));
        assert_eq!(field(Duration::from_secs(u64::from(u32::MAX))), Some(0xffff));
    }
}
