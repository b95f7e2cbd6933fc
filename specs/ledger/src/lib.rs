//! The requirements ledger: for every clause of the RFCs in `specs/`, where the source obeys it and which
//! test shows that.
//!
//! `specs/rfcNNNN/requirements.toml` holds the clauses with a keyword, `own.toml` beside it steps and
//! algorithms that have none, `exceptions.toml` the clauses that are not obeyed, or cannot be shown, with the
//! reason. Comments in the source cite a clause:
//!
//! ```text
//! //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//! //= type=test
//! //# If the RST bit is set and the sequence number is outside the
//! //# current receive window, silently drop the segment.
//! ```
//!
//! Without `type=test` the citation stands above the code that obeys the clause; with it, above (or in) the
//! test that shows it. A packetdrill script is always a test. The quotation is any part of the clause, or a
//! passage around it. Where it fits more than one clause, `//= id=MUST-60` says which; several ids are
//! separated by commas, and with an id the quotation may be left out.

mod check;
mod citation;
mod html;
mod markdown;
mod place;
mod ratchet;
mod results;
mod spec;

pub use check::{Clause, Counts, Ledger, Part, Report, Standing};
pub use citation::{Citation, Role};
pub use html::html;
pub use markdown::markdown;
pub use ratchet::{Ratchet, lower, raised};
pub use results::{Outcome, Results};
pub use spec::{Exception, Kind, Level, NOT_CITED, Requirement, Rfc};
