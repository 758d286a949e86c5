//! What a terminal shows while a push goes on: how far it is, and the hosts at work.

use apu_fleet::{HostName, HostState, RunState, Stage};
use apu_proto::Phase as Activity;
use jiff::Timestamp;

use super::clean::clean;
use super::groups::set;

/// What is shown on a screen of so many rows: how far it is, and the hosts at work, of which the last row counts those
/// that have no row. The seconds stand first, since a narrow terminal cuts the end.
pub(super) fn lines(run: &RunState, now: Timestamp, rows: usize) -> (String, Vec<String>) {
    let mut ended = 0;
    let mut running = Vec::new();
    let mut unwell: Vec<&HostName> = Vec::new();
    for (host, state) in run.phase_hosts() {
        match state {
            HostState::Queued => {}
            HostState::Running { since, at, .. } => {
                let seconds = now.duration_since(*since).as_secs().max(0);
                running.push(format!("{seconds:5} s  {host}  {}", stage(at)));
            }
            HostState::Ended { ending, .. } => {
                ended += 1;
                if !ending.outcome.is_well() {
                    unwell.push(host);
                }
            }
        }
    }
    let mut head = format!(
        "{ended}/{} done, {} at work",
        run.phase_hosts().len(),
        running.len()
    );
    if run.pause.is_some() {
        head = format!("paused: {head}");
    }
    if let Some((wave, waves)) = run.wave {
        head = format!("wave {wave} of {waves}: {head}");
    }
    if !unwell.is_empty() {
        head += &format!(", {} not well: {}", unwell.len(), set(&unwell));
    }
    // The head, and a row for the cursor.
    let most = rows.saturating_sub(2).max(1);
    if running.len() > most {
        let shown = most - 1;
        let more = format!("        and {} more", running.len() - shown);
        running.truncate(shown);
        running.push(more);
    }
    (head, running)
}

fn stage(stage: &Stage) -> String {
    match stage {
        Stage::Connecting => "connecting".to_owned(),
        Stage::Asked => "asked".to_owned(),
        Stage::Reconnecting => "asking again".to_owned(),
        Stage::Checking => "changed; its health is watched".to_owned(),
        Stage::Waiting { holder } if holder.is_empty() => "waits for a lock".to_owned(),
        Stage::Waiting { holder } => format!("waits for {}", clean(holder)),
        Stage::Progress {
            activity,
            percent,
            package,
        } => {
            let activity = match activity {
                Activity::Repair => "repairs",
                Activity::Download => "fetches",
                Activity::Install => "installs",
                Activity::Other => "works",
            };
            let percent = percent.clamp(0.0, 100.0);
            format!("{activity} {percent:3.0} %  {}", clean(package))
        }
    }
}

#[cfg(test)]
mod tests {
    use apu_fleet::{Ending, Event, Outcome, Phase, ServerCause};
    use apu_proto::Operation;

    use super::super::pushed::{Pushed, at};
    use super::*;

    fn run_state(running: usize, refused: usize) -> RunState {
        let host = |n: usize| -> HostName {
            format!("a-rather-long-host-name-{n:02}.example.org")
                .parse()
                .unwrap()
        };
        let hosts = (0..running + refused).map(host).collect();
        let mut pushed = Pushed::new(Operation::Upgrade, Phase::Apply, hosts);
        for n in 0..running + refused {
            let host = host(n);
            pushed.tell(10, Event::HostStarted { host, run: None });
        }
        for n in running..running + refused {
            let why = ServerCause::ConnectionRefused;
            pushed.tell(
                11,
                Event::HostFinished {
                    host: host(n),
                    seconds: 1.0,
                    ending: Box::new(Ending::without_result(Outcome::Unreachable, why, None)),
                },
            );
        }
        pushed.0
    }

    #[test]
    fn the_screen_is_used_to_its_height_and_the_seconds_stay_on_a_narrow_one() {
        let (head, rows) = lines(&run_state(48, 2), at(22), 50);
        assert_eq!(
            head,
            "2/50 done, 48 at work, 2 not well: a-rather-long-host-name-[48-49].example.org"
        );
        assert_eq!(rows.len(), 48);
        let narrow: String = rows[0].chars().take(40).collect();
        assert!(
            narrow.starts_with("   12 s  a-rather-long-host-name-00"),
            "{narrow}"
        );

        let (_, rows) = lines(&run_state(48, 0), at(22), 24);
        assert_eq!(rows.len(), 22);
        assert_eq!(rows[21], "        and 27 more");
        assert_eq!(lines(&run_state(3, 0), at(22), 1).1, ["        and 3 more"]);
    }

    #[test]
    fn a_stage_is_told_in_a_few_clean_words() {
        assert_eq!(
            stage(&Stage::Waiting {
                holder: "apt-get (7)\u{7}".into()
            }),
            "waits for apt-get (7)\u{fffd}"
        );
        let progress = Stage::Progress {
            activity: Activity::Install,
            percent: 250.0,
            package: "vim".into(),
        };
        assert_eq!(stage(&progress), "installs 100 %  vim");
    }
}
