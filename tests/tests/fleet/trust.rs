//! What each release's apt makes of the site's archive: nothing to say against it, and a refusal of every forgery.
//!
//! Every forgery is an archive with one new package, the bait. apt-all tells apt's own reason, and the bait is not
//! installed, whatever is tried. One thing apt does not notice: an archive of yesterday, shown to a client that has seen none
//! of today. Its Valid-Until bounds that; a client that knows a newer one keeps it.

use apu_tests::{Fleet, Gpg, Host};

const ARCHIVE: &str = "/var/lib/apu-data/repo/local";
const LIST: &str = "/var/lib/apt/lists/apu.example.org_local_._InRelease";

/// A forged archive: what was done to it, and what apt says of that.
struct Forgery {
    name: &'static str,
    made_by: fn(&Host),
    says: &'static [&'static str],
}

/// Flips the lowest bit of one byte, in the middle of each of these files; those that are one file on the disk count once.
fn flip(server: &Host, files: &str) {
    let script = format!(
        r#"set -e; cd {ARCHIVE}
        files=$(find . \( {files} \) -type f -printf '%i %p\n' | sort -u -k 1,1n | cut -d ' ' -f 2)
        test -n "$files"
        for file in $files; do
            at=$(($(stat -c %s $file) / 2))
            byte=$(od -A n -t u1 -j $at -N 1 $file)
            printf "\\$(printf %o $((byte ^ 1)))" | dd of=$file bs=1 seek=$at conv=notrunc status=none
            touch $file
        done"#
    );
    server.sh(&script).ok();
}

/// Replaces InRelease, a second later: If-Modified-Since would keep it from a client that has the one before.
fn replace(server: &Host, change: impl Fn(&str) -> String) {
    let path = format!("{ARCHIVE}/InRelease");
    let text = server.read(&path).expect("InRelease");
    let at = server.exec(&["stat", "-c", "%Y", &path]).ok();
    let later = at.trim().parse::<u64>().expect("seconds") + 1;
    let forged = change(&text);
    assert_ne!(text, forged);
    server.write(&path, &forged);
    server.exec(&["touch", "-d", &format!("@{later}"), &path]).ok();
}

/// Signs Release once more, changed, by another program.
fn sign(server: &Host, gpg: &Gpg, change: impl Fn(&str) -> String) {
    let text = server.read(&format!("{ARCHIVE}/Release")).expect("Release");
    replace(server, |_| gpg.signed(&change(&text)));
}

/// Changes one letter of the signature: its text is base64, and a line of it has 64 letters.
fn with_another_signature(release: &str) -> String {
    const BEGIN: &str = "-----BEGIN PGP SIGNATURE-----\n\n";
    let (text, signature) = release.split_once(BEGIN).expect("a signature");
    let other = |letter: char| if letter == 'A' { 'B' } else { 'A' };
    let letters = signature.chars().enumerate();
    let forged: String = letters
        .map(|(at, letter)| if at == 70 { other(letter) } else { letter })
        .collect();
    format!("{text}{BEGIN}{forged}")
}

const FORGERIES: [Forgery; 5] = [
    Forgery {
        name: "a byte of the index",
        made_by: |server| flip(server, "-name 'Packages*' -o -path './by-hash/*'"),
        says: &["Hash Sum mismatch"],
    },
    Forgery {
        name: "a byte of what is signed",
        made_by: |server| {
            replace(server, |text| text.replacen("Origin: apu", "Origin: apt", 1));
        },
        says: &["BADSIG", "sqv"],
    },
    Forgery {
        name: "a byte of the signature",
        made_by: |server| replace(server, with_another_signature),
        says: &["BADSIG", "isn't valid", "sqv"],
    },
    Forgery {
        name: "another key",
        made_by: |server| sign(server, &Gpg::stranger(), str::to_owned),
        says: &["NO_PUBKEY", "Missing key"],
    },
    Forgery {
        // Nobody's clock is touched: the archive's own key signs the same Release with an earlier end.
        name: "Valid-Until has passed",
        made_by: |server| {
            sign(server, &Gpg::of_server(server), |text| {
                let lines = text.lines().map(|line| match line.split_once(": ") {
                    Some(("Valid-Until", _)) => "Valid-Until: Sun, 01 Nov 2020 00:00:00 UTC\n".to_owned(),
                    _ => format!("{line}\n"),
                });
                lines.collect()
            });
        },
        says: &["expired"],
    },
];

fn nothing_is_said_against_it(client: &Host) {
    let finished = client.sh("rm -r /var/lib/apt/lists && apt-get update -o APT::Update::Error-Mode=any");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert_eq!(finished.code, 0, "{said}");
    assert!(said.contains("http://apu.example.org/local"), "{said}");
    for line in said.lines() {
        assert!(
            !["W:", "E:", "N:"].iter().any(|prefix| line.starts_with(prefix)),
            "{said}"
        );
    }
}

fn is_refused(fleet: &Fleet, forgery: &Forgery) -> Result<(), String> {
    let server = fleet.server();
    fleet.site_offers("bait", "1.0");
    (forgery.made_by)(server);
    let mut wrong = Vec::new();
    let update = fleet.apt_all("default update");
    for client in fleet.clients() {
        let end = update.end_of(client.name());
        let reason = end["text"].to_string();
        if end["outcome"] != "failed" || !forgery.says.iter().any(|part| reason.contains(part)) {
            wrong.push(format!("update on {}: {end:#}", client.name()));
        }
    }
    let install = fleet.apt_all("default install bait --yes");
    for client in fleet.clients() {
        let end = install.end_of(client.name());
        if end["outcome"] == "changed" || client.version_of("bait").is_some() {
            wrong.push(format!("install on {}: {end:#}", client.name()));
        }
    }
    server.exec(&["apu", "repo", "remove", "bait"]).ok();
    fleet.apt_all("default update").all_ended("changed");
    match wrong.as_slice() {
        [] => Ok(()),
        wrong => Err(format!("{}: {}", forgery.name, wrong.join("\n"))),
    }
}

fn a_changed_deb_is_not_installed(fleet: &Fleet) {
    fleet.site_offers("bait", "1.0");
    flip(fleet.server(), "-name 'bait_*.deb'");
    fleet.apt_all("default update").exited(0);
    let install = fleet.apt_all("default install bait --yes");
    install.all_ended("failed").exited(1);
    for client in fleet.clients() {
        install.because(client.name(), "Hash Sum mismatch");
        assert_eq!(client.version_of("bait"), None, "{}", client.name());
    }
    let mended = format!("rm {ARCHIVE}/bait_*.deb && apu repo publish");
    fleet.server().sh(&mended).ok();
}

fn an_older_archive_is_not_taken_for_a_newer_one(fleet: &Fleet) {
    let server = fleet.server();
    let release = || server.read(&format!("{ARCHIVE}/InRelease"));
    let all_know = |release: &Option<String>| {
        for client in fleet.clients() {
            assert_eq!(client.read(LIST), *release, "{}", client.name());
        }
    };
    server.sh(&format!("cp -a {ARCHIVE} /root/yesterday")).ok();
    let yesterday = release();
    // A Date has whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    fleet.site_offers("bait", "1.0");
    fleet.apt_all("default update").all_ended("changed").exited(0);
    let today = release();
    all_know(&today);

    // The whole of it, and as if it had just been made: no If-Modified-Since keeps it away.
    server
        .sh(&format!(
            "rm -r {ARCHIVE} && cp -a /root/yesterday {ARCHIVE} && touch -d '1 hour' {ARCHIVE}/InRelease"
        ))
        .ok();
    assert_eq!(release(), yesterday);
    // apt keeps what it has and says nothing, with status 0.
    fleet.apt_all("default update").all_ended("unchanged").exited(0);
    all_know(&today);
    // What was there today only, nobody gets from yesterday.
    let install = fleet.apt_all("default install bait --yes");
    install.all_ended("failed").exited(1);
    for client in fleet.clients() {
        install.because(client.name(), "404");
        assert_eq!(client.version_of("bait"), None, "{}", client.name());
        client.sh("rm -r /var/lib/apt/lists").ok();
    }

    // A client that knows nothing of today takes it. Valid-Until is all that bounds this.
    fleet.apt_all("default update").all_ended("changed").exited(0);
    all_know(&yesterday);
    fleet.apt_all("default install bait --yes").all_ended("refused");
}

#[test]
fn the_apt_of_every_suite_trusts_the_archive_and_no_forgery_of_it() {
    let fleet = Fleet::of_each_suite().up();
    fleet.clients().for_each(nothing_is_said_against_it);
    let refused = FORGERIES.iter().map(|forgery| is_refused(&fleet, forgery));
    let wrong: Vec<_> = refused.filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    a_changed_deb_is_not_installed(&fleet);
    an_older_archive_is_not_taken_for_a_newer_one(&fleet);

    // And all that was only the forgeries.
    fleet.site_offers("bait", "1.1");
    fleet.apt_all("default update").exited(0);
    fleet
        .apt_all("default install bait --yes")
        .all_ended("changed")
        .exited(0);
    fleet.clients().for_each(nothing_is_said_against_it);
}
