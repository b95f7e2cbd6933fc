//! The stories: each makes a world, lets something happen and returns what one of the hosts saw.

use tunstack::core::error::Error;
use tunstack::core::time::Duration;
use tunstack::sim::link::Fault;

use crate::lab::{Lab, PORT, SEGMENT, text};

/// Three steps, then a line that the client sends and the server acknowledges.
pub(crate) fn handshake() -> Vec<u8> {
    let mut lab = Lab::new();
    let (client, server) = lab.connected();
    lab.write(lab.client, client, b"hello\n");
    lab.wait(100);
    assert_eq!(lab.read(lab.server, server, 6), b"hello\n");
    lab.capture(&[lab.client])
}

/// The client closes, the server reads the end of file and closes 100 ms later.
pub(crate) fn four_way_close() -> Vec<u8> {
    let mut lab = Lab::new();
    let (client, server) = lab.connected();
    lab.close(lab.client, client);
    lab.wait(100);
    lab.read_end(lab.server, server);
    lab.close(lab.server, server);
    lab.wait(100);
    lab.capture(&[lab.client])
}

/// Both connect to each other at the same time, and nobody listens.
pub(crate) fn simultaneous_open() -> Vec<u8> {
    let mut lab = Lab::new();
    let (a, b) = ((lab.client, 40_000), (lab.server, PORT));
    let client = lab.connect(a, b);
    let server = lab.connect(b, a);
    lab.wait(100);
    lab.write(lab.client, client, b"hello\n");
    lab.wait(100);
    assert_eq!(lab.read(lab.server, server, 6), b"hello\n");
    lab.capture(&[lab.client])
}

/// Both close at the same time.
pub(crate) fn simultaneous_close() -> Vec<u8> {
    let mut lab = Lab::new();
    let (client, server) = lab.connected();
    lab.close(lab.client, client);
    lab.close(lab.server, server);
    lab.wait(100);
    lab.capture(&[lab.client])
}

/// Two connections: the client ends its direction first, then the server.
pub(crate) fn half_close() -> Vec<u8> {
    let mut lab = Lab::new();
    for (port, first) in [(40_000, lab.client), (40_001, lab.server)] {
        let (client, server) = lab.connected_with(port, |options| options.reuse_address = true);
        let second = if first == lab.client { lab.server } else { lab.client };
        let id = |host| if host == lab.client { client } else { server };
        let (one, two) = (id(first), id(second));
        lab.write(first, one, b"that is all from me\n");
        lab.shutdown(first, one);
        lab.wait(100);
        lab.read(second, two, 20);
        lab.read_end(second, two);
        for line in [b"and here is\n", b"what I have\n"] {
            lab.write(second, two, line);
            lab.wait(100);
            lab.read(first, one, 12);
        }
        lab.close(second, two);
        lab.wait(100);
        lab.read_end(first, one);
        lab.close(first, one);
        lab.wait(200);
    }
    lab.capture(&[lab.client])
}

/// Nobody listens.
pub(crate) fn refused() -> Vec<u8> {
    let mut lab = Lab::new();
    let client = lab.connect((lab.client, 40_000), (lab.server, PORT));
    lab.wait(100);
    assert_eq!(lab.on(lab.client, |stack, _| stack.take_error(client)), Some(Error::Refused));
    lab.capture(&[lab.client])
}

/// The server closes without having read what came; in a second connection the client goes on writing to a
/// program that is gone.
pub(crate) fn reset_with_unread_data() -> Vec<u8> {
    let mut lab = Lab::new();
    let (client, server) = lab.connected();
    lab.write(lab.client, client, b"nobody will read this\n");
    lab.wait(100);
    lab.close(lab.server, server);
    lab.wait(100);
    assert_eq!(lab.on(lab.client, |stack, _| stack.try_read(client, &mut [0; 9])), Err(Error::Reset));

    let (client, server) = lab.connected_with(40_001, |_| ());
    lab.close(lab.server, server);
    lab.wait(100);
    lab.write(lab.client, client, b"is anybody there?\n");
    lab.wait(100);
    lab.capture(&[lab.server])
}

/// A lost segment with nothing behind it, lost a second time.
pub(crate) fn retransmission_timeout() -> Vec<u8> {
    let mut lab = Lab::new();
    let (client, server) = lab.connected();
    lab.fault_on_text(lab.client, &[(2, Fault::Drop), (3, Fault::Drop)]);
    lab.write(lab.client, client, b"one\n");
    lab.wait(100);
    lab.write(lab.client, client, b"two\n");
    lab.wait(1500);
    lab.write(lab.client, client, b"three\n");
    lab.wait(100);
    assert_eq!(lab.read(lab.server, server, 14), b"one\ntwo\nthree\n");
    lab.capture(&[lab.client])
}

fn fast_retransmission() -> Lab {
    let mut lab = Lab::new();
    let (client, server) = lab.connected();
    lab.fault_on_text(lab.client, &[(3, Fault::Drop)]);
    lab.write(lab.client, client, &text(16 * SEGMENT));
    lab.wait(500);
    lab.read(lab.server, server, 16 * SEGMENT);
    lab
}

/// One segment of many is lost: what comes after it tells the sender.
pub(crate) fn fast_retransmit() -> Vec<u8> {
    let lab = fast_retransmission();
    lab.capture(&[lab.client])
}

/// The same, each packet shown where it left and where it arrived.
pub(crate) fn fast_retransmit_both_ends() -> Vec<u8> {
    let lab = fast_retransmission();
    lab.capture(&[lab.client, lab.server])
}

/// The server stops reading, and reads on after three seconds.
pub(crate) fn zero_window() -> Vec<u8> {
    let mut lab = Lab::new();
    let buffer = 4 * SEGMENT;
    let (client, server) = lab.connected_with(40_000, |options| options.receive_buffer = buffer as u32);
    lab.write(lab.client, client, &text(7 * SEGMENT));
    lab.wait(3000);
    lab.read(lab.server, server, buffer);
    lab.wait(500);
    lab.read(lab.server, server, 3 * SEGMENT);
    lab.wait(500);
    lab.capture(&[lab.client])
}

/// The receiver's view of lost and late segments.
pub(crate) fn out_of_order_sack() -> Vec<u8> {
    let mut lab = Lab::new();
    let (client, server) = lab.connected();
    let late = Fault::Hold(Duration::from_millis(60));
    lab.fault_on_text(lab.client, &[(2, Fault::Drop), (4, late), (7, Fault::Drop)]);
    lab.write(lab.client, client, &text(10 * SEGMENT));
    lab.wait(1000);
    lab.read(lab.server, server, 10 * SEGMENT);
    lab.capture(&[lab.server])
}

/// A segment comes again when its sequence numbers are in use a second time: only its timestamp gives it away.
pub(crate) fn paws() -> Vec<u8> {
    let mut lab = Lab::new();
    let (client, server) = lab.connected();
    lab.write(lab.client, client, b"old text\n");
    let old = lab.world.records().last().expect("the segment").packet.to_vec();
    lab.wait(100);
    lab.write(lab.client, client, b"new text\n");
    lab.wait(100);
    lab.read(lab.server, server, 18);
    // As if 4 GiB had passed, the old segment now begins where the next one would: at RCV.NXT.
    lab.world.inject(lab.server, lab.world.now(), moved(&old, 18));
    lab.wait(100);
    lab.write(lab.client, client, b"more text\n");
    lab.wait(100);
    assert_eq!(lab.read(lab.server, server, 10), b"more text\n");
    lab.capture(&[lab.server])
}

/// The same TCP segment over IPv4, so many octets further on.
fn moved(packet: &[u8], by: u32) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let seq = u32::from_be_bytes(packet[24..28].try_into().unwrap()).wrapping_add(by);
    packet[24..28].copy_from_slice(&seq.to_be_bytes());
    let (ip, tcp) = packet.split_at_mut(20);
    let header = etherparse::TcpHeader::from_slice(tcp).unwrap().0;
    let text = &tcp[usize::from(tcp[12] >> 4) * 4..];
    let [source, destination] = [12, 16].map(|at| <[u8; 4]>::try_from(&ip[at..at + 4]).unwrap());
    let sum = header.calc_checksum_ipv4_raw(source, destination, text).unwrap();
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// A datagram and its answer; then one to a port where nobody is.
pub(crate) fn udp() -> Vec<u8> {
    let mut lab = Lab::new();
    let (client, server) = (lab.udp(lab.client, 40_000), lab.udp(lab.server, PORT));
    let (here, there) = (lab.end(lab.client, 40_000), lab.end(lab.server, PORT));
    lab.send(lab.client, client, b"anybody there?\n", there);
    lab.wait(50);
    lab.send(lab.server, server, b"yes\n", here);
    lab.wait(50);
    assert_eq!(lab.receive(lab.client, client), Ok(b"yes\n".to_vec()));

    // Only a connected socket is told.
    let (connected, nobody) = (lab.udp(lab.client, 40_001), lab.end(lab.server, PORT + 1));
    lab.on(lab.client, |stack, now| stack.connect(connected, nobody, now)).unwrap();
    lab.send(lab.client, connected, b"and there?\n", nobody);
    lab.wait(50);
    assert_eq!(lab.receive(lab.client, connected), Err(Error::Refused));
    lab.capture(&[lab.client])
}

/// Three echo requests and their answers.
pub(crate) fn ping() -> Vec<u8> {
    let mut lab = Lab::new();
    lab.ping(3);
    lab.capture(&[lab.client])
}

/// Datagrams larger than the link's packets, in fragments: there out of order, back in order.
pub(crate) fn ipv4_fragments() -> Vec<u8> {
    let mut lab = Lab::new();
    let (client, server) = (lab.udp(lab.client, 40_000), lab.udp(lab.server, PORT));
    let (here, there) = (lab.end(lab.client, 40_000), lab.end(lab.server, PORT));
    let late = Fault::Hold(Duration::from_millis(5));
    lab.world.scenario(lab.client, move |passing| (passing.number == 0).then_some(late));
    let text = text(4000);
    lab.send(lab.client, client, &text, there);
    lab.wait(100);
    assert_eq!(lab.receive(lab.server, server), Ok(text.clone()));
    lab.send(lab.server, server, &text, here);
    lab.wait(100);
    assert_eq!(lab.receive(lab.client, client), Ok(text.clone()));

    // One fragment is lost, and the datagram with it.
    lab.world.scenario(lab.client, |passing| (passing.number == 4).then_some(Fault::Drop));
    lab.send(lab.client, client, &text, there);
    lab.wait(61_000);
    assert_eq!(lab.receive(lab.server, server), Err(Error::WouldBlock));
    lab.capture(&[lab.server])
}

/// A connection, a ping and a datagram to a closed port, over IPv6.
pub(crate) fn ipv6() -> Vec<u8> {
    let mut lab = Lab::v6();
    let (client, server) = lab.connected();
    lab.write(lab.client, client, b"hello over IPv6\n");
    lab.wait(100);
    lab.read(lab.server, server, 16);
    lab.close(lab.client, client);
    lab.wait(50);
    lab.close(lab.server, server);
    lab.wait(100);
    lab.ping(1);
    let (udp, nobody) = (lab.udp(lab.client, 40_001), lab.end(lab.server, PORT + 1));
    lab.send(lab.client, udp, b"anybody there?\n", nobody);
    lab.wait(100);
    // Larger than the link's packets: in IPv6 only the sender cuts, and the fragments have a header of their own.
    let (receiver, there) = (lab.udp(lab.server, PORT), lab.end(lab.server, PORT));
    let text = text(2000);
    lab.send(lab.client, udp, &text, there);
    lab.wait(100);
    assert_eq!(lab.receive(lab.server, receiver), Ok(text));
    lab.capture(&[lab.client])
}
