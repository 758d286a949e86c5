//! The phases of one push: fetches lists where something was published for it, plans and asks where packages change, machines
//! reboot or services restart, does it, and shows how it ended.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use apu_debian::PackageName;
use apu_fleet::ssh::Ssh;
use apu_fleet::{
    Approval, Batch, Carried, Closing, Frozen, Host, HostName, Limits, Phase, PublishedArchive, Rollout,
    Runner, ServerReason, Task, Trial,
};
use apu_ledger::Recorder;
use apu_proto::{Operation, PackageArg, PackageGlob, Request, RequestError, RequestOption};
use apu_site::{Failure, Site, Ui, say};
use jiff::Timestamp;

use super::args::{Args, Course};
use super::audit::Record;
use super::host_request::HostParts;
use super::min_age::MinAge;
use super::planned::wanted;
use super::protection::Protection;
use super::rollout::{Arranged, Waves};
use crate::view::live::OutputOptions;

/// A push and everything that it needs to know.
pub(super) struct Push<'a> {
    pub(super) ui: &'a Ui,
    pub(super) args: &'a Args,
    pub(super) site: &'a Site,
    pub(super) runner: Runner<'a, Ssh>,
    pub(super) record: &'a mut Record,
    /// Where it is recorded; none where no host is asked to change anything.
    pub(super) recorder: Option<Recorder>,
    /// The number of the plan that was kept.
    pub(super) kept: Option<u32>,
    /// What was published for this push.
    pub(super) local: Vec<PackageArg>,
    /// What of the site's archive clients prefer to Debian's.
    pub(super) may_replace: &'a [PackageName],
    /// What each host was approved to do.
    pub(super) approved: HashMap<HostName, Arc<Trial>>,
    /// What is known of hosts from the run that this one goes on with.
    pub(super) carried: HashMap<HostName, Carried>,
    /// The waves that an administrator let pass there.
    pub(super) promoted: HashMap<usize, String>,
    /// The hosts that are not asked, each with why.
    pub(super) kept_back: HashMap<HostName, ServerReason>,
    /// Whether it repeats a run: its hosts are named by nobody then.
    pub(super) is_repeated: bool,
    /// Until when hosts are queued that cannot do it in their turn.
    pub(super) queue_until: Option<Timestamp>,
    /// How old a .deb has to be.
    pub(super) min_age: Option<MinAge>,
    /// What hosts get beside what all are asked: rules for configuration files, and answers to debconf's questions.
    pub(super) parts: HostParts,
    /// The .debs that an earlier push of the same run has frozen.
    pub(super) frozen: Option<Arc<Frozen>>,
    /// The services that no change of packages may restart.
    pub(super) protection: Protection,
    /// What hosts leave as it is, since it is too young.
    pub(super) too_young: HashMap<HostName, Vec<PackageGlob>>,
    /// Until when hosts may begin to change packages.
    pub(super) closings: HashMap<HostName, Closing>,
    /// What this server has published of its own archives.
    pub(super) published: Vec<PublishedArchive>,
    pub(super) limits: Limits,
    /// How many hosts may fail before packages change, or lists, on no more of them.
    pub(super) max_failures: Option<usize>,
    pub(super) lock_wait: u32,
    pub(super) output: OutputOptions,
    /// How long one program of a hook may take.
    pub(super) hook_limit: Duration,
}

impl Push<'_> {
    pub(super) async fn carry_out(
        &mut self,
        request: Request,
        hosts: Vec<Host>,
        course: Course,
        waves: &Waves,
    ) -> Result<u8, Failure> {
        let hosts = self.refresh_lists(hosts).await?;
        if hosts.is_empty() {
            return Ok(self.show(&[]));
        }
        if course == Course::Straight {
            self.apply(request.clone(), &hosts, Rollout::default()).await?;
            self.ask_for_diffs(&request, &hosts).await?;
            return Ok(self.show(&[]));
        }

        let plan = (request.clone().with([RequestOption::DryRun])).map_err(not_a_request)?;
        let was_interrupted = self.is_interrupted();
        self.ask_all(Batch::of(Phase::Plan, &hosts, &plan)).await;
        if was_interrupted {
            return Ok(self.show(&[]));
        }
        let wanted = match request.operation() {
            Operation::Reboot => self.choose_reboots(&plan, &hosts).await?,
            Operation::RestartServices => self.choose_restarts(&plan, &hosts).await,
            _ => self.wanted_changes(&plan, &hosts).await?,
        };
        let arranged = match request.operation() {
            Operation::Reboot | Operation::RestartServices => waves.arrange_equals(&wanted),
            _ => waves.arrange(&wanted),
        };
        if self.is_interrupted() || course == Course::Show || wanted.is_empty() {
            // After Ctrl-C nothing is done: then a plan is a plan, and not how a host ended.
            if course == Course::Do && !self.is_interrupted() {
                return Ok(self.show(&[]));
            }
            self.ui.show(&self.plan(self.output.paint));
            if let Some(outlook) = arranged.outlook().filter(|_| !self.args.shown.json) {
                say!(self.ui, "in waves: {outlook}");
            }
            if self.args.plan && !self.is_interrupted() {
                self.keep_plan(&request, &arranged)?;
            }
            return Ok(self.close());
        }
        // Where too many have failed already, there is nothing to agree to: no host will start.
        let answer = if course == Course::Do {
            Approval::Yes
        } else if course == Course::ShowAndDo || self.is_limit_exceeded(&[]) {
            self.ui.show(&self.plan(self.output.paint));
            self.ui.all_written()?;
            Approval::Yes
        } else {
            self.approve(&wanted, &arranged).await?
        };
        if answer != Approval::Yes {
            say!(self.ui, "nothing was done{}", self.what_stays());
            let status = self.close();
            return Ok(if answer == Approval::No {
                status.max(1)
            } else {
                status
            });
        }

        // What was settled by the plan was told with it.
        let told: Vec<HostName> = match course {
            Course::Do => Vec::new(),
            _ => (self.runner.state().hosts())
                .map(|(host, _)| host)
                .filter(|host| wanted.iter().all(|(other, _)| other != *host))
                .cloned()
                .collect(),
        };
        self.apply_approved(request, hosts, wanted, arranged).await?;
        Ok(self.show(&told))
    }

    /// The hosts on which packages would change, without what is too young and without those where that would restart what is protected,
    /// each with what it would do.
    async fn wanted_changes(
        &mut self,
        plan: &Request,
        hosts: &[Host],
    ) -> Result<Vec<(HostName, Trial)>, Failure> {
        self.leave_out_young(plan, hosts).await?;
        self.leave_out_protected(plan, hosts).await;
        let wanted = self.wanted();
        self.record
            .planned(wanted.iter().map(|(_, trial)| trial.transaction.id()));
        Ok(wanted)
    }

    /// What hosts would do, by what they were asked for.
    pub(super) fn wanted(&self) -> Vec<(HostName, Trial)> {
        let wanted = wanted(&self.endings()).into_iter().map(|(host, mut trial)| {
            // What was asked for, whatever a client says of it.
            trial.too_young = self.too_young.get(&host).cloned().unwrap_or_default();
            let trial = self.parts.planned(&host, trial);
            (host, trial)
        });
        wanted.collect()
    }

    /// Has each of these hosts do what was approved, in waves.
    pub(super) async fn apply_approved(
        &mut self,
        request: Request,
        hosts: Vec<Host>,
        approved: Vec<(HostName, Trial)>,
        arranged: Arranged,
    ) -> Result<(), Failure> {
        self.approve_all(approved);
        let mut by_name: HashMap<HostName, Host> =
            hosts.into_iter().map(|host| (host.name.clone(), host)).collect();
        let hosts = arranged.hosts.iter().filter_map(|name| by_name.remove(name));
        let hosts: Vec<Host> = hosts.collect();
        self.apply(request, &hosts, arranged.rollout).await
    }

    /// Takes note of what each host was approved to do.
    pub(super) fn approve_all(&mut self, approved: Vec<(HostName, Trial)>) {
        let approved = approved.into_iter().map(|(host, trial)| (host, Arc::new(trial)));
        self.approved = approved.collect();
    }

    /// Takes over what is known of hosts and waves from the run that this one goes on with.
    pub(super) fn carry(&mut self, carried: HashMap<HostName, Carried>, promoted: HashMap<usize, String>) {
        self.carried = carried;
        self.promoted = promoted;
    }

    /// Has these hosts skipped in their turn.
    pub(super) fn keep_back(&mut self, hosts: HashMap<HostName, ServerReason>) {
        self.kept_back = hosts;
    }

    /// Sets the limits of this push in place of those of the settings.
    pub(super) fn limit(&mut self, parallel: NonZeroUsize, timeout: Duration, max_failures: Option<usize>) {
        self.limits.parallel = parallel;
        self.limits.timeout = timeout;
        self.max_failures = max_failures;
    }

    /// Has the hosts do it, each as its plan says where there is one.
    pub(super) async fn apply(
        &mut self,
        request: Request,
        hosts: &[Host],
        rollout: Rollout,
    ) -> Result<(), Failure> {
        // No run begins where no host will start.
        let starts = !(hosts.is_empty() || self.is_interrupted() || self.is_limit_exceeded(hosts));
        let request = if starts { self.as_run(request)? } else { request };
        let mut held = std::mem::take(&mut self.kept_back);
        let mut tasks = Vec::new();
        for host in hosts {
            let trial = self.approved.get(&host.name);
            let asked = self.parts.run_of(&host.name, &request, trial.map(Arc::as_ref));
            let asked = asked.unwrap_or_else(|why| {
                held.entry(host.name.clone()).or_insert(*why);
                request.clone()
            });
            tasks.push(Task {
                host: host.clone(),
                request: asked,
                trial: trial.cloned(),
            });
        }
        let frozen = self.freeze(&request, &rollout, &mut tasks)?;
        let mut batch = Batch {
            phase: Phase::of(request.operation()),
            operation: request.operation(),
            tasks,
            carried: std::mem::take(&mut self.carried),
            promoted: std::mem::take(&mut self.promoted),
            held,
            closings: self.closings.clone(),
            rollout,
            programs: None,
            frozen,
            published: self.published.clone(),
        };
        if starts {
            self.begin(&request, &mut batch)?;
            self.call_before_run(&request, &mut batch).await;
        }
        let programs = batch.programs.clone();
        let limits = Limits {
            max_failures: self.max_failures,
            ..self.limits
        };
        self.runner.phase(batch, limits).await;
        if let Some(programs) = programs {
            self.call_after_run(&programs).await;
        }
        Ok(())
    }

    /// Asks every host of the batch, however many of them fail: no package changes there.
    pub(super) async fn ask_all(&mut self, mut batch: Batch) {
        for task in &mut batch.tasks {
            match self.parts.plan_of(&task.host.name, &task.request) {
                Ok(request) => task.request = request,
                Err(why) => {
                    batch.held.entry(task.host.name.clone()).or_insert(*why);
                }
            }
        }
        self.runner.phase(batch, self.limits).await;
    }

    /// Whether more hosts have failed than may, apart from those that have another turn now.
    fn is_limit_exceeded(&self, again: &[Host]) -> bool {
        let failed = self.failed_but(again.iter().map(|host| &host.name).collect());
        self.max_failures.is_some_and(|most| failed > most)
    }

    pub(super) fn failed_outside(&self, tasks: &[Task]) -> usize {
        self.failed_but(tasks.iter().map(|task| &task.host.name).collect())
    }

    /// How many hosts have failed, apart from these.
    fn failed_but(&self, again: HashSet<&HostName>) -> usize {
        let failed = self.runner.state().endings();
        let failed = failed.filter(|(host, ending)| ending.outcome.is_failure() && !again.contains(host));
        failed.count()
    }

    fn is_interrupted(&self) -> bool {
        self.runner.state().interrupts > 0
    }
}

/// A request that `Args::request` let through takes what a push adds to it.
pub(super) fn not_a_request(error: RequestError) -> Failure {
    Failure::machine("apt-all made a request that no client would take, which is a bug").why(error)
}
