//! What a .deb from a file may not do: come in changed on its way, past a policy, or in the place of what Debian has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use apu_tests::{Fleet, Host};

use crate::local_debs::{has, plain, put, site_tool};

const ARCHIVE: &str = "/var/lib/apu-data/repo/local";

#[test]
fn what_debian_has_is_replaced_only_where_apu_toml_says_so() {
    let fleet = Fleet::of(["web1", "web2"]).up();
    fleet.apt_all("default update").exited(0);
    let file = put(
        &fleet,
        "pkg-a_9.0_amd64.deb",
        "Package: pkg-a\nVersion: 9.0\nArchitecture: amd64",
    );
    let fields = "Package: site-base\nVersion: 1\nArchitecture: all\nEssential: yes";
    let essential = put(&fleet, "site-base_1_all.deb", fields);
    let all_have = |version: &str| {
        fleet
            .clients()
            .for_each(|client| has(client, "pkg-a", Some(version)))
    };

    let said = plain(&fleet, &format!("default install {file} --yes"));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stdout
            .contains("refused: the candidate of pkg-a:amd64 is 1.0, which is installed, and not 9.0"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout
            .contains("write \"pkg-a\" into may_replace of [archive]"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.contains("gen-apu-data-pkg --push 'web[1-2]'\n"),
        "{}",
        said.stdout
    );
    let run = fleet.apt_all(&format!("default install {file} --yes"));
    run.all_ended("refused")
        .because("web1", "not-the-candidate")
        .exited(1);
    assert!(
        run.finished().stderr.contains("may_replace"),
        "{}",
        run.finished().stderr
    );
    assert_eq!(fleet.apu(&format!("repo add {essential}")).code, 2);

    // It is published, and yet no dist-upgrade takes it.
    fleet.apt_all("default update").exited(0);
    fleet
        .apt_all("default dist-upgrade --yes")
        .all_ended("unchanged")
        .exited(0);
    all_have("1.0");
    fleet.clients().for_each(|client| has(client, "site-base", None));

    let settings = fleet.server().read("/etc/apu-server/apu.toml").unwrap();
    fleet.server().write(
        "/etc/apu-server/apu.toml",
        &format!("{settings}[archive]\nmay_replace = [\"pkg-a\"]\n"),
    );
    fleet
        .server()
        .exec(&["gen-apu-data-pkg", "--push", "default", "--yes"])
        .ok();
    fleet
        .apt_all(&format!("default install {file} --yes"))
        .all_ended("changed")
        .exited(0);
    all_have("9.0");
}

/// A copy of the server's archive outside of the fleet, below `local`.
fn copied_archive(server: &Host) -> (tempfile::TempDir, PathBuf) {
    let tree = tempfile::tempdir().unwrap();
    let packed = server
        .command("tar")
        .args(["-C", ARCHIVE, "-c", "."])
        .output()
        .unwrap();
    assert!(packed.status.success());
    let (local, file) = (tree.path().join("local"), tree.path().join("local.tar"));
    fs::create_dir(&local).unwrap();
    fs::write(&file, packed.stdout).unwrap();
    let unpack = Command::new("tar")
        .arg("-C")
        .arg(&local)
        .arg("-xf")
        .arg(&file)
        .status();
    assert!(unpack.unwrap().success());
    (tree, local)
}

fn change_a_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    // The index of the archive when it was new is empty.
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    // The file may be a link to another that is changed by itself.
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_archive_that_was_changed_on_its_way_installs_nothing() {
    for (changed, outcome) in [
        ("InRelease", "failed"),
        ("Packages", "failed"),
        (".deb", "failed"),
    ] {
        let fleet = Fleet::of(["web1"]).up();
        let web1 = fleet.host("web1");
        let file = site_tool(&fleet, "1.0");
        fleet.apu(&format!("repo add {file}"));
        let (tree, local) = copied_archive(fleet.server());
        for entry in walk(&local) {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            let of_index = changed == "Packages" && (name.starts_with("Packages") || name.len() == 64);
            if name == changed || of_index || (changed == ".deb" && name.starts_with("site-tool")) {
                change_a_byte(&entry);
            }
        }
        // Who stands between the client and the server answers in its name.
        fleet.upstream().serve_instead(tree.path().to_owned());
        let hosts = web1.read("/etc/hosts").unwrap();
        web1.write("/etc/hosts", &hosts.replace("127.9.0.1 ", "127.9.0.2 "));

        let run = fleet.apt_all(&format!("web1 install {file} --yes"));

        run.ended("web1", outcome).exited(1);
        has(web1, "site-tool", None);
        web1.write("/etc/hosts", &hosts);
        fleet
            .apt_all(&format!("web1 install {file} --yes"))
            .ended("web1", "changed")
            .exited(0);
        has(web1, "site-tool", Some("1.0"));
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
        .collect()
}

#[test]
fn who_could_not_fetch_the_lists_is_named_and_gets_nothing() {
    let fleet = Fleet::of(["well", "old", "other", "off", "down"]).up();
    let file = site_tool(&fleet, "1.0");
    let own = "/etc/apt/sources.list.d/apu.sources";
    fleet.host("old").sh("rm /usr/share/apu-data/site.sources").ok();
    let line = "deb [signed-by=/usr/share/keyrings/upstream.gpg] http://apu.example.org/local ./\n";
    fleet
        .host("other")
        .write("/etc/apt/sources.list.d/mine.list", line);
    fleet.host("off").sh(&format!("rm {own}")).ok();
    fleet.host("down").kill_sshd();

    let run = fleet.apt_all(&format!("default install {file} --yes"));

    run.ended("well", "changed").exited(1);
    for (host, outcome, why) in [
        ("old", "refused", "does not say which archives are the site's own"),
        (
            "other",
            "refused",
            "/etc/apt/sources.list.d/mine.list names http://apu.example.org/local ./",
        ),
        (
            "off",
            "refused",
            "this machine does not use http://apu.example.org/local ./",
        ),
        ("down", "unreachable", "connection refused"),
    ] {
        run.ended(host, outcome).because(host, why);
        has(fleet.host(host), "site-tool", None);
    }
    has(fleet.host("well"), "site-tool", Some("1.0"));

    // What was advised is a cure.
    fleet.host("off").exec(&["dpkg-reconfigure", "apu-data"]).ok();
    fleet
        .host("other")
        .sh("rm /etc/apt/sources.list.d/mine.list && dpkg-reconfigure apu-data")
        .ok();
    fleet
        .apt_all(&format!("off,other install {file} --yes"))
        .all_ended("changed")
        .exited(0);
}

#[test]
fn a_policy_without_update_or_without_the_package_is_kept() {
    let fleet = Fleet::of(["web1", "web2"]).up();
    let file = site_tool(&fleet, "1.0");
    fleet
        .host("web1")
        .write("/etc/apu-client/policy.toml", "operations = [\"install\"]\n");
    fleet
        .host("web2")
        .write("/etc/apu-client/policy.toml", "[install]\nallow = [\"pkg-*\"]\n");

    let run = fleet.apt_all(&format!("default install {file} --yes"));

    run.ended("web1", "refused")
        .because("web1", "does not allow update");
    run.ended("web2", "refused")
        .because("web2", "does not allow to install site-tool")
        .exited(1);
    for client in fleet.clients() {
        has(client, "site-tool", None);
    }
}
