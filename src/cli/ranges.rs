//! The Range header as RFC 9110 section 14 wants it read, before it goes to the library that serves the file:
//! that one takes it for any method and unit, and refuses some that are to be honoured or ignored.

use hyper::header::{HeaderValue, IF_RANGE, RANGE};
use hyper::{Method, Request};

/// Takes the header away where the whole file is the answer, and puts it as the library understands it.
/// `len`: the file's length, octets.
pub(crate) fn prepare<B>(request: &mut Request<B>, len: u64) {
    let Some(range) = request.headers().get(RANGE) else { return };
    // Section 14.2: defined for GET alone. Section 13.1.5: a condition that cannot be shown to hold does not
    // hold, and there are no strong validators here. An empty file has no part.
    let whole = request.method() != Method::GET || request.headers().contains_key(IF_RANGE) || len == 0;
    let range = match range.to_str() {
        Ok(range) if !whole => understood(range, len),
        _ => None,
    };
    match range {
        Some(range) => request.headers_mut().insert(RANGE, range),
        None => request.headers_mut().remove(RANGE),
    };
}

/// The header's value; `None` for a unit that is to be ignored.
fn understood(range: &str, len: u64) -> Option<HeaderValue> {
    let (unit, set) = range.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let set = set.trim();
    // Section 14.1.2: the last so many octets of a file that has fewer are all of it.
    let suffix = set.strip_prefix('-').filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if suffix.is_some_and(|n| n.parse().is_ok_and(|n: u64| n >= len) || n.parse::<u64>().is_err()) {
        return Some(HeaderValue::from_static("bytes=0-"));
    }
    HeaderValue::try_from(format!("bytes={set}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(method: Method, headers: &[(&'static str, &str)], len: u64) -> Option<String> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        prepare(&mut request, len);
        request.headers().get(RANGE).map(|v| v.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_header_is_left_or_put_right() {
        for (from, to) in [
            ("bytes=0-9", "bytes=0-9"),
            ("BYTES=5-", "bytes=5-"),
            ("bytes=-99", "bytes=-99"),
            ("bytes=-100", "bytes=0-"),
            ("bytes=-99999999999999999999999", "bytes=0-"),
            ("bytes=-0", "bytes=-0"),
            ("bytes=-", "bytes=-"),
            ("bytes=100-", "bytes=100-"),
            ("bytes=0-1,4-5", "bytes=0-1,4-5"),
        ] {
            assert_eq!(prepared(Method::GET, &[("range", from)], 100).as_deref(), Some(to), "{from}");
        }
    }

    #[test]
    fn the_whole_file_is_the_answer() {
        let range = ("range", "bytes=0-9");
        assert_eq!(prepared(Method::HEAD, &[range], 100), None);
        assert_eq!(prepared(Method::GET, &[range], 0), None);
        assert_eq!(prepared(Method::GET, &[range, ("if-range", "\"tag\"")], 100), None);
        assert_eq!(prepared(Method::GET, &[("range", "lines=1-2")], 100), None);
        assert_eq!(prepared(Method::GET, &[("range", "nonsense")], 100), None);
        assert_eq!(prepared(Method::GET, &[], 100), None);
    }
}
