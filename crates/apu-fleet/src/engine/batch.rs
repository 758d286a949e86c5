//! What one phase of a push asks, and its limits.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use apu_proto::Operation;

use crate::event::Phase;
use crate::frozen::Frozen;
use crate::name::HostName;
use crate::outcome::Ending;
use crate::programs::Programs;
use crate::published::PublishedArchive;
use crate::reason::ServerReason;
use crate::rollout::Rollout;
use crate::task::Task;

/// How much at once, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Hosts at work at once.
    pub parallel: NonZeroUsize,
    /// Connections at once: a run that is silent needs none.
    pub connections: NonZeroUsize,
    /// How long one host is waited for.
    pub timeout: Duration,
    /// How many hosts of the push may fail; with one more, nothing new is started.
    pub max_failures: Option<usize>,
}

/// What is known of a host from the run that this one goes on with.
#[derive(Debug, Clone, PartialEq)]
pub enum Carried {
    /// It has ended so: it is not asked again.
    Ended(Box<Ending>),
    /// It was asked, and may be at work: it is asked for the same run, whatever has become of the others.
    Open,
}

/// Until when a host may begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Closing {
    /// How long after the begin of the push.
    pub at: Duration,
    /// Why not later.
    pub why: ServerReason,
}

/// Everything that is asked in one phase.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The phase.
    pub phase: Phase,
    /// The operation, the same for all.
    pub operation: Operation,
    /// The hosts in the order of their turns, with what is asked of each.
    pub tasks: Vec<Task>,
    /// What is known of hosts from the run that this one goes on with, whose process was killed.
    pub carried: HashMap<HostName, Carried>,
    /// The waves, counted from 1, that an administrator let pass in that run, each with who it was.
    pub promoted: HashMap<usize, String>,
    /// The hosts that are not asked, each with why: another run is at work there.
    pub held: HashMap<HostName, ServerReason>,
    /// The hosts that may begin only for a while. What has begun goes on.
    pub closings: HashMap<HostName, Closing>,
    /// The waves in which the hosts take their turns.
    pub rollout: Rollout,
    /// The administrator's programs on this server, where they are called in this phase.
    pub programs: Option<Arc<Programs>>,
    /// The .debs that canaries give for the later waves, where they do.
    pub frozen: Option<Arc<Frozen>>,
    /// What this server has published, for `update` to be compared with; empty where nothing is to be compared.
    pub published: Vec<PublishedArchive>,
}
