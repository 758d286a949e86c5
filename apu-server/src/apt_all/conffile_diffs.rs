//! `conffiles --diff`: what differs is asked of one host for each set of versions of a file, once it is known which hosts have which.

use apu_fleet::{Batch, Host, Phase};
use apu_proto::{Request, RequestOption};
use apu_site::Failure;

use super::push::{Push, not_a_request};
use crate::view::conffile_diffs::one_for_each;

/// The most hosts that are asked: what they answer is kept in memory.
const MOST_ASKED: usize = 64;

impl Push<'_> {
    /// Asks the first host with each set of versions what differs. It answers for the others.
    pub(super) async fn ask_for_diffs(&mut self, request: &Request, hosts: &[Host]) -> Result<(), Failure> {
        if !self.args.diff || self.runner.state().interrupts > 0 {
            return Ok(());
        }
        let asked = one_for_each(&self.endings(), MOST_ASKED);
        let asked: Vec<Host> = hosts
            .iter()
            .filter(|host| asked.contains(&host.name))
            .cloned()
            .collect();
        if asked.is_empty() {
            return Ok(());
        }
        let request = request
            .clone()
            .with([RequestOption::Diffs])
            .map_err(not_a_request)?;
        self.ask_all(Batch::of(Phase::of(request.operation()), &asked, &request))
            .await;
        Ok(())
    }
}
