//! Publishers that are killed, and two at once.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{Flock, FlockArg};

use crate::server::{Server, deb};

/// Kills `apu repo add` at a hundred moments of its work; what it works on is `dir`, by these words.
fn killed_at_a_hundred_moments(server: &Server, words: &[&str], dir: &Path, pool: &str, releases: &str) {
    for number in 0..20 {
        let name = dir.join(pool).join(format!("p{number}.deb"));
        fs::write(name, deb(&format!("p{number}"), "1")).unwrap();
    }
    let add = |file: &str| {
        [&["add"], words, &[file]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let first = add(&server.deb("moving", "1"));
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    server.good(&first);
    let whole = std::time::Instant::now();
    server.good(&first);
    let mut whole = whole.elapsed();
    let mut killed = 0;
    let mut before = server.as_a_client_sees(dir, releases);
    for round in 0..100_u32 {
        let version = (round + 2).to_string();
        let words = add(&server.deb("moving", &version));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut child = server.command(&words).stdout(Stdio::null()).spawn().unwrap();
        // Spread over the whole time that one takes, and a little more. How long that is depends on what else the machine
        // does: it is checked anew each time.
        std::thread::sleep(whole * (round % 20) / 16);
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
            whole = whole * 33 / 32;
        } else {
            whole = whole * 7 / 8;
        }
        child.wait().unwrap();
        let after = server.as_a_client_sees(dir, releases);
        assert!(
            after == before || after.get("moving") == Some(&version) && after.keys().eq(before.keys()),
            "round {round}: {after:?}"
        );
        before = after;
    }
    assert!(killed > 25, "only {killed} were killed in time");
}

/// Nothing that an interrupted publisher left stays when the next one is done.
fn nothing_is_left_of_them(dir: &Path) {
    let output = Command::new("find")
        .arg(dir)
        .args(["-name", "*.unfinished"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
}

#[test]
fn killed_at_any_moment_it_leaves_a_whole_archive() {
    let server = Server::new();
    let dir = server.site().archive();
    killed_at_a_hundred_moments(&server, &[], &dir, "", "");
    server.good(&["publish"]);
    server.good(&["check"]);
    nothing_is_left_of_them(&dir);
}

#[test]
fn killed_at_any_moment_it_leaves_a_whole_suite() {
    let server = Server::new();
    let dir = server.dir.path().join("mine");
    fs::create_dir_all(dir.join("pool/stable/main")).unwrap();
    let name = dir.display().to_string();
    let words = ["--archive", &name, "--suite", "stable", "--component", "main"];
    killed_at_a_hundred_moments(&server, &words, &dir, "pool/stable/main", "dists/stable");
    server.good(&["publish", &name]);
    server.good(&["check", &name]);
    nothing_is_left_of_them(&dir);
}

#[test]
fn the_second_publisher_waits_and_says_for_whom() {
    let server = Server::new();
    let held = File::options()
        .write(true)
        .open(server.archive(".apu/lock"))
        .unwrap();
    (&held).write_all(b"apu repo add (process 4242)\n").unwrap();
    let Ok(held) = Flock::lock(held, FlockArg::LockExclusiveNonblock) else {
        panic!("nobody holds it")
    };
    let mut second = server
        .command(&["publish"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let said = first_line(&mut second);
    let holder = "waiting for apu repo add (process 4242) to finish with ";
    assert!(said.starts_with(holder), "{said}");
    assert!(second.try_wait().unwrap().is_none());
    drop(held);
    assert!(second.wait().unwrap().success());
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    line
}
