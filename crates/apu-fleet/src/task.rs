//! A host with the request that it gets in a phase.

use std::sync::Arc;

use apu_proto::Request;

use crate::host::Host;
use crate::rollout::Trial;

/// A host and what is asked of it.
#[derive(Debug, Clone)]
pub struct Task {
    /// The host.
    pub host: Host,
    /// What is asked.
    pub request: Request,
    /// What the host is to do, where that was planned.
    pub trial: Option<Arc<Trial>>,
}
