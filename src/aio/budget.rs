//! A task that always finds something to do must let others have their turn.

use std::task::{Context, Poll};

/// Does `op` at the cost of one unit of the budget that tokio gives a task; pending when that is spent, and then the
/// task is scheduled again at once. Outside of tokio's runtime there is no limit.
#[cfg(feature = "tokio")]
pub(super) fn spend<T>(cx: &mut Context<'_>, op: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    let turn = std::task::ready!(tokio::task::coop::poll_proceed(cx));
    let result = op(cx);
    if result.is_ready() {
        turn.made_progress();
    }
    result
}

/// Does `op`: the budget is tokio's, which is not there.
#[cfg(not(feature = "tokio"))]
pub(super) fn spend<T>(cx: &mut Context<'_>, op: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    op(cx)
}
