//! One push of the button: plan and ask where packages change, run, and show how it ended.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::sync::Arc;
use std::time::Duration;

use apu_fleet::ssh::Ssh;
use apu_fleet::{
    FailureLimit, Host, HostName, Job, JsonLines, Limits, PublishedArchive, Purpose, Sinks, Task, run,
};
use apu_proto::{Operation, PackageArg, Request, RunId, Transaction};
use apu_repo::output::{Stdout, all_written, complain, show};
use apu_repo::{Failure, Site, quote, say, settings};
use tokio::sync::mpsc::UnboundedReceiver;

use super::args::{Args, Course};
use super::audit::Record;
use super::ended::{Ended, transactions_of};
use super::question::{Answer, ask};
use crate::failure;
use crate::ground::{Ground, SHORT_ANSWER};
use crate::interrupt::stops;
use crate::published::published;
use crate::repo::Local;
use crate::runs;
use crate::view::live::{Live, OutputOptions, Plain};
use crate::view::paint::Paint;
use crate::view::transactions::question;

/// Does what the words say; the exit status is what comes back.
pub(super) fn push(args: &Args) -> Result<u8, Failure> {
    let ground = Ground::enter(&args.root, "apt-all")?;
    if args.list_hosts {
        let hosts = ground
            .inventory()?
            .resolve(std::slice::from_ref(&args.target), &args.exclude);
        for host in hosts.map_err(|error| failure::target(&ground.site, error))? {
            say!("{host}");
        }
        return Ok(0);
    }
    let local = match args.files()? {
        files if files.is_empty() => None,
        files => Some(Local::judge(&ground.site, &ground.settings, files)?),
    };
    let request = args.request(local.as_ref().map_or(&[][..], Local::packages))?;
    let inventory = ground.inventory()?;
    let hosts = inventory
        .resolve(std::slice::from_ref(&args.target), &args.exclude)
        .map_err(|error| failure::target(&ground.site, error))?;
    let course = args.course(io::stdin().is_terminal() && io::stderr().is_terminal())?;
    let ssh = ground.ssh()?;
    if let Some(local) = &local {
        // stdout is the events' where they are asked for.
        let tell: fn(&str) = if args.json { complain } else { show };
        if args.dry_run {
            tell(&local.outlook());
            tell("nothing was published, and no host was asked: what it would change is known only then\n");
            return Ok(0);
        }
        tell(&local.publish(&ground.site)?);
    }

    let run = &ground.settings.run;
    let push = Push {
        args,
        site: &ground.site,
        ssh,
        local: local.map_or_else(Vec::new, |local| local.packages().to_vec()),
        may_replace: &ground.settings.archive.may_replace,
        // Read before a host is asked: what is published meanwhile may come too late for some.
        published: if matches!(request.operation, Operation::Update | Operation::Status) {
            published(&ground.site, &ground.settings)?
        } else {
            Vec::new()
        },
        limits: Limits {
            parallel: args.parallel.unwrap_or(run.parallel),
            timeout: args
                .timeout
                .unwrap_or_else(|| patience(request.operation, run.timeout)),
            failures: None,
        },
        hosts: hosts.len(),
        max_failures: args
            .max_failures
            .or(run.max_failures)
            .filter(|_| request.operation.is_a_run())
            .map(|most| most.of(hosts.len())),
        lock_wait: u32::try_from(run.lock_wait.as_secs())
            .unwrap_or(u32::MAX)
            .min(86_400),
        output: OutputOptions {
            paint: Paint::for_stream(&io::stdout()),
            verbose: args.verbose,
            live: io::stderr().is_terminal(),
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::machine("cannot start").why(error))?;
    let mut record = Record::of(args, &hosts);
    let done = runtime.block_on(async {
        push.carry_out(request, hosts, course, &mut stops(), &mut record)
            .await
    });
    record.write(&ground.site, done.as_ref().ok().copied());
    done
}

/// Everything that one push needs to know.
pub(super) struct Push<'a> {
    pub(super) args: &'a Args,
    site: &'a Site,
    ssh: Arc<Ssh>,
    /// What was published for this push.
    pub(super) local: Vec<PackageArg>,
    /// What of the site's archive clients prefer to Debian's.
    pub(super) may_replace: &'a [settings::PackageName],
    /// What this server has published of its own archives.
    published: Vec<PublishedArchive>,
    limits: Limits,
    /// All hosts of this push.
    hosts: usize,
    /// How many of them may fail.
    max_failures: Option<usize>,
    lock_wait: u32,
    pub(super) output: OutputOptions,
}

impl Push<'_> {
    async fn carry_out(
        &self,
        request: Request,
        hosts: Vec<Host>,
        course: Course,
        stops: &mut UnboundedReceiver<()>,
        record: &mut Record,
    ) -> Result<u8, Failure> {
        let (hosts, before) = self.fetch_lists(hosts, stops, record).await?;
        if before.interrupted || hosts.is_empty() {
            return Ok(self.show(before, &[], record));
        }
        if course == Course::Straight {
            let limit = self.limit(&before);
            let request = if is_exceeded(limit) {
                request
            } else {
                self.to_be_done(request, record)?
            };
            let tasks = tasks(&hosts, &request);
            let ended = self.go(Purpose::Run, tasks, limit, stops).await;
            return Ok(self.show(ended.after(before), &[], record));
        }

        let plan = Request {
            dry_run: true,
            ..request.clone()
        };
        let planned = self.go(Purpose::Plan, tasks(&hosts, &plan), None, stops).await;
        let mut planned = planned.after(before);
        self.explain(&mut planned);
        let wanted: Vec<(HostName, Transaction)> = transactions_of(&planned)
            .filter(|(host, transaction)| !transaction.steps().is_empty() || planned.marks(host))
            .map(|(host, transaction)| (host.clone(), transaction.clone()))
            .collect();
        record.planned(wanted.iter().map(|(_, transaction)| transaction.id()));
        if planned.interrupted || course == Course::Show || wanted.is_empty() {
            show(&self.plan(&planned, self.output.paint));
            return Ok(self.close(&planned, record));
        }
        // Where too many have failed already, there is nothing to agree to: no host will start.
        let limit = self.limit(&planned);
        let answer = if course == Course::ShowAndDo || is_exceeded(limit) {
            show(&self.plan(&planned, self.output.paint));
            all_written()?;
            Answer::Yes
        } else {
            self.asked(&planned, &wanted, stops).await?
        };
        match answer {
            Answer::Yes => {}
            Answer::No => {
                say!("nothing was done{}", self.what_stays());
                return Ok(self.close(&planned, record).max(1));
            }
            Answer::Interrupted => {
                say!("nothing was done{}", self.what_stays());
                planned.interrupted = true;
                return Ok(self.close(&planned, record));
            }
        }

        let request = if is_exceeded(limit) {
            request
        } else {
            self.to_be_done(request, record)?
        };
        let task = |(name, transaction): &(HostName, Transaction)| {
            let host = hosts.iter().find(|host| host.name == *name)?.clone();
            let request = Request {
                plan: Some(transaction.id()),
                ..request.clone()
            };
            Some(Task { host, request })
        };
        let tasks = wanted.iter().filter_map(task).collect();
        let ended = self.go(Purpose::Run, tasks, limit, stops).await;
        // What was settled by the plan belongs to the end as well, and was told before the question.
        let told: Vec<HostName> = planned
            .endings
            .iter()
            .map(|(host, _)| host.clone())
            .filter(|host| wanted.iter().all(|(other, _)| other != host))
            .collect();
        Ok(self.show(ended.after(planned), &told, record))
    }

    /// The limit of failures for the round that changes something, after what came before it.
    fn limit(&self, before: &Ended) -> Option<FailureLimit> {
        Some(FailureLimit {
            allowed: self.max_failures?,
            hosts: self.hosts,
            before: before.failed(),
        })
    }

    /// Shows the plan and asks. Both stand on the terminal, in this order, wherever standard output goes; a log gets the
    /// plan after the answer, so that nothing comes between the question and the cursor.
    async fn asked(
        &self,
        planned: &Ended,
        wanted: &[(HostName, Transaction)],
        stops: &mut UnboundedReceiver<()>,
    ) -> Result<Answer, Failure> {
        let marked = planned.marked().map(|(_, packages)| packages.len()).sum();
        let question = question(wanted, marked);
        if io::stdout().is_terminal() {
            show(&self.plan(planned, self.output.paint));
            // Nobody can agree to what could not be shown.
            all_written()?;
            return ask(&question, stops).await;
        }
        complain(&self.plan(planned, Paint::for_stream(&io::stderr())));
        let answer = ask(&question, stops).await?;
        show(&self.plan(planned, self.output.paint));
        if answer == Answer::Yes {
            all_written()?;
        }
        Ok(answer)
    }

    /// The request with what makes it a run.
    ///
    /// The run's identity is shown before any host has it: the terminal may be gone when it is needed.
    pub(super) fn to_be_done(&self, request: Request, record: &mut Record) -> Result<Request, Failure> {
        if !request.operation.is_a_run() {
            return Ok(request);
        }
        let run = new_run_id()?;
        record.begun(run);
        if let Err(error) = runs::keep(self.site, &record.begun_run(run)) {
            let directory = self.site.runs();
            complain(&format!(
                "warning: cannot write run {run} down in {}: `apu attach` will not list it\n  why: {error}\n",
                directory.display()
            ));
        }
        // Events name the run themselves.
        if !(self.args.json || self.args.quiet) {
            let target = quote(&self.args.target);
            say!("run {run}; to follow it from elsewhere: apu attach {target} {run}");
        }
        Ok(Request {
            run_id: Some(run),
            lock_wait: Some(self.lock_wait),
            ..request
        })
    }

    pub(super) async fn go(
        &self,
        purpose: Purpose,
        tasks: Vec<Task>,
        failures: Option<FailureLimit>,
        stops: &mut UnboundedReceiver<()>,
    ) -> Ended {
        let operation = tasks.first().map(|task| task.request.operation);
        let job = Job {
            purpose,
            operation: operation.unwrap_or(self.args.operation),
            tasks,
            published: self.published.clone(),
        };
        let mut sinks = if self.args.json {
            Sinks::default().with(JsonLines(Stdout))
        } else if self.output.live {
            Sinks::default().with(Live::new(self.output))
        } else {
            Sinks::default().with(Plain::new(Stdout, self.output))
        };
        let run_state = run(
            &self.ssh,
            job,
            Limits {
                failures,
                ..self.limits
            },
            stops,
            &mut sinks,
        )
        .await;
        Ended::of(&run_state, std::mem::take(&mut sinks.failed))
    }
}

fn is_exceeded(limit: Option<FailureLimit>) -> bool {
    limit.is_some_and(FailureLimit::is_exceeded)
}

/// How long a host is waited for where nobody says it.
fn patience(operation: Operation, of_runs: Duration) -> Duration {
    if operation.is_a_run() {
        of_runs
    } else {
        of_runs.min(SHORT_ANSWER)
    }
}

/// The same for each host.
pub(super) fn tasks(hosts: &[Host], request: &Request) -> Vec<Task> {
    let task = |host: &Host| Task {
        host: host.clone(),
        request: request.clone(),
    };
    hosts.iter().map(task).collect()
}

/// One identity for the whole push: each client keeps its own run under it.
fn new_run_id() -> Result<RunId, Failure> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| Failure::machine("cannot read /dev/urandom").why(error))?;
    Ok(RunId::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_only_asked_is_left_after_a_minute() {
        let hour = Duration::from_secs(3600);
        for operation in [Operation::Ping, Operation::Status, Operation::Check] {
            assert_eq!(patience(operation, hour), Duration::from_secs(60));
            assert_eq!(
                patience(operation, Duration::from_secs(7)),
                Duration::from_secs(7)
            );
        }
        assert_eq!(patience(Operation::Upgrade, hour), hour);
    }
}
