//! `apu plans`, `apu show pN` and `apu apply`: the plans that `apt-all … --plan` has kept.

use apu_archive::quote;
use apu_debian::PackageName;
use apu_fleet::{HostName, span};
use apu_proto::{Operation, PackageGlob, Plan};
use apu_site::{Failure, say};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::recorded::say_json;
use crate::apt_all;
use crate::context::Context;
use crate::one_phase::new_push;
use crate::stored_plans::{self, HostsWithRules, StoredPlan, VALID};
use crate::view::groups::set;
use crate::view::json::json_time;
use crate::view::paint::Paint;
use crate::view::plans::{counted, plans};

/// List the plans that are kept: `apt-all TARGET OPERATION --plan` makes one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apt-all web upgrade --plan
  sudo apu plans
  sudo apu show p3")]
pub(super) struct ListArgs {
    /// Print JSON, a plan a line.
    #[arg(long)]
    json: bool,
}

/// Carry out a plan: its hosts do what it says, in its waves, and nothing else.
///
/// A host that would change something else by now is drifted, and nothing changes there. One with nothing left to do is unchanged.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apu apply p3
  sudo apu apply p3 --queue 8h")]
pub(super) struct ApplyArgs {
    /// Its name, such as p3.
    #[arg(value_name = "PLAN")]
    plan: String,

    #[command(flatten)]
    options: apt_all::ApplyOptions,
}

/// What a plan's name begins with, before its number.
const MARK: char = 'p';

/// The number of the plan that has this name; none for a word that is no plan's name.
pub(super) fn number(word: &str) -> Option<u32> {
    let digits = word.strip_prefix(MARK)?;
    let is_number = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// The name of a plan.
pub(super) fn name(number: u32) -> String {
    format!("{MARK}{number}")
}

/// A plan in JSON.
#[derive(Serialize)]
struct Facts<'a> {
    plan: String,
    made: String,
    by: &'a str,
    target: &'a str,
    operation: Operation,
    packages: &'a [String],
    allow_remove: bool,
    security: bool,
    sources: &'a [PackageName],
    only_upgrade: bool,
    hold: &'a [PackageGlob],
    conffile_rules: &'a [HostsWithRules],
    valid: bool,
    hosts: usize,
    waves: &'a [usize],
    soak: u64,
}

impl<'a> Facts<'a> {
    fn of(number: u32, plan: &'a StoredPlan, now: f64) -> Self {
        let since = SignedDuration::try_from_secs_f64(plan.at).unwrap_or_default();
        Self {
            plan: name(number),
            made: json_time(Timestamp::UNIX_EPOCH.checked_add(since).unwrap_or_default()),
            by: &plan.by,
            target: &plan.target,
            operation: plan.operation,
            packages: &plan.packages,
            allow_remove: plan.allow_remove,
            security: plan.security,
            sources: &plan.sources,
            only_upgrade: plan.only_upgrade,
            hold: &plan.hold,
            conffile_rules: &plan.conffile_rules,
            valid: plan.is_valid(now),
            hosts: plan.hosts.len(),
            waves: &plan.waves,
            soak: plan.soak,
        }
    }
}

/// A plan in JSON, with what each host would do.
#[derive(Serialize)]
struct WholePlan<'a> {
    #[serde(flatten)]
    facts: Facts<'a>,
    plans: Vec<HostPlan<'a>>,
}

/// What a host would do, in JSON.
#[derive(Serialize)]
struct HostPlan<'a> {
    host: &'a HostName,
    #[serde(flatten)]
    plan: &'a Plan,
}

pub(super) fn list(context: &Context, args: &ListArgs) -> Result<u8, Failure> {
    let numbers = stored_plans::numbers(&context.site);
    let numbers = numbers.map_err(|error| Failure::machine("cannot list the plans").why(error))?;
    let now = now();
    for number in numbers.into_iter().rev() {
        // One that was let go meanwhile, or was cut off by a crash, is none.
        let Some(plan) = read(context, number)? else {
            continue;
        };
        if args.json {
            say_json(context, &Facts::of(number, &plan, now))?;
            continue;
        }
        let state = if plan.is_valid(now) {
            let left = VALID.as_secs() - plan.age(now);
            format!("expires in {}", span(left))
        } else {
            "expired".to_owned()
        };
        say!(
            context.ui,
            "{}: {} ago, by {}: {}; {}; {state}",
            name(number),
            span(plan.age(now)),
            quote(&plan.by),
            command(&plan),
            counted(&plan.hosts.iter().map(|(_, plan)| plan).collect::<Vec<_>>()),
        );
    }
    Ok(0)
}

pub(super) fn show(context: &Context, number: u32, verbose: bool, json: bool) -> Result<u8, Failure> {
    let plan = find(context, number)?;
    if json {
        let plans = plan.hosts.iter().map(|(host, plan)| HostPlan { host, plan });
        let facts = Facts::of(number, &plan, now());
        let plans = plans.collect();
        say_json(context, &WholePlan { facts, plans })?;
        return Ok(0);
    }
    let hosts: Vec<(HostName, &Plan)> = plan
        .hosts
        .iter()
        .map(|(host, plan)| (host.clone(), plan))
        .collect();
    let paint = Paint::for_stream(context.ui.stdout());
    say!(
        context.ui,
        "{}, {} ago, by {}",
        command(&plan),
        span(plan.age(now())),
        quote(&plan.by)
    );
    context.ui.show(&plans(&hosts, paint, verbose));
    context.ui.show(&conffile_rules(&plan));
    if let Some(outlook) = apt_all::outlook(&plan) {
        say!(context.ui, "in waves: {outlook}");
    }
    Ok(0)
}

pub(super) fn apply(context: &Context, args: &ApplyArgs) -> Result<u8, Failure> {
    let number = named(&args.plan)?;
    let plan = find(context, number)?;
    let now = now();
    if !plan.is_valid(now) {
        let (age, valid) = (span(plan.age(now)), span(VALID.as_secs()));
        return Err(Failure::words(format!("plan {} has expired", name(number)))
            .why(format!(
                "it is {age} old, and a plan may be carried out for {valid}"
            ))
            .advise(format!("{} --plan", command(&plan))));
    }
    apt_all::apply_stored(context, &plan, args.options, new_push()?).map(|pushed| pushed.status)
}

/// The number of the plan that a word names.
fn named(word: &str) -> Result<u32, Failure> {
    number(word).ok_or_else(|| {
        let failure = Failure::words(format!("{word:?} is not a plan: a plan's name is p and a number"));
        match number(&format!("{MARK}{word}")) {
            Some(number) => failure.advise(format!("apu apply {}", name(number))),
            None => failure.advise("apu plans, which lists them"),
        }
    })
}

/// What becomes of configuration files that were changed both on hosts and in packages, as it was when the plan was made.
fn conffile_rules(plan: &StoredPlan) -> String {
    let of_hosts = |with: &HostsWithRules| {
        let rules = with.rules.iter();
        let rules: Vec<String> = rules
            .map(|rule| format!("{} {}", rule.rule.as_str(), quote(&rule.paths.to_string())))
            .collect();
        let hosts: Vec<&HostName> = with.hosts.iter().collect();
        format!("{}: configuration files: {}\n", set(&hosts), rules.join(", "))
    };
    plan.conffile_rules.iter().map(of_hosts).collect()
}

/// The command that made a plan, and makes it again.
fn command(plan: &StoredPlan) -> String {
    let mut words = vec![format!("apt-all {} {}", quote(&plan.target), plan.operation)];
    words.extend(plan.packages.iter().map(|package| quote(package)));
    if plan.allow_remove {
        words.push("--allow-remove".to_owned());
    }
    if plan.security {
        words.push("--security".to_owned());
    }
    for source in &plan.sources {
        words.extend(["--source".to_owned(), source.to_string()]);
    }
    if plan.only_upgrade {
        words.push("--only-upgrade".to_owned());
    }
    for glob in &plan.hold {
        words.extend(["--hold".to_owned(), quote(&glob.to_string())]);
    }
    words.extend(plan.options.iter().map(|word| quote(word)));
    words.join(" ")
}

fn now() -> f64 {
    Timestamp::now().as_duration().as_secs_f64()
}

fn find(context: &Context, number: u32) -> Result<StoredPlan, Failure> {
    read(context, number)?.ok_or_else(|| {
        Failure::words(format!("there is no plan {}", name(number)))
            .why("it was never made, was let go, or its file is not whole")
            .advise("apu plans, which lists them")
    })
}

fn read(context: &Context, number: u32) -> Result<Option<StoredPlan>, Failure> {
    stored_plans::find(&context.site, number)
        .map_err(|error| Failure::machine(format!("cannot read plan {}", name(number))).why(error))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::apt_all::Args;

    /// The command that is shown for the plan of a command line.
    fn shown(words: &[&str]) -> String {
        command(&stored(&Args::try_parse_from(words).unwrap()))
    }

    fn stored(args: &Args) -> StoredPlan {
        StoredPlan {
            at: 0.0,
            by: String::new(),
            target: args.target.clone(),
            operation: args.operation,
            packages: args.packages.clone(),
            allow_remove: args.allow_remove,
            security: args.security,
            sources: args.source.clone(),
            only_upgrade: args.only_upgrade,
            hold: args.hold.clone(),
            conffile_rules: Vec::new(),
            options: args.host_and_wave_options(),
            hosts: Vec::new(),
            waves: Vec::new(),
            soak: 0,
            pause_limit: None,
            freeze: Vec::new(),
            check: None,
        }
    }

    #[test]
    fn the_command_of_a_plan_makes_the_same_plan_again() {
        for line in [
            "apt-all web dist-upgrade",
            "apt-all web dist-upgrade --allow-remove --exclude web3 --exclude db",
            "apt-all web dist-upgrade --security --soak 60s",
            "apt-all web dist-upgrade --hold vim --hold g++ --exclude db1",
            "apt-all web dist-upgrade --soak 60s --min-age 259200s",
            "apt-all web dist-upgrade --source openssl --source vim",
            "apt-all web install libssl3 --only-upgrade --hold vim",
            "apt-all web dist-upgrade --exclude db1 --canary 2 --soak 300s --pause-limit 60s",
            "apt-all web dist-upgrade --canary web7,db1 --waves 1,10%,100% --soak 0s",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(shown(&words), line);
        }
        // Written otherwise, it means the same.
        let words = "apt-all --soak 1m30s web dist-upgrade --plan --waves 1,rest --exclude";
        let words: Vec<&str> = words.split(' ').chain(["web[1-3] db1"]).collect();
        assert_eq!(
            shown(&words),
            "apt-all web dist-upgrade --exclude 'web[1-3] db1' --waves 1,100% --soak 90s"
        );
    }

    #[test]
    fn the_rules_of_a_plan_are_told_with_their_hosts() {
        let rules = |words: &[&str]| words.iter().map(|word| word.parse().unwrap()).collect::<Vec<_>>();
        let of = |host: &str, words: &[&str]| (host.parse::<HostName>().unwrap(), rules(words));
        let web = ["hold-back:/etc/nginx/*", "keep:/etc/k"];
        let all = [of("web1", &web), of("web2", &web), of("db1", &["new:/etc/n"])];
        let plan = StoredPlan {
            conffile_rules: HostsWithRules::of(all.into_iter()),
            ..stored(&Args::try_parse_from(["apt-all", "web", "upgrade"]).unwrap())
        };
        assert_eq!(
            conffile_rules(&plan),
            "web[1-2]: configuration files: hold-back '/etc/nginx/*', keep /etc/k\n\
             db1: configuration files: new /etc/n\n"
        );
    }

    #[test]
    fn a_plan_is_named_by_p_and_its_number() {
        assert_eq!((number("p3"), named("p100").unwrap()), (Some(3), 100));
        assert_eq!(number(&name(7)), Some(7));
        for word in ["3", "p", "p0", "p03", "p+3", "P3", "p3x", "p99999999999"] {
            assert_eq!(number(word), None, "{word}");
        }
    }

    #[test]
    fn a_number_alone_is_answered_with_the_name_to_type() {
        let failure = named("3").unwrap_err();
        assert_eq!(
            failure.to_string(),
            "\"3\" is not a plan: a plan's name is p and a number"
        );
        assert_eq!(failure.advice(), Some("apu apply p3"));
        let failure = named("web").unwrap_err();
        assert_eq!(failure.advice(), Some("apu plans, which lists them"));
    }
}
