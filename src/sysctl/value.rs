//! Values as Linux takes them.

use std::fmt;

use tunstack_core::tcp::fast_open::secret::{self, Secrets};

/// What a sysctl takes. As text it completes "takes …".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Values {
    /// One number, limits included.
    Number(i64, i64),
    /// Up to three, each from 1 to 2³¹ − 1: the least, the default, the most.
    Triple,
    /// Two ports, the second not below the first.
    Ports,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The name of an algorithm of congestion control that is there.
    Algorithm,
    /// One secret or two, each of four words in hexadecimal.
    Secrets,
    /// Anything on one line.
    Text,
}

/// The largest `int`, which most sysctls are.
pub(super) const INT: u32 = i32::MAX.cast_unsigned();

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(0, 1) => write!(f, "0 or 1"),
            Self::Number(least, most) => write!(f, "a number from {least} to {most}"),
            Self::Triple => write!(f, "up to three numbers from 1 to {INT}"),
            Self::Ports => write!(f, "two ports from 1 to 65535, the lower one first"),
            Self::Word(words) => write!(f, "one of {}", words.join(", ")),
            Self::Algorithm => write!(f, "the name of an algorithm that is there"),
            Self::Text => write!(f, "one line of text"),
            Self::Secrets => write!(
                f,
                "four hexadecimal numbers of 32 bits with - between them, or eight: four, a comma, four"
            ),
        }
    }
}

impl Values {
    /// Whether `text` is such a value.
    pub(super) fn take(self, text: &str) -> bool {
        match self {
            Self::Number(least, most) => number(text, least, most).is_some(),
            Self::Triple => triple(text).is_some(),
            Self::Ports => ports(text).is_some(),
            Self::Word(words) => words.contains(&text.trim()),
            Self::Algorithm | Self::Text => !text.trim().is_empty() && !text.trim().contains('\n'),
            Self::Secrets => secrets(text).is_some(),
        }
    }
}

/// A number as C writes it, within limits.
pub(super) fn number(text: &str, least: i64, most: i64) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(rest) => (rest, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i64::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    (least..=most).contains(&value).then_some(value)
}

/// The same where it is not negative.
pub(super) fn unsigned(text: &str, least: u32, most: u32) -> Option<u32> {
    number(text, least.into(), most.into()).and_then(|n| u32::try_from(n).ok())
}

/// The least, the default, the most: those that are there.
pub(super) fn triple(text: &str) -> Option<[Option<u32>; 3]> {
    let mut words = text.split_whitespace();
    let mut three = [None; 3];
    for place in &mut three {
        if let Some(word) = words.next() {
            *place = Some(unsigned(word, 1, INT)?);
        }
    }
    (words.next().is_none() && three[0].is_some()).then_some(three)
}

/// The first and the last.
pub(super) fn ports(text: &str) -> Option<(u16, u16)> {
    let mut words = text.split_whitespace();
    let mut next = || unsigned(words.next()?, 1, 0xffff).and_then(|n| u16::try_from(n).ok());
    let (low, high) = (next()?, next()?);
    (words.next().is_none() && low <= high).then_some((low, high))
}

/// `a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4`, and another behind a comma. Each word stands in memory with its lowest octet
/// first.
pub(super) fn secrets(text: &str) -> Option<Secrets> {
    let one = |text: &str| {
        let mut secret = [0; secret::LEN];
        let mut words = text.split('-');
        for place in secret.as_chunks_mut::<4>().0 {
            let word = words.next().filter(|word| (1..=8).contains(&word.len()) && !word.starts_with('+'))?;
            *place = u32::from_str_radix(word, 16).ok()?.to_le_bytes();
        }
        words.next().is_none().then_some(secret)
    };
    let (primary, backup) = match text.trim().split_once(',') {
        Some((primary, backup)) => (primary, Some(one(backup)?)),
        None => (text.trim(), None),
    };
    Some(Secrets { primary: one(primary)?, backup })
}

/// Whether these are the secrets that Linux shows before it has made any.
pub(super) fn is_unmade(text: &str) -> bool {
    secrets(text) == Some(Secrets { primary: [0; secret::LEN], backup: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_c() {
        let any = |text| number(text, i64::MIN, i64::MAX);
        assert_eq!(any(" 15\n"), Some(15));
        assert_eq!(any("0x70403"), Some(0x70403));
        assert_eq!(any("010"), Some(8));
        assert_eq!((any("0"), any("-1")), (Some(0), Some(-1)));
        for wrong in ["", "-", "+1", "0x", "0x+1", "--1", "1 2", "09", "1s", "99999999999999999999", "-+1"] {
            assert_eq!(any(wrong), None, "{wrong}");
        }
        assert_eq!((number("3", 1, 2), number("0", 1, 2), number("2", 1, 2)), (None, None, Some(2)));
    }

    #[test]
    fn secrets_are_words_whose_lowest_octet_is_first() {
        let one = secrets("a0bf63f7-ed803d81-cd641d30-1\n").unwrap();
        assert_eq!(one.primary, *b"\xf7\x63\xbf\xa0\x81\x3d\x80\xed\x30\x1d\x64\xcd\x01\0\0\0");
        assert_eq!(one.backup, None);
        let two = secrets("0-0-0-0,a0bf63f7-ed803d81-cd641d30-1").unwrap();
        assert_eq!((two.primary, two.backup), ([0; 16], Some(one.primary)));
        for wrong in [
            "",
            "0",
            "0-0-0",
            "0-0-0-0-0",
            "0-0-0-",
            "0-0-0-g",
            "0-0-0-+1",
            "0-0-0-123456789",
            "0-0-0-0,",
            "0-0-0-0,1",
            "a\nb",
        ] {
            assert_eq!(secrets(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn several_have_blanks_between_them() {
        assert_eq!(triple("4096\t131072 6291456\n"), Some([Some(4096), Some(131_072), Some(6_291_456)]));
        assert_eq!(triple("4096"), Some([Some(4096), None, None]));
        for wrong in ["", "1 2 3 4", "1 0 3", "1,2,3", "1 2 2147483648", "1 -2 3"] {
            assert_eq!(triple(wrong), None, "{wrong}");
        }
        assert_eq!(ports("32768 60999"), Some((32_768, 60_999)));
        assert_eq!(ports("7 7"), Some((7, 7)));
        for wrong in ["", "1", "2 1", "0 1", "1 65536", "1 2 3"] {
            assert_eq!(ports(wrong), None, "{wrong}");
        }
    }
}
