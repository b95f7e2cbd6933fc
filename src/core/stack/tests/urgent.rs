//! Urgent data, in line and beside the stream, as Linux gives it.

use super::raw::Raw;
use super::*;
use crate::sockopt::SocketOptions;

/// A connection whose second end reads urgent data in line or beside the stream.
struct Ends {
    p: Pair,
    from: SocketId,
    to: SocketId,
}

impl Ends {
    fn new(oob_inline: bool) -> Self {
        let mut p = Pair::new();
        let (from, to) = p.connected();
        let mut ends = Self { p, from, to };
        ends.set(|o| o.oob_inline = oob_inline);
        ends
    }

    fn set(&mut self, change: impl Fn(&mut SocketOptions)) {
        let mut options = self.p.hosts[1].options(self.to).unwrap();
        change(&mut options);
        let now = self.p.now;
        self.p.hosts[1].set_options(self.to, options, now).unwrap();
    }

    fn settle(&mut self) {
        let end = self.p.now + Duration::from_secs(2);
        self.p.run(|p| p.now >= end);
    }

    fn write(&mut self, data: &[u8]) {
        let now = self.p.now;
        assert_eq!(self.p.hosts[0].try_write(self.from, data, now), Ok(data.len()));
        self.settle();
    }

    fn urgent(&mut self, data: &[u8]) {
        let now = self.p.now;
        assert_eq!(self.p.hosts[0].try_write_urgent(self.from, data, now), Ok(data.len()));
        self.settle();
    }

    fn read(&mut self, n: usize) -> Result<Vec<u8>, Error> {
        let mut buf = vec![0; n];
        let got = self.p.hosts[1].try_read(self.to, &mut buf)?;
        buf.truncate(got);
        Ok(buf)
    }

    fn peek(&mut self) -> Result<Vec<u8>, Error> {
        let mut buf = vec![0; 9];
        let got = self.p.hosts[1].try_peek(self.to, &mut buf)?;
        buf.truncate(got);
        Ok(buf)
    }

    fn oob(&mut self) -> Result<Option<u8>, Error> {
        self.p.hosts[1].try_read_urgent(self.to, false)
    }

    /// Readable, urgent, at the mark, octets to read before it.
    #[track_caller]
    fn stands(&self, readable: bool, urgent: bool, mark: bool, unread: usize) {
        let host = &self.p.hosts[1];
        let ready = host.readiness(self.to);
        let is = (ready.contains(Readiness::READABLE), ready.contains(Readiness::URGENT));
        let rest = (host.at_mark(self.to).unwrap(), host.unread(self.to).unwrap());
        assert_eq!((is, rest), ((readable, urgent), (mark, unread)));
    }
}

#[test]
fn nothing_announced() {
    for inline in [false, true] {
        let mut e = Ends::new(inline);
        assert_eq!(e.oob(), Err(Error::Invalid));
        e.stands(false, false, false, 0);
    }
}

#[test]
fn one_octet_alone() {
    let mut e = Ends::new(false);
    e.urgent(b"x");
    e.stands(false, true, true, 0);
    assert_eq!(e.p.hosts[1].try_read_urgent(e.to, true), Ok(Some(b'x')));
    e.stands(false, true, true, 0);
    assert_eq!(e.oob(), Ok(Some(b'x')));
    e.stands(false, false, true, 0);
    assert_eq!(e.oob(), Err(Error::Invalid));
    assert_eq!(e.read(9), Err(Error::WouldBlock));
    e.stands(false, false, false, 0);
    e.write(b"abc");
    assert_eq!(e.read(9).unwrap(), b"abc");
}

#[test]
fn a_read_passes_by_the_octet_nobody_took() {
    let mut e = Ends::new(false);
    e.urgent(b"x");
    assert_eq!(e.read(9), Err(Error::WouldBlock));
    e.stands(false, false, false, 0);
    assert_eq!(e.oob(), Err(Error::Invalid));
    e.write(b"abc");
    e.stands(true, false, false, 3);
    assert_eq!(e.read(9).unwrap(), b"abc");
}

#[test]
fn reading_ends_at_the_mark_and_goes_on_behind_it() {
    let mut e = Ends::new(false);
    e.write(b"hello");
    e.urgent(b"!");
    e.write(b"world");
    e.stands(true, true, false, 5);
    assert_eq!(e.peek().unwrap(), b"hello");
    assert_eq!(e.read(3).unwrap(), b"hel");
    assert_eq!(e.read(9).unwrap(), b"lo");
    e.stands(true, true, true, 0);
    assert_eq!(e.peek().unwrap(), b"world");
    e.stands(true, true, true, 0);
    assert_eq!(e.read(2).unwrap(), b"wo");
    e.stands(true, false, false, 3);
    assert_eq!(e.p.hosts[1].try_read_bytes(e.to, 9).unwrap(), &b"rld"[..]);
    assert_eq!(e.oob(), Err(Error::Invalid));
}

#[test]
fn the_mark_stands_when_the_octet_was_taken() {
    let mut e = Ends::new(false);
    e.urgent(b"abc");
    e.stands(true, true, false, 2);
    assert_eq!(e.oob(), Ok(Some(b'c')));
    e.stands(true, false, false, 2);
    assert_eq!(e.read(9).unwrap(), b"ab");
    e.stands(false, false, true, 0);
    e.write(b"d");
    e.stands(true, false, true, 0);
    assert_eq!(e.read(9).unwrap(), b"d");
    e.stands(false, false, false, 0);
}

#[test]
fn a_second_makes_the_first_ordinary() {
    let mut e = Ends::new(false);
    e.urgent(b"abc");
    e.urgent(b"de");
    e.stands(true, true, false, 4);
    assert_eq!(e.read(9).unwrap(), b"abcd");
    e.stands(false, true, true, 0);
    assert_eq!(e.oob(), Ok(Some(b'e')));
    assert_eq!(e.read(9), Err(Error::WouldBlock));
}

/// The reader stands before the first: it is passed by.
#[test]
fn a_second_behind_the_reader_leaves_the_first_out() {
    for taken in [false, true] {
        let mut e = Ends::new(false);
        e.write(b"xy");
        e.urgent(b"a");
        assert_eq!(e.read(9).unwrap(), b"xy");
        if taken {
            assert_eq!(e.oob(), Ok(Some(b'a')));
        }
        e.urgent(b"b");
        e.stands(false, true, true, 0);
        assert_eq!(e.oob(), Ok(Some(b'b')));
        assert_eq!(e.read(9), Err(Error::WouldBlock));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.5
//= type=test
//= id=MUST-30
#[test]
fn in_line_it_is_an_octet_with_a_mark() {
    let mut e = Ends::new(true);
    e.urgent(b"abc");
    e.write(b"de");
    e.stands(true, true, false, 5);
    assert_eq!(e.oob(), Err(Error::Invalid));
    assert_eq!(e.read(9).unwrap(), b"ab");
    e.stands(true, true, true, 3);
    assert_eq!(e.peek().unwrap(), b"cde");
    assert_eq!(e.read(9).unwrap(), b"cde");
    e.stands(false, false, false, 0);
}

#[test]
fn the_option_may_change_meanwhile() {
    let mut e = Ends::new(false);
    e.urgent(b"!");
    e.set(|o| o.oob_inline = true);
    e.stands(true, true, true, 1);
    assert_eq!(e.oob(), Err(Error::Invalid));
    assert_eq!(e.read(9).unwrap(), b"!");
}

#[test]
fn the_end_behind_the_octet() {
    let mut e = Ends::new(false);
    e.urgent(b"xya");
    let now = e.p.now;
    e.p.hosts[0].shutdown(e.from, Shutdown::Write, now).unwrap();
    e.settle();
    assert_eq!(e.read(9).unwrap(), b"xy");
    e.stands(true, true, true, 0);
    assert_eq!(e.oob(), Ok(Some(b'a')));
    assert_eq!(e.read(9).unwrap(), b"");
    e.stands(true, false, false, 0);
    assert_eq!(e.oob(), Err(Error::Invalid));
}

#[test]
fn octets_after_shutdown_of_reading_are_kept_where_asked_for() {
    let mut e = Ends::new(false);
    e.set(|o| o.keep_after_shutdown = true);
    e.urgent(b"xya");
    let now = e.p.now;
    e.p.hosts[1].shutdown(e.to, Shutdown::Read, now).unwrap();
    e.write(b"z");
    e.stands(true, true, false, 2);
    assert_eq!(e.oob(), Ok(Some(b'a')));
    for want in [&b"xy"[..], b"z", b"", b""] {
        assert_eq!(e.read(9).unwrap(), want);
    }
}

/// Announced ahead of the octet itself, and cut off with what has been received before.
#[test]
fn a_pointer_ahead_of_the_text() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    let mut options = r.host.options(id).unwrap();
    options.oob_inline = false;
    let now = r.now;
    r.host.set_options(id, options, now).unwrap();
    r.urgent = 4;
    r.send(Flags::ACK | Flags::URG, b"ab");
    assert_eq!(r.host.try_read_urgent(id, false), Err(Error::WouldBlock));
    assert_eq!(r.host.try_read(id, &mut [0; 9]), Ok(2));
    assert_eq!(r.host.try_read(id, &mut [0; 9]), Err(Error::WouldBlock));
    assert!(!r.host.readiness(id).contains(Readiness::URGENT));
    r.urgent = 2;
    r.send(Flags::ACK | Flags::URG, b"cDe");
    assert_eq!(r.host.try_read_urgent(id, false), Ok(Some(b'D')));
    // All of it again, with one octet that is new: the mark is an old one.
    r.seq -= 3;
    r.send(Flags::ACK | Flags::URG, b"cDef");
    assert_eq!(r.host.try_read_urgent(id, false), Err(Error::Invalid));
    let mut buf = [0; 9];
    assert_eq!(r.host.try_read(id, &mut buf), Ok(1));
    assert_eq!(r.host.try_read(id, &mut buf), Ok(2));
    assert_eq!(&buf[..2], b"ef");
    // And where the reader is past it, a repetition announces nothing.
    r.seq -= 4;
    r.send(Flags::ACK | Flags::URG, b"cDefg");
    assert_eq!(r.host.at_mark(id), Ok(false));
    assert_eq!(r.host.try_read(id, &mut buf), Ok(1));
}

#[test]
fn readable_from_the_low_water_mark_on() {
    let mut e = Ends::new(false);
    e.set(|o| o.receive_low_water = 5);
    e.write(b"abc");
    e.stands(false, false, false, 3);
    assert_eq!(e.peek().unwrap(), b"abc");
    e.write(b"de");
    e.stands(true, false, false, 5);
    assert_eq!(e.read(2).unwrap(), b"ab");
    e.stands(false, false, false, 3);
    e.set(|o| o.receive_low_water = 0);
    e.stands(true, false, false, 3);
    e.set(|o| o.receive_low_water = 5);
    let now = e.p.now;
    e.p.hosts[0].shutdown(e.from, Shutdown::Write, now).unwrap();
    e.settle();
    e.stands(true, false, false, 3);
}

/// A mark beyond what the buffer can hold must not stop the peer for ever.
#[test]
fn a_full_buffer_is_readable_below_the_mark() {
    let mut e = Ends::new(false);
    e.set(|o| o.receive_buffer = 100_000);
    e.set(|o| o.receive_low_water = u32::MAX);
    let (now, data) = (e.p.now, vec![1; 4_000_000]);
    assert!(e.p.hosts[0].try_write(e.from, &data, now).unwrap() > 300_000);
    e.settle();
    assert!(e.p.hosts[1].readiness(e.to).contains(Readiness::READABLE));
}

#[test]
fn who_has_no_room_passes_nothing_by() {
    let mut e = Ends::new(false);
    e.urgent(b"x");
    e.write(b"abc");
    assert_eq!(e.read(0).unwrap(), b"");
    assert!(e.p.hosts[1].try_read_bytes(e.to, 0).unwrap().is_empty());
    e.stands(true, true, true, 0);
    assert_eq!(e.oob(), Ok(Some(b'x')));
    assert_eq!(e.read(9).unwrap(), b"abc");
}

#[test]
fn what_comes_after_a_shutdown_moves_no_mark() {
    let mut e = Ends::new(false);
    e.write(b"abc");
    let now = e.p.now;
    e.p.hosts[1].shutdown(e.to, Shutdown::Read, now).unwrap();
    e.urgent(b"xyzu");
    assert_eq!(e.read(9).unwrap(), b"abc");
    assert_eq!(e.read(9).unwrap(), b"");
}

/// The octet that is passed by makes the room that the peer is to hear of.
#[test]
fn passing_by_the_octet_opens_the_window() {
    let base = Config::default();
    let tcp = crate::config::TcpConfig { receive_buffer: 2000, ..base.tcp };
    // The first window is of whole segments: two of these are the buffer.
    let mut r = Raw::new(Config { tcp, mtu: 1040, ..base });
    let id = r.accepted();
    let options = SocketOptions { oob_inline: false, ..r.host.options(id).unwrap() };
    let now = r.now;
    r.host.set_options(id, options, now).unwrap();
    r.send(Flags::ACK, &[b'.'; 999]);
    assert_eq!(r.host.try_read(id, &mut [0; 2000]), Ok(999));
    r.urgent = 1;
    r.send(Flags::ACK | Flags::URG, b"!");
    let last = r.wait(Duration::from_secs(1)).pop().unwrap();
    assert_eq!(last.header.window, 1000, "an octet less than half has been read");
    assert_eq!(r.host.try_read(id, &mut [0; 2000]), Err(Error::WouldBlock));
    let windows: Vec<_> = r.sent().iter().map(|s| s.header.window).collect();
    assert_eq!(windows, [2000]);
}
