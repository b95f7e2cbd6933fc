//! Where ours is not as Linux is, and why.

/// Rows whose answer differs from Linux's on purpose.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the reason is for who reads, and is printed with the rest")]
pub(crate) struct Departure {
    /// The table in which they stand.
    pub(crate) table: &'static str,
    /// Their names; `*` stands for anything.
    pub(crate) rows: &'static str,
    /// A part of Linux's answer, …
    pub(crate) linux: &'static str,
    /// … and what stands in its place in ours. The rest is the same.
    pub(crate) ours: &'static str,
    pub(crate) reason: &'static str,
}

/// All of them.
pub(crate) const ALL: [Departure; 0] = [];
