//! `apu hosts`: which classes there are, and which hosts a target means.

use apu_fleet::fold;
use apu_repo::Failure;
use clap::Args;

use crate::failure;
use crate::ground::Ground;

/// List the classes, or the hosts that a target means.
#[derive(Debug, Args)]
pub(super) struct Words {
    /// Classes and hosts, with commas between them; without it, all classes are listed.
    target: Option<String>,

    /// Leave these classes and hosts out.
    #[arg(long, value_name = "TARGET", requires = "target")]
    exclude: Vec<String>,

    /// One line for all, with ranges.
    #[arg(long)]
    fold: bool,
}

pub(super) fn run(ground: &Ground, words: &Words) -> Result<u8, Failure> {
    let inventory = ground.inventory()?;
    let wrong = |error| failure::target(&ground.site, error);
    let Some(target) = &words.target else {
        let mut bad = None;
        for class in inventory.classes() {
            match inventory.class(class) {
                Ok(hosts) => {
                    println!(
                        "{class}: {} hosts: {}",
                        hosts.len(),
                        fold(hosts.iter().map(|host| host.name.as_str()))
                    );
                }
                Err(error) => {
                    println!("{class}: cannot be used");
                    bad = bad.or(Some(error));
                }
            }
        }
        return bad.map_or(Ok(0), |error| Err(wrong(error)));
    };
    let hosts = inventory.resolve(target, &words.exclude).map_err(wrong)?;
    if words.fold {
        println!("{}", fold(hosts.iter().map(|host| host.name.as_str())));
    } else {
        for host in hosts {
            println!("{host}");
        }
    }
    Ok(0)
}
