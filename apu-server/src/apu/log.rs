//! `apu log`: what hosts printed in a run.

use std::io::{self, BufWriter, Write};

use apu_fleet::HostName;
use apu_ledger::RunNumber;
use apu_site::Failure;
use serde::Serialize;

use super::recorded::{find, ledger};
use crate::context::Context;
use crate::failure;
use crate::view::clean::clean;
use crate::view::json::json_line;
use crate::view::paint::Paint;

/// Show what apt and dpkg printed on the hosts of a run, host by host.
///
/// The first 4 MiB of each host are kept here; the client has all of it, in /var/lib/apu-client/runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apu log @
  sudo apu log 412 web1
  sudo apu log 412 --json | jq -r 'select(.host == \"web1\").text'")]
pub(super) struct Args {
    /// The run: its number, @ for the last one, @- for the one before, or the beginning of its id.
    #[arg(value_name = "RUN")]
    run: String,

    /// This host alone.
    #[arg(value_name = "HOST")]
    host: Option<HostName>,

    /// Print JSON, an object for each line: the text is not cleaned in it.
    #[arg(long)]
    json: bool,
}

/// A line that a host printed, in JSON.
#[derive(Serialize)]
struct Line<'a> {
    run: RunNumber,
    host: &'a HostName,
    text: &'a str,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let ledger = ledger(context)?;
    let run = find(context, &ledger, &args.run)?;
    let wrong = |error| failure::ledger(&context.site, error);
    let attempts = ledger.attempts(run.number).map_err(wrong)?;
    let all: Vec<HostName> = attempts.into_iter().map(|attempt| attempt.host).collect();
    let hosts = match &args.host {
        None => all,
        Some(host) if all.contains(host) => vec![host.clone()],
        Some(host) => {
            return Err(Failure::words(format!("{host} is no host of run {}", run.number))
                .advise(format!("apu show {}, which names them", run.number)));
        }
    };
    let paint = Paint::for_stream(context.ui.stdout());
    let is_one = hosts.len() == 1;
    let mut out = BufWriter::new(context.ui.writer());
    let mut is_empty = true;
    for host in &hosts {
        let mut text = Vec::new();
        ledger.output(run.number, host, &mut text).map_err(wrong)?;
        is_empty &= text.is_empty();
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines().map(|text| {
            let line = Line {
                run: run.number,
                host,
                text,
            };
            if args.json {
                return Ok(json_line(&line)?);
            }
            let text = paint.letters(clean(text));
            Ok(match is_one {
                true => text + "\n",
                false => format!("{} {text}\n", paint.faint(&format!("{host}|"))),
            })
        });
        let written = lines.try_for_each(|line: io::Result<String>| out.write_all(line?.as_bytes()));
        // The handle remembers it for the exit status: nobody reads any more.
        if written.is_err() {
            return Ok(0);
        }
    }
    let _ = out.flush();
    if is_empty && !args.json {
        let who = if is_one {
            hosts[0].to_string()
        } else {
            "no host".to_owned()
        };
        let verb = if is_one {
            "printed nothing"
        } else {
            "printed anything"
        };
        context
            .ui
            .complain(&format!("{who} {verb} in run {}\n", run.number));
    }
    Ok(0)
}
