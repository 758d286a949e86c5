//! Room in a request for what a push adds to it once the plan is approved.

use apu_proto::{MAX_LOCK_WAIT, Request, RequestError, RequestOption, RunId, TransactionId};

/// Nothing is planned that cannot be asked for afterwards.
///
/// # Errors
/// Where the request becomes too long with that, at its longest.
pub(super) fn has_room_for_run(request: &Request) -> Result<(), RequestError> {
    let keeps = request
        .operation()
        .takes_keep_debs()
        .then_some(RequestOption::KeepDebs);
    let added = keeps.into_iter().chain([
        RequestOption::RunId(RunId::from_bytes([0; 16])),
        RequestOption::LockWait(MAX_LOCK_WAIT),
        RequestOption::Plan(TransactionId::from_bytes([0; 32])),
    ]);
    request.clone().with(added).map(|_| ())
}
