//! The completions as bash runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const APU: &str = env!("CARGO_BIN_EXE_apu");

#[test]
fn bash_completes_classes_hosts_and_operations_where_they_stand() {
    let site = tempfile::tempdir().unwrap();
    let clients = site.path().join("etc/apu-server/clients");
    fs::create_dir_all(&clients).unwrap();
    fs::write(clients.join("web"), "web[1-2]\n").unwrap();
    let made = site.path().join("made");
    fs::create_dir(&made).unwrap();
    let status = Command::new(APU).arg("completions").arg(&made).status().unwrap();
    assert!(status.success());
    // The apu of this site, as the completions call it.
    let programs = site.path().join("bin");
    fs::create_dir(&programs).unwrap();
    let shim = programs.join("apu");
    let text = format!("#!/bin/sh\nexec {APU} --root {} \"$@\"\n", site.path().display());
    fs::write(&shim, text).unwrap();
    fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).unwrap();

    for (program, function, words, expected) in [
        ("apt-all", "_apt_all", "apt-all,we", "web,web1,web2"),
        ("apt-all", "_apt_all", "apt-all,web,upg", "upgrade"),
        ("apt-all", "_apt_all", "apt-all,web,update,", ""),
        ("apt-all", "_apt_all", "apt-all,web,--li", "--list-hosts"),
        ("apt-all", "_apt_all", "/usr/bin/apt-all,--exclude,web2", "web2"),
        ("apu", "_apu", "apu,host", "hosts,host-key"),
        ("apu", "_apu", "apu,status,web1", "web1"),
    ] {
        let words: Vec<&str> = words.split(',').collect();
        let script = format!(
            "compopt() {{ :; }}; . {}/{program}.bash; COMP_WORDS=({}); COMP_CWORD={}; {function}; \
             IFS=,; echo \"${{COMPREPLY[*]}}\"",
            made.display(),
            words
                .iter()
                .map(|word| format!("'{word}'"))
                .collect::<Vec<_>>()
                .join(" "),
            words.len() - 1
        );
        let mut bash = Command::new("bash");
        bash.args(["-c", &script]);
        bash.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
        let output = bash.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let mut found: Vec<&str> = said.trim_end().split(',').collect();
        found.sort_unstable();
        let mut expected: Vec<&str> = expected.split(',').collect();
        expected.sort_unstable();
        assert_eq!(
            found,
            expected,
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
