//! The runs that this server has begun: a file for each, written before any host is asked, so that a run can be found again
//! when the terminal is gone.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use apu_archive::atomic_file;
use apu_proto::RunId;
use apu_site::Site;
use serde::{Deserialize, Serialize};

/// How many are kept. A client keeps its own for as long as it likes.
const MOST: usize = 200;

/// The most bytes of one file; all hosts of a large fleet have room.
const LONGEST: u64 = 4 << 20;

/// What is written of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BegunRun {
    /// Its identity.
    pub run: RunId,
    /// When it began, in seconds since 1970.
    pub at: f64,
    /// Who began it.
    pub by: String,
    /// The operation with its packages and options.
    pub operation: String,
    /// The words of its target.
    pub target: String,
    /// Its hosts, folded.
    pub hosts: String,
}

/// Writes a run down, and lets the oldest ones go.
///
/// # Errors
/// Where it cannot be written.
pub fn keep(site: &Site, run: &BegunRun) -> io::Result<()> {
    let directory = site.runs();
    DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
    let path = directory.join(run.run.to_string());
    atomic_file::replace(&path, &serde_json::to_vec(run)?, 0o600)?;
    // The run is written down: what is left of old ones, or was removed by another apt-all meanwhile, stops nothing.
    let all = files(&directory).unwrap_or_default();
    for (_, path) in all.iter().take(all.len().saturating_sub(MOST)) {
        let _ = fs::remove_file(path);
    }
    Ok(())
}

/// The runs that are known, the newest first.
///
/// # Errors
/// Where they cannot be read.
pub fn known(site: &Site) -> io::Result<Vec<BegunRun>> {
    let mut runs = Vec::new();
    for (_, path) in files(&site.runs())?.into_iter().rev() {
        // One that was cut off by a crash is none.
        runs.extend(read(&path)?);
    }
    Ok(runs)
}

/// One run, if it is known here.
///
/// # Errors
/// Where it is, and cannot be read.
pub fn find(site: &Site, run: RunId) -> io::Result<Option<BegunRun>> {
    read(&site.runs().join(run.to_string()))
}

fn read(path: &Path) -> io::Result<Option<BegunRun>> {
    // One open file from here on: another apt-all may let it go at any moment.
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= LONGEST)
        .then(|| serde_json::from_slice(&bytes).ok())
        .flatten())
}

/// The files of runs, the oldest first.
fn files(directory: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let is_run = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.parse::<RunId>().is_ok());
        // Another apt-all may let the oldest ones go at this moment.
        match entry.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            metadata if is_run => files.push((metadata?.modified()?, entry.path())),
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn run(number: u8) -> BegunRun {
        BegunRun {
            run: RunId::from_bytes([number; 16]),
            at: 1.0,
            by: "alice".into(),
            operation: "upgrade --yes".into(),
            target: "web,!web3".into(),
            hosts: "web[1-2]".into(),
        }
    }

    #[test]
    fn a_run_is_found_again_by_root_alone() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::below(directory.path());
        assert_eq!(known(&site).unwrap(), []);
        keep(&site, &run(1)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        keep(&site, &run(2)).unwrap();
        assert_eq!(known(&site).unwrap(), [run(2), run(1)]);
        assert_eq!(find(&site, run(1).run).unwrap(), Some(run(1)));
        assert_eq!(find(&site, run(3).run).unwrap(), None);
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(site.runs()), 0o700);
        assert_eq!(mode(site.runs().join(run(1).run.to_string())), 0o600);
        fs::write(site.runs().join(run(3).run.to_string()), "{\"run\"").unwrap();
        assert_eq!(known(&site).unwrap().len(), 2);
    }

    #[test]
    fn many_who_begin_runs_at_once_do_not_stop_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::below(directory.path());
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let site = &site;
                scope.spawn(move || {
                    for number in 0..150 {
                        let mut run = run(worker);
                        let mut bytes = [worker; 16];
                        bytes[0] = number;
                        run.run = RunId::from_bytes(bytes);
                        keep(site, &run).unwrap();
                        assert!(!known(site).unwrap().is_empty());
                    }
                });
            }
        });
        assert!(files(&site.runs()).unwrap().len() <= MOST + 4);
    }

    #[test]
    fn the_oldest_runs_are_let_go() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::below(directory.path());
        for number in 0..=u8::try_from(MOST).unwrap() {
            keep(&site, &run(number)).unwrap();
        }
        let left = files(&site.runs()).unwrap();
        assert_eq!(left.len(), MOST);
        assert!(find(&site, run(200).run).unwrap().is_some());
    }
}
