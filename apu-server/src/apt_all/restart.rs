//! Finds out who restarts services and may be asked to: the plan of `apt-all TARGET restart-services`.

use apu_fleet::{Host, HostName, Trial};
use apu_proto::Request;

use super::answered::Answered;
use super::push::Push;
use super::restart_choice::choose;

impl Push<'_> {
    /// The hosts that are to restart services, of those that have answered.
    pub(super) async fn choose_restarts(&mut self, plan: &Request, hosts: &[Host]) -> Vec<(HostName, Trial)> {
        let endings = self.endings();
        let choice = choose(Answered {
            endings: &endings,
            hosts,
        });
        self.settle(choice, plan, hosts).await
    }
}
