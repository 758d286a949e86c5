//! `--push`: from here on this process is apt-all, with its questions, its answers and its exit status.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use apu_repo::Failure;

use crate::cli::Args;

/// Becomes `apt-all TARGET install DEB`; what comes back is why that could not be.
pub(crate) fn push(args: &Args, target: &str, deb: &Path) -> Failure {
    let program = match env::current_exe() {
        // Both are of one package, and a test's are in one directory.
        Ok(own) => own.with_file_name("apt-all"),
        Err(error) => return Failure::machine("cannot find apt-all").why(error),
    };
    let error = Command::new(&program).args(words(args, target, deb)).exec();
    Failure::machine(format!(
        "apu-data is published, and cannot be pushed: cannot start {}",
        program.display()
    ))
    .why(error)
    .advise(format!("apt-all {target} install {}", deb.display()))
}

fn words(args: &Args, target: &str, deb: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    if let Some(root) = &args.root {
        words.extend(["--root".into(), root.into()]);
    }
    if args.yes {
        words.push("--yes".into());
    }
    // A target is never an option, whatever it starts with.
    words.extend(["--".into(), target.into(), "install".into(), deb.into()]);
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_push_is_an_install_of_the_very_file() {
        let shown = |line: &str| {
            let args = Args::try_parse_from(line.split(' ')).expect(line);
            let target = args.push.clone().expect("a target");
            words(&args, &target, Path::new("/srv/apu-data_7_all.deb")).join(" ".as_ref())
        };
        assert_eq!(
            shown("gen-apu-data-pkg --push web,db1"),
            "-- web,db1 install /srv/apu-data_7_all.deb"
        );
        assert_eq!(
            shown("gen-apu-data-pkg --push=-oX --yes --root /x"),
            "--root /x --yes -- -oX install /srv/apu-data_7_all.deb"
        );
        assert!(Args::try_parse_from(["gen-apu-data-pkg", "--yes"]).is_err());
    }
}
