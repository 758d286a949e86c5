//! Archives in folders that somebody else could change: every command that writes or signs refuses them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use super::server::Server;

fn refused(output: &Output, dir: &str, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words}: {said}");
    assert!(
        said.contains(&format!("error: nothing was published in {dir}\n")),
        "{words}: {said}"
    );
    let why = format!("  why: {dir} may be written by others: its mode is 0777\n  try: chmod go-w {dir}\n");
    assert!(said.contains(&why), "{words}: {said}");
}

#[test]
fn a_folder_of_everybody_is_refused_by_every_command_that_writes_or_signs() {
    let server = Server::new();
    server.good(&["add", &server.deb("aa", "1")]);
    let new = server.deb("bb", "1");
    let dir = server.site().archive();
    let shown = dir.display().to_string();
    let list = |dir: &std::path::Path| {
        let output = Command::new("find")
            .arg(dir)
            .args(["-printf", "%p %C@\\n"])
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
    let before = list(&dir);
    for words in [
        &["publish"][..],
        &["publish", "--all"],
        &["publish", &shown],
        &["add", &new],
        &["remove", "aa"],
        &["prune", "--keep", "1"],
    ] {
        refused(&server.repo(words), &shown, &words.join(" "));
    }
    let root = server.dir.path();
    let apu = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apu"));
        command.arg("--root").arg(root).args(words).output().unwrap()
    };
    fs::create_dir_all(server.site().clients()).unwrap();
    fs::write(server.site().clients().join("web"), "web1.example.org\n").unwrap();
    let install = Command::new(env!("CARGO_BIN_EXE_apt-all"))
        .arg("--root")
        .arg(root)
        .args(["web", "install", &new, "--yes"])
        .output()
        .unwrap();
    refused(&install, &shown, "apt-all install");
    assert_eq!(list(&dir), before);
    // What was never published.
    fs::remove_file(dir.join("InRelease")).unwrap();
    let before = list(&dir);
    refused(&apu(&["setup"]), &shown, "setup");
    assert_eq!(list(&dir), before);
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    server.good(&["publish"]);
}
