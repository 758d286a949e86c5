//! What an administrator is told where an archive could not be changed, and what to try.

use std::ffi::OsStr;
use std::path::Path;

use apu_archive::{ArchiveError, Published, Remedy, quote};

use crate::failure::{Failure, FailureKind};
use crate::io_advice::io_advice;

/// The failure of a program that was to change, or read, the archive in `dir`.
#[must_use]
pub fn archive_failure(error: ArchiveError, dir: &Path) -> Failure {
    let path = dir;
    let dir = dir.display();
    let what = format!("nothing was published in {dir}");
    match error {
        // The keys are read by this crate.
        ArchiveError::Keys(source) => match source.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(source) => Failure::machine(what).advise("sudo apu setup").why(source),
        },
        ArchiveError::Unreadable { path, source } => Failure::machine(format!("cannot read {path}"))
            .advise(format!("apu repo check {dir}"))
            .why(source),
        ArchiveError::Io {
            ref source,
            path: ref at,
            ..
        } => {
            let (kind, advice) = io_advice(source, Path::new(at));
            let failure = match kind {
                FailureKind::Words => Failure::words(what),
                FailureKind::Machine => Failure::machine(what),
            };
            failure.advise(advice).why(error)
        }
        ArchiveError::Sign(_) => Failure::machine(what).advise("sudo apu setup").why(error),
        _ => {
            let advice = advice(&error, path);
            Failure::words(what).advise(advice).why(error)
        }
    }
}

/// What to try where the archive, or what was to be published, is not as it has to be.
fn advice(error: &ArchiveError, path: &Path) -> String {
    let dir = path.display();
    match error {
        ArchiveError::Ambiguous { first, .. } => {
            // One of them may be on its way in, from somewhere else.
            let file = format!("{dir}/{first}");
            if Path::new(&file).is_file() {
                format!("rm {file}, or give one of them another version")
            } else {
                "give one of them another version".to_owned()
            }
        }
        ArchiveError::Essential { file, package } => {
            let file = format!("{dir}/{file}");
            let allow = allow_essential(package);
            if Path::new(&file).is_file() {
                format!("rm {file}, or {allow}")
            } else {
                allow
            }
        }
        ArchiveError::Taken { .. } => "give the changed package a higher version".to_owned(),
        ArchiveError::OtherLayout { is_flat: true } => {
            format!("another directory, or rm {dir}/InRelease {dir}/Release* {dir}/Packages*")
        }
        ArchiveError::OtherLayout { is_flat: false } => format!("another directory, or rm -r {dir}/dists"),
        ArchiveError::OtherTool { suite, .. } => archive_beside(path, suite.as_deref()),
        ArchiveError::Untrusted(why) => why.advice().to_owned(),
        ArchiveError::NotThere(_) => format!("apu repo list {dir}"),
        ArchiveError::Refused(refused) => mend_or_allow(refused.remedies()),
        // Told by `archive_failure` itself. Named, so that another kind of error cannot get this advice by accident.
        ArchiveError::Io { .. }
        | ArchiveError::Keys(_)
        | ArchiveError::Sign(_)
        | ArchiveError::Unreadable { .. } => format!("apu repo check {dir}"),
    }
}

/// What to try where .debs are refused or left out.
fn mend_or_allow<'a>(remedies: impl Iterator<Item = &'a Remedy>) -> String {
    let mut advice = vec!["mend or remove these files".to_owned()];
    for remedy in remedies {
        let sentence = match remedy {
            Remedy::AllowEssential(package) => format!("if {package} is meant, {}", allow_essential(package)),
            Remedy::AllowApuData => {
                "if another server, which you trust, made apu-data: apu repo add --apu-data FILE".to_owned()
            }
        };
        if !advice.contains(&sentence) {
            advice.push(sentence);
        }
    }
    advice.join("; ")
}

/// How a package is allowed to be marked Essential.
#[must_use]
pub fn allow_essential(package: &str) -> String {
    format!("write {package} into may_replace in /etc/apu-server/apu.toml")
}

/// What an administrator has to know of the .debs in `dir` that were left out; nothing where there are none.
#[must_use]
pub fn left_out(published: &Published, dir: &Path) -> Option<String> {
    let dir = dir.display();
    let what = match published.left_out.len() {
        0 => return None,
        1 => format!("1 of the .debs in {dir} was left out"),
        count => format!("{count} of the .debs in {dir} were left out"),
    };
    let reasons: String = (published.left_out.iter())
        .map(|reason| format!("  why: {reason}\n"))
        .collect();
    let advice = mend_or_allow(published.remedies.iter());
    Some(format!("error: {what}\n{reasons}  try: {advice}\n"))
}

/// A command that makes an archive of apu's beside the other, with its packages.
fn archive_beside(dir: &Path, suite: Option<&str>) -> String {
    let name = dir.file_name().unwrap_or(OsStr::new("archive")).to_string_lossy();
    let beside = dir.with_file_name(format!("{name}-apu"));
    let quoted = |path: &Path| quote(&path.display().to_string());
    let (pool, option) = match suite {
        None => (beside.clone(), String::new()),
        Some(suite) => (
            beside.join("pool").join(suite).join("main"),
            format!(" --suite {}", quote(suite)),
        ),
    };
    let (from, pool, beside) = (quoted(dir), quoted(&pool), quoted(&beside));
    format!(
        "an archive of its own: mkdir -p {pool} && find {from} -name '*.deb' -exec cp -t {pool} {{}} + && \
         apu repo publish{option} {beside}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIR: &str = "/srv/debs";

    fn told(error: ArchiveError) -> (u8, String) {
        let failure = archive_failure(error, Path::new(DIR));
        (
            failure.kind().exit_status(),
            failure.advice().unwrap_or_default().to_owned(),
        )
    }

    #[test]
    fn a_failure_of_the_keys_stays_what_it_was() {
        let failure = Failure::words("there is no usable archive key").advise("sudo apu setup");
        let failure = archive_failure(ArchiveError::Keys(failure.into()), Path::new(DIR));
        assert_eq!(failure.to_string(), "there is no usable archive key");
        assert_eq!(failure.kind(), FailureKind::Words);
        let other = ArchiveError::Keys("no card in the reader".into());
        assert_eq!(told(other), (3, "sudo apu setup".to_owned()));
    }

    #[test]
    fn each_cause_has_its_own_advice_and_status() {
        let path = "/srv/debs/Packages".to_owned();
        let source = "line 3 is no field".into();
        assert_eq!(
            told(ArchiveError::Unreadable { path, source }),
            (3, "apu repo check /srv/debs".to_owned())
        );
        assert_eq!(
            told(ArchiveError::OtherLayout { is_flat: false }),
            (2, "another directory, or rm -r /srv/debs/dists".to_owned())
        );
        assert_eq!(
            told(ArchiveError::NotThere("foo".to_owned())),
            (2, "apu repo list /srv/debs".to_owned())
        );
        let (status, advice) = told(ArchiveError::OtherTool {
            path: "/srv/debs/Release".to_owned(),
            suite: Some("stable".to_owned()),
        });
        assert_eq!(status, 2);
        assert!(
            advice.ends_with("apu repo publish --suite stable /srv/debs-apu"),
            "{advice}"
        );
    }

    #[test]
    fn what_would_let_a_deb_in_is_advised_once_for_each() {
        let remedies = [
            Remedy::AllowEssential("dash".to_owned()),
            Remedy::AllowApuData,
            Remedy::AllowApuData,
        ];
        assert_eq!(
            mend_or_allow(remedies.iter()),
            "mend or remove these files; if dash is meant, write dash into may_replace in /etc/apu-server/apu.toml; \
             if another server, which you trust, made apu-data: apu repo add --apu-data FILE"
        );
        assert_eq!(mend_or_allow([].iter()), "mend or remove these files");
    }
}
