//! Reasons: why a request did not end well on a host, as the client told it or as the server found out.
//!
//! They are facts. The server's views make sentences of them.

mod advice;
mod code;
mod place;
mod work;

use apu_debian::PackageKey;
use apu_proto::{Reason, ReasonCode};
use serde::{Deserialize, Serialize};

pub use self::advice::ServerAdvice;
pub use self::code::ServerCode;
pub use self::place::Place;
pub use self::work::{Work, WorkKind};
use crate::hook::{Hook, ProgramEnd};
use crate::name::HostName;

/// Why a request did not end well on a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HostReason {
    /// Found out here.
    Server(ServerReason),
    /// Told by the client.
    Client(Reason),
}

/// A reason's code: the server's own, or the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Found out here.
    Server(ServerCode),
    /// Told by the client.
    Client(ReasonCode),
}

impl HostReason {
    /// For programs.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Server(reason) => Code::Server(reason.code),
            Self::Client(reason) => Code::Client(reason.code),
        }
    }
}

/// Why a request did not end well, as the server found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerReason {
    /// For programs.
    pub code: ServerCode,
    /// What happened, with its parameters.
    #[serde(flatten)]
    pub cause: ServerCause,
    /// What ssh, the host or the system said about it, line by line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// Where it happened.
    #[serde(default, skip_serializing_if = "Place::is_host")]
    pub place: Place,
    /// What the host was at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Work>,
    /// What the host found out itself when an administrator's access was used to ask it; empty where it found nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<ServerAdvice>,
}

/// What the server found out. On the wire of events `cause` is its name and `parameters` are its fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "cause", content = "parameters", rename_all = "kebab-case")]
pub enum ServerCause {
    /// No sshd listens there.
    ConnectionRefused,
    /// The connection timed out.
    TimedOut,
    /// No login within this many seconds.
    NoLogin {
        /// The limit.
        seconds: u64,
    },
    /// Nothing came in time.
    NoAnswerInTime,
    /// It was connected, and nothing came.
    ConnectedAndSilent,
    /// It was connected, and then the connection failed; the detail says how.
    ConnectedAndFailed,
    /// The network knows no way to it.
    NoRoute,
    /// Its name has no address.
    NoAddress,
    /// Its host key is not known here.
    HostKeyUnknown,
    /// Its host key is another than the pinned one.
    HostKeyChanged,
    /// Its host key is revoked in known_hosts.
    HostKeyRevoked,
    /// It does not take the key.
    KeyRefused,
    /// It hung up before the login, for too many connections or as a punishment.
    HungUp,
    /// It hung up before the login; the detail says what its sshd said.
    TurnedAway,
    /// It ended the login; the detail says what was said.
    LoginEnded,
    /// The two sshs have no algorithm in common; the detail says which are missing.
    NoCommonAlgorithm,
    /// ssh said something else, which is the detail; nothing where that is empty.
    SshSaid,
    /// ssh refuses its own configuration or a key file; the detail says why.
    SshConfiguration,
    /// The program is ending.
    ProgramEnds,
    /// The system refused something here; the detail says why.
    Fault {
        /// What was about to be done.
        action: ServerAction,
        /// With which program.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        object: Option<String>,
    },
    /// The part of apt-all that worked for this host failed, which is a bug.
    Bug,
    /// The connection ended without a result.
    Lost(Lost),
    /// The connection ended before the run began: nothing was done.
    LostBeforeBegin(Lost),
    /// No result came in time.
    TimeUp {
        /// The limit in seconds.
        seconds: f64,
        /// What was begun goes on.
        goes_on: bool,
        /// How the connection was lost meanwhile.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<Lost>,
    },
    /// The client lacks a part of the protocol.
    OldClient {
        /// Its version; none where it told none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// The part.
        feature: String,
    },
    /// The client's lists are older than what was published here.
    Stale {
        /// Which ones.
        lists: Vec<StaleList>,
    },
    /// Its turn had not come at Ctrl-C.
    NotStarted,
    /// It was left at a second Ctrl-C; what was begun goes on.
    LeftAtWork,
    /// More hosts failed than may.
    MaxFailures {
        /// How many failed.
        failed: usize,
        /// Of how many.
        hosts: usize,
        /// How many may.
        allowed: usize,
    },
    /// Hosts of an earlier wave did not end well.
    WaveFailed {
        /// Which wave, counted from 1.
        wave: usize,
        /// Of how many.
        waves: usize,
        /// The hosts, the first of them.
        hosts: Vec<HostName>,
        /// How many more.
        more: usize,
    },
    /// Whether hosts of an earlier wave are well could not be told.
    WaveInconclusive {
        /// Which wave, counted from 1.
        wave: usize,
        /// Of how many.
        waves: usize,
        /// The hosts, the first of them.
        hosts: Vec<HostName>,
        /// How many more.
        more: usize,
    },
    /// An administrator paused the run before its turn, and nobody ended the pause in time.
    NotResumed {
        /// Who paused it.
        by: String,
    },
    /// apu.toml lets the hosts of its class change only in windows, and none of them is open.
    OutsideWindows {
        /// The class, or `all`.
        class: String,
        /// The windows.
        windows: Vec<String>,
    },
    /// apu.toml lets no host of its class change in a blackout, and one lasts.
    InBlackout {
        /// The class, or `all`.
        class: String,
        /// The blackout.
        blackout: String,
    },
    /// Another host of its exclusive group is not known to be well after its turn.
    GroupAtWork {
        /// The group.
        group: String,
        /// The other host.
        by: HostName,
    },
    /// It went down for its reboot, and no other boot answered in time.
    NotBack {
        /// The limit in seconds.
        seconds: u64,
        /// Why it could not be asked last; none where the boot of before answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Box<ServerReason>>,
    },
    /// Its class does not let it be rebooted, `reboot=never`.
    NeverRebooted,
    /// Its class lets it be rebooted only where it is named itself, `reboot=ask`.
    RebootedByName,
    /// It runs in the same boot as this server: it is this machine, or a container of it that has no boot of its own.
    ThisServer,
    /// It does not tell which boot it is in, so that another one could not be told from it.
    BootNotTold,
    /// The packages of its plan restart services that are protected there.
    RestartsProtected {
        /// The services, the first of them; not to be trusted.
        services: Vec<String>,
        /// How many more.
        more: usize,
    },
    /// Services are protected there, and it does not tell which the packages of its plan restart.
    RestartsNotTold,
    /// With what this host is asked beside the others, its request is longer than a request can be.
    RequestTooLong {
        /// How many rules for configuration files it has.
        rules: usize,
        /// How many answers to debconf's questions go with it.
        answers: usize,
        /// How many packages it holds.
        held: usize,
    },
    /// Another run is at work there.
    HeldByRun {
        /// The run's number.
        run: String,
        /// What it does.
        operation: String,
        /// Who began it.
        by: String,
    },
    /// Another run was broken off while it was at work there, and what became of it is not known.
    UnknownSinceRun {
        /// The run's number.
        run: String,
        /// What it did.
        operation: String,
        /// Who began it.
        by: String,
    },
    /// Another run is at work on another host of its exclusive group.
    GroupHeldByRun {
        /// The other host.
        host: String,
        /// The group.
        group: String,
        /// The run's number.
        run: String,
        /// What it does.
        operation: String,
        /// Who began it.
        by: String,
    },
    /// Another run was broken off while it was at work on another host of its exclusive group, and what became of it is not known.
    GroupUnknownSinceRun {
        /// The other host.
        host: String,
        /// The group.
        group: String,
        /// The run's number.
        run: String,
        /// What it did.
        operation: String,
        /// Who began it.
        by: String,
    },
    /// That the host was about to be asked could not be written down, so it was not asked.
    NotRecorded {
        /// What could not write it, and why.
        why: String,
    },
    /// A program of the administrator's on this server, which had to end well before anything was asked, did not.
    HookFailed {
        /// When it was called.
        hook: Hook,
        /// Its path.
        program: String,
        /// How it ended.
        end: ProgramEnd,
    },
    /// It made its change, and the administrator's check on this server fails; the detail says what that printed.
    CheckFailed,
    /// No canary has tested what it would do.
    Untested {
        /// The packages, the first of them.
        packages: Vec<PackageKey>,
        /// How many more.
        more: usize,
    },
    /// What it would install was to be frozen, and no canary gave it.
    NotFrozen {
        /// The packages, the first of them.
        packages: Vec<PackageKey>,
        /// How many more.
        more: usize,
        /// The canary that was asked last and did not give what it was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<HostName>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Box<HostReason>>,
    },
    /// It made its change, and no new login was possible afterwards; `why` is the last cause.
    NoLoginAfterChange {
        /// Why the last try failed.
        why: Box<ServerReason>,
    },
}

/// A connection that ended without a result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lost {
    /// What was said last; not to be trusted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub said: String,
    /// Why a later connection failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<Box<ServerReason>>,
}

/// A list of a client that is older than what this server published last.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StaleList {
    /// The archive's address.
    pub uri: String,
    /// Its suite.
    pub suite: String,
    /// By how many seconds it is older; none where it does not say when it was made.
    pub older_by: Option<u64>,
}

/// What the server was about to do when its system refused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerAction {
    /// Make a pipe.
    MakePipe,
    /// Start a program.
    Start,
    /// Wait for a program.
    WaitFor,
    /// Configure ssh.
    ConfigureSsh,
    /// Use ssh's control socket.
    UseSocket,
}

/// How many hosts or packages a reason names.
pub(crate) const MOST_NAMED: usize = 5;

impl ServerCause {
    /// No canary has tested these packages.
    #[must_use]
    pub fn untested(packages: Vec<&PackageKey>) -> Self {
        Self::Untested {
            more: packages.len().saturating_sub(MOST_NAMED),
            packages: packages.into_iter().take(MOST_NAMED).cloned().collect(),
        }
    }

    /// What a host would be asked is longer than a request can be, with so many rules for configuration files, answers, and packages to be held.
    #[must_use]
    pub fn request_too_long(rules: usize, answers: usize, held: usize) -> ServerReason {
        let cause = Self::RequestTooLong { rules, answers, held };
        let has_rules = rules > 0;
        ServerReason::from(cause).advise(ServerAdvice::ShortenRequest { has_rules })
    }

    /// No canary gave these packages' .debs; who was asked last, and why it gave none.
    pub(crate) fn not_frozen(packages: Vec<&PackageKey>, failed: Option<(HostName, HostReason)>) -> Self {
        let (host, why) = failed.unzip();
        Self::NotFrozen {
            more: packages.len().saturating_sub(MOST_NAMED),
            packages: packages.into_iter().take(MOST_NAMED).cloned().collect(),
            host,
            why: why.map(Box::new),
        }
    }

    /// The code under which programs know it, where it happens at the host itself.
    #[must_use]
    pub const fn code(&self) -> ServerCode {
        match self {
            Self::ConnectionRefused => ServerCode::Refused,
            Self::TimedOut | Self::NoLogin { .. } | Self::NoAnswerInTime | Self::ConnectedAndSilent => {
                ServerCode::NoAnswer
            }
            Self::NoRoute => ServerCode::NoRoute,
            Self::NoAddress => ServerCode::UnknownName,
            Self::HostKeyUnknown => ServerCode::UnknownHostKey,
            Self::HostKeyChanged | Self::HostKeyRevoked => ServerCode::ChangedHostKey,
            Self::KeyRefused => ServerCode::KeyRefused,
            Self::HungUp | Self::TurnedAway => ServerCode::HungUp,
            Self::LoginEnded => ServerCode::LoginRefused,
            Self::NoCommonAlgorithm => ServerCode::NoCommonAlgorithm,
            Self::SshSaid | Self::ConnectedAndFailed => ServerCode::Other,
            Self::SshConfiguration | Self::ProgramEnds | Self::Fault { .. } | Self::Bug => ServerCode::Here,
            Self::Lost(_) | Self::LostBeforeBegin(_) => ServerCode::Lost,
            Self::TimeUp { .. } => ServerCode::TimeUp,
            Self::OldClient { .. } => ServerCode::OldClient,
            Self::Stale { .. } => ServerCode::Stale,
            Self::NotStarted | Self::LeftAtWork | Self::NotResumed { .. } => ServerCode::Interrupted,
            Self::MaxFailures { .. } => ServerCode::MaxFailures,
            Self::WaveFailed { .. } | Self::WaveInconclusive { .. } => ServerCode::Wave,
            Self::GroupAtWork { .. } => ServerCode::Exclusive,
            Self::OutsideWindows { .. } | Self::InBlackout { .. } => ServerCode::Window,
            Self::Untested { .. } => ServerCode::Untested,
            Self::NotFrozen { .. } => ServerCode::NotFrozen,
            Self::HeldByRun { .. }
            | Self::UnknownSinceRun { .. }
            | Self::GroupHeldByRun { .. }
            | Self::GroupUnknownSinceRun { .. } => ServerCode::Held,
            Self::NotRecorded { .. } => ServerCode::NotRecorded,
            Self::HookFailed { .. } => ServerCode::Hook,
            Self::NoLoginAfterChange { .. } | Self::CheckFailed => ServerCode::Health,
            Self::NotBack { .. } => ServerCode::NotBack,
            Self::RestartsProtected { .. } | Self::RestartsNotTold => ServerCode::ProtectedService,
            Self::RequestTooLong { .. } => ServerCode::RequestTooLong,
            Self::NeverRebooted | Self::RebootedByName | Self::ThisServer | Self::BootNotTold => {
                ServerCode::NotRebooted
            }
        }
    }
}

impl From<ServerCause> for ServerReason {
    fn from(cause: ServerCause) -> Self {
        Self {
            code: cause.code(),
            cause,
            detail: Vec::new(),
            place: Place::Host,
            work: None,
            found: None,
            advice: None,
        }
    }
}

impl From<ServerCause> for HostReason {
    fn from(cause: ServerCause) -> Self {
        Self::Server(cause.into())
    }
}

impl From<ServerReason> for HostReason {
    fn from(reason: ServerReason) -> Self {
        Self::Server(reason)
    }
}

impl ServerReason {
    /// The system refused something here.
    #[must_use]
    pub fn fault(action: ServerAction, object: Option<String>, error: &std::io::Error) -> Self {
        Self::from(ServerCause::Fault { action, object }).detailed(error.to_string())
    }

    /// The same with what was said about it; nothing is added by an empty line.
    #[must_use]
    pub fn detailed(mut self, line: impl Into<String>) -> Self {
        self.detail.push(line.into());
        self.detail.retain(|line| !line.is_empty());
        self
    }

    /// The same with what to try.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<Option<ServerAdvice>>) -> Self {
        self.advice = advice.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apu_proto::Cause;

    #[test]
    fn a_reason_reads_back_as_the_one_that_told_it() {
        let lost = ServerCause::Lost(Lost {
            said: "cut".into(),
            then: Some(Box::new(ServerCause::NoRoute.into())),
        });
        let mut jump = ServerReason::from(ServerCause::HostKeyUnknown)
            .detailed("x")
            .advise(ServerAdvice::KnowJumpHost { jump: None });
        jump.code = ServerCode::Jump;
        jump.place = Place::Way(Some("gate".into()));
        let reasons: [HostReason; 5] = [
            ServerCause::LeftAtWork.into(),
            lost.into(),
            jump.into(),
            // Both sides know this code.
            HostReason::Client(Cause::ShuttingDown.into()),
            HostReason::Client(Reason {
                code: ReasonCode::Other,
                ..Cause::Unknown.into()
            }),
        ];
        for reason in reasons {
            let text = serde_json::to_string(&reason).unwrap();
            let read: HostReason = serde_json::from_str(&text).unwrap();
            assert_eq!(read, reason, "{text}");
        }
    }
}
