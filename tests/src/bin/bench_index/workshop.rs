//! A folder with everything that the tools need, where each gets a bench of its own for one try.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use apu_tests::{Finished, Gpg, Publisher};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use tempfile::TempDir;

use crate::tool::{DISTRIBUTIONS, Task, Tool};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What one call cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// From its start to its end, in seconds.
    pub(crate) wall: f64,
    /// Of all its processes, in user and in system mode, in seconds. gpg's agent is none of them.
    pub(crate) cpu: f64,
}

/// The temporary folder, until it is dropped.
pub(crate) struct Workshop {
    folder: TempDir,
    gpg: Gpg,
    publisher: Publisher,
    /// The archive's .debs, all but the last.
    debs: Vec<PathBuf>,
    newcomer: PathBuf,
}

impl Workshop {
    /// Sets it up. Every .deb is read once, so that nobody has to wait for the disk.
    pub(crate) fn with(debs: &[PathBuf]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let shelf = folder.path().join("shelf");
        fs::create_dir(&shelf)?;
        let mut shelved = Vec::new();
        for deb in debs {
            let path = shelf.join(deb.file_name().context("a .deb without a name")?);
            // Across file systems, and for files of other users, there is only the copy.
            if fs::hard_link(deb, &path).is_err() {
                fs::copy(deb, &path).with_context(|| format!("cannot copy {}", deb.display()))?;
            }
            io::copy(&mut fs::File::open(&path)?, &mut io::sink())?;
            shelved.push(path);
        }
        let newcomer = shelved.pop().context("no .deb")?;
        let gpg = Gpg::generate(&folder.path().join("gnupg"), "bench@example.org")?;
        let workshop = Self {
            publisher: Publisher::in_folder(folder.path())?,
            debs: shelved,
            newcomer,
            gpg,
            folder,
        };
        // gpg's agent is up from here on.
        let text = workshop.folder.path().join("text");
        fs::write(&text, "text\n")?;
        workshop
            .gpg
            .clearsign(&text, &workshop.folder.path().join("signed"))?;
        Ok(workshop)
    }

    /// The bytes of the archive's .debs.
    pub(crate) fn bytes(&self) -> Result<u64> {
        self.debs.iter().map(|deb| Ok(fs::metadata(deb)?.len())).sum()
    }

    /// How many .debs the archive has at first.
    pub(crate) fn packages(&self) -> usize {
        self.debs.len()
    }

    /// A folder with all the archive's .debs and, as the second, apu's index of it.
    pub(crate) fn index(&self, name: &str) -> Result<(PathBuf, String)> {
        let bench = self.bench(name)?;
        let debs = bench.join("debs");
        let index = self.publisher.index(&debs)?;
        Ok((debs, index))
    }

    /// Lets a tool do its tasks one after the other at a new bench; what each cost.
    pub(crate) fn measure(&self, tool: Tool) -> Result<Vec<(Task, Cost)>> {
        let bench = self.bench("bench")?;
        let mut costs = Vec::new();
        for &task in tool.tasks() {
            let mut expected = self.debs.len();
            if task == Task::OneMore {
                let name = self.newcomer.file_name().context("a .deb without a name")?;
                fs::hard_link(&self.newcomer, bench.join("debs").join(name))?;
                expected += 1;
            }
            let cost = self.run(&bench, &tool.script(task))?;
            verify(&bench, tool, expected)?;
            costs.push((task, cost));
        }
        fs::remove_dir_all(&bench)?;
        Ok(costs)
    }

    /// An empty archive with its .debs beside it.
    fn bench(&self, name: &str) -> Result<PathBuf> {
        let bench = self.folder.path().join(name);
        for folder in ["debs", "base/conf"] {
            fs::create_dir_all(bench.join(folder))?;
        }
        for deb in &self.debs {
            let name = deb.file_name().context("a .deb without a name")?;
            fs::hard_link(deb, bench.join("debs").join(name))?;
        }
        fs::write(bench.join("base/conf/distributions"), DISTRIBUTIONS)?;
        let aptly = serde_json::json!({"rootDir": bench.join("aptly"), "gpgProvider": "gpg"});
        fs::write(bench.join("aptly.conf"), aptly.to_string())?;
        Ok(bench)
    }

    fn run(&self, bench: &Path, script: &str) -> Result<Cost> {
        let apu = self.publisher.command();
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .current_dir(bench)
            .env_clear()
            .envs([("PATH", PATH), ("LC_ALL", "C.UTF-8")])
            .env("HOME", self.folder.path())
            .env("GNUPGHOME", self.folder.path().join("gnupg"))
            .env("APU", apu.get_program())
            .env("SITE", self.folder.path().join("site"))
            .env("NEW", &self.newcomer)
            .stdin(Stdio::null());
        // What others left to be written is not for this one to wait for.
        nix::unistd::sync();
        let before = children_cpu()?;
        let begin = Instant::now();
        let output = command.output().context("cannot run sh")?;
        let wall = begin.elapsed().as_secs_f64();
        let end = Finished::from(output);
        ensure!(
            end.code == 0,
            "{script}ended with {}\n{}{}",
            end.code,
            end.stdout,
            end.stderr
        );
        Ok(Cost {
            wall,
            cpu: children_cpu()? - before,
        })
    }
}

/// Whether it did what it is measured for.
fn verify(bench: &Path, tool: Tool, expected: usize) -> Result<()> {
    let Some((signed, index)) = tool.leaves() else {
        return Ok(());
    };
    let index =
        fs::read_to_string(bench.join(index)).with_context(|| format!("{} made no index", tool.name()))?;
    let found = apu_tests::index::paragraphs(&index).len();
    ensure!(
        found == expected,
        "{} has {found} packages, not {expected}",
        tool.name()
    );
    let signed =
        fs::read_to_string(bench.join(signed)).with_context(|| format!("{} did not sign", tool.name()))?;
    ensure!(
        signed.starts_with("-----BEGIN PGP SIGNED MESSAGE-----"),
        "{} did not sign",
        tool.name()
    );
    Ok(())
}

/// Processor time of every child that ended so far, in seconds.
fn children_cpu() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
