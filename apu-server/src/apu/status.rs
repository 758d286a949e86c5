//! `apu status`: which hosts have which apu-client and apu-data, beside what this server has published.

use std::fmt::Write as _;

use apu_archive::newest_version;
use apu_archive::quote;
use apu_fleet::{Ending, HostName};
use apu_proto::{Operation, Status};
use apu_site::{Failure, archive_failure};

use super::remote::{INTERRUPTED, all_hosts, statuses, wait};
use crate::context::Context;
use crate::failure;
use crate::view::body::{Body, HOST};
use crate::view::clean::clean;
use crate::view::columns::columns;
use crate::view::groups::{groups, set};
use crate::view::paint::Paint;
use crate::view::status::left_out;

/// Show which hosts have which apu-client and apu-data, and which of them lag behind.
///
/// The newest apu-data is the one that gen-apu-data-pkg published last. Exit status 1 if a host has another, or does not
/// answer.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Classes, hosts and ranges; !WORD leaves out, @FILE and - are lists. Without it, all hosts of all classes.
    target: Vec<String>,

    /// Leave these classes and hosts out.
    #[arg(long, value_name = "TARGET", requires = "target")]
    exclude: Vec<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let hosts = if args.target.is_empty() {
        all_hosts(context)?
    } else {
        let hosts = context.inventory()?.resolve(&args.target, &args.exclude);
        hosts.map_err(|error| failure::target(&context.site, error))?
    };
    if hosts.is_empty() {
        let default = context.site.clients().join("default");
        return Err(Failure::words("no class names a host")
            .advise(format!("write the hosts, one a line, into {}", default.display())));
    }
    let archive = context.site.at(&context.settings.archive.path);
    let newest = newest_version(&archive, "apu-data").map_err(|error| archive_failure(error, &archive))?;
    let newest = newest.ok_or_else(|| {
        let what = format!("there is no apu-data in {}", archive.display());
        Failure::words(what).advise("sudo gen-apu-data-pkg, which makes one")
    })?;
    let ssh = context.ssh()?;
    wait(async {
        let Some(endings) = statuses(&ssh, &hosts, context).await? else {
            return Ok(INTERRUPTED);
        };
        let (text, status) = shown(&endings, &newest, Paint::for_stream(context.ui.stdout()));
        // Nobody may be reading.
        context.ui.show(&text);
        Ok(status)
    })
}

/// How a host stands to the newest apu-data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Newest,
    Behind,
    /// It has one that this server never published, or has lost.
    Ahead,
    /// It did not say.
    Silent,
}

impl Standing {
    fn of(data: Option<&str>, newest: &str) -> Self {
        let number = |version: &str| version.parse::<u64>().ok();
        match data {
            Some(data) if data == newest => Self::Newest,
            Some(data) if number(data) > number(newest) => Self::Ahead,
            _ => Self::Behind,
        }
    }
}

/// The table, what to try, and the exit status.
fn shown(endings: &[(HostName, Ending)], newest: &str, paint: Paint) -> (String, u8) {
    let mut rows = vec![["HOST", "APU", "DATA", ""].map(str::to_owned).to_vec()];
    let mut standings = Vec::new();
    let mut advice = Vec::new();
    let mut left: Vec<(&HostName, Vec<String>)> = Vec::new();
    for (host, ending) in endings {
        let status: Option<&Status> = ending.result.as_ref().and_then(|result| result.status());
        let row = if let Some(status) = status {
            let data = status.data.as_deref();
            let standing = Standing::of(data, newest);
            standings.push((host, standing));
            if !status.sources_left_out.is_empty() {
                left.push((host, status.sources_left_out.iter().map(left_out).collect()));
            }
            let remark = match standing {
                Standing::Behind => "behind".to_owned(),
                Standing::Ahead => "ahead of what is published".to_owned(),
                Standing::Newest | Standing::Silent => String::new(),
            };
            [clean(&status.client), clean(data.unwrap_or("none")), remark]
        } else {
            let body = Body::of(Operation::Status, ending);
            standings.push((host, Standing::Silent));
            if !body.advice.is_empty() {
                advice.push((host, body.advice));
            }
            ["-".to_owned(), "-".to_owned(), body.headline]
        };
        rows.push([&[host.to_string()][..], &row].concat());
    }
    let mut text = String::new();
    for (place, line) in columns(&rows, "  ").iter().enumerate() {
        let line = if place == 0 {
            paint.strong(line)
        } else {
            line.clone()
        };
        let _ = writeln!(text, "{line}");
    }
    let with = |wanted: Standing| -> Vec<&HostName> {
        let of_it = standings.iter().filter(|(_, standing)| *standing == wanted);
        of_it.map(|(host, _)| *host).collect()
    };
    let [new, behind, ahead, silent] = [
        Standing::Newest,
        Standing::Behind,
        Standing::Ahead,
        Standing::Silent,
    ]
    .map(with);
    let mut counts = vec![format!("{} with the newest apu-data, {newest}", new.len())];
    for (hosts, what) in [(&behind, "behind"), (&ahead, "ahead"), (&silent, "silent")] {
        if !hosts.is_empty() {
            counts.push(format!("{} {what}", hosts.len()));
        }
    }
    let _ = writeln!(text, "\n{}", counts.join(", "));
    if !behind.is_empty() {
        let _ = writeln!(text, "  try: gen-apu-data-pkg --push {}", quote(&set(&behind)));
    }
    if let Some(highest) = ahead.iter().filter_map(|host| data_of(endings, host)).max() {
        let _ = writeln!(
            text,
            "  try: gen-apu-data-pkg --at-least {}",
            highest.saturating_add(1)
        );
    }
    for (left, hosts) in groups(left) {
        let _ = writeln!(
            text,
            "\n{}: {}",
            set(&hosts),
            paint.warn("not all of apu-data's sources are used")
        );
        for line in left {
            let _ = writeln!(text, "  {line}");
        }
    }
    for (advice, hosts) in groups(advice) {
        let _ = writeln!(text, "  try: {}", advice.replace(HOST, &quote(&set(&hosts))));
    }
    let lag = new.len() < endings.len();
    (paint.letters(text), u8::from(lag))
}

fn data_of(endings: &[(HostName, Ending)], host: &HostName) -> Option<u64> {
    let (_, ending) = endings.iter().find(|(other, _)| other == host)?;
    let status = ending.result.as_ref()?.status()?;
    status.data.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use apu_fleet::{Outcome, ServerAdvice, ServerCause, ServerReason};
    use apu_proto::{Answer, ClientOutcome, RunResult};

    use super::*;

    const PLAIN: Paint = Paint {
        colour: false,
        unicode: true,
    };

    fn with_data(name: &str, data: Option<&str>) -> (HostName, Ending) {
        let status = Box::new(Status {
            client: "0.1.0".into(),
            data: data.map(str::to_owned),
            ..Status::default()
        });
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Status { status });
        (name.parse().unwrap(), Ending::of_result(Box::new(result), None))
    }

    fn unreachable(name: &str) -> (HostName, Ending) {
        let why = ServerReason::from(ServerCause::HostKeyUnknown).advise(ServerAdvice::PinHostKey);
        let ending = Ending::without_result(Outcome::Unreachable, why, None);
        (name.parse().unwrap(), ending)
    }

    #[test]
    fn a_fleet_that_has_the_newest_is_well() {
        let endings = [with_data("web1", Some("10")), with_data("web2", Some("10"))];
        assert_eq!(
            shown(&endings, "10", PLAIN),
            (
                "HOST  APU    DATA\nweb1  0.1.0  10\nweb2  0.1.0  10\n\n\
                 2 with the newest apu-data, 10\n"
                    .to_owned(),
                0
            )
        );
    }

    #[test]
    fn who_lags_is_named_with_what_to_try() {
        let endings = [
            with_data("web01", Some("10")),
            with_data("web02", Some("9")),
            with_data("web03", None),
            with_data("db1", Some("11")),
            with_data("odd", Some("9\u{1b}[2J")),
            unreachable("mail"),
        ];
        let (text, status) = shown(&endings, "10", PLAIN);
        assert_eq!(status, 1);
        assert_eq!(
            text,
            "HOST   APU    DATA\n\
             web01  0.1.0  10\n\
             web02  0.1.0  9      behind\n\
             web03  0.1.0  none   behind\n\
             db1    0.1.0  11     ahead of what is published\n\
             odd    0.1.0  9\u{fffd}[2J  behind\n\
             mail   -      -      unreachable: its host key is not known here\n\n\
             1 with the newest apu-data, 10, 3 behind, 1 ahead, 1 silent\n  \
             try: gen-apu-data-pkg --push 'odd,web[02-03]'\n  \
             try: gen-apu-data-pkg --at-least 12\n  \
             try: apu host-key mail\n"
        );
    }
}
