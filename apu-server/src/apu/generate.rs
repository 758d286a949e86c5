//! Manual pages and completions, made from the command lines themselves when the package is built.

use std::fs;
use std::io;
use std::path::PathBuf;

use apu_repo::Failure;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Write them into a directory.
#[derive(Debug, Args)]
pub(super) struct Words {
    /// The directory.
    directory: PathBuf,
}

fn programs() -> [clap::Command; 2] {
    [super::Words::command(), crate::apt_all::Words::command()]
}

fn written(result: io::Result<()>, words: &Words) -> Result<u8, Failure> {
    let what = || format!("cannot write into {}", words.directory.display());
    result
        .map(|()| 0)
        .map_err(|error| Failure::machine(what()).why(error))
}

/// One page for each program and each command of it.
pub(super) fn man(words: &Words) -> Result<u8, Failure> {
    let pages = || {
        for program in programs() {
            page(&words.directory, program, None)?;
        }
        Ok(())
    };
    written(pages(), words)
}

fn page(directory: &std::path::Path, command: clap::Command, above: Option<&str>) -> io::Result<()> {
    let name = above.map_or_else(
        || command.get_name().to_owned(),
        |above| format!("{above}-{}", command.get_name()),
    );
    let shown = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help");
    for below in shown {
        page(directory, below.clone(), Some(&name))?;
    }
    let spoken = name.replacen('-', " ", usize::from(above.is_some()));
    let command = command.disable_help_subcommand(true).bin_name(spoken);
    let command = command.display_name(&name).after_help(None::<&str>);
    let mut text = Vec::new();
    clap_mangen::Man::new(command)
        .title(&name)
        .section("8")
        .manual("apu")
        .render(&mut text)?;
    text.extend_from_slice(more(&name).as_bytes());
    fs::write(directory.join(format!("{name}.8")), text)
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
pub(super) fn completions(words: &Words) -> Result<u8, Failure> {
    let files = || {
        for mut program in programs() {
            let name = program.get_name().to_owned();
            for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                let file = match shell {
                    Shell::Zsh => format!("_{name}"),
                    _ => format!("{name}.{shell}"),
                };
                let mut file = fs::File::create(words.directory.join(file))?;
                clap_complete::generate(shell, &mut program, &name, &mut file);
            }
        }
        Ok(())
    };
    written(files(), words)
}
