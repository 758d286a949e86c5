//! `apu key`: which keys the clients trust, and how the next ones take their place.

mod export;
mod lag;
mod rotate;
mod status;

use apu_archive::newest_version;
use apu_site::{Failure, KeyKind, Rotation, archive_failure};
use clap::Subcommand;

pub(super) use self::status::lasts;

use crate::context::Context;

/// The keys that the clients trust: look at them, and let the next ones take their place.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the keys, how long they are good, and the hosts that a rotation waits for.
    ///
    /// Exit status: 0 nothing lags, 1 some host has not got the newest apu-data, or a key is about to expire.
    Status,
    /// Begin to replace a key, or go on with it.
    ///
    /// The first call makes the next key and an apu-data with both keys; from then on both are used. Bring that
    /// apu-data to the clients (gen-apu-data-pkg --push CLASS) and call it once more: when every host of every class
    /// has answered that it has it, the old key is dropped, and until then the hosts that lag are named.
    Rotate(Rotate),
    /// Write the public half of the archive key, which apt verifies the archives with.
    ///
    /// The clients of the fleet have it from apu-data. For others, it also lies in each archive, as archive-keyring.gpg;
    /// compare its fingerprint with that of `apu key status`. While a rotation is under way, both keys are in it.
    Export(export::Export),
}

#[derive(Debug, clap::Args)]
struct Rotate {
    /// The SSH key that lets apt-all in.
    #[arg(long, required_unless_present = "archive")]
    ssh: bool,

    /// The OpenPGP key that signs the archives.
    #[arg(long)]
    archive: bool,

    /// Drop the old key although some hosts have not got the next one: those need `apu bootstrap` again.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::Status => status::run(context),
        Command::Rotate(args) => rotate::run(context, args),
        Command::Export(args) => export::run(context, args),
    }
}

/// Both kinds, in the order in which they are shown.
const KINDS: [KeyKind; 2] = [KeyKind::Push, KeyKind::Archive];

/// What people call a key.
const fn name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Push => "push key",
        KeyKind::Archive => "archive key",
    }
}

/// The option of `apu key rotate` for it.
const fn option(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Push => "--ssh",
        KeyKind::Archive => "--archive",
    }
}

fn rotation(context: &Context, kind: KeyKind) -> Rotation<'_> {
    Rotation::of(&context.site, &context.settings, kind)
}

/// The version of the newest apu-data that the archive offers.
fn offered_data(context: &Context) -> Result<Option<u64>, Failure> {
    let archive = context.site.at(&context.settings.archive.path);
    let newest = newest_version(&archive, "apu-data").map_err(|error| archive_failure(error, &archive))?;
    Ok(newest.and_then(|version| version.parse().ok()))
}
