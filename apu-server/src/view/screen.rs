//! What a terminal shows while a push goes on: how far it is, and the hosts at work.

use apu_fleet::{HostName, HostState, RunState, Stage, WaveState, WaveVerdict, span};
use apu_proto::Phase as Activity;
use jiff::Timestamp;

use super::clean::clean;
use super::groups::set;
use super::stall::stall_text;

/// How many waves are shown at once.
const MOST_WAVES: usize = 3;

/// The width of a wave's bar, without its brackets.
const BAR: usize = 20;

/// Returns the head and the rows for a screen of so many rows: the last waves, then the hosts at work. Where not all hosts fit, the last
/// row counts the others. The seconds stand first, since a narrow terminal cuts the end.
pub(super) fn lines(run: &RunState, now: Timestamp, rows: usize) -> (String, Vec<String>) {
    let mut ended = 0;
    let mut running = Vec::new();
    let mut unwell: Vec<&HostName> = Vec::new();
    for (host, state) in run.phase_hosts() {
        match state {
            HostState::Queued => {}
            HostState::Running { since, at, .. } => {
                let seconds = seconds(*since, now);
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
    if !unwell.is_empty() {
        head += &format!(", {} not well: {}", unwell.len(), set(&unwell));
    }
    let mut shown = waves(run, now);
    // The head, and a row for the cursor.
    let most = rows.saturating_sub(2 + shown.len()).max(1);
    if running.len() > most {
        let shown = most - 1;
        let more = format!("        and {} more", running.len() - shown);
        running.truncate(shown);
        running.push(more);
    }
    shown.extend(running);
    (head, shown)
}

fn seconds(since: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(since).as_secs()).unwrap_or_default()
}

/// A bar for each of the last waves that have begun.
fn waves(run: &RunState, now: Timestamp) -> Vec<String> {
    let Some((_, of)) = run.wave else {
        return Vec::new();
    };
    let first = run.waves.len().saturating_sub(MOST_WAVES);
    let waves = run.waves.iter().enumerate().skip(first);
    waves
        .map(|(place, wave)| bar(run, (place + 1, of), wave, now))
        .collect()
}

/// `wave 2 of 3 [##########..........]  5/10  2 at work, 3 watched for 40 s of 10 min`.
fn bar(run: &RunState, (number, of): (usize, usize), wave: &WaveState, now: Timestamp) -> String {
    let hosts = run.phase_hosts().skip(wave.hosts.start).take(wave.hosts.len());
    let (mut ended, mut busy, mut watched, mut shortest) = (0, 0, 0, u64::MAX);
    for (_, state) in hosts {
        match state {
            HostState::Queued => {}
            HostState::Running {
                at: Stage::Checking,
                at_since,
                ..
            } => {
                watched += 1;
                shortest = shortest.min(seconds(*at_since, now));
            }
            HostState::Running { .. } => busy += 1,
            HostState::Ended { .. } => ended += 1,
        }
    }
    let all = wave.hosts.len();
    // Rounded down: a bar is full when all have ended.
    let full = (ended * BAR).checked_div(all).unwrap_or(BAR);
    let mut at = Vec::new();
    if busy > 0 {
        at.push(format!("{busy} at work"));
    }
    if watched > 0 {
        let soak = match wave.soak as u64 {
            0 => String::new(),
            soak => format!(" of {}", span(soak)),
        };
        at.push(format!("{watched} watched for {}{soak}", span(shortest)));
    }
    let at = match wave.verdict {
        _ if run.pause.is_some() && ended == all => "waits for a decision".to_owned(),
        Some(WaveVerdict::Passed) => "passed".to_owned(),
        Some(WaveVerdict::Promoted) => "promoted".to_owned(),
        Some(_) => "did not pass".to_owned(),
        None => at.join(", "),
    };
    let bar = "#".repeat(full) + &".".repeat(BAR - full);
    format!("wave {number} of {of} [{bar}] {ended:>3}/{all}  {at}")
        .trim_end()
        .to_owned()
}

fn stage(stage: &Stage) -> String {
    match stage {
        Stage::Connecting => "connecting".to_owned(),
        Stage::Asked => "asked".to_owned(),
        Stage::Reconnecting => "asking again".to_owned(),
        Stage::Rebooting => "reboots".to_owned(),
        Stage::Checking => "changed; its health is watched".to_owned(),
        Stage::Hook(hook) => format!("its {hook} hook is called"),
        Stage::Stalled {
            seconds, processes, ..
        } => stall_text(*seconds, processes),
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
    fn each_wave_has_a_bar_and_300_hosts_fit_a_terminal() {
        let hosts: Vec<HostName> = (1..=300)
            .map(|number| format!("web{number:03}").parse().unwrap())
            .collect();
        let mut pushed = Pushed::new(Operation::Upgrade, Phase::Apply, hosts.clone());
        let sizes = [1, 9, 290];
        let mut begin = 0;
        let mut show = |what: &dyn Fn(&mut Pushed, &[HostName])| {
            what(&mut pushed, &hosts);
            let (head, rows) = lines(&pushed.0, at(100), 24);
            assert!(
                rows.len() <= 22 && rows.iter().all(|row| row.len() <= 80),
                "{rows:?}"
            );
            std::iter::once(head).chain(rows).collect::<Vec<_>>()
        };
        let wave = |pushed: &mut Pushed, hosts: &[HostName], number: usize, begin: usize| {
            let size = sizes[number - 1];
            let event = Event::WaveStarted {
                wave: number,
                waves: 3,
                hosts: hosts[begin..begin + size].to_vec(),
                soak: if number == 3 { 0.0 } else { 600.0 },
            };
            pushed.tell(10, event);
            for host in hosts[begin..begin + size].iter().take(50) {
                let host = host.clone();
                pushed.tell(10, Event::HostStarted { host, run: None });
            }
        };
        let end = |pushed: &mut Pushed, hosts: &[HostName]| {
            for host in hosts {
                let result = apu_proto::RunResult::new(apu_proto::ClientOutcome::Changed);
                let event = Event::HostFinished {
                    host: host.clone(),
                    seconds: 1.0,
                    ending: Box::new(Ending::of_result(Box::new(result), None)),
                };
                pushed.tell(50, event);
            }
        };
        let rows = show(&|pushed, hosts| {
            wave(pushed, hosts, 1, begin);
            let host = hosts[0].clone();
            pushed.tell(60, Event::Checking { host, soak: 600.0 });
        });
        assert_eq!(
            rows,
            [
                "0/300 done, 1 at work",
                "wave 1 of 3 [....................]   0/1  1 watched for 40 s of 10 min",
                "   90 s  web001  changed; its health is watched",
            ]
        );
        begin += sizes[0];
        let passed = |wave| Event::WaveFinished {
            wave,
            waves: 3,
            verdict: WaveVerdict::Passed,
        };
        let rows = show(&|pushed, hosts| {
            end(pushed, &hosts[..1]);
            pushed.tell(60, passed(1));
            wave(pushed, hosts, 2, begin);
            end(pushed, &hosts[1..6]);
        });
        assert_eq!(
            rows[..3],
            [
                "6/300 done, 4 at work",
                "wave 1 of 3 [####################]   1/1  passed",
                "wave 2 of 3 [###########.........]   5/9  4 at work",
            ]
        );
        begin += sizes[1];
        let rows = show(&|pushed, hosts| {
            end(pushed, &hosts[6..10]);
            pushed.tell(60, passed(2));
            wave(pushed, hosts, 3, begin);
        });
        assert_eq!(rows[3], "wave 3 of 3 [....................]   0/290  50 at work");
        assert_eq!(rows.last().unwrap(), "        and 32 more");
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
