//! `apu key export`: the public half of the archive key, for clients that are not of the fleet.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use apu_site::Failure;
use clap::Args;
use tempfile::NamedTempFile;

use crate::context::Context;

#[derive(Debug, Args)]
pub(super) struct Export {
    /// Write it into this file, which everybody may read then [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// As text, in OpenPGP's armor.
    ///
    /// apt takes both; the name of the file has to end in .asc then, and in .gpg otherwise.
    #[arg(short, long)]
    armor: bool,
}

pub(super) fn run(context: &Context, args: &Export) -> Result<u8, Failure> {
    let path = match args.armor {
        true => context.site.archive_asc(),
        false => context.site.archive_gpg(),
    };
    let bytes = std::fs::read(&path).map_err(|error| {
        Failure::words(format!("there is no public key {}", path.display()))
            .why(error)
            .advise("sudo apu setup")
    })?;
    match &args.output {
        Some(file) => write(file, &bytes)
            .map_err(|error| Failure::of_io(format!("cannot write {}", file.display()), error, file))?,
        None if !args.armor && context.ui.stdout().is_terminal => {
            return Err(Failure::words("a terminal cannot show a binary keyring")
                .advise("apu key export --armor, or apu key export --output FILE"));
        }
        // What cannot be written is told at the program's end.
        None => drop(context.ui.writer().write_all(&bytes)),
    }
    Ok(0)
}

/// The file is whole, or as it was.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut unfinished = NamedTempFile::new_in(parent.unwrap_or(Path::new(".")))?;
    unfinished.write_all(bytes)?;
    unfinished
        .as_file()
        .set_permissions(Permissions::from_mode(0o644))?;
    unfinished.as_file().sync_all()?;
    unfinished.persist(file)?;
    Ok(())
}
