//! Packets the text of which comes by reference, from another stack of the same process.

use super::expected::whole_len;
use super::{Inbound, Received, Stack, Trust};
use crate::body::Text;
use crate::ip::input;
use crate::time::Instant;
use crate::wire::ip::{self, protocol};

impl Stack {
    /// A packet arrived the text of which came by reference.
    #[inline(never)]
    pub(super) fn receive_lent(&mut self, now: Instant, inbound: &Inbound<'_>) -> Received {
        let Inbound { packet, lent, .. } = *inbound;
        let text = Text::new(packet, lent);
        // Only what needs not be read may stay where it is. And where memory is bounded nobody else's is kept.
        let stays = inbound.trust == Trust::Trusted && !self.memory.is_bounded();
        // Its length is in the header: nothing is cut off, and nothing follows.
        if stays
            && whole_len(packet) == Some(text.len())
            && let Ok(parsed) = ip::parse_head(packet, text.len() - packet.len())
            && (parsed.header.protocol, parsed.header.fragment) == (protocol::TCP, None)
            && (self.is_let_in(&parsed.header) || input::accept(&parsed.header, &self.routes).is_ok())
        {
            self.counters.ip_in_delivers += 1;
            return self.receive_tcp(now, &parsed.header, parsed.payload, *inbound);
        }
        let whole = text.joined();
        self.receive_anew(now, Inbound { packet: &whole, lent: &[], backing: Some(&whole), ..*inbound })
    }
}
