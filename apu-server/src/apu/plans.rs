//! `apu plans`, `apu show` and `apu apply`: the plans that `apt-all … --plan` has kept.

use apu_archive::quote;
use apu_fleet::{HostName, span};
use apu_proto::Plan;
use apu_site::{Failure, say};
use jiff::Timestamp;

use crate::apt_all;
use crate::context::Context;
use crate::stored_plans::{self, StoredPlan, VALID};
use crate::view::paint::Paint;
use crate::view::plans::{counted, plans};

/// List the plans that are kept: `apt-all TARGET OPERATION --plan` makes one.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {}

/// Show a plan as it was shown when it was made.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// Its number.
    #[arg(value_name = "PLAN")]
    number: u32,

    /// Every upgrade.
    #[arg(short, long)]
    verbose: bool,
}

/// Carry out a plan: its hosts do what it says, in its waves, and nothing else.
///
/// A host that would change something else by now is drifted, and nothing changes there. One with nothing left to do is unchanged.
#[derive(Debug, clap::Args)]
pub(super) struct ApplyArgs {
    /// Its number.
    #[arg(value_name = "PLAN")]
    number: u32,

    /// Print what happens as JSON, an event a line.
    #[arg(long)]
    json: bool,

    /// Show what apt prints, and every list in full.
    #[arg(short, long)]
    verbose: bool,

    /// Show the hosts that are not well, and no others.
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
}

pub(super) fn list(context: &Context, _: &ListArgs) -> Result<u8, Failure> {
    let numbers = stored_plans::numbers(&context.site);
    let numbers = numbers.map_err(|error| Failure::machine("cannot list the plans").why(error))?;
    let now = now();
    for number in numbers.into_iter().rev() {
        // One that was let go meanwhile, or was cut off by a crash, is none.
        let Some(plan) = read(context, number)? else {
            continue;
        };
        let state = if plan.is_valid(now) {
            let left = VALID.as_secs() - plan.age(now);
            format!("expires in {}", span(left))
        } else {
            "expired".to_owned()
        };
        say!(
            context.ui,
            "{number}: {} ago, by {}: {}; {}; {state}",
            span(plan.age(now)),
            quote(&plan.by),
            command(&plan),
            counted(&plan.trials()),
        );
    }
    Ok(0)
}

pub(super) fn show(context: &Context, args: &ShowArgs) -> Result<u8, Failure> {
    let plan = find(context, args.number)?;
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
    context.ui.show(&plans(&hosts, paint, args.verbose));
    if let Some(outlook) = apt_all::outlook(&plan) {
        say!(context.ui, "in waves: {outlook}");
    }
    Ok(0)
}

pub(super) fn apply(context: &Context, args: &ApplyArgs) -> Result<u8, Failure> {
    let plan = find(context, args.number)?;
    let now = now();
    if !plan.is_valid(now) {
        let (age, valid) = (span(plan.age(now)), span(VALID.as_secs()));
        return Err(Failure::words(format!("plan {} has expired", args.number))
            .why(format!(
                "it is {age} old, and a plan may be carried out for {valid}"
            ))
            .advise(format!("{} --plan", command(&plan))));
    }
    apt_all::apply_stored(context, &plan, (args.json, args.verbose, args.quiet))
}

/// The command that made a plan, and makes it again.
fn command(plan: &StoredPlan) -> String {
    let mut words = vec![format!("apt-all {} {}", quote(&plan.target), plan.operation)];
    words.extend(plan.packages.iter().map(|package| quote(package)));
    if plan.allow_remove {
        words.push("--allow-remove".to_owned());
    }
    words.extend(plan.options.iter().map(|word| quote(word)));
    words.join(" ")
}

fn now() -> f64 {
    Timestamp::now().as_duration().as_secs_f64()
}

fn find(context: &Context, number: u32) -> Result<StoredPlan, Failure> {
    read(context, number)?.ok_or_else(|| {
        Failure::words(format!("there is no plan {number}"))
            .why("it was never made, was let go, or its file is not whole")
            .advise("apu plans, which lists them")
    })
}

fn read(context: &Context, number: u32) -> Result<Option<StoredPlan>, Failure> {
    stored_plans::find(&context.site, number)
        .map_err(|error| Failure::machine(format!("cannot read plan {number}")).why(error))
}

#[cfg(test)]
mod tests {
    use apu_proto::Operation;
    use clap::Parser;

    use super::*;
    use crate::apt_all::Args;

    /// The command that is shown for the plan of a command line.
    fn shown(words: &[&str]) -> String {
        let args = Args::try_parse_from(words).unwrap();
        command(&StoredPlan {
            at: 0.0,
            by: String::new(),
            target: args.target.clone(),
            operation: Operation::DistUpgrade,
            packages: args.packages.clone(),
            allow_remove: args.allow_remove,
            options: args.host_and_wave_options(),
            hosts: Vec::new(),
            waves: Vec::new(),
            soak: 0,
        })
    }

    #[test]
    fn the_command_of_a_plan_makes_the_same_plan_again() {
        for line in [
            "apt-all web dist-upgrade",
            "apt-all web dist-upgrade --allow-remove --exclude web3 --exclude db",
            "apt-all web dist-upgrade --exclude db1 --canary 2 --soak 300s",
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
}
