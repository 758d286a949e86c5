//! `apu hosts`: which classes there are, and which hosts a target means.

use apu_fleet::{Host, fold};
use apu_site::{Failure, say};

use crate::context::Context;
use crate::failure;

/// List the classes, or the hosts that a target means.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Classes, hosts and ranges; !WORD leaves out, @FILE and - are lists. Without it, all classes are listed.
    target: Vec<String>,

    /// Leave these classes and hosts out.
    #[arg(long, value_name = "TARGET", requires = "target")]
    exclude: Vec<String>,

    /// One line for all, with ranges.
    #[arg(long)]
    fold: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let inventory = context.inventory()?;
    let wrong = |error| failure::target(&context.site, error);
    if args.target.is_empty() {
        let mut bad = None;
        for class in inventory.classes() {
            match inventory.class(class) {
                Ok(hosts) => say!(context.ui, "{class}: {}", counted(&hosts)),
                Err(error) => {
                    say!(context.ui, "{class}: cannot be used");
                    bad = bad.or(Some(error));
                }
            }
        }
        return bad.map_or(Ok(0), |error| Err(wrong(error)));
    }
    let hosts = inventory.resolve(&args.target, &args.exclude).map_err(wrong)?;
    if args.fold {
        say!(
            context.ui,
            "{}",
            fold(hosts.iter().map(|host| host.name.as_str()))
        );
    } else {
        for host in hosts {
            say!(context.ui, "{host}");
        }
    }
    Ok(0)
}

/// `3 hosts: web[1-3]`.
fn counted(hosts: &[Host]) -> String {
    let names = fold(hosts.iter().map(|host| host.name.as_str()));
    match hosts.len() {
        0 => "no host yet".to_owned(),
        1 => format!("1 host: {names}"),
        number => format!("{number} hosts: {names}"),
    }
}
