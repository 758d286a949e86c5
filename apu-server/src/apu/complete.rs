//! `apu complete`: what may stand where the cursor is, for the completions of every shell.
//!
//! One reader of the command line, the parser's own account of it, instead of one in the language of each shell.

use std::fs;
use std::path::Path;

use apu_fleet::{ClassName, Inventory};
use apu_ledger::Run;
use apu_site::{Settings, Site, Ui, settings};
use clap::{Arg, ArgAction, Command, ValueHint};
use jiff::tz::TimeZone;

use crate::apt_all::operation_of;
use crate::ledger;
use crate::stored_plans;
use crate::view::clean::clean;
use crate::view::run_facts::when;

/// Say what may stand at the end of these words.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The words up to the cursor, the one at the cursor included.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Stands first where files are meant as well.
const FILES: &str = ":files";

pub(super) fn run(ui: &Ui, site: &Site, args: &Args, programs: [Command; 2]) -> u8 {
    let name = |word: &String| {
        Path::new(word)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let program = args.words.first().and_then(name);
    let Some(program) = programs
        .into_iter()
        .find(|command| Some(command.get_name()) == program.as_deref())
    else {
        return 0;
    };
    let (given, current) = match args.words.split_last() {
        Some((current, given)) if !given.is_empty() => (&given[1..], current.as_str()),
        _ => return 0,
    };
    let known = Known {
        targets: &|| targets(site),
        runs: &|| runs(site),
        plans: &|| plans(site),
        slots: &|| slots(site),
    };
    let text: String = candidates(program, given, current, &known)
        .into_iter()
        .map(|(word, help)| format!("{word}\t{help}\n"))
        .collect();
    ui.show(&text);
    0
}

/// What there is with what it means.
type Candidates = Vec<(String, String)>;

/// What there is on this server, read only where it may stand.
struct Known<'a> {
    targets: &'a dyn Fn() -> Candidates,
    runs: &'a dyn Fn() -> Candidates,
    plans: &'a dyn Fn() -> Candidates,
    slots: &'a dyn Fn() -> Candidates,
}

fn candidates(mut command: Command, given: &[String], current: &str, known: &Known<'_>) -> Candidates {
    command.build();
    let mut positionals: Vec<&str> = Vec::new();
    let mut waits_for: Option<Arg> = None;
    for word in given {
        if waits_for.take().is_some() {
            continue;
        }
        if word.len() > 1 && word.starts_with('-') {
            waits_for = option(&command, word).filter(|_| !word.contains('='));
        } else if let Some(below) = command.find_subcommand(word).filter(|_| positionals.is_empty()) {
            command = below.clone();
        } else {
            positionals.push(word);
        }
    }
    let mut found = if let Some(argument) = waits_for {
        values(&argument, current, known)
    } else if current.starts_with('-') {
        options(&command)
    } else {
        let below = command.get_subcommands().filter(|command| !command.is_hide_set());
        let below: Candidates = below
            .map(|command| named(command.get_name(), command.get_about()))
            .collect();
        if below.is_empty() {
            positional(&command, &positionals, current, known)
        } else {
            below
        }
    };
    found.retain(|(word, _)| word == FILES || word.starts_with(current));
    found
}

fn named(name: &str, help: Option<&clap::builder::StyledStr>) -> (String, String) {
    let help = help.map(ToString::to_string).unwrap_or_default();
    (
        name.to_owned(),
        help.lines().next().unwrap_or_default().to_owned(),
    )
}

/// The option of this word, if it takes a value.
fn option(command: &Command, word: &str) -> Option<Arg> {
    let is_it = |argument: &&Arg| {
        argument
            .get_long()
            .is_some_and(|long| word == format!("--{long}"))
            || argument
                .get_short()
                .is_some_and(|short| word == format!("-{short}"))
    };
    let takes_value = |argument: &&Arg| matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    command.get_arguments().find(is_it).filter(takes_value).cloned()
}

fn options(command: &Command) -> Candidates {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    shown
        .filter_map(|argument| Some(named(&format!("--{}", argument.get_long()?), argument.get_help())))
        .collect()
}

fn values(argument: &Arg, current: &str, known: &Known<'_>) -> Candidates {
    let names: Vec<&str> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(clap::builder::Str::as_str)
        .collect();
    match names.first().copied().unwrap_or_default() {
        "TARGET" | "TARGET... RUN" | "HOST" => in_list(current, (known.targets)()),
        "RUN" => (known.runs)(),
        "PLAN" => (known.plans)(),
        "SLOT" => (known.slots)(),
        "RUN|PLAN" => [(known.runs)(), (known.plans)()].concat(),
        "CLASS" => (known.targets)()
            .into_iter()
            .filter(|(_, help)| help == CLASS)
            .collect(),
        "FILE" | "FILE.deb" | "DIR" => vec![(FILES.to_owned(), String::new())],
        _ if matches!(
            argument.get_value_hint(),
            ValueHint::FilePath | ValueHint::DirPath
        ) =>
        {
            vec![(FILES.to_owned(), String::new())]
        }
        _ => argument
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| named(value.get_name(), value.get_help()))
            .collect(),
    }
}

fn positional(command: &Command, before: &[&str], current: &str, known: &Known<'_>) -> Candidates {
    if command.get_name() == "apt-all" {
        return of_apt_all(command, before, current, known);
    }
    let all: Vec<&Arg> = command.get_positionals().collect();
    let last = all
        .last()
        .filter(|last| matches!(last.get_action(), ArgAction::Append));
    all.get(before.len())
        .or(last)
        .map(|argument| values(argument, current, known))
        .unwrap_or_default()
}

/// Targets, until an operation ends them; then packages, where it takes any.
fn of_apt_all(command: &Command, before: &[&str], current: &str, known: &Known<'_>) -> Candidates {
    match before.iter().skip(1).find_map(|word| operation_of(word)) {
        Some(operation) if operation.takes_packages() => vec![(FILES.to_owned(), String::new())],
        Some(_) => Vec::new(),
        None => {
            let mut found = in_list(current, (known.targets)());
            let operations = command.get_positionals().nth(1).filter(|_| !before.is_empty());
            if let Some(operations) = operations {
                found.splice(0..0, values(operations, current, known));
            }
            found
        }
    }
}

const CLASS: &str = "class";
const HOST: &str = "host";

/// The targets behind what stands before the last comma, and behind a `!`.
fn in_list(current: &str, targets: Candidates) -> Candidates {
    let start = current.rfind(',').map_or(0, |comma| comma + 1);
    let start = start + usize::from(current[start..].starts_with('!'));
    let before = &current[..start];
    let join = |(word, help): (String, String)| (format!("{before}{word}"), help);
    targets.into_iter().map(join).collect()
}

/// All classes and the hosts in them. Whatever cannot be read has none.
fn targets(site: &Site) -> Candidates {
    let Ok(inventory) = Inventory::load(&site.clients()) else {
        return Vec::new();
    };
    let classes: Vec<&ClassName> = inventory.classes().collect();
    let mut found: Candidates = classes
        .iter()
        .map(|class| (class.to_string(), CLASS.to_owned()))
        .collect();
    if !found.iter().any(|(name, _)| name == "all") {
        found.push(("all".to_owned(), "all hosts of all classes".to_owned()));
    }
    let mut hosts: Vec<String> = classes
        .iter()
        .filter_map(|class| inventory.class(class).ok())
        .flatten()
        .map(|host| host.name.to_string())
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    found.extend(hosts.into_iter().map(|host| (host, HOST.to_owned())));
    found
}

/// How many runs may be named: the last ones.
const RUNS: u32 = 20;

/// The last runs, the newest first. A ledger that cannot be read has none.
fn runs(site: &Site) -> Candidates {
    let Ok(Some(ledger)) = ledger::known(site) else {
        return Vec::new();
    };
    let zone = TimeZone::system();
    let named = |run: Run| {
        let text = format!("{} {}: {}", when(run.begun, &zone), run.target, run.operation);
        (run.number.to_string(), clean(&text))
    };
    let runs = ledger.runs(RUNS).unwrap_or_default();
    runs.into_iter().map(named).collect()
}

/// The plans that are kept, the newest first.
fn plans(site: &Site) -> Candidates {
    let numbers = stored_plans::numbers(site).unwrap_or_default();
    let named = |number: u32| (super::plans::name(number), "plan".to_owned());
    numbers.into_iter().rev().map(named).collect()
}

/// The slots. Settings that cannot be read have none.
fn slots(site: &Site) -> Candidates {
    let slots = Settings::read(site)
        .map(|settings| settings.slot)
        .unwrap_or_default();
    let named = |(name, slot): (String, settings::Slot)| (name, format!("{} {}", slot.class, slot.at));
    slots.into_iter().map(named).collect()
}

/// The completions of one program for bash, zsh and fish: file name and text.
pub(super) fn scripts(program: &str) -> [(String, String); 3] {
    let function = program.replace('-', "_");
    let fill = |text: &str| text.replace("PROGRAM", program).replace("FUNCTION", &function);
    [
        (format!("{program}.bash"), fill(BASH)),
        (format!("_{program}"), fill(ZSH)),
        (format!("{program}.fish"), fill(FISH)),
    ]
}

const BASH: &str = include_str!("complete/bash");
const ZSH: &str = include_str!("complete/zsh");
const FISH: &str = include_str!("complete/fish");

/// Writes them into a directory.
pub(super) fn write_scripts(directory: &Path, program: &str) -> std::io::Result<()> {
    for (name, text) in scripts(program) {
        fs::write(directory.join(name), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn complete(line: &str) -> String {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let current = words.pop().unwrap();
        let program = match words.remove(0).as_str() {
            "apu" => super::super::Args::command(),
            _ => crate::apt_all::Args::command(),
        };
        let listed = |words: &[(&str, &str)]| -> Candidates {
            let words = words.iter();
            words
                .map(|(word, help)| ((*word).to_owned(), (*help).to_owned()))
                .collect()
        };
        let known = Known {
            targets: &|| listed(&[("web", CLASS), ("web1", HOST), ("db1", HOST)]),
            runs: &|| listed(&[("412", ""), ("411", ""), ("39", "")]),
            plans: &|| listed(&[("p3", "")]),
            slots: &|| listed(&[("thursday", "")]),
        };
        let found = candidates(program, &words, &current, &known);
        found
            .into_iter()
            .map(|(word, _)| word)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn each_place_gets_what_may_stand_there() {
        for (line, expected) in [
            ("apt-all ", "web web1 db1"),
            ("apt-all w", "web web1"),
            ("apt-all db1,w", "db1,web db1,web1"),
            ("apt-all web,!d", "web,!db1"),
            ("apt-all web up", "update upgrade"),
            ("apt-all web w", "web web1"),
            ("apt-all web update ", ""),
            ("apt-all web install ", FILES),
            ("apt-all web --exclude d", "db1"),
            ("apt-all --timeout 5m web sta", "status"),
            ("apt-all web --ex", "--exclude"),
            ("apt-all web --ro", ""),
            ("apu bootst", "bootstrap"),
            ("apu slots skip th", "thursday"),
            ("apu bootstrap d", "db1"),
            ("apu bootstrap web1 d", "db1"),
            ("apu bootstrap --add-to-class ", "web"),
            ("apu bootstrap --deb ", FILES),
            ("apu key r", "rotate"),
            ("apu key rotate --arch", "--archive"),
            ("apu status w", "web web1"),
            ("apu show ", "412 411 39 p3"),
            ("apu show p", "p3"),
            ("apu apply ", "p3"),
            ("apu log 4", "412 411"),
            ("apu log 412 d", "db1"),
            ("apu diff 411 4", "412 411"),
            ("apu history w", "web web1"),
            ("apu unlock d", "db1"),
            ("apu unlock db1 w", "web web1"),
            ("apu runs -n ", ""),
            ("apu runs --j", "--json"),
            ("apu ledger c", "check"),
            ("apu ma", ""),
            ("apu comp", ""),
        ] {
            assert_eq!(complete(line), expected, "{line}");
        }
    }
}
