//! The first phase of a push of something that was published for it: the clients learn that it is there.

use apu_fleet::{Batch, Code, Ending, Hint, Host, HostName, HostState, Phase};
use apu_proto::{Operation, ReasonCode, Request, RequestOption};
use apu_site::Failure;

use super::candidate::advice;
use super::push::{Push, not_a_request};

impl Push<'_> {
    /// Has the lists of the site's own archives fetched where something was published for this push; returns the hosts that
    /// have them.
    pub(super) async fn refresh_lists(&mut self, hosts: Vec<Host>) -> Result<Vec<Host>, Failure> {
        if self.local.is_empty() {
            return Ok(hosts);
        }
        let request =
            Request::new(Operation::Update, [RequestOption::ListsOfSite], []).map_err(not_a_request)?;
        let request = self.as_run(request)?;
        let mut batch = Batch::of(Phase::RefreshLists, &hosts, &request);
        self.begin(&request, &mut batch)?;
        self.ask_all(batch).await;
        // Where a client's own sources are in the way, it fetched the lists to another place, which the next apu-data comes
        // from and nothing else.
        let is_data_alone = self
            .local
            .iter()
            .all(|package| package.name.as_str() == "apu-data");
        let is_in_the_way = |ending: &Ending| {
            let why = ending.reason.as_ref();
            why.is_some_and(|why| why.code() == Code::Client(ReasonCode::Configuration))
        };
        let goes_on = |ending: &Ending| ending.outcome.is_well() || (is_data_alone && is_in_the_way(ending));
        let state = self.runner.state();
        let has_them = |host: &Host| state.ending(&host.name).is_some_and(goes_on);
        Ok(hosts.into_iter().filter(has_them).collect())
    }

    /// How the hosts ended so far, each with what this server knows to try.
    pub(super) fn endings(&self) -> Vec<(HostName, Ending)> {
        let hosts = self.runner.state().hosts();
        hosts
            .filter_map(|(host, state)| match state {
                HostState::Ended { ending, .. } => {
                    let mut ending = (**ending).clone();
                    self.explain(host, &mut ending);
                    Some((host.clone(), ending))
                }
                _ => None,
            })
            .collect()
    }

    /// Says what to try where a client would install another version than the one that was published for it, and which
    /// .debs are others than those that were approved.
    fn explain(&self, host: &HostName, ending: &mut Ending) {
        let found = ending.result.as_ref().and_then(|result| result.plan());
        let other = self.approved.get(host).zip(found);
        let other = other.map(|(approved, found)| found.transaction.other_contents(&approved.transaction));
        ending.hint = Hint {
            other_contents: other.unwrap_or_default().into_iter().cloned().collect(),
            advice: (ending.reason.as_ref()).and_then(|reason| advice(reason, &self.local, self.may_replace)),
        };
    }

    /// After a no: what was published is not taken back.
    pub(super) fn what_stays(&self) -> String {
        let names = self.local.iter().map(|package| {
            let version = package.version.as_ref().map(|version| format!("={version}"));
            format!(" {}{}", package.name, version.unwrap_or_default())
        });
        let names: String = names.collect();
        if names.is_empty() {
            return names;
        }
        format!(" there; to take it back here: apu repo remove{names}")
    }
}
