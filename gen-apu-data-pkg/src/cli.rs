//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Generate the package apu-data from /etc/apu-server and publish it for the clients
///
/// apu-data carries what makes a machine a client of this server: the push key (which can do nothing but what
/// apu-client grants), the archive's keyring, the sources, and the proxy setting. A new version is made when, and
/// only when, one of them has changed; clients take it with their next dist-upgrade, or at once with --push.
#[derive(Debug, Parser)]
#[command(name = "gen-apu-data-pkg", version, after_help = EXAMPLES)]
pub struct Args {
    /// Give the new package at least this version, for instance after the archive was lost
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..1_000_000_000))]
    pub at_least: u64,

    /// Then bring it to the clients of these classes and hosts, and nothing else
    #[arg(long, value_name = "CLASS")]
    pub push: Option<String>,

    /// With --push: do not show and ask first
    #[arg(short, long, requires = "push")]
    pub yes: bool,

    /// Say only what is wrong
    #[arg(short, long)]
    pub quiet: bool,

    /// The directory that everything lies below
    #[arg(long, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo gen-apu-data-pkg                 after a change in /etc/apu-server
  sudo gen-apu-data-pkg --push default  and bring it to the clients of default
  sudo apu bootstrap web1               make web1 a client, with apu-data

Files:
  /etc/apu-server/apu.toml              settings, see apu.toml(5)
  /etc/apu-server/sources.list          the clients' sources, as sources.list(5) has them
  /etc/apu-server/50apu                 the clients' proxy, as apt.conf(5) has it
  /var/lib/apu-data/repo/local          the archive that apu-data appears in

Exit status: 0 done; 2 usage or configuration error; 3 this machine failed; with --push that of apt-all(8),
where 1 is that some host has not got it.";
