//! `apu conffile`: one decision about a configuration file that exists in two versions, for all hosts that have these versions.

use std::collections::BTreeSet;

use apu_fleet::{Approval, Ending, Host, HostName};
use apu_proto::{
    Answer, Conffile, ConffileDecision, ConffilePath, ConffileState, ConffileVersions, MAX_CONFFILE_VERSIONS,
    Operation, Request, RequestOption,
};
use apu_site::{Failure, say};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::remote::{INTERRUPTED, asked, wait};
use crate::apt_all::{Shown, ask_on_terminal, carry_out_decision};
use crate::context::Context;
use crate::failure;
use crate::interrupt::instructions;
use crate::view::clean::clean;
use crate::view::conffiles::conffiles;
use crate::view::groups::set;
use crate::view::paint::Paint;
use crate::view::summary::told;

/// Decide on a configuration file that exists in two versions, on all hosts of a target at once.
///
/// The hosts are asked which versions they have, as by apt-all TARGET conffiles; these are shown, and a yes is asked for. A host whose
/// versions are others by then leaves them alone. What a decision takes away is put into /var/lib/apu-client/conffiles on the host, for
/// root alone, and undo brings it back. Owner and mode of the file stay. No service is reloaded.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apu conffile /etc/ssh/sshd_config keep --on web
  sudo apu conffile /etc/logrotate.conf new --on 'all,!laptops' --dry-run
  sudo apu conffile /etc/logrotate.conf new --on 'all,!laptops'
  sudo apu conffile /etc/logrotate.conf undo --on web07")]
pub(super) struct Args {
    /// The configuration file, as apt-all TARGET conffiles names it.
    #[arg(value_name = "PATH")]
    path: ConffilePath,

    /// What becomes of it.
    #[arg(value_name = "DECISION", value_parser = decision())]
    decision: ConffileDecision,

    /// Classes, hosts and ranges; !WORD leaves out, @FILE and - are lists.
    #[arg(long, value_name = "TARGET", required = true)]
    on: String,

    /// Leave these classes and hosts out.
    #[arg(long, value_name = "TARGET")]
    exclude: Vec<String>,

    /// Do not ask first.
    #[arg(short, long, conflicts_with = "dry_run")]
    yes: bool,

    /// Show which hosts have which versions, and change nothing.
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// How much is printed.
    #[command(flatten)]
    shown: Shown,
}

fn decision() -> impl TypedValueParser<Value = ConffileDecision> {
    let help = |decision| match decision {
        ConffileDecision::Keep => "What is in place stays; the other version is put away",
        ConffileDecision::New => {
            "The package's version is in place afterwards; the machine's is put away, also where the package's is in place already (.dpkg-old)"
        }
        ConffileDecision::Undo => "What the last decision put away is put back",
    };
    let all =
        ConffileDecision::ALL.map(|decision| PossibleValue::new(decision.as_str()).help(help(decision)));
    // Every word that the first parser lets through is a decision; the last is the one that changes the least.
    PossibleValuesParser::new(all).map(|word| word.parse().unwrap_or(ConffileDecision::Keep))
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    if !(args.yes || args.dry_run) && (args.shown.json || !context.ui.can_ask()) {
        let why = if args.shown.json {
            "with --json nobody is asked"
        } else {
            "there is no terminal to ask on"
        };
        return Err(
            Failure::words("a decision changes configuration files, and nobody has agreed to it")
                .why(why)
                .advise("give --yes to do it unseen, or --dry-run to see it first"),
        );
    }
    let inventory = context.inventory()?;
    let hosts = inventory.resolve(std::slice::from_ref(&args.on), &args.exclude);
    let hosts = hosts.map_err(|error| failure::target(&context.site, error))?;
    let (decided, mut status) = match args.decision {
        ConffileDecision::Undo => (Decided::undo(&hosts), 0),
        _ => match look(context, args, &hosts)? {
            Some(looked) => looked,
            None => return Ok(INTERRUPTED),
        },
    };
    if decided.hosts.is_empty() {
        say!(
            context.ui,
            "no host has two versions of {} that can be decided on",
            args.path
        );
        return Ok(status);
    }
    let request = request(args, decided.versions)?;
    if args.dry_run {
        if args.decision == ConffileDecision::Undo {
            say!(
                context.ui,
                "asked would be {}",
                set(&decided.hosts.iter().collect::<Vec<_>>())
            );
        }
        return Ok(status);
    }
    if !args.yes {
        match agreed(context, args, decided.hosts.len())? {
            Approval::Yes => {}
            Approval::Interrupted => return Ok(INTERRUPTED),
            _ => {
                say!(context.ui, "nothing was done");
                return Ok(1);
            }
        }
    }
    let done = carry_out_decision(context, &args.on, &decided.hosts, &request, args.shown)?;
    status = status.max(done);
    Ok(status)
}

/// For whom something is decided, and about which versions.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decided {
    hosts: Vec<HostName>,
    versions: BTreeSet<ConffileVersions>,
}

impl Decided {
    /// A decision is taken back wherever there is one.
    fn undo(hosts: &[Host]) -> Self {
        Self {
            hosts: hosts.iter().map(|host| host.name.clone()).collect(),
            versions: BTreeSet::new(),
        }
    }

    /// The hosts all of whose versions of the file are known, and these; and the hosts that have others beside them.
    fn of(path: &ConffilePath, endings: &[(HostName, Ending)]) -> (Self, Vec<HostName>) {
        let mut decided = Self::default();
        let mut unknown = Vec::new();
        for (host, ending) in endings {
            let files = files_of(path, ending);
            let is_other = |file: &&Conffile| file.state != ConffileState::Missing;
            let versions: Option<Vec<ConffileVersions>> =
                files.iter().filter(is_other).map(ConffileVersions::of).collect();
            match versions {
                Some(versions) if versions.is_empty() => {}
                Some(versions) => {
                    decided.hosts.push(host.clone());
                    decided.versions.extend(versions);
                }
                None => unknown.push(host.clone()),
            }
        }
        (decided, unknown)
    }
}

/// What a host tells of this file.
fn files_of(path: &ConffilePath, ending: &Ending) -> Vec<Conffile> {
    let files = ending
        .result
        .as_ref()
        .map_or(&[][..], |result| result.conffiles());
    let is_it = |file: &&Conffile| file.path == path.as_str();
    files.iter().filter(is_it).cloned().collect()
}

/// The same answers with this file alone.
fn narrowed(path: &ConffilePath, endings: &[(HostName, Ending)]) -> Vec<(HostName, Ending)> {
    let mut endings = endings.to_vec();
    for (_, ending) in &mut endings {
        let files = files_of(path, ending);
        if let Some(result) = &mut ending.result {
            result.answer = Answer::Conffiles { files, more: 0 };
        }
    }
    endings
}

/// Asks the hosts which versions they have, and shows that; none where somebody stopped it. With the exit status that their answers mean.
fn look(context: &Context, args: &Args, hosts: &[Host]) -> Result<Option<(Decided, u8)>, Failure> {
    let question = Request::new(Operation::Conffiles, [], []).map_err(no_request)?;
    let ssh = context.ssh()?;
    let Some(endings) = wait(asked(&ssh, hosts, context, &question))? else {
        return Ok(None);
    };
    let (decided, unknown) = Decided::of(&args.path, &endings);
    let is_unwell = |(_, ending): &&(HostName, Ending)| !ending.outcome.is_well();
    let unwell: Vec<(HostName, Ending)> = endings.iter().filter(is_unwell).cloned().collect();
    let ui = &context.ui;
    // Standard output is the events' where they are asked for.
    let tell = |text: &str| match args.shown.json {
        true => ui.complain(text),
        false => ui.show(text),
    };
    let paint = Paint::for_stream(ui.stdout());
    if !args.shown.json {
        tell(&conffiles(
            &narrowed(&args.path, &endings),
            paint,
            args.shown.verbose,
        ));
    }
    tell(&told(Operation::Conffiles, &unwell, paint, args.shown.verbose));
    if !unknown.is_empty() {
        tell(&format!(
            "{}: one of the versions is no regular file, is missing or is too long; decide on it there\n",
            set(&unknown.iter().collect::<Vec<_>>())
        ));
    }
    let status = u8::from(!(unwell.is_empty() && unknown.is_empty()));
    Ok(Some((decided, status)))
}

fn request(args: &Args, versions: BTreeSet<ConffileVersions>) -> Result<Request, Failure> {
    if versions.len() > MAX_CONFFILE_VERSIONS {
        return Err(Failure::words(format!(
            "the hosts have {} pairs of versions of {}",
            versions.len(),
            args.path
        ))
        .why(format!("one decision is about {MAX_CONFFILE_VERSIONS} at most"))
        .advise("name fewer hosts with --on"));
    }
    let options = [
        Some(RequestOption::ConffilePath(args.path.clone())),
        Some(RequestOption::ConffileDecision(args.decision)),
        (!versions.is_empty()).then(|| RequestOption::ConffileVersions(versions.into_iter().collect())),
    ];
    Request::new(Operation::Conffile, options.into_iter().flatten(), []).map_err(no_request)
}

fn no_request(error: apu_proto::RequestError) -> Failure {
    Failure::machine("apu made a request that no client would take, which is a bug").why(error)
}

/// Asks whether that is to be done.
fn agreed(context: &Context, args: &Args, hosts: usize) -> Result<Approval, Failure> {
    let (path, number) = (clean(args.path.as_str()), hosts);
    let hosts = if number == 1 { "host" } else { "hosts" };
    let question = match args.decision {
        ConffileDecision::Keep => format!("Keep {path} as it is, and put the other version away,"),
        ConffileDecision::New => format!("Take the package's version of {path}, and put the machine's away,"),
        ConffileDecision::Undo => format!("Put back what the last decision about {path} put away,"),
    };
    let question = format!("{question} on {number} {hosts}? [y/N] ");
    wait(async { ask_on_terminal(&context.ui, &question, &mut instructions()).await })
}

#[cfg(test)]
mod tests {
    use apu_fleet::{Outcome, ServerCause};
    use apu_proto::{ClientOutcome, RunResult};

    use super::*;

    fn file(path: &str, state: ConffileState, beside: &str, sums: [Option<&str>; 2]) -> Conffile {
        Conffile {
            path: path.to_owned(),
            state,
            beside: beside.to_owned(),
            sha256: sums[0].map(str::to_owned),
            other_sha256: sums[1].map(str::to_owned),
            diff: None,
        }
    }

    fn answers(host: &str, files: Vec<Conffile>) -> (HostName, Ending) {
        let answer = Answer::Conffiles { files, more: 0 };
        let result = RunResult::new(ClientOutcome::Unchanged).with(answer);
        (host.parse().unwrap(), Ending::of_result(Box::new(result), None))
    }

    #[test]
    fn hosts_whose_versions_are_known_are_decided_on_and_no_others() {
        use ConffileState::{Kept, Missing, Replaced};
        let path: ConffilePath = "/etc/app.conf".parse().unwrap();
        let it = path.as_str();
        let (mine, theirs) = (Some("aaaaaaaa"), Some("bbbbbbbb"));
        let endings = [
            answers("web1", vec![file(it, Kept, ".dpkg-dist", [mine, theirs])]),
            answers(
                "web2",
                vec![file("/etc/other", Kept, ".dpkg-dist", [mine, theirs])],
            ),
            answers(
                "web3",
                vec![
                    file(it, Kept, ".dpkg-dist", [mine, theirs]),
                    file(it, Replaced, ".dpkg-old", [mine, Some("cccccccc")]),
                ],
            ),
            answers("web4", vec![file(it, Missing, "", [None, None])]),
            // A link in its place: nobody decides on a part of it.
            answers(
                "web5",
                vec![
                    file(it, Kept, ".ucf-dist", [None, theirs]),
                    file(it, Kept, ".dpkg-dist", [mine, theirs]),
                ],
            ),
            (
                "web6".parse().unwrap(),
                Ending::without_result(Outcome::Unreachable, ServerCause::TimedOut, None),
            ),
        ];
        let (decided, unknown) = Decided::of(&path, &endings);
        let names = |hosts: &[HostName]| hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&decided.hosts), ["web1", "web3"]);
        assert_eq!(names(&unknown), ["web5"]);
        let versions: Vec<String> = decided.versions.iter().map(ToString::to_string).collect();
        assert_eq!(
            versions,
            [".dpkg-dist:aaaaaaaa:bbbbbbbb", ".dpkg-old:aaaaaaaa:cccccccc"]
        );
    }

    #[test]
    fn the_file_alone_is_shown() {
        let path: ConffilePath = "/etc/app.conf".parse().unwrap();
        let both = [Some("aaaaaaaa"), Some("bbbbbbbb")];
        let kept = |path| file(path, ConffileState::Kept, ".dpkg-dist", both);
        let endings = [answers("web1", vec![kept("/etc/app.conf"), kept("/etc/other")])];
        let shown = narrowed(&path, &endings);
        assert_eq!(
            shown[0].1.result.as_ref().unwrap().conffiles(),
            [kept("/etc/app.conf")]
        );
    }
}
