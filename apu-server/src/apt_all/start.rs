//! The start and the end of one push: who is asked and where it is recorded, from the words of a command line to an exit status.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use apu_archive::quote;
use apu_fleet::ssh::Ssh;
use apu_fleet::{Announcement, Host, HostName, Instruction, JsonLines, Limits, PushId, Runner, Sinks};
use apu_ledger::{Ledger, NewRun, Recorder, RunNumber};
use apu_proto::{MAX_LOCK_WAIT, Operation, PackageArg};
use apu_site::{Failure, Site, Ui, say};
use jiff::Timestamp;

use super::args::Args;
use super::audit::Record;
use super::host_request::HostParts;
use super::maintenance::closings;
use super::min_age::MinAge;
use super::protection::Protection;
use super::queue::{enqueue, waiting};
use super::rollout::Waves;
use crate::context::Context;
use crate::failure;
use crate::frozen;
use crate::interrupt::instructions_and_others;
use crate::one_phase::{new_push, wait};
use crate::published::published;
use crate::repo::Local;
use crate::view::live::{OutputOptions, follow};
use crate::view::paint::Paint;
use crate::view::reason::describe;

use super::push::Push;
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
    let protection = Protection::of(context, args, &hosts)?;
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
        push.protection = protection;
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
    let parts = HostParts::read(context, &request, &hosts)?;
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
            allow_restart: args.allow_restart.iter().map(ToString::to_string).collect(),
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
            parts,
            frozen: None,
            protection: Protection::default(),
            too_young: HashMap::new(),
            closings,
            published,
            limits: Limits {
                parallel: args.parallel.unwrap_or(usual.parallel),
                timeout: args.timeout.unwrap_or(usual.timeout),
                ..usual
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
    if record.ledger.is_some() {
        frozen::sweep(&context.site);
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
