//! §3.10.7.1: a segment for which there is no connection and no listener.

use crate::addr::Quad;
use crate::seq::Seq;
use crate::tcp::context::{Context, ControlSegment};
use crate::tcp::segment::Segment;
use crate::tcp::state::State;
use crate::tcp::trace::{RstReason, Verdict};

/// Answers a stray segment with a reset that the sender will find acceptable; a reset is never answered.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1
//= id=STEP-3.10.7.1-1
//# all data in the incoming segment is discarded.
pub fn on_segment(quad: Quad, seg: &Segment<'_>, cx: &mut Context<'_>) -> Verdict {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1
    //= id=STEP-3.10.7.1-2
    //# An incoming segment containing a RST is discarded.
    if seg.rst() {
        return Verdict::ResetIgnored;
    }
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1
    //= id=STEP-3.10.7.1-3
    //# An incoming segment not containing a RST causes a RST to be sent in response.
    refuse(quad, State::Closed, seg, RstReason::NoSocket, cx);
    Verdict::NoSocket
}

/// The reset of §3.10.7.1: `<SEQ=SEG.ACK><CTL=RST>` where the segment has an ACK,
/// `<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>` where it has none.
pub fn refuse(quad: Quad, state: State, seg: &Segment<'_>, reason: RstReason, cx: &mut Context<'_>) {
    let reset = if seg.has_ack() {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1
        //= id=STEP-3.10.7.1-5
        //# If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>
        ControlSegment::reset(quad, state, seg.ack, reason)
    } else {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1
        //= id=STEP-3.10.7.1-4
        //# If the ACK bit is off, sequence number zero is used, <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>
        ControlSegment::reset_ack(quad, state, Seq::new(0), seg.end(), reason)
    };
    cx.send(reset);
}
