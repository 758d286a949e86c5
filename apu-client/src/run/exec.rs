//! Runs apt or dpkg and sends their output and progress to the run's log meanwhile.
//!
//! Output and progress go to regular files. With a pipe, a reader that dies would fail the transaction or stop it
//! half-way, and a slow reader would hold dpkg's lock.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

use apu_proto::{Frame, StalledProcess};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::pace::Pace;
use super::run_dir::{Log, RunDir};
use super::stall::{Measure, StallLimits, StallWatch};
use super::tail::Tail;
use crate::apt::complaints::{Complaint, Complaints};
use crate::apt::{Throttle, parse_progress};
use crate::os::changes::Changes;
use crate::os::process::Process;
use crate::os::process_tree::{Member, tree};
use crate::os::signals::Signals;
use crate::os::spawn::{self, Exit, Streams};

/// How a program exited, and what it complained of.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) exit: Exit,
    pub(crate) complaints: Vec<Complaint>,
    /// Number of answers of archives in apt's output.
    pub(crate) fetched: usize,
}

impl Completed {
    /// Whether apt gave up because another package manager held a lock; then it did nothing.
    pub(crate) fn was_locked(&self) -> bool {
        self.exit != Exit::Code(0)
            && self.complaints.iter().any(|complaint| {
                complaint.text.contains("Could not get lock")
                    || complaint
                        .text
                        .contains("Unable to acquire the dpkg frontend lock")
            })
    }
}

/// Maximal output of one call in the log, in bytes. Beyond it, parts of the files that were read are freed on disk.
const MAX_REPORTED: u64 = 4 * 1024 * 1024;

/// Bytes that a frame adds to the line that it carries.
const FRAME_OVERHEAD: u64 = 31;

/// Runs a program to its end, whatever signals come meanwhile. Where it and all that it started show no sign of life for too long, that is
/// told, or ended.
pub(crate) fn run(
    run_dir: &RunDir,
    log: &mut Log,
    signals: &mut Signals,
    program: &str,
    arguments: &[String],
    environment: &[&str],
    limits: StallLimits,
) -> io::Result<Completed> {
    let open = |name: &str| {
        let path = run_dir.path(name);
        File::options().create(true).append(true).mode(0o600).open(path)
    };
    let (output, progress) = (open("output")?, open("progress")?);
    output.set_len(0)?;
    progress.set_len(0)?;
    let mut reader = OutputReader {
        output: Tail::open(&run_dir.path("output"))?,
        progress: Tail::open(&run_dir.path("progress"))?,
        throttle: Throttle::default(),
        reported: 0,
        has_lost: false,
        complaints: Complaints::default(),
    };
    let streams = Streams {
        stdin: None,
        stdout: Some(output.as_fd()),
        stderr: Some(output.as_fd()),
        status: Some(progress.as_fd()),
    };
    let mut pace = Pace::new(Changes::of_files([&*run_dir.path("output"), &*run_dir.path("progress")]).ok());
    let pid = spawn::spawn(program, arguments, environment, streams)?;
    note_process(run_dir, pid);
    let mut stop_reported = signals.stop_requested();
    let mut stall = StallWatch::new(limits, Instant::now());
    let exit = loop {
        if let Some(exit) = spawn::poll(pid) {
            break exit;
        }
        pace.wait(signals);
        if signals.stop_requested() && !stop_reported {
            stop_reported = true;
            let text = "apu-client was asked to stop and waits for this run to end".to_owned();
            log.frame(&Frame::Line { text });
        }
        let is_news = reader.read_new(log, false);
        let now = Instant::now();
        if is_news {
            stall.is_alive(now);
        }
        // Processes that cannot be looked at are none that hang.
        match stall.look(now, || tree(pid).unwrap_or_default()) {
            Some(Measure::Tell(frame)) => log.frame(&frame),
            Some(Measure::End {
                seconds,
                processes,
                signal,
            }) => reader.end(log, seconds, &processes, signal),
            None => {}
        }
        if reader.output.disk_usage() > MAX_REPORTED {
            if reader.output.has_unread() {
                // The last lines tell most, so older ones are skipped.
                reader.has_lost = true;
                let _ = reader.output.skip_to_last();
                reader.read_new(log, false);
            }
            reader.output.release_read(&output);
        }
        if reader.progress.disk_usage() > MAX_REPORTED {
            let _ = reader.progress.skip_to_last();
            reader.progress.release_read(&progress);
        }
    };
    while reader.read_new(log, false) {}
    reader.read_new(log, true);
    let _ = fs::remove_file(run_dir.path("process"));
    let (complaints, fetched) = reader.complaints.finish();
    Ok(Completed {
        exit,
        complaints,
        fetched,
    })
}

fn note_process(run_dir: &RunDir, pid: Pid) {
    if let Some(process) = Process::of(pid.as_raw()) {
        let _ = run_dir.save("process", &process);
    }
}

/// Reads a program's output and progress files.
struct OutputReader {
    output: Tail,
    progress: Tail,
    throttle: Throttle,
    reported: u64,
    /// Whether output was skipped because it came faster than it was read.
    has_lost: bool,
    complaints: Complaints,
}

impl OutputReader {
    /// Sends processes a signal, and tells it as what went wrong.
    fn end(&mut self, log: &mut Log, seconds: u64, processes: &[Member], signal: Signal) {
        let named = processes
            .iter()
            .map(|member| format!("{} ({})", member.name, member.pid));
        let named: Vec<String> = named.take(StalledProcess::MOST).collect();
        let what = match signal {
            Signal::SIGKILL => "killed",
            _ => "ended",
        };
        let named = named.join(", ");
        let text = format!(
            "apu-client {what} {named}: no sign of life for {seconds} s (end_stalled in policy.toml)"
        );
        self.complaints.add_own(&text);
        log.frame(&Frame::Line { text });
        for member in processes {
            // It may have ended at this very moment.
            let _ = kill(Pid::from_raw(member.pid), signal);
        }
    }

    /// Logs what is new, and returns whether there was any output. `all` includes a last line without an end.
    fn read_new(&mut self, log: &mut Log, all: bool) -> bool {
        let lines = self.output.lines(all);
        let is_news = !lines.is_empty();
        for text in lines {
            self.complaints.add_line(&text);
            let before = self.reported;
            self.reported += text.len() as u64 + FRAME_OVERHEAD;
            if self.has_lost {
                self.reported = self.reported.max(MAX_REPORTED + 1);
            }
            if self.reported <= MAX_REPORTED {
                log.frame(&Frame::Line { text });
            } else if before <= MAX_REPORTED {
                let text = "apu-client tells no more of this output: it is too long".to_owned();
                log.frame(&Frame::Line { text });
            }
        }
        let newest = self
            .progress
            .lines(all)
            .iter()
            .rev()
            .find_map(|line| parse_progress(line));
        if let Some(frame) = self.throttle.next_frame(newest, Instant::now()) {
            log.frame(&frame);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::os::paths::ClientPaths;
    use crate::run::run_dir::Claim;

    fn run_script(script: &str) -> (Completed, String) {
        run_watched(script, StallLimits::default())
    }

    fn run_watched(script: &str, limits: StallLimits) -> (Completed, String) {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let Claim::New(run_dir) = RunDir::claim(&paths, id, "apu/1 update").unwrap() else {
            panic!("known");
        };
        let script = ["-c".to_owned(), script.to_owned()];
        // Signals are blocked for a thread, so this test's own must not keep them.
        let worker = std::thread::spawn(move || {
            let (mut log, mut signals) = (run_dir.start_log().unwrap(), Signals::block().unwrap());
            let completed = run(&run_dir, &mut log, &mut signals, "/bin/sh", &script, &[], limits).unwrap();
            (completed, fs::read_to_string(run_dir.path("log")).unwrap())
        });
        worker.join().unwrap()
    }

    #[test]
    fn what_a_program_prints_becomes_lines_and_progress() {
        let (completed, log) = run_script("echo one; printf two >&2; echo pmstatus:a:50.0:x >&3; exit 3");
        assert_eq!(completed.exit, Exit::Code(3));
        assert!(log.contains(r#"{"frame":"line","text":"one"}"#), "{log}");
        assert!(log.contains(r#"{"frame":"line","text":"two"}"#), "{log}");
        assert!(
            log.contains(r#""phase":"install","percent":50.0,"package":"a""#),
            "{log}"
        );
    }

    #[test]
    fn a_program_that_prints_without_measure_fills_neither_log_nor_disk_and_its_last_word_counts() {
        let (completed, log) = run_script(
            "/usr/bin/yes alas | /usr/bin/head -c 60000000; /usr/bin/yes progress | /usr/bin/head -c 20000000 >&3; \
             echo 'E: the last word'; /usr/bin/stat -c %s /proc/self/fd/1 >/dev/null; exit 100",
        );
        assert!((log.len() as u64) < 5 * MAX_REPORTED, "{}", log.len());
        assert!(log.contains("tells no more of this output"));
        assert_eq!(completed.complaints.len(), 1, "{completed:?}");
    }

    #[test]
    fn a_program_that_hangs_is_told_with_what_it_started() {
        let (completed, log) = run_watched("echo begun; /bin/sleep 2; echo done", told_after(300));
        assert_eq!(completed.exit, Exit::Code(0));
        let stalled: Vec<Frame> = (log.lines())
            .filter_map(|line| Frame::from_line(line.as_bytes()).ok())
            .filter(|frame| matches!(frame, Frame::Stalled { .. }))
            .collect();
        let Some(Frame::Stalled { processes, .. }) = stalled.first() else {
            panic!("not told: {log}");
        };
        let names: Vec<&str> = processes.iter().map(|process| process.name.as_str()).collect();
        assert_eq!(names, ["sh", "sleep"]);
        // Ever more rarely: after 0.3, 0.6 and 1.2 seconds or later.
        assert!(stalled.len() <= 3, "{log}");
    }

    #[test]
    fn a_program_that_prints_now_and_then_does_not_hang() {
        let limit = told_after(2000);
        let prints = "exec /usr/bin/perl -e '$| = 1; for (1 .. 17) { select(undef, undef, undef, 0.3); print \"x\\n\" }'";
        let (completed, log) = run_watched(prints, limit);
        assert_eq!(completed.exit, Exit::Code(0));
        assert!(!log.contains("stalled"), "{log}");
        // The same without a word.
        assert!(run_watched("exec /bin/sleep 5", limit).1.contains("stalled"));
    }

    fn told_after(milliseconds: u64) -> StallLimits {
        StallLimits {
            tell: Some(Duration::from_millis(milliseconds)),
            end: None,
        }
    }

    #[test]
    fn what_a_program_waits_for_in_vain_is_ended_and_the_program_goes_on() {
        let limits = StallLimits {
            tell: None,
            end: Some(Duration::from_millis(500)),
        };
        let (completed, log) = run_watched("/bin/sleep 1000; echo \"sleep: $?\"", limits);
        assert_eq!(completed.exit, Exit::Code(0));
        assert!(log.contains("sleep: 143"), "{log}");
        assert_eq!(completed.complaints.len(), 1, "{completed:?}");
        let told = &completed.complaints[0].text;
        assert!(told.starts_with("apu-client ended sleep ("), "{told}");
        assert!(told.ends_with("s (end_stalled in policy.toml)"), "{told}");
    }

    #[test]
    fn complaints_are_kept() {
        let (completed, _) = run_script("echo 'E: Could not get lock /x. It is held by process 1'; exit 100");
        assert_eq!(completed.complaints.len(), 1);
        assert!(completed.was_locked());
    }
}
