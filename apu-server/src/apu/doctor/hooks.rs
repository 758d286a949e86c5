//! Looks at the administrator's programs on this server: which of them would not be called.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use apu_debian::{nearest, run_parts};
use apu_fleet::Hook;

use super::{Finding, well, wrong};
use crate::context::Context;

/// What is to be said of the hooks; nothing where there are none.
pub(super) fn hooks(context: &Context) -> Vec<Finding> {
    let directory = context.site.hooks();
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let what = format!("hooks in {}: {error}", directory.display());
            return vec![wrong(what, "make it a directory that root can read")];
        }
        Ok(entries) => entries,
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && name != "README")
        .collect();
    names.sort();
    let of_name = |name: &String| match Hook::ALL.into_iter().find(|hook| hook.as_str() == name) {
        Some(hook) => of_hook(&directory, hook),
        None => vec![no_hook(&directory, name)],
    };
    names.iter().flat_map(of_name).collect()
}

fn no_hook(directory: &Path, name: &str) -> Finding {
    let words = Hook::ALL.map(Hook::as_str);
    let meant = nearest(name, words).map_or_else(
        || format!("give it one of the names {}", words.join(", ")),
        |word| format!("rename it to {word} where that is meant"),
    );
    let path = directory.join(name);
    wrong(
        format!("{}: no hook has this name, so it is not called", path.display()),
        meant,
    )
}

fn of_hook(directory: &Path, hook: Hook) -> Vec<Finding> {
    let path = directory.join(hook.as_str());
    let is_directory = path.is_dir() && !path.is_symlink();
    let found = run_parts::find(if is_directory { &path } else { directory });
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let what = format!("{hook} hook {}: {error}", path.display());
            return vec![wrong(what, "without it, no host would start")];
        }
    };
    let programs = found
        .into_iter()
        .filter(|found| is_directory || found.name == hook.as_str());
    let mut findings: Vec<Finding> = Vec::new();
    for program in programs {
        let path = if is_directory {
            path.join(&program.name)
        } else {
            path.clone()
        };
        findings.push(match program.obstacle {
            None => well(format!("{hook} hook {}", path.display())),
            Some(obstacle) => wrong(
                format!("{hook} hook {}: {obstacle}", path.display()),
                format!("sudo chown root: {0}; sudo chmod 755 {0}", path.display()),
            ),
        });
    }
    if findings.is_empty() {
        let what = format!("{hook} hook {}: nothing in it is a program", path.display());
        findings.push(wrong(
            what,
            format!("sudo chmod 755 {}, or remove it", path.display()),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use apu_site::{Settings, Site, Ui};

    use super::*;

    #[test]
    fn what_would_not_be_called_is_named() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root makes files of root");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let context = Context {
            site: Site::below(root.path()),
            settings: Settings::default(),
            ui: Ui::of_process(),
        };
        assert!(hooks(&context).is_empty());
        let write = |name: &str, mode: u32| {
            let path = context.site.hooks().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write("before-run", 0o755);
        write("before-host/10-a", 0o755);
        write("before-host/20-b", 0o777);
        write("after-host", 0o644);
        write("after_run", 0o755);
        let below = format!("{}/", context.site.hooks().display());
        let told: Vec<(String, bool)> = hooks(&context)
            .into_iter()
            .map(|finding| (finding.what.replace(&below, ""), finding.advice.is_none()))
            .collect();
        let expected = [
            ("after-host hook after-host: nothing in it is a program", false),
            ("after_run: no hook has this name, so it is not called", false),
            ("before-host hook before-host/10-a", true),
            (
                "before-host hook before-host/20-b: not run: it is not root's alone to write",
                false,
            ),
            ("before-run hook before-run", true),
        ];
        assert_eq!(told, expected.map(|(what, is_well)| (what.to_owned(), is_well)));
    }
}
