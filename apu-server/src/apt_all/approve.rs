//! Shows the plan of a push and asks its administrator.

use std::collections::HashSet;

use apu_fleet::{Approval, HostName, Trial};
use apu_proto::{Operation, Plan};
use apu_site::Failure;

use super::planned::{marked, plans_of};
use super::push::Push;
use super::question::ask;
use super::restart_choice::restarts_of;
use super::rollout::Arranged;
use crate::view::paint::Paint;
use crate::view::plans::question;
use crate::view::reboots;
use crate::view::restarts;

impl Push<'_> {
    /// Shows the plan and asks. Both stand on the terminal, in this order, wherever standard output goes; a log gets the
    /// plan after the answer, so that nothing comes between the question and the cursor.
    pub(super) async fn approve(
        &mut self,
        wanted: &[(HostName, Trial)],
        arranged: &Arranged,
    ) -> Result<Approval, Failure> {
        let endings = self.endings();
        let marked = marked(&endings).map(|(_, packages)| packages.len()).sum();
        let hosts: HashSet<&HostName> = wanted.iter().map(|(host, _)| host).collect();
        let plans: Vec<&Plan> = plans_of(&endings)
            .filter(|(host, _)| hosts.contains(host))
            .map(|(_, plan)| plan)
            .collect();
        let outlook = arranged.outlook();
        let question = match self.args.operation {
            Operation::Reboot => reboots::question(wanted.len(), outlook.as_deref()),
            Operation::RestartServices => {
                let reports = endings.iter().filter(|(host, _)| hosts.contains(host));
                let reports = reports.filter_map(|(_, ending)| restarts_of(ending));
                let services = reports.map(|report| report.restarts.len()).sum();
                restarts::question(services, wanted.len(), outlook.as_deref())
            }
            _ => question(&plans, marked, outlook.as_deref()),
        };
        let is_seen = self.ui.stdout().is_terminal;
        if is_seen {
            self.ui.show(&self.plan(self.output.paint));
            // Nobody can agree to what could not be shown.
            self.ui.all_written()?;
        } else {
            self.ui.complain(&self.plan(Paint::for_stream(self.ui.stderr())));
        }
        let hosts = wanted.iter().map(|(host, _)| host.clone()).collect();
        let stops = self.runner.ask_approval(self.args.operation, hosts);
        let mut answer = ask(self.ui, &question, stops).await;
        if !is_seen && let Ok(given) = answer {
            self.ui.show(&self.plan(self.output.paint));
            if given == Approval::Yes
                && let Err(failure) = self.ui.all_written()
            {
                answer = Err(failure);
            }
        }
        self.runner.answered(*answer.as_ref().unwrap_or(&Approval::No));
        answer
    }
}
