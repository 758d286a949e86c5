//! How a request ended on a client, and the codes of reasons.

use serde::{Deserialize, Serialize};

/// How a request ended on a client. The server adds what only it can see: unreachable, lost, timed-out, skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientOutcome {
    /// All is well, and nothing had to be changed.
    Unchanged,
    /// All is well, and something was changed (packages, or lists by `update`).
    Changed,
    /// Some of what was asked for was done: something was changed and something is wrong.
    Partial,
    /// Not begun: grammar, policy or the transaction forbids it.
    Refused,
    /// Not begun: the transaction is no longer the approved one.
    Drifted,
    /// Begun, or impossible to begin, and nothing that was asked for was done.
    Failed,
}

/// Why a request did not end well, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    /// The request is not well formed.
    Grammar,
    /// The caller is neither user apu nor root.
    Caller,
    /// The client's policy forbids the operation or the package.
    Policy,
    /// No source has a package of that name.
    UnknownPackage,
    /// The version asked for is not the candidate.
    NotTheCandidate,
    /// The package keeps this client reachable.
    Protected,
    /// The transaction removes packages and was not allowed to.
    Removal,
    /// The transaction differs from the approved one.
    Drifted,
    /// Another package manager kept its lock for too long.
    Locked,
    /// Too little space.
    Space,
    /// dpkg's database is damaged beyond the repair ladder.
    Broken,
    /// The package lists could not all be fetched.
    Lists,
    /// apt or a maintainer script failed.
    Apt,
    /// The client's own configuration is wrong (policy, sources).
    Configuration,
    /// A check of the machine's health failed, or cannot tell.
    Health,
    /// No run of that id.
    UnknownRun,
    /// The run ended without a result, so this was read from dpkg's database afterwards.
    Interrupted,
    /// apu-client is not running, or failed.
    Client,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}
