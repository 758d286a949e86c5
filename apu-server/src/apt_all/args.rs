//! The command line of apt-all.

mod request;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use apu_archive::quote;
use apu_debian::PackageName;
use apu_proto::{HoldReason, Operation, PackageGlob, Request, RequestOption};
use apu_site::Failure;
use apu_site::settings::{Canary, MaxFailures, ServiceGlob, WaveSizes};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, ValueHint};
use jiff::{Timestamp, Zoned};

use super::decision::decision_of;
use super::hold_end::{hold_end_at, timestamp};

/// Bring a class of Debian machines up to date, all at once.
///
/// TARGET is a class (a file in /etc/apu-server/clients), a host, a range such as web[01-20], or all; several of them
/// stand side by side or with commas. !WORD leaves out, @FILE is a list of words, and - is a list on standard input.
/// Before packages change, machines reboot or services restart, that is shown and a yes is asked for.
#[derive(Debug, Clone, Parser)]
#[command(name = "apt-all", version, after_help = AFTER)]
pub struct Args {
    /// Classes, hosts and ranges; !WORD leaves out, @FILE and - are lists.
    pub target: String,

    /// What to do there; full-upgrade is another name of dist-upgrade.
    #[arg(value_parser = operation())]
    pub operation: Operation,

    /// Packages to install, to remove, or to hold, as NAME[:ARCH][=VERSION]; install takes .debs as well.
    ///
    /// A word with a / in it, or with .deb at its end, is a file. It is added to the site's own archive, the clients fetch
    /// the lists of that archive, and install exactly its version from there. With --dry-run it is only checked.
    // The brackets are shown in the help; they are no link.
    #[allow(rustdoc::broken_intra_doc_links)]
    #[arg(value_name = "PACKAGE", value_hint = ValueHint::FilePath)]
    pub packages: Vec<String>,

    /// Leave these classes and hosts out.
    #[arg(long, value_name = "TARGET")]
    pub exclude: Vec<String>,

    /// How many hosts work at once [default: 50, or what apu.toml says].
    #[arg(short = 'P', long, value_name = "N")]
    pub parallel: Option<NonZeroUsize>,

    /// How long to wait for one host; what it has begun goes on there as in 90s, 5m or 1h30m [default: 3600s, or what apu.toml says].
    #[arg(long, value_name = "DURATION", value_parser = at_least_a_second)]
    pub timeout: Option<Duration>,

    /// How many hosts may fail, as a number or a percentage of all; with one more, nothing new is started [default: no limit, or what apu.toml says].
    ///
    /// Every host that does not end well counts, also if it fails while the changes are planned, but for one that cannot be
    /// reached: it is told apart. Hosts at work go on; the others are skipped. A percentage is rounded down to whole hosts; with 0 the first
    /// failure stops. A plan asks every host, but where more failed in it than may, nothing is done. status and check change
    /// nothing and have no limit.
    #[arg(long, value_name = "N|N%")]
    pub max_failures: Option<MaxFailures>,

    /// Which hosts change first, as a number or as hosts and classes; the others follow when these are well [default: one host for
    /// each distinct change, where more than three hosts change, or what apu.toml says].
    #[arg(long, value_name = "N|TARGET")]
    pub canary: Option<Canary>,

    /// How many hosts change in each wave, as numbers or percentages of those that change; the last one repeats. 1,10% is one, then
    /// a tenth at a time; 100% is all at once. See apu-rollout(7) [default: the canaries and then the rest, or what apu.toml says].
    #[arg(long, value_name = "SIZES")]
    pub waves: Option<WaveSizes>,

    /// How long the hosts of a wave have to stay well before the next one starts, as in 30m [default: 0, or what apu.toml says].
    #[arg(long, value_name = "DURATION", value_parser = apu_site::settings::duration)]
    pub soak: Option<Duration>,

    /// How long to wait for apu promote or apu abort where it cannot be told whether the hosts of a wave are well, as in 8h; with 0,
    /// and once the time is over, no other host starts [default: 24h, or what apu.toml says].
    #[arg(long, value_name = "DURATION", value_parser = apu_site::settings::duration)]
    pub pause_limit: Option<Duration>,

    /// Have later waves install the very .debs that the canaries have installed, whatever the archives have by then.
    ///
    /// The canaries keep what they install; once one is well, this server fetches from it what the later waves need, and gives it to each
    /// host before its turn. Where no canary gives a .deb, no host that needs it starts. See apu-rollout(7), also for how to freeze the
    /// .debs of some archives alone [default: what apu.toml says].
    #[arg(long, conflicts_with = "download_only")]
    pub freeze: bool,

    /// Leave out of upgrade and dist-upgrade what this server has first seen less than this time ago, as in 3d; 0 is no such age
    /// [default: 0, or what apu.toml says].
    ///
    /// A package version is seen when a plan of any host shows its .deb, by its SHA-256. What is younger stays as it is in this run,
    /// with what would need it, and the plan names it as too young. Security updates are no exception unless apu.toml says so. See
    /// apu-rollout(7).
    #[arg(long, value_name = "DURATION", value_parser = apu_site::settings::duration, conflicts_with = "download_only")]
    pub min_age: Option<Duration>,

    /// Change packages also where apu.toml says that it is not the time for it. What a client's own policy says holds.
    #[arg(long)]
    pub ignore_windows: bool,

    /// Ask hosts again until this time is over that could not be reached, that another run held, or whose maintenance window was closed,
    /// as in 8h; the timer apu-queue.timer does it, and each gets what was approved.
    ///
    /// A host that was off when the plan was made does only what other hosts of the run have done before and stayed well with. See apu
    /// queue.
    #[arg(long, value_name = "DURATION", value_parser = time_in_queue, conflicts_with_all = ["dry_run", "plan", "list_hosts"])]
    pub queue: Option<Duration>,

    /// Only say which hosts the target means; none of them is asked.
    #[arg(long)]
    pub list_hosts: bool,

    /// Do not show and ask first; do what the hosts plan.
    #[arg(short, long, conflicts_with = "dry_run")]
    pub yes: bool,

    /// Show what would be done, and do nothing; -l and --list are other names of it.
    #[arg(short = 'n', long, short_alias = 'l', alias = "list")]
    pub dry_run: bool,

    /// Show what would be done and keep it as a plan, which apu apply carries out; a plan is valid for 7 days.
    #[arg(long, conflicts_with_all = ["yes", "dry_run", "parallel", "timeout", "max_failures"])]
    pub plan: bool,

    /// Let dist-upgrade and install remove packages. What is removed is shown even with --yes.
    #[arg(long)]
    pub allow_remove: bool,

    /// Let the packages restart these services, although apu.toml protects them; '*' allows all, also where a host does not tell which
    /// they are.
    ///
    /// Quote a name with * or ? in it. Without it, a host on which a protected service would restart is skipped. See apu.toml(5).
    #[arg(long, value_name = "SERVICE|GLOB")]
    pub allow_restart: Vec<ServiceGlob>,

    /// Let upgrade and dist-upgrade bring packages with a security update, with what these need, and no others.
    ///
    /// A package has one where a version newer than the installed one, up to the one that apt would install, comes from a security
    /// archive.
    #[arg(long)]
    pub security: bool,

    /// Let upgrade and dist-upgrade bring the installed packages that are built from this source, such as openssl, with what these
    /// need, and no others.
    #[arg(long, value_name = "SOURCE")]
    pub source: Vec<PackageName>,

    /// Let install upgrade the named packages where they are installed, with what these need, and install them nowhere else.
    ///
    /// The packages keep their mark as automatically installed.
    #[arg(long)]
    pub only_upgrade: bool,

    /// Let these packages stay as they are in this run of upgrade, dist-upgrade or install; linux-* is every package whose name
    /// begins so.
    ///
    /// Quote a name with * or ? in it. Nothing stays behind: a later run without the option brings them. What would need another
    /// version of such a package stays as it is, too.
    #[arg(long, value_name = "PACKAGE|GLOB")]
    pub hold: Vec<PackageGlob>,

    /// Why hold puts the packages on hold: a line of text, which status and showhold tell.
    #[arg(long, value_name = "TEXT", value_parser = hold_reason)]
    pub reason: Option<HoldReason>,

    /// When the hold ends: at the start of that day by this machine's clock, as in 2026-12-24, or after some time, as in 14d
    /// [default: with unhold].
    ///
    /// The client takes the package off hold by itself, within a quarter of an hour after that, or before anything is planned or shown.
    #[arg(long, value_name = "DATE|DURATION", value_parser = hold_end)]
    pub until: Option<Timestamp>,

    /// Let upgrade, dist-upgrade and install fetch the packages into apt's cache on the clients, and change nothing.
    ///
    /// Nothing is asked, and there are no waves. A later run installs from the cache what is still to be installed.
    #[arg(short, long, conflicts_with_all = ["dry_run", "plan", "canary", "waves", "soak"])]
    pub download_only: bool,

    /// Fetch the lists and the packages, show what upgrade, dist-upgrade or install would do, and change nothing; prepare is short for
    /// dist-upgrade --prepare.
    ///
    /// A host that is not well in one step has no other. At the end it is said which hosts are ready: these have fetched
    /// everything, their apt can plan the change, and there is space for it. With the packages there, the plan names the configuration
    /// files that were changed on the machine and in the packages.
    #[arg(long, conflicts_with_all = ["yes", "dry_run", "plan", "download_only", "canary", "waves", "soak", "queue", "list_hosts"])]
    pub prepare: bool,

    /// Tell which questions upgrade, dist-upgrade or install would bring to which hosts, and change nothing; questions is short for
    /// dist-upgrade --questions.
    ///
    /// The lists and the packages are fetched first, as by --prepare: the packages have the questions. Told are those of debconf that a
    /// machine does not know yet, each with its type, its default and whether the server answers it, and the configuration files that
    /// were changed on the machine and in the packages. Which questions a package asks, and how urgently, only its script knows, which
    /// does not run for this. See apu-debconf(5).
    #[arg(long, conflicts_with_all = ["yes", "dry_run", "plan", "download_only", "canary", "waves", "soak", "queue", "list_hosts", "prepare"])]
    pub questions: bool,

    /// Let reboot reboot also the machines that do not need it; a client's policy has to allow that.
    #[arg(long)]
    pub all: bool,

    /// Let conffiles show what differs between the two versions of each file, once for all hosts that have the same ones.
    ///
    /// Only of files that every user of the host may read; the others are named, and nothing of them is shown.
    #[arg(long)]
    pub diff: bool,

    /// A decision about a configuration file, which `apu conffile` makes.
    #[arg(skip)]
    pub(super) decision: Vec<RequestOption>,

    /// How much is printed.
    #[command(flatten)]
    pub shown: Shown,

    /// Work below this directory instead of /.
    #[arg(long, hide = true, default_value = "/")]
    pub root: PathBuf,
}

const AFTER: &str = "\
Exit status: 0 all well, 1 some host is not, 2 usage error, 3 this machine failed, 130 interrupted

Examples:
  apt-all web status
  apt-all web db1 update
  apt-all 'all,!laptops' dist-upgrade
  apt-all web prepare
  apt-all web questions upgrade
  apt-all web upgrade --min-age 3d
  apt-all web upgrade --source openssl
  apt-all web install htop --yes
  apt-all web hold nginx --reason 'waits for #412' --until 2026-12-24
  apt-all all install --only-upgrade openssl libssl3
  apt-all web install ./foo_1.2_amd64.deb
  apt-all web conffiles --diff
  apt-all web restart-services --list
  apt-all web reboot";

fn operation() -> impl TypedValueParser<Value = Operation> {
    // `apu attach` knows which run to follow, and `apu conffile` which versions are decided on.
    let all = Operation::ALL
        .into_iter()
        .filter(|operation| !operation.is_internal() && *operation != Operation::Conffile)
        .map(|operation| PossibleValue::new(operation.as_str()).help(operation.summary()));
    // Every word that the first parser lets through is an operation; ping is never reached.
    PossibleValuesParser::new(all).map(|word| word.parse().unwrap_or(Operation::Ping))
}

/// The longest time that hosts wait in the queue: 30 days.
const LONGEST_QUEUE: Duration = Duration::from_secs(30 * 86_400);

/// How long hosts wait in the queue.
fn time_in_queue(text: &str) -> Result<Duration, String> {
    let duration = apu_site::settings::duration(text)?;
    if duration < Duration::from_secs(60) || duration > LONGEST_QUEUE {
        return Err(format!("{text:?} is not between 1m and 30d"));
    }
    Ok(duration)
}

/// Why packages are put on hold.
fn hold_reason(text: &str) -> Result<HoldReason, String> {
    text.parse()
}

/// When a hold ends.
fn hold_end(text: &str) -> Result<Timestamp, String> {
    hold_end_at(text, &Zoned::now())
}

fn at_least_a_second(text: &str) -> Result<Duration, String> {
    let duration = apu_site::settings::duration(text)?;
    if duration.is_zero() {
        return Err("at least 1 second is needed".to_owned());
    }
    Ok(duration)
}

/// What a plan is carried out with, beside what it says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub struct ApplyOptions {
    /// Change packages also where apu.toml says that it is not the time for it. What a client's own policy says holds.
    #[arg(long)]
    pub ignore_windows: bool,

    /// Ask hosts again until this time is over that could not be reached, that another run held, or whose maintenance window was closed,
    /// as in 8h. See apu queue.
    #[arg(long, value_name = "DURATION", value_parser = time_in_queue)]
    pub queue: Option<Duration>,

    /// How much is printed.
    #[command(flatten)]
    pub shown: Shown,
}

/// How much of a push is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub struct Shown {
    /// Print what happens as JSON, an event a line.
    #[arg(long)]
    pub json: bool,

    /// Show what apt prints, and every list in full.
    #[arg(short, long)]
    pub verbose: bool,

    /// Show the hosts that are not well, and no others.
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Do it: no package changes, so there is no plan.
    Straight,
    /// Plan and show it.
    Show,
    /// Plan and show it, ask, and then do exactly that.
    ShowAndAsk,
    /// Plan and show it, and then do exactly that.
    ShowAndDo,
    /// Plan it, and then do exactly that.
    Do,
}

/// Whether a word of the packages is a file: no package's name has a slash, and none ends like that.
fn is_file(word: &str) -> bool {
    word.contains('/') || word.ends_with(".deb")
}

impl Args {
    /// The words that ask this of these hosts, without a question.
    pub(super) fn of_request(target: &str, request: &Request, shown: Shown) -> Self {
        Self {
            target: target.to_owned(),
            operation: request.operation(),
            packages: request.packages().iter().map(ToString::to_string).collect(),
            exclude: Vec::new(),
            parallel: None,
            timeout: None,
            max_failures: None,
            canary: None,
            waves: None,
            soak: None,
            pause_limit: None,
            freeze: false,
            min_age: None,
            ignore_windows: false,
            queue: None,
            list_hosts: false,
            yes: true,
            dry_run: false,
            plan: false,
            allow_remove: request.allows_removal(),
            allow_restart: Vec::new(),
            security: request.is_only_security(),
            source: request.sources().to_vec(),
            only_upgrade: request.is_only_upgrade(),
            hold: request.hold().to_vec(),
            reason: request.hold_reason().cloned(),
            until: request.hold_until().and_then(timestamp),
            download_only: request.is_download_only(),
            prepare: false,
            questions: false,
            all: request.is_even_if_not_needed(),
            diff: request.wants_diffs(),
            decision: decision_of(request),
            shown,
            root: "/".into(),
        }
    }

    /// The options that say which hosts a plan has, in which waves, what is too young for it and what it may restart, as words of a command
    /// line.
    pub(crate) fn host_and_wave_options(&self) -> Vec<String> {
        let seconds = |duration: Duration| format!("{}s", duration.as_secs());
        let exclude = self.exclude.iter().map(|target| ("--exclude", target.clone()));
        let waves = [
            ("--canary", self.canary.as_ref().map(ToString::to_string)),
            ("--waves", self.waves.as_ref().map(ToString::to_string)),
            ("--soak", self.soak.map(seconds)),
            ("--pause-limit", self.pause_limit.map(seconds)),
            ("--min-age", self.min_age.map(seconds)),
        ];
        let waves = waves
            .into_iter()
            .filter_map(|(option, value)| Some((option, value?)));
        let restarts = self.allow_restart.iter();
        let restarts = restarts.map(|glob| ("--allow-restart", glob.to_string()));
        exclude
            .chain(waves)
            .chain(restarts)
            .flat_map(|(option, value)| [option.to_owned(), value])
            .chain(self.freeze.then(|| "--freeze".to_owned()))
            .collect()
    }

    /// The files among the words.
    ///
    /// # Errors
    /// Where the operation takes none.
    pub fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut files = self.packages.iter().filter(|word| is_file(word)).peekable();
        if let Some(file) = files.peek()
            && self.operation != Operation::Install
        {
            return Err(
                Failure::words(format!("{file:?} is a file, and {} takes none", self.operation))
                    .advise(format!("apt-all {} install {file}", quote(&self.target))),
            );
        }
        Ok(files.map(PathBuf::from).collect())
    }

    /// How far to go, if somebody can be asked or not.
    ///
    /// # Errors
    /// Where packages would change, nobody has said yes, and nobody can be asked.
    pub fn course(&self, can_ask: bool) -> Result<Course, Failure> {
        if self.download_only || !self.operation.is_planned() {
            return Ok(Course::Straight);
        }
        if self.yes {
            return Ok(if self.allow_remove {
                Course::ShowAndDo
            } else {
                Course::Do
            });
        }
        if self.dry_run || self.plan {
            return Ok(Course::Show);
        }
        if can_ask && !self.shown.json {
            return Ok(Course::ShowAndAsk);
        }
        let why = if self.shown.json {
            "with --json nobody is asked"
        } else {
            "there is no terminal to ask on"
        };
        Err(Failure::words(format!(
            "{} {}, and nobody has agreed to it",
            self.operation,
            match self.operation {
                Operation::Reboot => "takes machines down",
                Operation::RestartServices => "restarts services",
                _ => "changes packages",
            }
        ))
        .why(why)
        .advise("give --yes to do it unseen, or --dry-run to see it first"))
    }
}

#[cfg(test)]
mod tests;
