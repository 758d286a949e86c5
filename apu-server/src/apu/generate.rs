//! Manual pages and completions, made from the command lines themselves when the package is built.

use std::fs;
use std::io;
use std::path::PathBuf;

use apu_site::Failure;
use clap::CommandFactory;

use super::complete;

/// Write them into a directory.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory.
    directory: PathBuf,
}

pub(super) fn programs() -> [clap::Command; 2] {
    [super::Args::command(), crate::apt_all::Args::command()]
}

fn written(result: io::Result<()>, args: &Args) -> Result<u8, Failure> {
    let what = || format!("cannot write into {}", args.directory.display());
    result
        .map(|()| 0)
        .map_err(|error| Failure::machine(what()).why(error))
}

/// One page for each program and each command of it.
pub(super) fn man(args: &Args) -> Result<u8, Failure> {
    let pages = || {
        for program in programs() {
            page(&args.directory, program, None)?;
        }
        Ok(())
    };
    written(pages(), args)
}

fn page(directory: &std::path::Path, command: clap::Command, above: Option<&str>) -> io::Result<()> {
    let spoken = above.map_or_else(
        || command.get_name().to_owned(),
        |above| format!("{above} {}", command.get_name()),
    );
    let name = spoken.replace(' ', "-");
    let shown = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help");
    for below in shown {
        page(directory, below.clone(), Some(&spoken))?;
    }
    let command = command.disable_help_subcommand(true).bin_name(spoken);
    let examples = command.get_after_help().map(ToString::to_string);
    let command = command.display_name(&name).after_help(None::<&str>);
    let synopsis = synopsis(command.clone());
    let page = clap_mangen::Man::new(command.clone())
        .title(&name)
        .section("8")
        .manual("apu");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    text.extend_from_slice(synopsis.as_bytes());
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    text.extend_from_slice(json(&name).as_bytes());
    let examples = examples.filter(|_| !more(&name).contains("EXAMPLES"));
    text.extend_from_slice(
        examples
            .map(|text| example_section(&text))
            .unwrap_or_default()
            .as_bytes(),
    );
    text.extend_from_slice(more(&name).as_bytes());
    fs::write(directory.join(format!("{name}.8")), text)
}

/// How the program is called, with the values of its options; for one with subcommands, how each of them is.
fn synopsis(mut command: clap::Command) -> String {
    command.build();
    let mut lines = Vec::new();
    usages(&command, &mut lines);
    let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
    format!(".SH SYNOPSIS\n.nf\n{}\n.fi\n", lines.join("\n"))
}

/// A line of a command as roff has it.
fn escaped(line: &str) -> String {
    line.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
}

/// The examples below a command's help, each a line that is indented there.
fn example_section(help: &str) -> String {
    let lines: Vec<String> = help
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .map(escaped)
        .collect();
    format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", lines.join("\n"))
}

fn usages(command: &clap::Command, lines: &mut Vec<String>) {
    let below: Vec<&clap::Command> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        .collect();
    for command in &below {
        usages(command, lines);
    }
    if command.is_subcommand_required_set() {
        return;
    }
    let mut words = vec![command.get_bin_name().unwrap_or(command.get_name()).to_owned()];
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        if matches!(argument.get_id().as_str(), "help" | "version") {
            continue;
        }
        let names = argument.get_value_names().unwrap_or_default();
        let value: Vec<&str> = names.iter().map(clap::builder::Str::as_str).collect();
        let value = value.join(" ");
        let many = matches!(argument.get_action(), clap::ArgAction::Append);
        let dots = if many && !value.contains("...") { "..." } else { "" };
        let word = match argument.get_long() {
            None => format!("{value}{dots}"),
            Some(long) if argument.get_action().takes_values() => format!("--{long} {value}"),
            Some(long) => format!("--{long}"),
        };
        words.push(if argument.is_required_set() {
            word
        } else {
            format!("[{word}]")
        });
    }
    lines.push(words.join(" "));
}

/// What a page says of the command's JSON, in roff.
fn json(name: &str) -> &'static str {
    match name {
        "apu-diff" => include_str!("generate/apu-diff.roff"),
        "apu-history" => include_str!("generate/apu-history.roff"),
        "apu-locks" => include_str!("generate/apu-locks.roff"),
        "apu-slots" => include_str!("generate/apu-slots.roff"),
        "apu-log" => include_str!("generate/apu-log.roff"),
        "apu-plans" => include_str!("generate/apu-plans.roff"),
        "apu-runs" => include_str!("generate/apu-runs.roff"),
        "apu-show" => include_str!("generate/apu-show.roff"),
        _ => "",
    }
}

/// What a page says beyond the command line, in roff.
fn more(name: &str) -> &'static str {
    match name {
        "apt-all" => include_str!("generate/apt-all.roff"),
        "apu" => include_str!("generate/apu.roff"),
        _ => ".SH \"SEE ALSO\"\n.BR apu (8),\n.BR apt-all (8)\n",
    }
}

/// For bash, zsh and fish.
pub(super) fn completions(args: &Args) -> Result<u8, Failure> {
    let files = || {
        for program in programs() {
            complete::write_scripts(&args.directory, program.get_name())?;
        }
        Ok(())
    };
    written(files(), args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_synopsis_has_every_argument_and_no_hidden_one() {
        let [apu, apt_all] = programs();
        let text = synopsis(apt_all);
        assert!(
            text.contains("\napt\\-all [\\-\\-exclude TARGET]")
                || text.contains("TARGET OPERATION [PACKAGE...]"),
            "{text}"
        );
        assert!(
            text.contains("[\\-\\-timeout DURATION]") && !text.contains("root"),
            "{text}"
        );
        let text = synopsis(apu);
        for line in [
            "apu hosts [TARGET...]",
            "apu attach ",
            "apu runs [\\-\\-number N]",
            "apu diff RUN RUN",
            "apu ledger prune",
            "apu key rotate ",
            "apu repo ",
        ] {
            assert!(text.contains(&format!("\n{line}")), "{line}: {text}");
        }
        assert!(!text.contains("complete") && !text.contains("setup"), "{text}");
    }

    #[test]
    fn a_page_has_the_examples_of_the_help() {
        assert_eq!(
            example_section("Examples:\n  sudo apu show @-\n  sudo apu log 412 'web[1-2]'"),
            ".SH EXAMPLES\n.nf\nsudo apu show @\\-\nsudo apu log 412 \\(aqweb[1\\-2]\\(aq\n.fi\n"
        );
    }
}
