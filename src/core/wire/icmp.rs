//! ICMP messages of both families that the stack understands (RFC 792, RFC 4443), and the packets they quote.
