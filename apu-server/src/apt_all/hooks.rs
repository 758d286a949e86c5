//! The administrator's programs of a run: prepares them for the engine, and calls those that are about the whole run.

use std::sync::Arc;

use apu_fleet::{Batch, Hook, HostName, Phase, Programs, ServerAdvice, ServerReason, package_words};
use apu_proto::Request;
use tokio::sync::Semaphore;

use super::push::Push;

impl Push<'_> {
    /// Readies the programs for the hosts of the batch where packages are about to change, machines reboot or services restart, and
    /// calls those before the run. Where one fails, no host is asked.
    pub(super) async fn call_before_run(&mut self, request: &Request, batch: &mut Batch) {
        let is_meant = batch.phase == Phase::Apply && request.takes_turns();
        let Some(run) = request.run_id().filter(|_| is_meant) else {
            return;
        };
        let programs = Programs {
            hooks: self.site.hooks(),
            hook_limit: self.hook_limit,
            check: batch.rollout.check.clone(),
            run,
            number: self.runner.state().number,
            operation: request.operation().to_string(),
            target: self.args.target.clone(),
            by: self.record.by().to_owned(),
            places: Arc::new(Semaphore::new(self.limits.parallel.get())),
        };
        let hosts = batch.tasks.iter().map(|task| format!("{}\n", task.host.name));
        let hosts: String = hosts.collect();
        let called = programs.call_for_run(Hook::BeforeRun, hosts);
        // After Ctrl-C no host starts, whatever the hook would have said.
        if let Some(Err(failure)) = self.runner.unless_stopped(called).await {
            let reason = ServerReason::from(failure).advise(ServerAdvice::MendAndRepeat {
                operation: request.operation(),
                packages: package_words(request.packages()),
            });
            let hosts: Vec<HostName> = batch.tasks.iter().map(|task| task.host.name.clone()).collect();
            for host in hosts {
                batch.held.entry(host).or_insert_with(|| reason.clone());
            }
        }
        batch.programs = Some(Arc::new(programs));
    }

    /// Calls the programs after the run, with how each host ended. That one of them fails is told and changes no outcome.
    pub(super) async fn call_after_run(&mut self, programs: &Programs) {
        let endings = self.endings();
        let ended = endings
            .iter()
            .map(|(host, ending)| format!("{host} {}\n", ending.outcome));
        if let Err(failure) = programs.call_for_run(Hook::AfterRun, ended.collect()).await {
            self.runner.tell_hook_failure(failure);
        }
    }
}
