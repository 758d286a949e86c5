//! Advice: what an administrator may try, as facts.

use apu_debian::PackageName;
use apu_proto::{Operation, RunId};
use serde::{Deserialize, Serialize};

use crate::name::HostName;

/// What an administrator may try; commands are typed on the server where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum ServerAdvice {
    /// `apu host-key HOST`.
    PinHostKey,
    /// Find out why, and then `apu host-key HOST --replace`.
    ReplaceHostKey,
    /// Find out why the key of a jump host changed.
    FindOutJumpKey,
    /// Log in to the jump host once, and compare its key.
    KnowJumpHost {
        /// The jump host; none where ssh_config names it.
        jump: Option<String>,
    },
    /// Let root's ssh log in to the jump host.
    LogInToJumpHost {
        /// The jump host; none where ssh_config names it.
        jump: Option<String>,
    },
    /// `apu bootstrap HOST`.
    Bootstrap,
    /// `apu bootstrap HOST`, for a newer apu-client.
    NewerClient,
    /// Mend what the host found, and then `apu bootstrap HOST`.
    MendAndBootstrap,
    /// Look into the log of its sshd.
    LookIntoLog,
    /// Write its address into its class.
    GiveAddress,
    /// `apu attach HOST RUN`.
    Attach {
        /// The run.
        run: RunId,
    },
    /// `apu wait RUN`, and then the same on this host.
    WaitForRun {
        /// The run's number.
        run: String,
        /// The operation.
        operation: Operation,
        /// Its packages.
        packages: Vec<String>,
    },
    /// `apu resume RUN`, which finds out, or `apu unlock HOST`.
    ResumeRun {
        /// The run's number.
        run: String,
    },
    /// Look at the checks of other hosts, and then the same on this host.
    LookAndRepeat {
        /// The other hosts.
        hosts: Vec<HostName>,
        /// The operation.
        operation: Operation,
        /// Its packages.
        packages: Vec<String>,
    },
    /// The same on this host alone, which is then its own canary.
    RepeatAlone {
        /// The operation.
        operation: Operation,
        /// Its packages.
        packages: Vec<String>,
    },
    /// Mend what failed, and then the same on this host.
    MendAndRepeat {
        /// The operation.
        operation: Operation,
        /// Its packages, as `name[:arch][=version]`.
        packages: Vec<String>,
    },
    /// The same with this host named by itself.
    NameIt {
        /// The operation.
        operation: Operation,
    },
    /// The same on this host, with `--allow-restart` for each of these services, or for all of them.
    AllowRestart {
        /// The operation.
        operation: Operation,
        /// Its packages.
        packages: Vec<String>,
        /// The services; all of them where there is none.
        services: Vec<String>,
    },
    /// Name fewer packages at once, or have fewer rules for configuration files.
    ShortenRequest {
        /// Whether it has rules.
        has_rules: bool,
    },
    /// Reboot this server by hand, while no run is at work.
    RebootServer,
    /// Compare the Release file that the client gets.
    CompareRelease {
        /// The directory of the Release file.
        uri: String,
    },
    /// Let a package replace what another archive has.
    MayReplace {
        /// The package.
        package: PackageName,
        /// The version that was published for it.
        version: String,
    },
    /// Push the apu-data that lets a package replace what another archive has.
    PushMayReplace {
        /// The package.
        package: PackageName,
    },
}

impl ServerAdvice {
    /// To look for a run later, where there is one.
    pub(crate) fn attach(run: Option<RunId>) -> Option<Self> {
        run.map(|run| Self::Attach { run })
    }
}
