//! What hosts answered before their turns, and which of them are asked to do it.

use std::collections::HashMap;

use apu_fleet::{
    Batch, Ending, Host, HostName, Outcome, Phase, ServerAdvice, ServerCause, ServerReason, Trial,
};
use apu_proto::{Operation, Request, System, Transaction};

use super::planned::Endings;
use super::push::Push;

/// Hosts and how they answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered<'a> {
    /// How each host answered.
    pub(super) endings: &'a Endings,
    /// The same hosts, as their classes have them.
    pub(super) hosts: &'a [Host],
}

/// Who is asked to do it, and who is not although it would have something to do.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Choice {
    /// In the order of the class.
    pub(super) asked: Vec<HostName>,
    /// Each with why.
    pub(super) not_asked: Vec<(HostName, ServerReason)>,
}

impl Answered<'_> {
    /// How a host answered.
    pub(super) fn ending(&self, host: &HostName) -> Option<&Ending> {
        let mut endings = self.endings.iter();
        endings.find(|(other, _)| other == host).map(|(_, ending)| ending)
    }

    /// Why a host is not asked where another of its exclusive group did not answer.
    pub(super) fn why_its_group_waits(&self, host: &Host, operation: Operation) -> Option<ServerReason> {
        let by = self.down_in_group_of(host)?.clone();
        let group = host.exclusive.as_ref()?.to_string();
        let advice = ServerAdvice::LookAndRepeat {
            hosts: vec![by.clone()],
            operation,
            packages: Vec::new(),
        };
        Some(ServerReason::from(ServerCause::GroupAtWork { group, by }).advise(advice))
    }

    /// Another host of its exclusive group that may be down: it did not answer just now.
    fn down_in_group_of(&self, host: &Host) -> Option<&HostName> {
        let group = host.exclusive.as_ref()?;
        let is_of_group = |other: &&Host| other.exclusive.as_ref() == Some(group) && other.name != host.name;
        let may_be_down = |other: &&Host| {
            self.ending(&other.name).is_none_or(|ending| {
                matches!(
                    ending.outcome,
                    Outcome::Unreachable | Outcome::Lost | Outcome::TimedOut
                )
            })
        };
        let mut others = self.hosts.iter().filter(is_of_group);
        others.find(may_be_down).map(|other| &other.name)
    }
}

impl Push<'_> {
    /// The hosts that are asked, each with what that is to the waves. The others end as skipped here, so that a run that is gone on with
    /// has none of them.
    pub(super) async fn settle(
        &mut self,
        choice: Choice,
        plan: &Request,
        hosts: &[Host],
    ) -> Vec<(HostName, Trial)> {
        self.skip(choice.not_asked.into_iter().collect(), plan, hosts)
            .await;
        choice.asked.into_iter().map(|host| (host, trial())).collect()
    }

    /// Has these of the hosts end as skipped, each with why.
    pub(super) async fn skip(
        &mut self,
        reasons: HashMap<HostName, ServerReason>,
        plan: &Request,
        hosts: &[Host],
    ) {
        if reasons.is_empty() {
            return;
        }
        let is_skipped = |host: &&Host| reasons.contains_key(&host.name);
        let hosts: Vec<Host> = hosts.iter().filter(is_skipped).cloned().collect();
        let mut batch = Batch::of(Phase::Plan, &hosts, plan);
        batch.held = reasons;
        self.ask_all(batch).await;
    }
}

/// What a host does that changes no package: the same for all.
fn trial() -> Trial {
    Trial {
        system: System::default(),
        transaction: Transaction::default(),
        is_broken: false,
        too_young: Vec::new(),
        conffile_rules: Vec::new(),
    }
}
