//! One push, from the words of its command line to its exit status: fetches lists where something was published for it, plans
//! and asks where packages change, does it, and shows how it ended.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use apu_archive::quote;
use apu_debian::PackageName;
use apu_fleet::ssh::Ssh;
use apu_fleet::{
    Announcement, Approval, Batch, Carried, Closing, Host, HostName, Instruction, JsonLines, Limits, Phase,
    PublishedArchive, PushId, Rollout, Runner, ServerReason, Sinks, Task, Trial,
};
use apu_ledger::{Ledger, NewRun, Recorder, RunNumber};
use apu_proto::{MAX_LOCK_WAIT, Operation, PackageArg, PackageGlob, Request, RequestError, RequestOption};
use apu_site::{Failure, Site, Ui, say};
use jiff::Timestamp;

use super::args::{Args, Course};
use super::audit::Record;
use super::maintenance::closings;
use super::min_age::MinAge;
use super::planned::wanted;
use super::queue::{enqueue, waiting};
use super::rollout::{Arranged, Waves};
use crate::context::Context;
use crate::failure;
use crate::interrupt::instructions_and_others;
use crate::one_phase::{new_push, wait};
use crate::published::published;
use crate::repo::Local;
use crate::view::live::{OutputOptions, follow};
use crate::view::paint::Paint;
use crate::view::reason::describe;

/// No host was asked anything.
const NOTHING: Pushed = Pushed {
    status: 0,
    run: None,
    plan: None,
    well: BTreeSet::new(),
    unwell: BTreeSet::new(),
};

/// How a push ended.
#[derive(Debug, Clone)]
pub(crate) struct Pushed {
    /// Its exit status.
    pub(crate) status: u8,
    /// Its number in the ledger; none where no host was asked to change anything.
    pub(crate) run: Option<RunNumber>,
    /// The number of the plan that it kept.
    pub(crate) plan: Option<u32>,
    /// The hosts that ended well, and the others that ended.
    pub(crate) well: BTreeSet<HostName>,
    pub(crate) unwell: BTreeSet<HostName>,
}

/// The same on this site, as a repetition of `parent` where there is one; the waves are those that the settings say for
/// `rollout_of`.
pub(super) fn push_in(
    context: &Context,
    args: &Args,
    rollout_of: &str,
    parent: Option<RunNumber>,
) -> Result<Pushed, Failure> {
    push_but(context, args, rollout_of, parent, &BTreeSet::new())
}

/// The same without these hosts.
pub(super) fn push_but(
    context: &Context,
    args: &Args,
    rollout_of: &str,
    parent: Option<RunNumber>,
    left_out: &BTreeSet<HostName>,
) -> Result<Pushed, Failure> {
    let ui = &context.ui;
    let inventory = context.inventory()?;
    let hosts = || {
        let hosts = inventory.resolve(std::slice::from_ref(&args.target), &args.exclude);
        let mut hosts = hosts.map_err(|error| failure::target(&context.site, error))?;
        hosts.retain(|host| !left_out.contains(&host.name));
        Ok::<Vec<Host>, Failure>(hosts)
    };
    if args.list_hosts {
        for host in hosts()? {
            say!(ui, "{host}");
        }
        return Ok(NOTHING);
    }
    let local = match args.files()? {
        files if files.is_empty() => None,
        files => Some(Local::check(ui, &context.site, &context.settings, files)?),
    };
    let request = args.request(local.as_ref().map_or(&[][..], Local::packages))?;
    let hosts = hosts()?;
    let course = args.course(ui.can_ask())?;
    let of_target = context.settings.rollout(rollout_of);
    let waves = Waves::of(args, &context.site, &of_target, &inventory)?;
    let min_age = MinAge::of(args, &of_target);
    let ssh = context.ssh()?;
    // Before anything is published: without it no host is asked to change anything.
    let is_recorded = request.operation().is_a_run() && !(args.dry_run || args.plan);
    let ledger = is_recorded.then(|| context.ledger_to_record()).transpose()?;
    if let Some(local) = &local {
        // stdout is the events' where they are asked for.
        let tell = |text: &str| match args.shown.json {
            true => ui.complain(text),
            false => ui.show(text),
        };
        if args.dry_run {
            tell(&local.outlook());
            tell("nothing was published, and no host was asked: what it would change is known only then\n");
            return Ok(NOTHING);
        }
        tell(&local.publish(ui, &context.site)?);
    }
    let local = local.map_or_else(Vec::new, |local| local.packages().to_vec());
    let start = Start {
        push: new_push()?,
        context,
        ssh: &ssh,
        args,
        hosts,
        local,
        ledger,
        parent,
        queue_until: args.queue.map(|duration| Timestamp::now() + duration),
    };
    run_push(start, async move |push: &mut Push<'_>, hosts| {
        push.min_age = min_age;
        push.carry_out(request, hosts, course, &waves).await
    })
}

/// What a push needs to begin.
pub(super) struct Start<'a> {
    /// Its identity.
    pub(super) push: PushId,
    pub(super) context: &'a Context,
    pub(super) ssh: &'a Arc<Ssh>,
    pub(super) args: &'a Args,
    pub(super) hosts: Vec<Host>,
    /// What was published for it.
    pub(super) local: Vec<PackageArg>,
    /// Where it is recorded.
    pub(super) ledger: Option<Ledger>,
    /// The run that it goes on with, or repeats.
    pub(super) parent: Option<RunNumber>,
    /// Until when hosts are queued that cannot do it in their turn; none where they are not.
    pub(super) queue_until: Option<Timestamp>,
}

/// Does the work of a push between its first event and its last.
///
/// # Errors
/// Whatever the work says.
pub(super) fn run_push(
    start: Start<'_>,
    work: impl AsyncFnOnce(&mut Push<'_>, Vec<Host>) -> Result<u8, Failure>,
) -> Result<Pushed, Failure> {
    let Start {
        push,
        context,
        ssh,
        args,
        hosts,
        local,
        ledger,
        parent,
        queue_until,
    } = start;
    let ui = &context.ui;
    let request = args.request(&local)?;
    let run = &context.settings.run;
    let usual = context.limits(request.operation());
    // Read before a host is asked: what is published meanwhile may come too late for some.
    let published = if matches!(request.operation(), Operation::Update | Operation::Status) {
        published(&context.site, &context.settings)?
    } else {
        Vec::new()
    };
    let closings = if request.takes_turns() && !args.ignore_windows {
        closings(context, &hosts, Timestamp::now())?
    } else {
        HashMap::new()
    };
    let output = OutputOptions {
        paint: Paint::for_stream(ui.stdout()),
        verbose: args.shown.verbose,
        quiet: args.shown.quiet,
        live: ui.stderr().is_terminal,
    };
    let sinks = if args.shown.json {
        Sinks::default().with(JsonLines {
            out: ui.writer(),
            describe,
        })
    } else {
        follow(ui, output)
    };
    let mut record = Record::of(args, &hosts);
    let announcement = Announcement::of(push, &hosts, &request, record.by().to_owned());
    let recorder = ledger.map(|ledger| {
        let new = NewRun {
            push: announcement.push,
            parent,
            operation: record.operation().to_owned(),
            request: request.to_string(),
            min_age: args.min_age,
            target: args.target.clone(),
            by: record.by().to_owned(),
            begun: Timestamp::now(),
            hosts: announcement.hosts.clone(),
        };
        Recorder::new(ledger, new)
    });
    let sinks = recorder
        .iter()
        .fold(sinks, |sinks, recorder| sinks.with(recorder.clone()));
    let mut left = Vec::new();
    let (mut well, mut unwell) = (BTreeSet::new(), BTreeSet::new());
    let done = wait(async {
        let (others, instructions) = instructions_and_others();
        if let Some(recorder) = &recorder {
            let ui = ui.clone();
            recorder.on_told(move |told| {
                if told.instruction == Instruction::Stop {
                    ui.complain(&format!("aborted by {}: nothing new is begun\n", quote(&told.by)));
                }
                let _ = others.send(told.instruction);
            });
        }
        let mut push = Push {
            ui,
            args,
            site: &context.site,
            runner: Runner::start(ssh, instructions, sinks, announcement),
            recorder: recorder.clone(),
            record: &mut record,
            kept: None,
            local,
            may_replace: &context.settings.archive.may_replace,
            approved: HashMap::new(),
            carried: HashMap::new(),
            promoted: HashMap::new(),
            kept_back: HashMap::new(),
            is_repeated: parent.is_some(),
            queue_until,
            min_age: None,
            too_young: HashMap::new(),
            closings,
            published,
            limits: Limits {
                parallel: args.parallel.unwrap_or(usual.parallel),
                timeout: args.timeout.unwrap_or(usual.timeout),
                max_failures: None,
            },
            max_failures: args
                .max_failures
                .or(run.max_failures)
                .filter(|_| request.operation().is_a_run())
                .map(|most| most.of(hosts.len())),
            lock_wait: u32::try_from(run.lock_wait.as_secs())
                .unwrap_or(u32::MAX)
                .min(MAX_LOCK_WAIT),
            output,
            hook_limit: context.settings.hooks.timeout,
        };
        let done = work(&mut push, hosts).await;
        let status = match &done {
            Ok(status) => *status,
            Err(failure) => failure.kind().exit_status(),
        };
        left = waiting(push.runner.state(), &push.approved);
        let kept = push.kept;
        for (host, ending) in push.runner.state().endings() {
            let is_well = ending.outcome.is_well();
            (if is_well { &mut well } else { &mut unwell }).insert(host.clone());
        }
        push.runner.finish(status);
        done.map(|status| (status, kept))
    });
    if let Some(recorder) = &recorder {
        close(ui, &context.site, recorder, &mut record);
    }
    record.write(ui, &context.site, done.as_ref().ok().map(|(status, _)| *status));
    if let (Some(number), Some(until)) = (record.ledger, queue_until) {
        enqueue((ui, args.shown), &context.site, number, &left, until)?;
    }
    done.map(|(status, plan)| Pushed {
        status,
        run: record.ledger,
        plan,
        well,
        unwell,
    })
}

/// Writes what is left into the ledger, and lets the oldest runs go.
fn close(ui: &Ui, site: &Site, recorder: &Recorder, record: &mut Record) {
    match recorder.close() {
        Ok(number) => record.ledger = number,
        Err(error) => ui.complain(&format!(
            "warning: how this run ended could not be written into {}\n  why: {error}\n",
            site.ledger().display()
        )),
    }
}

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
    carried: HashMap<HostName, Carried>,
    /// The waves that an administrator let pass there.
    promoted: HashMap<usize, String>,
    /// The hosts that are not asked, each with why.
    kept_back: HashMap<HostName, ServerReason>,
    /// Whether it repeats a run: its hosts are named by nobody then.
    pub(super) is_repeated: bool,
    /// Until when hosts are queued that cannot do it in their turn.
    pub(super) queue_until: Option<Timestamp>,
    /// How old a .deb has to be.
    pub(super) min_age: Option<MinAge>,
    /// What hosts leave as it is, since it is too young.
    pub(super) too_young: HashMap<HostName, Vec<PackageGlob>>,
    /// Until when hosts may begin to change packages.
    closings: HashMap<HostName, Closing>,
    /// What this server has published of its own archives.
    published: Vec<PublishedArchive>,
    pub(super) limits: Limits,
    /// How many hosts may fail before packages change, or lists, on no more of them.
    pub(super) max_failures: Option<usize>,
    pub(super) lock_wait: u32,
    pub(super) output: OutputOptions,
    /// How long one program of a hook may take.
    pub(super) hook_limit: Duration,
}

impl Push<'_> {
    async fn carry_out(
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
            self.apply(request, &hosts, Rollout::default()).await?;
            return Ok(self.show(&[]));
        }

        let plan = (request.clone().with([RequestOption::DryRun])).map_err(not_a_request)?;
        let was_interrupted = self.is_interrupted();
        self.ask_all(Batch::of(Phase::Plan, &hosts, &plan)).await;
        if was_interrupted {
            return Ok(self.show(&[]));
        }
        let wanted = if request.operation() == Operation::Reboot {
            self.choose_reboots(&plan, &hosts).await?
        } else {
            self.wanted_changes(&plan, &hosts).await?
        };
        let arranged = match request.operation() {
            Operation::Reboot => waves.arrange_reboots(&wanted),
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

    /// The hosts on which packages would change, without what is too young, each with what it would do.
    async fn wanted_changes(
        &mut self,
        plan: &Request,
        hosts: &[Host],
    ) -> Result<Vec<(HostName, Trial)>, Failure> {
        self.leave_out_young(plan, hosts).await?;
        let mut wanted = wanted(&self.endings());
        for (host, trial) in &mut wanted {
            // What was asked for, whatever a client says of it.
            trial.too_young = self.too_young.get(host).cloned().unwrap_or_default();
        }
        self.record
            .planned(wanted.iter().map(|(_, trial)| trial.transaction.id()));
        Ok(wanted)
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
        let task = |host: &Host| {
            let trial = self.approved.get(&host.name);
            let plan = trial
                .filter(|_| request.changes_packages())
                .map(|trial| RequestOption::Plan(trial.transaction.id()));
            let young = trial.map_or(&[][..], |trial| &trial.too_young);
            let young = (!young.is_empty()).then(|| RequestOption::TooYoung(young.to_vec()));
            Ok(Task {
                host: host.clone(),
                request: request.clone().with(young.into_iter().chain(plan))?,
                trial: trial.cloned(),
            })
        };
        let tasks: Result<Vec<Task>, RequestError> = hosts.iter().map(task).collect();
        let mut batch = Batch {
            phase: Phase::of(request.operation()),
            operation: request.operation(),
            tasks: tasks.map_err(not_a_request)?,
            carried: std::mem::take(&mut self.carried),
            promoted: std::mem::take(&mut self.promoted),
            held: std::mem::take(&mut self.kept_back),
            closings: self.closings.clone(),
            rollout,
            programs: None,
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
    pub(super) async fn ask_all(&mut self, batch: Batch) {
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
