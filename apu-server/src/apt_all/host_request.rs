//! What one host is asked beside what all are asked: the rules for its configuration files, and the answers to its debconf questions.

use apu_fleet::{Host, HostName, ServerCause, ServerReason, Trial};
use apu_proto::{ConffileRuleFor, Request, RequestError, RequestOption};
use apu_site::Failure;

use super::answers::HostAnswers;
use super::conffile_rules::HostRules;
use super::room::has_room_for_run;
use crate::context::Context;

/// What each host gets, as the site says it now.
#[derive(Default)]
pub(super) struct HostParts {
    answers: HostAnswers,
    rules: HostRules,
}

impl HostParts {
    /// Reads them for the hosts that get this request.
    ///
    /// # Errors
    /// Where the site says them for no class, or cannot be understood.
    pub(super) fn read(context: &Context, request: &Request, hosts: &[Host]) -> Result<Self, Failure> {
        let mut parts = Self::default();
        if request.operation().takes_answers() && !request.is_download_only() {
            parts.answers = HostAnswers::read(context, hosts)?;
        }
        if request.operation().takes_conffile_rules() {
            parts.rules = HostRules::read(context, hosts)?;
        }
        Ok(parts)
    }

    /// The request for a host's plan. One that has the parts already is the same.
    ///
    /// # Errors
    /// Where it, or the run after it, is longer than a request can be.
    pub(super) fn plan_of(&self, host: &HostName, request: &Request) -> Result<Request, Box<ServerReason>> {
        let answers = self.answers.for_plan(host, request);
        let number = answers.as_ref().map_or(0, |answers| answers.all().len());
        let rules = self.rules.of(host);
        let whole = || {
            let asked = with_rules(request, rules)?;
            let asked = match answers {
                Some(answers) => asked.with_answers(answers)?,
                None => asked,
            };
            if asked != *request {
                has_room_for_run(&asked)?;
            }
            Ok(asked)
        };
        whole().map_err(|error| no_request(error, (rules.len(), number, request.hold().len())))
    }

    /// The request for a host's run, with what was approved for it where there was a plan.
    ///
    /// # Errors
    /// Where it is longer than a request can be.
    pub(super) fn run_of(
        &self,
        host: &HostName,
        request: &Request,
        trial: Option<&Trial>,
    ) -> Result<Request, Box<ServerReason>> {
        // Those of the plan: apu.toml may say something else by now.
        let rules = trial.map_or_else(|| self.rules.of(host), |trial| &trial.conffile_rules);
        let answers = trial.and_then(|trial| self.answers.approved(host, &trial.transaction));
        let number = answers.as_ref().map_or(0, |answers| answers.all().len());
        let whole = || {
            let plan = trial
                .filter(|_| request.changes_packages())
                .map(|trial| RequestOption::Plan(trial.transaction.id()));
            let young = trial.map_or(&[][..], |trial| &trial.too_young);
            let young = (!young.is_empty()).then(|| RequestOption::TooYoung(young.to_vec()));
            let asked = with_rules(request, rules)?.with(young.into_iter().chain(plan))?;
            match answers {
                Some(answers) => asked.with_answers(answers),
                None => Ok(asked),
            }
        };
        whole().map_err(|error| no_request(error, (rules.len(), number, request.hold().len())))
    }

    /// What was planned, with the rules that it was planned by.
    pub(super) fn planned(&self, host: &HostName, trial: Trial) -> Trial {
        Trial {
            conffile_rules: self.rules_of(host),
            ..trial
        }
    }

    /// The rules by which a host plans.
    pub(super) fn rules_of(&self, host: &HostName) -> Vec<ConffileRuleFor> {
        self.rules.of(host).to_vec()
    }
}

fn with_rules(request: &Request, rules: &[ConffileRuleFor]) -> Result<Request, RequestError> {
    let is_free = request.operation().takes_conffile_rules() && request.conffile_rules().is_empty();
    let rules = (is_free && !rules.is_empty()).then(|| RequestOption::ConffileRules(rules.to_vec()));
    request.clone().with(rules)
}

/// Why a host is not asked.
fn no_request(error: RequestError, (rules, answers, held): (usize, usize, usize)) -> Box<ServerReason> {
    Box::new(match error {
        RequestError::TooLong => ServerCause::request_too_long(rules, answers, held),
        // What the command line says was looked at before.
        _ => ServerReason::from(ServerCause::Bug).detailed(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use apu_proto::{System, Transaction};

    use super::super::conffile_rules::tests::{hosts, site};
    use super::*;

    fn request(line: &str) -> Request {
        Request::parse(format!("apu/1 {line}").as_bytes()).unwrap()
    }

    #[test]
    fn a_host_whose_request_has_no_room_for_its_parts_is_named_with_them() {
        let long: String = "x".repeat(200);
        let rules: Vec<String> = (0..20).map(|number| format!("'/etc/{number}{long}'")).collect();
        let (_root, context) = site(&format!("[conffiles.web]\nnew = [{}]\n", rules.join(", ")));
        let all = hosts(&["web1", "db1"]);
        let parts = HostParts::read(&context, &request("upgrade"), &all).unwrap();
        let plan = request("upgrade dry_run=yes");
        let why = parts.plan_of(&all[0].name, &plan).unwrap_err();
        let cause = ServerCause::RequestTooLong {
            rules: 20,
            answers: 0,
            held: 0,
        };
        assert_eq!(why.cause, cause);
        assert!(parts.plan_of(&all[1].name, &plan).is_ok());
        // Also where it is only the run that has no room.
        let fits = |number: usize| {
            let names: Vec<String> = (0..number).map(|number| format!("{number:070}")).collect();
            let line = format!("upgrade dry_run=yes source_packages={}", names.join(","));
            let parts = HostParts::read(&site("[conffiles.web]\nnew = ['/etc/n']\n").1, &plan, &all).unwrap();
            parts.plan_of(&all[0].name, &request(&line)).is_ok()
        };
        assert!(fits(53) && !fits(55));
    }

    #[test]
    fn a_plan_has_the_rules_of_its_host_and_a_run_those_of_its_plan() {
        let (_root, context) = site("[conffiles.web]\nnew = ['/etc/n']\n");
        let all = hosts(&["web1", "db1"]);
        let parts = HostParts::read(&context, &request("upgrade"), &all).unwrap();
        let plan = request("upgrade dry_run=yes");
        let of_web = parts.plan_of(&all[0].name, &plan).unwrap();
        assert_eq!(
            of_web.to_string(),
            "apu/1 upgrade dry_run=yes conffile_rules=new:/etc/n"
        );
        assert_eq!(parts.plan_of(&all[0].name, &of_web), Ok(of_web));
        assert_eq!(parts.plan_of(&all[1].name, &plan), Ok(plan));

        let trial = Trial {
            system: System::default(),
            transaction: Transaction::default(),
            is_broken: false,
            too_young: Vec::new(),
            conffile_rules: Vec::new(),
        };
        let planned = parts.planned(&all[0].name, trial);
        // Another file by now.
        let (_root, context) = site("[conffiles.web]\nkeep = ['/etc/n']\n");
        let now = HostParts::read(&context, &request("upgrade"), &all).unwrap();
        let run = |parts: &HostParts, trial| {
            parts
                .run_of(&all[0].name, &request("upgrade"), trial)
                .unwrap()
                .conffile_rules()
                .iter()
                .map(ToString::to_string)
                .collect::<String>()
        };
        assert_eq!(run(&now, Some(&planned)), "new:/etc/n");
        // What is only fetched has no plan.
        assert_eq!(run(&now, None), "keep:/etc/n");
        // An operation that takes none has none.
        assert!(HostParts::read(&context, &request("update"), &all).is_ok());
        assert_eq!(
            now.plan_of(&all[0].name, &request("reboot dry_run=yes")).unwrap(),
            request("reboot dry_run=yes")
        );
    }
}
