//! What an episode of recovery remembers.

use super::frto::Frto;
use super::prr::Prr;
use super::undo::Undo;

/// From the first sign of trouble to the next.
#[derive(Clone, Copy, Debug)]
pub struct Episode {
    /// The window on its way down.
    pub prr: Option<Prr>,
    /// Whether what was done may prove needless.
    pub undo: Undo,
    /// A time-out whose cause is in doubt.
    pub frto: Option<Frto>,
}
