//! A push of something that was published for it: first the clients learn that it is there.

use apu_fleet::{Code, Ending, Host, Obstacle, Outcome, Purpose, Why};
use apu_proto::{Operation, ReasonCode, Request};
use apu_repo::Failure;
use tokio::sync::mpsc::UnboundedReceiver;

use super::audit::Record;
use super::candidate::advice;
use super::ended::Ended;
use super::push::{Push, tasks};

impl Push<'_> {
    /// Has the lists of the site's own archives fetched where something was published for this push; the hosts that
    /// have them come back, and how the others ended.
    pub(super) async fn fetch_lists(
        &self,
        hosts: Vec<Host>,
        stops: &mut UnboundedReceiver<()>,
        record: &mut Record,
    ) -> Result<(Vec<Host>, Ended), Failure> {
        if self.local.is_empty() {
            return Ok((hosts, Ended::default()));
        }
        let request = Request {
            lists_of_site: true,
            ..Request::new(Operation::Update)
        };
        let request = self.to_be_done(request, record)?;
        let mut fetched = self.go(Purpose::Run, tasks(&hosts, &request), None, stops).await;
        // Where a client's own sources are in the way, it fetched the lists to another place, which the next apu-data comes
        // from and nothing else.
        let is_data_alone = self
            .local
            .iter()
            .all(|package| package.name.as_str() == "apu-data");
        let is_in_the_way = |ending: &Ending| {
            let why = ending.reason.as_ref();
            why.is_some_and(|why| why.code == Code::Client(ReasonCode::Configuration))
        };
        let goes_on = |ending: &Ending| ending.outcome.is_well() || (is_data_alone && is_in_the_way(ending));
        let has_them = |host: &Host| {
            let mut endings = fetched.endings.iter();
            endings.any(|(name, ending)| *name == host.name && goes_on(ending))
        };
        let ready = hosts.into_iter().filter(has_them).collect();
        if fetched.interrupted {
            for (_, ending) in fetched.endings.iter_mut().filter(|(_, ending)| goes_on(ending)) {
                let why = Why::here(Obstacle::Interrupted, "interrupted before its turn", "");
                *ending = Ending::without_result(Outcome::Skipped, why, None);
            }
            return Ok((ready, fetched));
        }
        fetched.endings.retain(|(_, ending)| !goes_on(ending));
        for (_, ending) in &mut fetched.endings {
            if let Some(why) = &mut ending.reason
                && why.code == Code::Client(ReasonCode::Grammar)
            {
                why.advice =
                    "apt-all HOST dist-upgrade, since this apu-client is too old for that".to_owned();
            }
        }
        Ok((ready, fetched))
    }

    /// Says what to try where a client would install another version than the one that was published for it.
    pub(super) fn explain(&self, ended: &mut Ended) {
        for (_, ending) in &mut ended.endings {
            if let Some(why) = &mut ending.reason
                && let Some(advice) = advice(why, &self.local, self.may_replace)
            {
                why.advice = advice;
            }
        }
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
