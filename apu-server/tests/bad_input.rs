//! What the programs say to words and files that cannot be meant: what, why, and what to try; and the exit status.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

const APT_ALL: &str = env!("CARGO_BIN_EXE_apt-all");
const APU: &str = env!("CARGO_BIN_EXE_apu");

/// What was said, with the site's directory written as `SITE`, and the exit status.
fn say(program: &str, site: &Path, words: &str) -> (String, i32) {
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).arg("--root").arg(site);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    (
        text.replace(site.to_str().unwrap(), "SITE"),
        output.status.code().unwrap(),
    )
}

/// A site with a key (that opens nothing) and these classes.
fn site(classes: &[(&str, &str)]) -> tempfile::TempDir {
    let site = tempfile::tempdir().unwrap();
    let etc = site.path().join("etc/apu-server");
    fs::create_dir_all(etc.join("clients")).unwrap();
    fs::create_dir_all(etc.join("ssh")).unwrap();
    fs::write(etc.join("ssh/id_ed25519"), "no key\n").unwrap();
    for (class, text) in classes {
        fs::write(etc.join("clients").join(class), text).unwrap();
    }
    site
}

#[test]
fn wrong_words_are_answered_with_what_why_and_what_to_try() {
    let site = site(&[
        ("web", "web1\nweb2\n"),
        ("default", "@web\n"),
        ("bad", "web1\n-oProxyCommand=id\nweb1\nweb3 prot=22\n"),
        ("empty", "# nobody yet\n"),
        ("round", "@trip\n"),
        ("trip", "@round\n"),
    ]);
    let table = [
        (
            APT_ALL,
            "defualt update",
            "error: there is no class or host `defualt` (`default`?)\n  \
             try: say `default`, or write defualt into a class in SITE/etc/apu-server/clients\n",
        ),
        (
            APU,
            "conffile /etc/app.conf new --on web",
            "error: a decision changes configuration files, and nobody has agreed to it\n  \
             why: there is no terminal to ask on\n  try: give --yes to do it unseen, or --dry-run to see it first\n",
        ),
        (
            APT_ALL,
            "web conffile",
            "error: \"conffile\" is no operation of apt-all\n  \
             why: it is decided on one file by apu conffile PATH keep|new --on TARGET; conffiles tells which there are\n  \
             try: apt-all web conffiles\n",
        ),
        (
            APT_ALL,
            "mail update",
            "error: there is no class or host `mail`\n  try: apu hosts, which lists all classes\n",
        ),
        (
            APT_ALL,
            "../passwd update",
            "error: \"../passwd\" is neither a class nor a host\n  \
             why: \"../passwd\" is not a host name: it has '/'\n  try: apu hosts, which lists all classes\n",
        ),
        (
            APT_ALL,
            "bad update",
            "error: cannot use class `bad`\n  \
             why: line 2: \"-oProxyCommand=id\" is not a host name: it has '='\n  \
             why: line 3: web1 is already on line 1\n  \
             why: line 4: there is no option \"prot\" (`port`?); the options are address, port, user, jump, exclusive and reboot\n  \
             try: correct SITE/etc/apu-server/clients/bad\n",
        ),
        (
            APT_ALL,
            "empty update",
            "error: class `empty` names no host\n  \
             try: write its hosts, one a line, into SITE/etc/apu-server/clients/empty\n",
        ),
        (
            APT_ALL,
            "round update",
            "error: cannot use class `trip`\n  \
             why: line 1: the class includes itself: round -> trip -> round\n  \
             try: correct SITE/etc/apu-server/clients/trip\n",
        ),
        (
            APT_ALL,
            "web[2-1] update",
            "error: \"web[2-1]\" is not a range of hosts\n  why: \"web[2-1]\": the range 2-1 runs backwards\n  \
             try: write a range as in web[01-20]\n",
        ),
        (
            APT_ALL,
            "web update --exclude db1.example.org",
            "error: db1.example.org cannot be excluded: it is not among the hosts\n  \
             try: leave it out of --exclude, or correct its name\n",
        ),
        (
            APT_ALL,
            "web update --exclude web",
            "error: no host is left after the exclusions\n  try: exclude less\n",
        ),
        (
            APT_ALL,
            "web purge htop",
            "error: \"purge\" is no operation of apt-all\n  \
             why: configuration files stay: apu removes packages and never purges them\n  \
             try: apt-all web remove\n",
        ),
        (
            APT_ALL,
            "!web1 update",
            "error: !web1 leaves a host out, and no word names the others\n  try: 'all,!web1'\n",
        ),
        (
            APT_ALL,
            "@/nowhere/list update",
            "error: cannot read the targets in /nowhere/list\n  why: No such file or directory (os error 2)\n  \
             try: write words into /nowhere/list, one a line, or name a class without @\n",
        ),
        (
            APT_ALL,
            "müller.example.org update",
            "error: \"müller.example.org\" is neither a class nor a host\n  \
             why: \"müller.example.org\" is not a host name in ASCII; write it as DNS has it, which this says: \
             idn2 müller.example.org\n  try: apu hosts, which lists all classes\n",
        ),
        (
            APT_ALL,
            "web install",
            "error: that cannot be asked of a client\n  why: install names no package\n  \
             try: apt-all web install PACKAGE\n",
        ),
        (
            APT_ALL,
            "web upgrade htop",
            "error: that cannot be asked of a client\n  why: upgrade takes no package\n  try: apt-all web upgrade\n",
        ),
        (
            APT_ALL,
            "web remove ./foo_1_all.deb",
            "error: \"./foo_1_all.deb\" is a file, and remove takes none\n  \
             try: apt-all web install ./foo_1_all.deb\n",
        ),
        (
            APT_ALL,
            "web dist-upgrade",
            "error: dist-upgrade changes packages, and nobody has agreed to it\n  \
             why: there is no terminal to ask on\n  \
             try: give --yes to do it unseen, or --dry-run to see it first\n",
        ),
        (
            APT_ALL,
            "web update --dry-run",
            "error: update has no --dry-run\n  try: leave it out: it changes no packages\n",
        ),
        (
            APU,
            "host-key web1 web2 --fingerprint SHA256:x",
            "error: one fingerprint cannot be that of several hosts\n  \
             try: apu host-key HOST --fingerprint SHA256:…, once for each host\n",
        ),
        (
            APU,
            "bootstrap web1",
            "error: there is no package of apu-client in SITE/usr/share/apu-server\n  \
             try: apu bootstrap --deb apu-client_….deb HOST\n",
        ),
    ];
    for (program, words, expected) in table {
        assert_eq!(
            say(program, site.path(), words),
            (expected.to_owned(), 2),
            "{words}"
        );
    }
}

#[test]
fn an_unknown_operation_or_option_is_refused_with_the_nearest() {
    let site = site(&[("web", "web1\n")]);
    for (words, part) in [
        ("web updat", "'update'"),
        ("web update --paralell 3", "'--parallel'"),
        ("web attach", "possible values"),
    ] {
        let (text, status) = say(APT_ALL, site.path(), words);
        assert_eq!(status, 2, "{words}");
        assert!(text.starts_with("error: ") && text.contains(part), "{text}");
    }
}

#[test]
fn a_site_that_is_not_set_up_says_what_is_missing() {
    let site = site(&[("web", "web1\n")]);
    let etc = site.path().join("etc/apu-server");

    fs::write(etc.join("apu.toml"), "[ssh]\nprot = 22\n").unwrap();
    let expected = "error: cannot read the settings in SITE/etc/apu-server/apu.toml\n  \
                    why: line 2: there is no key `prot`\n  \
                    try: write `port` instead in SITE/etc/apu-server/apu.toml\n";
    assert_eq!(say(APT_ALL, site.path(), "web ping"), (expected.to_owned(), 2));
    fs::remove_file(etc.join("apu.toml")).unwrap();

    fs::remove_file(etc.join("ssh/id_ed25519")).unwrap();
    let expected = "error: there is no push key in SITE/etc/apu-server/ssh/id_ed25519\n  \
                    why: No such file or directory (os error 2)\n  \
                    try: apu setup, which makes one, and then gen-apu-data-pkg\n";
    assert_eq!(say(APT_ALL, site.path(), "web ping"), (expected.to_owned(), 2));

    fs::remove_dir_all(etc.join("clients")).unwrap();
    let expected = "error: cannot read the classes in SITE/etc/apu-server/clients\n  \
                    why: No such file or directory (os error 2)\n  \
                    try: write a class, one host a line, into SITE/etc/apu-server/clients/default\n";
    assert_eq!(say(APT_ALL, site.path(), "web ping"), (expected.to_owned(), 2));
}

#[test]
fn who_is_not_root_is_told_so() {
    // A copy, because whoever is not root may not reach the directory where the programs were built.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (program, name) in [(APT_ALL, "apt-all"), (APU, "apu")] {
        let copy = directory.path().join(name);
        // A file that this process had open for writing may still be, in what another thread forks meanwhile: ETXTBSY.
        assert!(
            Command::new("cp")
                .arg(program)
                .arg(&copy)
                .status()
                .unwrap()
                .success()
        );
        let mut command = Command::new(&copy);
        command
            .args(if name == "apu" {
                ["hosts", "web"]
            } else {
                ["web", "ping"]
            })
            .current_dir("/");
        if nix::unistd::geteuid().is_root() {
            command.uid(65534);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            format!(
                "error: {name} is for root\n  why: it reads the push key, which only root may\n  try: sudo {name} {words}\n",
                words = if name == "apu" { "hosts web" } else { "web ping" },
            )
        );
    }
}

#[test]
fn a_known_hosts_that_cannot_be_read_is_not_taken_for_hosts_without_a_key() {
    let site = site(&[("default", "web1\nweb2\n")]);
    let (text, _) = say(APU, site.path(), "doctor");
    assert!(text.contains("no key is pinned for web[1-2]"), "{text}");
    fs::create_dir(site.path().join("etc/apu-server/ssh/known_hosts")).unwrap();
    let (text, status) = say(APU, site.path(), "doctor");
    assert_eq!(status, 1, "{text}");
    assert!(
        text.contains("SITE/etc/apu-server/ssh/known_hosts cannot be read: "),
        "{text}"
    );
    assert!(!text.contains("no key is pinned"), "{text}");
}

#[test]
fn a_class_file_of_any_editor_is_read_or_told_with_line_reason_and_what_to_write() {
    let site = site(&[]);
    let class = site.path().join("etc/apu-server/clients/web");
    for (bytes, expected) in [
        (&b"\xef\xbb\xbfweb1\r\nweb2 # B\xfcro\r\n"[..], "web1\nweb2\n"),
        (
            b"web1\nm\xfcller\n",
            "error: cannot use class `web`\n  why: line 2: \"m\u{fffd}ller\" is not UTF-8: names of hosts have \
             ASCII letters alone, or xn-- names as DNS has them\n  try: correct SITE/etc/apu-server/clients/web\n",
        ),
        (
            "web1\nmüller\n".as_bytes(),
            "error: cannot use class `web`\n  why: line 2: \"müller\" is not a host name in ASCII; write it as DNS \
             has it, which this says: idn2 müller\n  try: correct SITE/etc/apu-server/clients/web\n",
        ),
        (
            b"\xff\xfew\0e\0b\0\n\0",
            "error: cannot use class `web`\n  why: line 1: the file is UTF-16: save it as UTF-8, or: \
             iconv -f utf-16 -t utf-8\n  try: correct SITE/etc/apu-server/clients/web\n",
        ),
    ] {
        fs::write(&class, bytes).unwrap();
        let (text, status) = say(APU, site.path(), "hosts web");
        assert_eq!(text, expected);
        assert_eq!(status, if expected.starts_with("error") { 2 } else { 0 });
    }
}

#[test]
fn hosts_are_named_alike_in_every_program() {
    let site = site(&[("web", "web[1-3]\n"), ("db", "db1\n"), ("empty", "")]);
    fs::write(site.path().join("list"), "web2 !web3\nweb,db1\n").unwrap();
    let list = format!("@{}/list", site.path().display());
    for (target, expected) in [
        ("web db !web[1-2]", "web3\ndb1\n"),
        ("all,!db", "web1\nweb2\nweb3\n"),
        (list.as_str(), "web2\nweb1\ndb1\n"),
        ("@web", "web1\nweb2\nweb3\n"),
    ] {
        assert_eq!(say(APU, site.path(), &format!("hosts {target}")).0, expected);
        let listed = say(APT_ALL, site.path(), &format!("{target} --list-hosts"));
        assert_eq!(listed, (expected.to_owned(), 0));
        let listed = say(APT_ALL, site.path(), &format!("{target} update --list-hosts"));
        assert_eq!(listed, (expected.to_owned(), 0));
    }
    let (text, _) = say(APU, site.path(), "hosts");
    assert_eq!(
        text,
        "db: 1 host: db1\nempty: no host yet\nweb: 3 hosts: web[1-3]\n"
    );
    // From standard input, too.
    let mut command = Command::new(APU);
    command.args(["hosts", "-", "--root"]).arg(site.path());
    command.stdin(fs::File::open(site.path().join("list")).unwrap());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "web2\nweb1\ndb1\n");
}
