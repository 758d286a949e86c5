//! Leaves out of a push the hosts whose plans restart what is protected.

use std::collections::HashMap;

use apu_fleet::{Host, HostName, ServerReason};
use apu_proto::Request;

use super::planned::plan_of;
use super::push::Push;

impl Push<'_> {
    /// Has the hosts skipped whose plans restart what is protected.
    pub(super) async fn leave_out_protected(&mut self, plan: &Request, hosts: &[Host]) {
        let reasons: HashMap<HostName, ServerReason> = (self.endings().iter())
            .filter_map(|(host, ending)| {
                let why = self.protection.why_not(host, plan_of(ending)?, plan)?;
                Some((host.clone(), why))
            })
            .collect();
        self.skip(reasons, plan, hosts).await;
    }
}
