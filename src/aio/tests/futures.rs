//! The traits of futures-io.

use std::future::poll_fn;
use std::io::{IoSlice, IoSliceMut};
use std::pin::Pin;

use futures_io::{AsyncRead, AsyncWrite};

use super::*;
use crate::net::tests::{block_on, pattern};

async fn read(stream: &mut (impl AsyncRead + Unpin), buf: &mut [u8]) -> usize {
    poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buf)).await.unwrap()
}

async fn write_all(stream: &mut (impl AsyncWrite + Unpin), mut data: &[u8]) {
    while !data.is_empty() {
        let n = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, data)).await.unwrap();
        assert!(n > 0);
        data = &data[n..];
    }
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await.unwrap();
}

async fn close(stream: &mut (impl AsyncWrite + Unpin)) {
    poll_fn(|cx| Pin::new(&mut *stream).poll_close(cx)).await.unwrap();
}

/// The twin of tokio's.
#[test]
fn megabytes_come_back_as_they_went() {
    limited(|| {
        let pair = pair();
        let (mut client, server) = block_on(connected(&pair));
        let echo = std::thread::spawn(|| {
            block_on(async {
                let (mut reader, mut writer) = server.into_split();
                let mut buf = vec![0; 16 << 10];
                loop {
                    match read(&mut reader, &mut buf).await {
                        0 => return close(&mut writer).await,
                        n => write_all(&mut writer, &buf[..n]).await,
                    }
                }
            });
        });
        let data = pattern(4 << 20);
        let (mut reader, mut writer) = client.split();
        let mut back = Vec::new();
        block_on(async {
            let mut send = std::pin::pin!(async {
                write_all(&mut writer, &data).await;
                close(&mut writer).await;
            });
            let mut buf = vec![0; 16 << 10];
            let mut sent = false;
            poll_fn(|cx| {
                sent = sent || send.as_mut().poll(cx).is_ready();
                while let Poll::Ready(n) = Pin::new(&mut reader).poll_read(cx, &mut buf) {
                    match n.unwrap() {
                        0 => return Poll::Ready(()),
                        n => back.extend_from_slice(&buf[..n]),
                    }
                }
                Poll::Pending
            })
            .await;
            assert!(sent);
        });
        assert!(back == data);
        echo.join().unwrap();
    });
}

#[test]
fn several_buffers_at_once() {
    limited(|| {
        let pair = pair();
        block_on(async {
            let (mut client, mut server) = connected(&pair).await;
            let bufs = [IoSlice::new(b""), IoSlice::new(b"ab"), IoSlice::new(b"cde")];
            let n = poll_fn(|cx| Pin::new(&mut client).poll_write_vectored(cx, &bufs)).await.unwrap();
            assert_eq!(n, 5);
            close(&mut client).await;
            let (mut one, mut two) = ([0; 3], [0; 3]);
            while server.peek(&mut [0; 5]).await.unwrap() < 5 {}
            let mut none: [IoSliceMut<'_>; 0] = [];
            let n = poll_fn(|cx| Pin::new(&mut server).poll_read_vectored(cx, &mut none)).await.unwrap();
            assert_eq!(n, 0);
            let n = poll_fn(|cx| {
                let mut bufs = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
                Pin::new(&mut server).poll_read_vectored(cx, &mut bufs)
            })
            .await;
            assert_eq!((n.unwrap(), &one, &two), (5, b"abc", b"de\0"));
            assert_eq!(read(&mut server, &mut one).await, 0);
        });
    });
}
