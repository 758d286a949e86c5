//! A decision about a configuration file, as a push carries it: options of a request, and the words that it is recorded by.

use apu_proto::{Request, RequestOption};

/// The options of a request that are a decision; none of any other request.
pub(super) fn decision_of(request: &Request) -> Vec<RequestOption> {
    let versions = request.conffile_versions();
    let options = [
        request.conffile_path().cloned().map(RequestOption::ConffilePath),
        request.conffile_decision().map(RequestOption::ConffileDecision),
        (!versions.is_empty()).then(|| RequestOption::ConffileVersions(versions.to_vec())),
    ];
    options.into_iter().flatten().collect()
}

/// A decision as it was typed: the file, and what becomes of it.
pub(super) fn words(decision: &[RequestOption]) -> impl Iterator<Item = String> {
    decision.iter().filter_map(|option| match option {
        RequestOption::ConffilePath(path) => Some(path.to_string()),
        RequestOption::ConffileDecision(decision) => Some(decision.to_string()),
        _ => None,
    })
}
