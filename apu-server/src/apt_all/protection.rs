//! Decides which hosts are not asked, since what they would install restarts services that are protected there.

use std::collections::HashMap;

use apu_fleet::{Host, HostName, ServerAdvice, ServerCause, ServerReason};
use apu_proto::{Plan, Request, Step};
use apu_site::Failure;
use apu_site::settings::ServiceGlob;

use super::args::Args;
use super::class_key::members;
use crate::context::Context;

/// The most services that a reason names.
const NAMED: usize = 5;

/// The services that the packages of a push may not restart, and those of them that they may.
#[derive(Debug, Default)]
pub(super) struct Protection {
    protected: HashMap<HostName, Vec<ServiceGlob>>,
    allowed: Vec<ServiceGlob>,
}

impl Protection {
    /// What apu.toml protects on these hosts, and what the command line allows.
    ///
    /// # Errors
    /// Where there is no such class.
    pub(super) fn of(context: &Context, args: &Args, hosts: &[Host]) -> Result<Self, Failure> {
        let mut protected: HashMap<HostName, Vec<ServiceGlob>> = HashMap::new();
        for (class, services) in &context.settings.protect {
            for host in members(context, "[protect]", class, hosts)? {
                protected
                    .entry(host)
                    .or_default()
                    .extend(services.iter().cloned());
            }
        }
        Ok(Self {
            protected,
            allowed: args.allow_restart.clone(),
        })
    }

    /// Why a host is not asked to carry out its plan; none where it is.
    pub(super) fn why_not(&self, host: &HostName, plan: &Plan, request: &Request) -> Option<ServerReason> {
        let protected = self.protected.get(host)?;
        // Whatever is not told may be any service.
        let allows_any = self.allowed.iter().any(|glob| glob.to_string() == "*");
        if protected.is_empty() || allows_any || !plan.transaction.steps().iter().any(is_upgrade) {
            return None;
        }
        let reason = |cause: ServerCause, services: Vec<String>| {
            ServerReason::from(cause).advise(ServerAdvice::AllowRestart {
                operation: request.operation(),
                packages: request.packages().iter().map(ToString::to_string).collect(),
                services,
            })
        };
        let not_told = || reason(ServerCause::RestartsNotTold, Vec::new());
        let Some(services) = &plan.services else {
            return Some(not_told());
        };
        let is_protected = |service: &&String| {
            let is_one_of = |globs: &[ServiceGlob]| globs.iter().any(|glob| glob.matches(service));
            is_one_of(protected) && !is_one_of(&self.allowed)
        };
        let protected: Vec<String> = services.restarts.iter().filter(is_protected).cloned().collect();
        let is_a_name = |service: &String| service.parse::<ServiceGlob>().is_ok();
        if !protected.iter().all(is_a_name) || (protected.is_empty() && services.more > 0) {
            return Some(not_told());
        }
        if protected.is_empty() {
            return None;
        }
        let cause = ServerCause::RestartsProtected {
            more: protected.len().saturating_sub(NAMED),
            services: protected.iter().take(NAMED).cloned().collect(),
        };
        Some(reason(cause, protected))
    }
}

/// Whether a step replaces what is installed. What is removed stops its own services, and nothing else is restarted for it.
fn is_upgrade(step: &Step) -> bool {
    matches!(step, Step::Install { old: Some(_), .. })
}

#[cfg(test)]
mod tests {
    use apu_proto::{Services, Transaction};

    use super::*;

    fn why_not(protect: &[&str], allowed: &[&str], services: Option<Services>) -> Option<ServerReason> {
        why_not_of(protect, allowed, services, Some("1"))
    }

    fn why_not_of(
        protect: &[&str],
        allowed: &[&str],
        services: Option<Services>,
        old: Option<&str>,
    ) -> Option<ServerReason> {
        let globs = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let host: HostName = "db1".parse().unwrap();
        let other: HostName = "db2".parse().unwrap();
        let protection = Protection {
            protected: HashMap::from([(host.clone(), globs(protect)), (other, globs(&["*"]))]),
            allowed: globs(allowed),
        };
        let step = Step::Install {
            package: "foo:amd64".parse().unwrap(),
            old: old.map(str::to_owned),
            new: "2".into(),
            origin: String::new(),
            sha256: None,
        };
        let plan = Plan {
            transaction: Transaction::new(vec![step]),
            services,
            ..Plan::default()
        };
        let request = Request::parse(b"apu/1 dist-upgrade dry_run=yes").unwrap();
        protection.why_not(&host, &plan, &request)
    }

    fn restarts(services: &[&str]) -> Option<Services> {
        Some(Services::new(services.iter().map(|&name| name.to_owned()), []))
    }

    #[test]
    fn what_restarts_a_protected_service_is_not_asked_for_unless_that_is_allowed() {
        let both = || restarts(&["cron", "postgresql@15-main"]);
        assert_eq!(why_not(&[], &[], both()), None);
        assert_eq!(why_not(&["slapd"], &[], both()), None);
        assert_eq!(why_not(&["postgresql@*"], &["postgresql@15-*"], both()), None);
        let why = why_not(&["postgresql@*", "cron"], &["cron"], both()).unwrap();
        let services = vec!["postgresql@15-main".to_owned()];
        let cause = ServerCause::RestartsProtected {
            services: services.clone(),
            more: 0,
        };
        assert_eq!(why.cause, cause);
        let Some(ServerAdvice::AllowRestart {
            services: advised, ..
        }) = why.advice
        else {
            panic!("{:?}", why.advice);
        };
        assert_eq!(advised, services);
    }

    #[test]
    fn a_host_that_cannot_tell_what_restarts_is_not_asked_where_something_is_protected() {
        let more = Services {
            more: 1,
            ..Services::default()
        };
        let cause = |services: Option<Services>| why_not(&["slapd"], &[], services).map(|why| why.cause);
        assert_eq!(cause(None), Some(ServerCause::RestartsNotTold));
        assert_eq!(cause(Some(more)), Some(ServerCause::RestartsNotTold));
        assert_eq!(cause(restarts(&[])), None);
        assert_eq!(why_not(&[], &[], None), None);
        assert_eq!(why_not(&["slapd"], &["*"], None), None);
        // What is no name of a service is not put into a command that somebody may paste.
        let odd = why_not(&["*"], &[], restarts(&["a\nb"])).map(|why| why.cause);
        assert_eq!(odd, Some(ServerCause::RestartsNotTold));
        // Where nothing that is installed changes, nothing is restarted.
        assert_eq!(why_not_of(&["slapd"], &[], None, None), None);
    }

    #[test]
    fn many_services_are_counted() {
        let names: Vec<String> = (1..=8).map(|number| format!("a{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let why = why_not(&["a*"], &[], restarts(&names)).unwrap();
        let ServerCause::RestartsProtected { services, more } = why.cause else {
            panic!("{why:?}");
        };
        assert_eq!((services.len(), more), (NAMED, 3));
    }
}
