//! Freezes the .debs of a run: has the canaries keep theirs, for the waves behind them.

use std::sync::Arc;

use apu_fleet::{Frozen, Rollout, Task};
use apu_proto::{Request, RequestOption};
use apu_site::Failure;

use super::push::{Push, not_a_request};

impl Push<'_> {
    /// What the hosts of a phase give and take, where .debs are frozen. Those that give are asked to keep what they install.
    pub(super) fn freeze(
        &self,
        request: &Request,
        rollout: &Rollout,
        tasks: &mut [Task],
    ) -> Result<Option<Arc<Frozen>>, Failure> {
        let Some(run) = request.run_id().filter(|_| request.operation().takes_keep_debs()) else {
            return Ok(None);
        };
        if self.frozen.is_some() {
            return Ok(self.frozen.clone());
        }
        let folder = self.site.frozen().join(run.to_string());
        // Hosts that wait in the queue may have no plan yet.
        let for_more = self.queue_until.is_some();
        let Some(frozen) = Frozen::of_phase(folder, rollout, tasks, for_more) else {
            return Ok(None);
        };
        for (place, task) in tasks.iter_mut().enumerate() {
            if frozen.is_giver(place) {
                let keeps = task.request.clone().with([RequestOption::KeepDebs]);
                task.request = keeps.map_err(not_a_request)?;
            }
        }
        Ok(Some(frozen))
    }
}
