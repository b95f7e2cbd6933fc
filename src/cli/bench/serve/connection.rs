//! What is done on a connection, a piece at a time: discard, source, echo and pages.

use std::io::{self, Read, Write};
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;

use tunstack::poll::Interest;

use super::Counted;

/// Octets of a page.
const PAGE: usize = 1000;
/// The longest head of a request that is read.
const HEAD: usize = 8 << 10;
const END: &[u8] = b"\r\n\r\n";

/// The answer to each request, whatever it asks for.
static ANSWER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {PAGE}\r\n\r\n");
    [head.as_bytes(), &[b'x'; PAGE]].concat()
});

/// What a port is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Service {
    Discard,
    Source,
    Echo,
    Http,
}

impl Service {
    /// What its connections are watched for.
    pub(super) const fn interest(self) -> Interest {
        match self {
            Self::Discard => Interest::READABLE,
            Self::Source => Interest::WRITABLE,
            Self::Echo | Self::Http => Interest::READABLE.add(Interest::WRITABLE),
        }
    }
}

/// What comes after a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// Another one, without an event.
    More,
    /// An event.
    Wait,
    End,
}

/// A connection and how far it is.
pub(super) struct Connection<T> {
    stream: T,
    state: State,
    /// No event will tell of the end any more.
    last: bool,
}

enum State {
    Discard,
    Source,
    /// What it has not found room for yet.
    Echo(Vec<u8>),
    Http(Box<Http>),
}

#[derive(Default)]
struct Http {
    /// The beginning of a request.
    head: Vec<u8>,
    /// What has not found room yet.
    unsent: Vec<u8>,
}

impl<T: Read + Write> Connection<T> {
    pub(super) fn new(stream: T, service: Service) -> Self {
        let state = match service {
            Service::Discard => State::Discard,
            Service::Source => State::Source,
            Service::Echo => State::Echo(Vec::new()),
            Service::Http => State::Http(Box::default()),
        };
        Self { stream, state, last: false }
    }

    /// Beyond what is there already.
    pub(super) const fn nothing_more_comes(&mut self) {
        self.last = true;
    }

    /// Whether an event is a reason for a turn: `comes`, there is something to read, or else there is room to write.
    pub(super) const fn has_to_do(&self, comes: bool) -> bool {
        comes
            || match &self.state {
                State::Discard => false,
                State::Source => true,
                State::Echo(unsent) => !unsent.is_empty(),
                State::Http(http) => !http.unsent.is_empty(),
            }
    }

    /// Reads or writes one piece, no longer than `buffer`, and answers it.
    ///
    /// # Errors
    /// Those of the stream, which are its end, and a request that has none.
    pub(super) fn turn(&mut self, buffer: &mut [u8], counted: &Counted) -> io::Result<Turn> {
        let (stream, last) = (&mut self.stream, self.last);
        match &mut self.state {
            State::Discard => {
                let (n, then) = read(stream, buffer, last)?;
                counted.octets.fetch_add(n as u64, Relaxed);
                Ok(then)
            }
            State::Source => {
                let all = write(stream, buffer)? == buffer.len();
                Ok(if all { Turn::More } else { Turn::Wait })
            }
            State::Echo(unsent) => {
                if !flush(stream, unsent)? {
                    return Ok(Turn::Wait);
                }
                let (n, then) = read(stream, buffer, last)?;
                send(stream, &buffer[..n], unsent)?;
                Ok(if unsent.is_empty() { then } else { Turn::Wait })
            }
            State::Http(http) => {
                if !flush(stream, &mut http.unsent)? {
                    return Ok(Turn::Wait);
                }
                let begun = http.head.len();
                buffer[..begun].copy_from_slice(&http.head);
                let (n, then) = read(stream, &mut buffer[begun..HEAD], last)?;
                let mut rest = &buffer[..begun + n];
                while let Some(end) = rest.windows(END.len()).position(|four| four == END) {
                    rest = &rest[end + END.len()..];
                    send(stream, &ANSWER, &mut http.unsent)?;
                }
                if rest.len() == HEAD {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a request without an end"));
                }
                http.head.clear();
                http.head.extend_from_slice(rest);
                Ok(if http.unsent.is_empty() { then } else { Turn::Wait })
            }
        }
    }
}

/// What there is, up to a buffer full, and what comes after that.
fn read(stream: &mut impl Read, buffer: &mut [u8], last: bool) -> io::Result<(usize, Turn)> {
    match stream.read(buffer) {
        Ok(0) => Ok((0, Turn::End)),
        // It has taken all there was: an event tells of more, but not of an end that has been told.
        Ok(n) if n < buffer.len() && !last => Ok((n, Turn::Wait)),
        Ok(n) => Ok((n, Turn::More)),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok((0, Turn::Wait)),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok((0, Turn::More)),
        Err(e) => Err(e),
    }
}

/// Writes what there is room for. An event tells of more.
fn write(stream: &mut impl Write, data: &[u8]) -> io::Result<usize> {
    loop {
        match stream.write(data) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Writes, and keeps what there is no room for.
fn send(stream: &mut impl Write, data: &[u8], unsent: &mut Vec<u8>) -> io::Result<()> {
    let sent = if unsent.is_empty() && !data.is_empty() { write(stream, data)? } else { 0 };
    unsent.extend_from_slice(&data[sent..]);
    Ok(())
}

/// Goes on with what was kept, and says whether all of it is gone.
fn flush(stream: &mut impl Write, unsent: &mut Vec<u8>) -> io::Result<bool> {
    if unsent.is_empty() {
        return Ok(true);
    }
    let sent = write(stream, unsent)?;
    unsent.drain(..sent);
    if unsent.is_empty() {
        // What was needed once is not to be memory of the connection for ever.
        *unsent = Vec::new();
    }
    Ok(unsent.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// What comes, a piece for each read, and room for what goes; where there is none, it would block.
    #[derive(Default)]
    struct Scripted {
        comes: VecDeque<Vec<u8>>,
        ended: bool,
        room: usize,
        gone: Vec<u8>,
    }

    impl Read for Scripted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.comes.pop_front() {
                Some(mut piece) => {
                    let n = piece.len().min(buffer.len());
                    buffer[..n].copy_from_slice(&piece[..n]);
                    if n < piece.len() {
                        self.comes.push_front(piece.split_off(n));
                    }
                    Ok(n)
                }
                None if self.ended => Ok(0),
                None => Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }

    impl Write for Scripted {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            let n = data.len().min(self.room);
            if n == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= n;
            self.gone.extend_from_slice(&data[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn connection(service: Service, comes: &[&[u8]], room: usize) -> Connection<Scripted> {
        let comes = comes.iter().map(|piece| piece.to_vec()).collect();
        Connection::new(Scripted { comes, room, ..Scripted::default() }, service)
    }

    /// Turns until there is something to wait for, with a buffer of so many octets.
    fn turns(connection: &mut Connection<Scripted>, octets: usize) -> Vec<Turn> {
        let mut turns = Vec::new();
        let mut buffer = vec![b'x'; octets];
        loop {
            let turn = connection.turn(&mut buffer, &Counted::default()).unwrap();
            turns.push(turn);
            if turn != Turn::More {
                return turns;
            }
        }
    }

    use Turn::{End, More, Wait};

    #[test]
    fn a_full_read_has_another_turn_and_a_short_one_has_not() {
        let counted = Counted::default();
        let mut discard = connection(Service::Discard, &[b"abcdef", b"gh"], 0);
        let mut buffer = [0; 3];
        let mut turn = || discard.turn(&mut buffer, &counted).unwrap();
        assert_eq!([turn(), turn(), turn()], [More, More, Wait]);
        assert_eq!(counted.octets.load(Relaxed), 8);
        assert_eq!(discard.stream.comes.len(), 0, "no read in vain");
    }

    /// Data and FIN that come together are one event.
    #[test]
    fn an_end_that_was_told_with_data_is_found() {
        for service in [Service::Discard, Service::Echo, Service::Http] {
            let mut told = connection(service, &[b"ab"], 9);
            told.stream.ended = true;
            told.nothing_more_comes();
            assert_eq!(turns(&mut told, HEAD), [More, End], "{service:?}");
        }
    }

    #[test]
    fn a_source_writes_until_there_is_no_room() {
        let mut source = connection(Service::Source, &[], 7);
        assert_eq!(turns(&mut source, 3), [More, More, Wait]);
        assert_eq!(turns(&mut source, 3), [Wait]);
        source.stream.room = 4;
        assert_eq!(turns(&mut source, 3), [More, Wait]);
        assert_eq!(source.stream.gone, b"xxxxxxxxxxx");
    }

    #[test]
    fn an_echo_keeps_what_finds_no_room() {
        let mut echo = connection(Service::Echo, &[b"abcdef", b"ghi"], 4);
        echo.stream.ended = true;
        assert!(!echo.has_to_do(false) && echo.has_to_do(true));
        assert_eq!(turns(&mut echo, 9), [Wait]);
        assert!(echo.has_to_do(false), "it waits for room");
        assert_eq!(
            (echo.stream.gone.as_slice(), echo.stream.comes.len()),
            (&b"abcd"[..], 1),
            "reads no more"
        );
        echo.stream.room = 1;
        assert_eq!(turns(&mut echo, 9), [Wait]);
        echo.stream.room = 99;
        assert_eq!(turns(&mut echo, 9), [Wait]);
        assert_eq!(echo.stream.gone, b"abcdefghi");
        assert_eq!(turns(&mut echo, 9), [End]);
    }

    #[test]
    fn each_request_has_an_answer_however_it_comes() {
        let mut http = connection(Service::Http, &[b"GET / HTTP/1.1\r\nA: b\r\n\r"], 1 << 20);
        assert_eq!(turns(&mut http, HEAD), [Wait]);
        assert_eq!(http.stream.gone, b"");
        http.stream.comes.push_back(b"\nGET /\r\n\r\nGET".to_vec());
        assert_eq!(turns(&mut http, HEAD), [Wait]);
        assert_eq!(http.stream.gone, [&ANSWER[..], &ANSWER[..]].concat());
        // The beginning of a third has stayed; its answer goes by and by.
        http.stream.gone.clear();
        http.stream.room = 5;
        http.stream.comes.push_back(b" /\r\n\r\n".to_vec());
        assert_eq!(turns(&mut http, HEAD), [Wait]);
        assert_eq!(http.stream.gone, &ANSWER[..5]);
        http.stream.room = 1 << 20;
        assert_eq!(turns(&mut http, HEAD), [Wait]);
        assert_eq!(http.stream.gone, &ANSWER[..]);
    }

    #[test]
    fn a_request_without_an_end_is_one() {
        let mut http = connection(Service::Http, &[&[b'a'; HEAD - 1]], 9);
        assert_eq!(turns(&mut http, HEAD), [Wait]);
        http.stream.comes.push_back(b"aa".to_vec());
        let error = http.turn(&mut [0; HEAD], &Counted::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
