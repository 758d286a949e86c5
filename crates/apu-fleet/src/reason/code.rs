//! Codes: what a program reads of a reason that the server found out.

use serde::{Deserialize, Serialize};

/// The codes of [`ServerCause`](super::ServerCause)s, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerCode {
    /// Nobody listens on the port.
    Refused,
    /// No answer in time.
    NoAnswer,
    /// The network knows no way.
    NoRoute,
    /// The name has no address.
    UnknownName,
    /// No key of the host is pinned.
    UnknownHostKey,
    /// The host shows another key than the pinned one.
    ChangedHostKey,
    /// The host does not take the push key.
    KeyRefused,
    /// The host hung up before it asked for a key.
    HungUp,
    /// The host knows the account, and does not let it in now: it is expired, or /etc/nologin is there.
    LoginRefused,
    /// The way through a jump host failed.
    Jump,
    /// The two sshs have no algorithm in common.
    NoCommonAlgorithm,
    /// ssh itself could not be started or configured on this machine.
    Here,
    /// Something else that ssh said.
    Other,
    /// The connection ended without a result.
    Lost,
    /// The client is too old for what was asked.
    OldClient,
    /// The lists that the host has are older than what was published here.
    Stale,
    /// The time was up.
    TimeUp,
    /// An administrator's Ctrl-C.
    Interrupted,
    /// More hosts failed than may.
    MaxFailures,
    /// A wave that it had to wait for did not pass.
    Wave,
    /// Another host of its exclusive group may still be at work.
    Exclusive,
    /// Its maintenance window is closed.
    Window,
    /// No canary has tested what it would do.
    Untested,
    /// What it would install was to be frozen, and is not.
    NotFrozen,
    /// Another run holds the host.
    Held,
    /// The server could not write down what it was about to do.
    NotRecorded,
    /// A hook of the administrator's failed before it.
    Hook,
    /// It changed, and is not well afterwards.
    Health,
    /// It did not come back after its reboot.
    NotBack,
    /// It needs a reboot, and this server does not ask it for one.
    NotRebooted,
    /// It would restart a service that is protected.
    ProtectedService,
    /// What it would be asked is longer than a request can be.
    RequestTooLong,
}
