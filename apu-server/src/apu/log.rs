//! `apu log`: what hosts printed in a run.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

use apu_fleet::HostName;
use apu_ledger::{Attempt, RunNumber};
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
    if let Some(host) = &args.host
        && !attempts.iter().any(|attempt| attempt.host == *host)
    {
        return Err(Failure::words(format!("{host} is no host of run {}", run.number))
            .advise(format!("apu show {}, which names them", run.number)));
    }
    let mut printer = Printer {
        run: run.number,
        json: args.json,
        is_one: args.host.is_some() || attempts.len() == 1,
        paint: Paint::for_stream(context.ui.stdout()),
        out: BufWriter::new(context.ui.writer()),
        is_empty: true,
    };
    // The handle remembers a failure for the exit status: nobody reads any more.
    let mut written = Ok(());
    match &args.host {
        Some(host) => {
            let mut text = Vec::new();
            ledger.output(run.number, host, &mut text).map_err(wrong)?;
            written = printer.print(host, &text);
        }
        None => ledger
            .outputs(run.number, |host, text| {
                written = printer.print(host, text);
                match written {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            })
            .map_err(wrong)?,
    }
    if written.is_err() {
        return Ok(0);
    }
    let _ = printer.out.flush();
    if printer.is_empty && !args.json {
        let one = match (&args.host, &attempts[..]) {
            (Some(host), _) | (None, [Attempt { host, .. }]) => Some(host),
            _ => None,
        };
        let nothing = one.map_or_else(
            || "no host printed anything".to_owned(),
            |host| format!("{host} printed nothing"),
        );
        context.ui.complain(&format!("{nothing} in run {}\n", run.number));
    }
    Ok(0)
}

/// Prints what hosts printed.
struct Printer<W> {
    run: RunNumber,
    json: bool,
    /// Whether there is one host alone: then its lines need not say whose they are.
    is_one: bool,
    paint: Paint,
    out: W,
    /// Whether nothing was printed so far.
    is_empty: bool,
}

impl<W: Write> Printer<W> {
    fn print(&mut self, host: &HostName, text: &[u8]) -> io::Result<()> {
        self.is_empty &= text.is_empty();
        let head = match self.is_one {
            true => String::new(),
            false => self.paint.faint(&format!("{host}|")) + " ",
        };
        for text in String::from_utf8_lossy(text).lines() {
            if self.json {
                let run = self.run;
                self.out
                    .write_all(json_line(&Line { run, host, text })?.as_bytes())?;
            } else {
                writeln!(self.out, "{head}{}", self.paint.letters(clean(text)))?;
            }
        }
        Ok(())
    }
}
