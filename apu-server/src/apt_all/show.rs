//! What a push shows of its plan and of its end.

use apu_fleet::{Ending, HostName};
use apu_proto::{Plan, RebootReport, RestartReport};
use jiff::tz::TimeZone;

use super::candidate::advice;
use super::planned::{marked, plan_of, plans_of};
use super::push::Push;
use super::reboot_choice::report_of;
use super::restart_choice::restarts_of;
use crate::one_phase::{exit_status, tell_failed_sinks};
use crate::view::changes::named;
use crate::view::conffile_diffs::conffile_diffs;
use crate::view::conffiles::conffiles;
use crate::view::groups::{groups, set};
use crate::view::holds::holds;
use crate::view::live::OutputOptions;
use crate::view::paint::Paint;
use crate::view::plans::plans;
use crate::view::questions::questions;
use crate::view::reboots::reboots;
use crate::view::restarts::restarts;
use crate::view::server_reason::{of_run, server_advice_text};
use crate::view::status::table;
use crate::view::summary::{numbers, summary, told as told_of};

impl Push<'_> {
    /// What would be done, and which hosts could not say it.
    pub(super) fn plan(&self, paint: Paint) -> String {
        if self.args.shown.json {
            return String::new();
        }
        let planned = self.endings();
        let ready: Vec<(HostName, &Plan)> = plans_of(&planned)
            .map(|(host, plan)| (host.clone(), plan))
            .collect();
        if self.args.questions {
            return questions(&ready, paint, self.args.shown.verbose) + &self.without_plan(&planned, paint);
        }
        let mut text = plans(&ready, paint, self.args.shown.verbose);
        for (marked, hosts) in groups(marked(&planned)) {
            let marks = named("marked as installed manually", marked).unwrap_or_default();
            text += &format!("{}: {marks}\n", paint.strong(&set(&hosts)));
        }
        let asked: Vec<(HostName, &RebootReport)> = planned
            .iter()
            .filter_map(|(host, ending)| Some((host.clone(), report_of(ending)?)))
            .filter(|(_, report)| report.is_needed() || self.args.all)
            .collect();
        text += &reboots(&asked, paint);
        let restarting: Vec<(HostName, &RestartReport)> = planned
            .iter()
            .filter_map(|(host, ending)| Some((host.clone(), restarts_of(ending)?)))
            .filter(|(_, report)| !report.restarts.is_empty())
            .collect();
        text += &restarts(&restarting, paint);
        let is_asked = |host: &HostName| {
            asked.iter().any(|(other, _)| other == host) || restarting.iter().any(|(other, _)| other == host)
        };
        let others: Vec<(HostName, Ending)> = planned
            .iter()
            .filter(|(host, ending)| plan_of(ending).is_none() && !is_asked(host))
            .cloned()
            .collect();
        if !others.is_empty() {
            text += &told_of(self.args.operation, &others, paint, self.args.shown.verbose);
            text += &numbers(&others, self.runner.state().seconds, paint);
            text.push('\n');
        }
        text
    }

    /// The hosts that could not say what they would do.
    fn without_plan(&self, planned: &[(HostName, Ending)], paint: Paint) -> String {
        let others = planned.iter().filter(|(_, ending)| plan_of(ending).is_none());
        let others: Vec<(HostName, Ending)> = others.cloned().collect();
        if others.is_empty() {
            return String::new();
        }
        let told = told_of(self.args.operation, &others, paint, self.args.shown.verbose);
        told + &numbers(&others, self.runner.state().seconds, paint) + "\n"
    }

    /// Shows how everything ended; of the hosts that were `told` before, only the numbers.
    pub(super) fn show(&mut self, told: &[HostName]) -> u8 {
        let endings = self.endings();
        if self.args.shown.quiet && !self.args.shown.json {
            let unwell = endings.iter().filter(|(_, ending)| !ending.outcome.is_well());
            let unwell: Vec<(HostName, Ending)> = unwell.cloned().collect();
            let text = told_of(self.args.operation, &unwell, self.output.paint, false);
            self.ui.show(&of_run(&text, self.runner.state().number));
        } else if !self.args.shown.json {
            let OutputOptions { paint, verbose, .. } = self.output;
            let zone = TimeZone::system();
            self.ui
                .show(&table(&endings, &zone, self.ui.columns(), paint, verbose));
            self.ui.show(&conffiles(&endings, paint, verbose));
            self.ui.show(&conffile_diffs(&endings, paint));
            self.ui.show(&holds(&endings, &zone, paint, verbose));
            let state = self.runner.state();
            let text = summary(self.args.operation, &endings, told, state.seconds, paint, verbose);
            self.ui.show(&of_run(&text, state.number));
        }
        self.close()
    }

    /// Names what went wrong with the output; the exit status is what comes back.
    pub(super) fn close(&mut self) -> u8 {
        let state = self.runner.state();
        if self.args.shown.json {
            // The events are the clients' own words, and this is ours.
            let ours = state.endings().filter_map(|(host, ending)| {
                let advice = advice(ending.reason.as_ref()?, &self.local, self.may_replace)?;
                Some(format!(
                    "{host}: try: {}\n",
                    server_advice_text(&advice, host.as_str())
                ))
            });
            self.ui.complain(&ours.collect::<String>());
        }
        tell_failed_sinks(self.ui, self.runner.failed_sinks());
        self.record.ended(state);
        exit_status(&self.runner)
    }
}
