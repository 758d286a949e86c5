//! What the program says, to whom it can, and which step it names next.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::process::{Command, Output, Stdio};

use apu_site::{Site, setup};

fn server() -> tempfile::TempDir {
    let server = tempfile::tempdir().unwrap();
    fs::create_dir_all(server.path().join("etc")).unwrap();
    fs::write(server.path().join("etc/hostname"), "apu.example.org\n").unwrap();
    setup(&Site::below(server.path())).unwrap();
    server
}

fn generate(server: &tempfile::TempDir, to: Stdio) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_gen-apu-data-pkg"));
    program
        .arg("--root")
        .arg(server.path())
        .stdout(to)
        .stderr(Stdio::piped());
    program.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn a_full_disk_under_its_output_is_told_and_the_package_is_there_all_the_same() {
    let server = server();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = generate(&server, full.into());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    let archive = Site::below(server.path()).archive();
    assert!(archive.join("apu-data_1_all.deb").is_file());

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = generate(&server, writer.into());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn the_next_step_of_a_first_fleet_is_to_make_a_client() {
    let server = server();
    let said = String::from_utf8(generate(&server, Stdio::piped()).stdout).unwrap();
    assert!(
        said.contains("next: sudo apu bootstrap --add-to-class default HOST ") && !said.contains("--push"),
        "{said}"
    );
    let site = Site::below(server.path());
    fs::write(site.known_hosts(), "web1 ssh-ed25519 AAAA\n").unwrap();
    fs::write(
        site.etc().join("50apu"),
        "Acquire::http::Proxy \"http://proxy.example.org:3128\";\n",
    )
    .unwrap();
    let said = String::from_utf8(generate(&server, Stdio::piped()).stdout).unwrap();
    assert!(
        said.contains("next: sudo gen-apu-data-pkg --push CLASS "),
        "{said}"
    );
}
