//! Tells ahead what packages would ask: about which configuration files, and which questions of debconf they bring.
//!
//! The packages have to be in apt's cache. dpkg asks about a configuration file by the rule in `deferred_configure_conffile` of its source:
//! the file is another than both the new package's and the one that the old package brought, and these two differ. Which of its questions a
//! package asks, and at which priority, is up to its scripts, which are not run for this.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use apu_debian::PackageKey;
use apu_debian::debconf::Template;
use apu_proto::{ChangedConffiles, NewQuestion, NewQuestions, Step};

use super::conffile_rules::{ConffileRules, Rule};
use super::control_files::{control_file, text, unpack_control, unpacking_environment};
use super::debconf;
use crate::apt::{Plan, missing_debs};
use crate::dpkg::{Conffiles, Database};
use crate::os::limited::{self, End, Limits};
use crate::os::paths::ClientPaths;
use crate::os::spawn::{self, Exit};
use crate::os::temporary_directory::TemporaryDirectory;

const MD5SUM: &str = "/usr/bin/md5sum";

/// Time limit for one program, and for all of them.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(120);

/// Maximal length of a default that is told, in letters.
const MAX_DEFAULT: usize = 200;

/// Maximal length of what dpkg-deb and tar say of one .deb, in bytes.
const MAX_COMPLAINTS: usize = 64 * 1024;

/// Maximal number of files in one call of md5sum.
const MAX_FILES: usize = 100;

/// Unpacks the members `$3…` of the .deb `$1` into the directory `$2`.
const UNPACK: &str = "deb=$1 directory=$2; shift 2; \
    dpkg-deb --fsys-tarfile \"$deb\" | tar -x -C \"$directory\" --no-same-owner -f - -- \"$@\"";

/// What the packages of a plan would ask.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) conffiles: ChangedConffiles,
    /// The questions that this machine does not know yet.
    pub(crate) questions: NewQuestions,
}

/// Returns what would be asked; none where a package is not in the cache, or it cannot be told.
pub(crate) fn asked_ahead(
    paths: &ClientPaths,
    plan: &Plan,
    database: &Database,
    rules: &ConffileRules,
) -> Option<Asked> {
    let cache = paths.archives();
    if plan.debs.is_empty() || !missing_debs(&cache, &plan.debs).ok()?.is_empty() {
        return None;
    }
    let packages = plan.steps.iter().filter_map(|step| match step {
        Step::Install { package, .. } => Some(package),
        Step::Remove { .. } => None,
    });
    let packages: Vec<(&PackageKey, PathBuf)> = packages
        .zip(plan.debs.iter().map(|deb| cache.join(&deb.file)))
        .collect();
    // Each step that installs has its .deb, in the same order.
    if packages.len() != plan.debs.len() {
        return None;
    }
    let (changed, questions) = find(paths, &packages, database).ok()?;
    Some(Asked {
        conffiles: by_rule(paths, rules, changed),
        questions: NewQuestions::new(questions),
    })
}

/// Tells what becomes of the files about which dpkg would ask. One that is missing comes back only where dpkg itself takes the packages'
/// versions: nothing takes its place afterwards.
fn by_rule(paths: &ClientPaths, rules: &ConffileRules, changed: BTreeSet<String>) -> ChangedConffiles {
    if rules.for_dpkg() == Conffiles::New {
        return ChangedConffiles::new(false, changed);
    }
    by_path(paths, rules, changed)
}

/// The same where the machine's versions stay first.
pub(super) fn by_path(
    paths: &ClientPaths,
    rules: &ConffileRules,
    changed: BTreeSet<String>,
) -> ChangedConffiles {
    let is_kept = |path: &String| rules.of(path) != Rule::New || !paths.path(path).is_file();
    let (kept, replaced) = changed.into_iter().partition(is_kept);
    ChangedConffiles::new(true, kept).replacing(replaced)
}

fn find(
    paths: &ClientPaths,
    packages: &[(&PackageKey, PathBuf)],
    database: &Database,
) -> io::Result<(BTreeSet<String>, BTreeSet<NewQuestion>)> {
    let deadline = Instant::now() + TIMEOUT;
    let directory = TemporaryDirectory::of_process(&paths.views())?;
    let known = debconf::known(paths)?;
    let (mut changed, mut questions) = (BTreeSet::new(), BTreeSet::new());
    for (place, (package, deb)) in packages.iter().enumerate() {
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let directory = directory.path().join(place.to_string());
        let control = directory.join("control");
        unpack_control(deb, &control)?;
        let brought = Template::read_all(&control_file(&control, "templates")?, "Template");
        let brought = brought
            .into_iter()
            .filter(|template| !known.contains(&template.name));
        questions.extend(brought.map(new_question));
        changed.extend(asked_about(paths, package, deb, &directory, database)?);
    }
    Ok((changed, questions))
}

/// A question as it is told.
fn new_question(template: Template) -> NewQuestion {
    NewQuestion {
        name: template.name,
        kind: template.kind,
        default: template.default.chars().take(MAX_DEFAULT).collect(),
    }
}

/// Returns the configuration files about which dpkg would ask for this .deb, whose control files are in `directory`.
fn asked_about(
    paths: &ClientPaths,
    package: &PackageKey,
    deb: &Path,
    directory: &Path,
    database: &Database,
) -> io::Result<BTreeSet<String>> {
    let new = conffiles(&control_file(&directory.join("control"), "conffiles")?);
    let old = database.conffile_hashes(package);
    let own = |path: &String| paths.path(path);
    let current = md5_sums(new.iter().map(own))?;
    let edited: Vec<&String> = (new.iter())
        .filter(|path| is_edited(old.get(path.as_str()).copied(), current.get(&own(path))))
        .collect();
    let mut asked = BTreeSet::new();
    if edited.is_empty() {
        return Ok(asked);
    }
    let unpacked = directory.join("files");
    unpack(deb, &unpacked, &edited)?;
    let member = |path: &str| unpacked.join(path.trim_start_matches('/'));
    let brought = md5_sums(edited.iter().map(|path| member(path)))?;
    for path in edited {
        let brought = brought
            .get(&member(path))
            .ok_or_else(|| io::Error::other(format!("{path} is not in its package")))?;
        if would_ask(old.get(path.as_str()).copied(), current.get(&own(path)), brought) {
            asked.insert(path.clone());
        }
    }
    Ok(asked)
}

/// Returns the configuration files about which dpkg would ask for one .deb.
pub(super) fn changed_by(
    paths: &ClientPaths,
    package: &PackageKey,
    deb: PathBuf,
    database: &Database,
) -> io::Result<BTreeSet<String>> {
    find(paths, &[(package, deb)], database).map(|(changed, _)| changed)
}

/// Returns those of the files that are others than the installed package brought; `brought` has the MD5 of each.
pub(super) fn edited(
    paths: &ClientPaths,
    brought: &BTreeMap<&str, &str>,
    files: &[&str],
) -> io::Result<Vec<String>> {
    let current = md5_sums(files.iter().map(|path| paths.path(path)))?;
    let is_changed = |path: &&&str| is_edited(brought.get(**path).copied(), current.get(&paths.path(path)));
    let changed = files.iter().filter(is_changed);
    Ok(changed.map(|path| (*path).to_owned()).collect())
}

/// Whether a file is another than the one that the old package brought: changed, deleted, or there before any package had it.
fn is_edited(old: Option<&str>, current: Option<&String>) -> bool {
    match (old, current) {
        (None, current) => current.is_some(),
        (Some(old), current) => current.is_none_or(|current| current != old),
    }
}

/// Whether dpkg would ask about a file that is edited.
fn would_ask(old: Option<&str>, current: Option<&String>, brought: &str) -> bool {
    current.is_none_or(|current| current != brought) && old != Some(brought)
}

/// Returns the paths in a list of configuration files. Lines with a flag name what dpkg removes.
fn conffiles(list: &str) -> Vec<String> {
    let paths = list.lines().filter(|line| line.starts_with('/'));
    paths.map(str::to_owned).collect()
}

/// Unpacks these files of a .deb.
fn unpack(deb: &Path, directory: &Path, files: &[&String]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let members: Vec<String> = files.iter().map(|path| format!(".{path}")).collect();
    let mut words = vec!["-c", UNPACK, "sh", text(deb)?, text(directory)?];
    words.extend(members.iter().map(String::as_str));
    // Where its time is over, all three programs are ended.
    let limits = Limits {
        time: PROGRAM_TIMEOUT,
        output: MAX_COMPLAINTS,
    };
    let ended = limited::run("/bin/sh", &words, &unpacking_environment(), limits, &mut || false)?;
    match ended.end {
        End::Exited(Exit::Code(0)) => Ok(()),
        end => Err(io::Error::other(format!("{end:?}: {}", ended.output))),
    }
}

/// Returns the MD5 of each of these files that is there and is a file, as dpkg keeps it.
fn md5_sums(files: impl Iterator<Item = PathBuf>) -> io::Result<BTreeMap<PathBuf, String>> {
    let there: Vec<PathBuf> = files.filter(|file| file.is_file()).collect();
    let mut sums = BTreeMap::new();
    for some in there.chunks(MAX_FILES) {
        let mut words = vec!["--zero", "--"];
        for file in some {
            words.push(text(file)?);
        }
        let said = run(MD5SUM, &words)?;
        let lines = said.split_terminator('\0');
        sums.extend(lines.filter_map(|line| {
            let (sum, file) = line.split_once("  ")?;
            Some((PathBuf::from(file), sum.to_owned()))
        }));
    }
    if sums.len() == there.len() {
        Ok(sums)
    } else {
        Err(io::Error::other("md5sum left files out"))
    }
}

fn run(program: &str, words: &[&str]) -> io::Result<String> {
    let captured = spawn::capture(program, words, &unpacking_environment(), PROGRAM_TIMEOUT)?;
    match captured.succeeded() {
        true => Ok(captured.stdout),
        false => Err(io::Error::other(captured.stderr)),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use apu_proto::DebSha256;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::apt::Download;
    use crate::dpkg::DPKG_DEB;

    /// A row of the table in dpkg's source.
    struct Case {
        name: &'static str,
        /// As the old package brought it.
        old: Option<&'static str>,
        /// As it is on the machine.
        own: Option<&'static str>,
        new: &'static str,
        asks: bool,
    }

    const fn case(
        name: &'static str,
        old: Option<&'static str>,
        own: Option<&'static str>,
        new: &'static str,
        asks: bool,
    ) -> Case {
        Case {
            name,
            old,
            own,
            new,
            asks,
        }
    }

    const CASES: [Case; 10] = [
        case("untouched", Some("1"), Some("1"), "1", false),
        case("new-in-package", Some("1"), Some("1"), "2", false),
        case("changed-here", Some("1"), Some("mine"), "1", false),
        case("changed-on-both", Some("1"), Some("mine"), "2", true),
        case("same-change", Some("1"), Some("2"), "2", false),
        case("deleted", Some("1"), None, "1", false),
        case("deleted-and-new", Some("1"), None, "2", true),
        case("of-no-package", None, Some("mine"), "2", true),
        case("same-of-no-package", None, Some("2"), "2", false),
        case("all-new", None, None, "2", false),
    ];

    fn md5(content: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x");
        fs::write(&file, content).unwrap();
        md5_sums(std::iter::once(file)).unwrap().pop_first().unwrap().1
    }

    #[test]
    fn dpkg_would_ask_about_what_was_changed_on_both_sides_and_debconf_what_it_does_not_know() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let write = |path: PathBuf, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let build = root.path().join("build");
        write(
            build.join("DEBIAN/control"),
            "Package: lab\nVersion: 2\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n",
        );
        let mut status = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                          Package: lab\nStatus: install ok installed\nArchitecture: all\nVersion: 1\nConffiles:\n"
            .to_owned();
        let mut list = String::new();
        for Case {
            name, old, own, new, ..
        } in CASES
        {
            let path = format!("/etc/lab/{name}");
            list += &format!("{path}\n");
            write(build.join(&path[1..]), new);
            if let Some(old) = old {
                status += &format!(" {path} {}\n", md5(old));
            }
            if let Some(own) = own {
                write(paths.path(&path), own);
            }
        }
        write(build.join("DEBIAN/conffiles"), &list);
        let template =
            |name: &str, kind: &str| format!("Template: lab/{name}\nType: {kind}\nDescription: x\n\n");
        let templates = [
            template("other", "select"),
            template("new", "boolean"),
            template("known", "string"),
            template("note", "note"),
        ];
        write(build.join("DEBIAN/templates"), &templates.concat());
        write(
            paths.path("/var/cache/debconf/config.dat"),
            "Name: lab/known\nTemplate: lab/known\nValue: x\nOwners: lab\nFlags: seen\n",
        );
        let cache = paths.archives();
        fs::create_dir_all(&cache).unwrap();
        let deb = cache.join("lab_2_all.deb");
        let build_deb = || {
            let built = Command::new(DPKG_DEB)
                .args(["-Zgzip", "--root-owner-group", "--build"])
                .args([&build, &deb])
                .output()
                .unwrap();
            assert!(built.status.success(), "{built:?}");
        };
        build_deb();

        let database = Database::parse([status.as_str()]).unwrap();
        let mut plan = Plan::parse("Inst lab [1] (2 S:x [all])\n", "amd64").unwrap();
        // Without the .deb it cannot be told.
        assert_eq!(
            asked_ahead(&paths, &plan, &database, &ConffileRules::default()),
            None
        );
        let bytes = fs::read(&deb).unwrap();
        plan.debs = vec![Download {
            file: "lab_2_all.deb".into(),
            sha256: DebSha256::from_bytes(Sha256::digest(&bytes).into()),
            size: bytes.len() as u64,
        }];
        let expected: Vec<String> = (CASES.iter())
            .filter(|case| case.asks)
            .map(|case| format!("/etc/lab/{}", case.name))
            .collect();
        let found = asked_ahead(&paths, &plan, &database, &ConffileRules::default()).unwrap();
        assert_eq!(
            found.conffiles,
            ChangedConffiles::new(true, expected.into_iter().collect())
        );
        assert_eq!(found.questions.names, ["lab/new", "lab/other"]);
        // Another .deb under the same name is not the one of the plan.
        write(build.join("DEBIAN/templates"), &template("later", "boolean"));
        build_deb();
        assert_eq!(
            asked_ahead(&paths, &plan, &database, &ConffileRules::default()),
            None
        );
    }
}
