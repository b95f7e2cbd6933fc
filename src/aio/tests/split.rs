//! The halves of a stream.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::aio::Interest;

#[test]
fn the_drop_of_a_write_half_sends_a_fin_and_the_other_direction_goes_on() {
    run(async |pair| {
        let (client, mut server) = connected(&pair).await;
        let (mut reader, mut writer) = client.into_split();
        writer.write_all(b"last words").await.unwrap();
        drop(writer);
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"last words");
        server.write_all(b"answer").await.unwrap();
        drop(server);
        got.clear();
        reader.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"answer");
        assert!(reader.ready(Interest::READABLE).await.unwrap().is_read_closed());
    });
}

#[test]
fn a_read_half_that_is_dropped_ends_nothing() {
    run(async |pair| {
        let (client, mut server) = connected(&pair).await;
        let (reader, mut writer) = client.into_split();
        drop(reader);
        writer.write_all(b"more").await.unwrap();
        let mut four = [0; 4];
        server.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"more");
        drop(writer);
        assert_eq!(server.read(&mut four).await.unwrap(), 0);
    });
}

#[test]
fn a_write_half_that_is_forgotten_sends_nothing() {
    run(async |pair| {
        let (client, mut server) = connected(&pair).await;
        let (mut reader, writer) = client.into_split();
        writer.forget();
        poll_and_drop(server.read(&mut [0]));
        server.write_all(b"x").await.unwrap();
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 1);
        poll_and_drop(server.read(&mut [0]));
        drop(reader);
        assert_eq!(server.read(&mut [0]).await.unwrap(), 0, "the last half closes");
    });
}

#[test]
fn halves_of_one_stream_become_one_again() {
    run(async |pair| {
        let (client, mut server) = connected(&pair).await;
        let (_other_client, other) = connected(&pair).await;
        let (reader, writer) = client.into_split();
        let (other_reader, other_writer) = other.into_split();
        let error = reader.reunite(other_writer).unwrap_err();
        assert_eq!(error.to_string(), "the halves are not of one stream");
        let mut client = writer.reunite(error.0).unwrap();
        drop(other_reader);
        // No FIN was sent on the way.
        client.write_all(b"whole").await.unwrap();
        let mut five = [0; 5];
        server.read_exact(&mut five).await.unwrap();
        assert_eq!(&five, b"whole");
        poll_and_drop(server.read(&mut five));
    });
}

#[test]
fn a_half_tries_peeks_and_tells_what_a_stream_does() {
    run(async |pair| {
        let (client, mut server) = connected(&pair).await;
        let (mut reader, writer) = server.split();
        assert_eq!(reader.peer_addr().unwrap(), client.local_addr().unwrap());
        assert_eq!(writer.local_addr().unwrap(), client.peer_addr().unwrap());
        let mut two = [0; 2];
        assert_eq!(reader.try_read(&mut two).unwrap_err().kind(), ErrorKind::WouldBlock);
        client.try_write(b"ab").unwrap();
        reader.readable().await.unwrap();
        assert_eq!(reader.peek(&mut two).await.unwrap(), 2);
        assert_eq!(now(reader.poll_peek(&mut Context::from_waker(Waker::noop()), &mut two)).unwrap(), 2);
        assert_eq!(reader.try_read_buf(&mut &mut two[..]).unwrap(), 2);
        writer.writable().await.unwrap();
        assert_eq!(writer.try_write(b"c").unwrap(), 1);
        client.readable().await.unwrap();
        assert_eq!(client.try_read(&mut two).unwrap(), 1);
    });
}
