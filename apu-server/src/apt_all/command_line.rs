//! The order of words on apt-all's command line: several words may name hosts, and the first operation ends them.

use std::ffi::{OsStr, OsString};

use apu_proto::Operation;
use apu_site::Failure;
use clap::{ArgAction, Command};

/// What apt, apt-get, dpkg and administrators call things, and what to write here.
const ELSEWHERE: [(&str, &str, &str); 18] = [
    (
        "conffile",
        "it is decided on one file by apu conffile PATH keep|new --on TARGET; conffiles tells which there are",
        "conffiles",
    ),
    (
        "safe-upgrade",
        "aptitude's safe-upgrade is called upgrade here",
        "upgrade",
    ),
    ("dselect-upgrade", "there is no dselect here", "upgrade"),
    (
        "purge",
        "configuration files stay: apu removes packages and never purges them",
        "remove",
    ),
    (
        "autopurge",
        "configuration files stay: apu removes packages and never purges them",
        "autoremove",
    ),
    ("autoclean", "clean empties the whole cache", "clean"),
    (
        "distclean",
        "clean empties the whole cache, and the lists stay",
        "clean",
    ),
    (
        "reinstall",
        "a package that is there is not installed again",
        "install",
    ),
    ("list", "status tells what is installed and pending", "status"),
    ("show", "status tells what is installed and pending", "status"),
    ("policy", "status tells what is installed and pending", "status"),
    ("search", "status tells what is installed and pending", "status"),
    ("refresh", "the package lists are fetched by update", "update"),
    (
        "dist-update",
        "the lists are fetched by update, and packages by dist-upgrade",
        "dist-upgrade",
    ),
    (
        "configure",
        "check tells what is broken, and each run repairs it first",
        "check",
    ),
    (
        "fix",
        "check tells what is broken, and each run repairs it first",
        "check",
    ),
    (
        "restart",
        "restart-services restarts the services that run with replaced files, and reboot the machines that need it",
        "restart-services",
    ),
    ("shutdown", "apu stops no machine", "status"),
];

/// The command line with all words before the operation as one.
///
/// # Errors
/// For an operation of apt's that is called differently here, or is none of apu's.
pub(super) fn in_order(program: &Command, given: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let mut given = without_questions(program, given);
    if given.iter().any(|word| word == "--list-hosts") {
        // Nothing is asked of anybody: the operation may be left out.
        let places = positions(program, &given);
        let named = places
            .iter()
            .skip(1)
            .any(|place| operation(&given[*place]).is_some());
        if !(places.is_empty() || named) {
            given.push(Operation::Ping.as_str().into());
        }
    }
    let places = positions(program, &given);
    let word = |place: &usize| given[*place].to_str().unwrap_or_default();
    let is_operation = |place: &usize| operation(&given[*place]).is_some();
    let Some(end) = places.iter().skip(1).position(is_operation).map(|at| at + 1) else {
        let known = places
            .iter()
            .skip(1)
            .find_map(|place| ELSEWHERE.iter().find(|(name, ..)| *name == word(place)));
        return match (known, places.first()) {
            (Some((name, why, instead)), Some(target)) => {
                Err(Failure::words(format!("{name:?} is no operation of apt-all"))
                    .why(*why)
                    .advise(format!("apt-all {} {instead}", apu_archive::quote(word(target)))))
            }
            _ => Ok(given),
        };
    };
    let (first, others) = (places[0], &places[1..end]);
    let mut target = given[first].clone();
    for place in others {
        target.push(" ");
        target.push(&given[*place]);
    }
    // Under its own name, whichever it was given by.
    let named = operation(&given[places[end]]).map(|operation| OsString::from(operation.as_str()));
    let keep = |(place, word): (usize, OsString)| {
        if place == first {
            Some(target.clone())
        } else if place == places[end] {
            named.clone()
        } else {
            (!others.contains(&place)).then_some(word)
        }
    };
    let is_short = given[places[end]] == PREPARE;
    let mut ordered: Vec<OsString> = given.into_iter().enumerate().filter_map(keep).collect();
    if is_short {
        // Before whatever the operation is followed by: behind a -- it would be a package.
        ordered.insert(1, "--prepare".into());
    }
    Ok(ordered)
}

/// Another name of dist-upgrade --questions, or of the option where an operation follows.
const QUESTIONS: &str = "questions";

/// The words with the option in place of its other name, where that stands before any operation.
fn without_questions(program: &Command, mut given: Vec<OsString>) -> Vec<OsString> {
    let places = positions(program, &given);
    let mut words = places.iter().copied().skip(1);
    let Some(first) = words.find(|place| given[*place] == QUESTIONS || operation(&given[*place]).is_some())
    else {
        return given;
    };
    if given[first] != QUESTIONS {
        return given;
    }
    let is_followed = words
        .next()
        .and_then(|place| given[place].to_str())
        .is_some_and(|word| operation_of(word).is_some());
    if is_followed {
        given.remove(first);
    } else {
        given[first] = Operation::DistUpgrade.as_str().into();
    }
    given.insert(1, "--questions".into());
    given
}

/// Another name of dist-upgrade --prepare.
const PREPARE: &str = "prepare";

/// The operation of apt-all that a word names: full-upgrade is apt's other name of dist-upgrade.
pub(crate) fn operation_of(word: &str) -> Option<Operation> {
    if word == "full-upgrade" {
        return Some(Operation::DistUpgrade);
    }
    let operation: Operation = word.parse().ok()?;
    (!operation.is_internal() && operation != Operation::Conffile).then_some(operation)
}

fn operation(word: &OsStr) -> Option<Operation> {
    if word == PREPARE {
        return Some(Operation::DistUpgrade);
    }
    operation_of(word.to_str()?)
}

/// The places of the words that are neither options nor their values.
fn positions(program: &Command, given: &[OsString]) -> Vec<usize> {
    let takes_value = |word: &str| {
        program.get_arguments().any(|argument| {
            let long = argument
                .get_long()
                .is_some_and(|long| word == format!("--{long}"));
            let short = argument
                .get_short()
                .is_some_and(|short| word == format!("-{short}"));
            (long || short) && matches!(argument.get_action(), ArgAction::Set | ArgAction::Append)
        })
    };
    let mut places = Vec::new();
    let (mut is_value, mut options_are_over) = (false, false);
    for (place, word) in given.iter().enumerate().skip(1) {
        let word = word.to_str().unwrap_or_default();
        if std::mem::take(&mut is_value) {
            continue;
        }
        match word {
            "--" if !options_are_over => options_are_over = true,
            _ if !options_are_over && word.len() > 1 && word.starts_with('-') => {
                is_value = takes_value(word);
            }
            _ => places.push(place),
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::apt_all::Args;

    fn ordered(line: &str) -> Result<String, Failure> {
        let given = line.split(' ').map(OsString::from).collect();
        let words = in_order(&Args::command(), given)?;
        let words: Vec<String> = words
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect();
        Ok(words.join("|"))
    }

    #[test]
    fn words_before_the_operation_are_one_target() {
        for (line, expected) in [
            ("apt-all web update", "apt-all|web|update"),
            ("apt-all web db1 !web3 update", "apt-all|web db1 !web3|update"),
            (
                "apt-all --exclude update web db1 -n install update",
                "apt-all|--exclude|update|web db1|-n|install|update",
            ),
            (
                "apt-all web --timeout=5m db status",
                "apt-all|web db|--timeout=5m|status",
            ),
            ("apt-all update update", "apt-all|update|update"),
            ("apt-all - update", "apt-all|-|update"),
            (
                "apt-all web db1 --list-hosts",
                "apt-all|web db1|--list-hosts|ping",
            ),
            (
                "apt-all --list-hosts web update",
                "apt-all|--list-hosts|web|update",
            ),
            ("apt-all --list-hosts", "apt-all|--list-hosts"),
            (
                "apt-all web install --yes -- -x",
                "apt-all|web|install|--yes|--|-x",
            ),
            ("apt-all web ugrade", "apt-all|web|ugrade"),
            ("apt-all web db full-upgrade -y", "apt-all|web db|dist-upgrade|-y"),
            ("apt-all web db prepare", "apt-all|--prepare|web db|dist-upgrade"),
            (
                "apt-all web db questions",
                "apt-all|--questions|web db|dist-upgrade",
            ),
            ("apt-all web questions upgrade", "apt-all|--questions|web|upgrade"),
            (
                "apt-all -P 3 web questions install vim",
                "apt-all|--questions|-P|3|web|install|vim",
            ),
            ("apt-all web install questions", "apt-all|web|install|questions"),
            (
                "apt-all prepare prepare",
                "apt-all|--prepare|prepare|dist-upgrade",
            ),
            ("apt-all --help", "apt-all|--help"),
            ("apt-all", "apt-all"),
        ] {
            assert_eq!(ordered(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn words_of_apt_are_answered_with_those_of_apt_all() {
        for (word, instead) in [
            ("purge", "apt-all 'web[1-2]' remove"),
            ("list", "apt-all 'web[1-2]' status"),
            ("restart", "apt-all 'web[1-2]' restart-services"),
        ] {
            let failure = ordered(&format!("apt-all web[1-2] {word} htop")).unwrap_err();
            assert_eq!(
                failure.to_string(),
                format!("{word:?} is no operation of apt-all")
            );
            assert_eq!(failure.advice(), Some(instead));
        }
        for (_, _, instead) in ELSEWHERE {
            assert!(instead.parse::<Operation>().is_ok(), "{instead}");
        }
    }
}
