//! The whole program, in a server that is a directory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use apu_site::{Site, setup};

struct Server {
    dir: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        let server = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(server.dir.path().join("etc")).unwrap();
        fs::write(server.dir.path().join("etc/hostname"), "apu.example.org\n").unwrap();
        setup(&server.site()).unwrap();
        server
    }

    fn site(&self) -> Site {
        Site::below(self.dir.path())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.site().etc().join(name), text).unwrap();
    }

    fn generate(&self) -> Output {
        let program = env!("CARGO_BIN_EXE_gen-apu-data-pkg");
        Command::new(program)
            .arg("--root")
            .arg(self.dir.path())
            .output()
            .unwrap()
    }

    /// The first line of what a good run says.
    fn says(&self) -> String {
        let output = self.generate();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    }

    fn deb(&self, version: u64) -> PathBuf {
        self.site().archive().join(format!("apu-data_{version}_all.deb"))
    }

    /// A file of a version, as dpkg unpacks it.
    fn file(&self, version: u64, path: &str) -> Option<String> {
        let to = self.dir.path().join(format!("unpacked-{version}"));
        assert!(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(self.deb(version))
                .arg(&to)
                .status()
                .unwrap()
                .success()
        );
        fs::read_to_string(to.join(path)).ok()
    }

    fn script(&self, version: u64, name: &str) -> Option<String> {
        let output = Command::new("dpkg-deb")
            .arg("-I")
            .arg(self.deb(version))
            .arg(name)
            .output()
            .unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn faults(&self) -> Vec<apu_archive::Fault> {
        let keyring = apu_archive::Keyring::parse(&fs::read(self.site().archive_gpg()).unwrap()).unwrap();
        apu_archive::check_suite(&self.site().archive(), None, &keyring).faults
    }
}

#[test]
fn a_bad_deb_in_the_archive_is_named_and_holds_nothing_up() {
    let server = Server::new();
    fs::write(server.site().archive().join("bad.deb"), "!<arch>\n").unwrap();
    for _ in 0..2 {
        let output = server.generate();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("  why: bad.deb: it has no ar member debian-binary\n"),
            "{said}"
        );
        assert!(server.deb(1).exists());
    }
}

#[test]
fn an_archive_that_others_may_write_into_is_refused() {
    let server = Server::new();
    let dir = server.site().archive();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o775)).unwrap();
    let output = server.generate();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let shown = dir.display();
    let expected = format!(
        "error: nothing was published in {shown}\n  why: {shown} may be written by others: its mode is 0775\n  \
         try: chmod go-w {shown}\n"
    );
    assert!(said.contains(&expected), "{said}");
    assert!(!server.deb(1).exists());
}

#[test]
fn the_version_grows_when_and_only_when_an_input_has_changed() {
    let server = Server::new();
    assert_eq!(server.says(), "apu-data 1 is ready for the clients");
    assert_eq!(
        server.says(),
        "apu-data 1 is up to date: nothing has changed since it was made"
    );
    server.write(
        "sources.list",
        "deb http://mirror.example.org/debian bookworm main\n",
    );
    assert_eq!(server.says(), "apu-data 2 is ready for the clients");
    server.write(
        "sources.list",
        "# why\ndeb  http://mirror.example.org/debian  bookworm  main\n",
    );
    assert_eq!(
        server.says(),
        "apu-data 2 is up to date: nothing has changed since it was made"
    );
    server.write(
        "50apu",
        "Acquire::http::Proxy \"http://proxy.example.org:3128\";\n",
    );
    assert_eq!(server.says(), "apu-data 3 is ready for the clients");
    fs::remove_file(server.site().push_key()).unwrap();
    fs::remove_file(server.site().push_key_pub()).unwrap();
    setup(&server.site()).unwrap();
    assert_eq!(server.says(), "apu-data 4 is ready for the clients");
    assert_eq!(server.faults(), []);
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let (first, second) = (Server::new(), Server::new());
    for name in ["gpg", "ssh"] {
        let from = first.site().etc().join(name);
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            fs::copy(
                entry.path(),
                second.site().etc().join(name).join(entry.file_name()),
            )
            .unwrap();
        }
    }
    first.says();
    second.says();
    assert!(fs::read(first.deb(1)).unwrap() == fs::read(second.deb(1)).unwrap());
}

#[test]
fn a_version_is_never_used_twice_even_when_the_archive_was_lost() {
    let server = Server::new();
    server.says();
    server.write(
        "50apu",
        "Acquire::http::Proxy \"http://proxy.example.org:3128\";\n",
    );
    server.says();
    fs::remove_dir_all(server.site().archive()).unwrap();
    setup(&server.site()).unwrap();
    fs::remove_file(server.site().proxy_conf()).unwrap();
    assert_eq!(server.says(), "apu-data 2 is ready for the clients");
}

#[test]
fn the_key_may_start_the_wrapper_and_nothing_else() {
    let server = Server::new();
    server.says();
    let keys = server.file(1, "usr/share/apu-data/authorized_keys").unwrap();
    let key = fs::read_to_string(server.site().push_key_pub()).unwrap();
    assert_eq!(
        keys,
        format!("restrict,command=\"/usr/lib/apu/apu-wrapper\" {key}")
    );
}

#[test]
fn every_source_names_its_key_and_a_foreign_keyring_travels_along() {
    let server = Server::new();
    let keyring = fs::read(server.site().archive_gpg()).unwrap();
    let path = server.dir.path().join("usr/share/keyrings/vendor.gpg");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, keyring).unwrap();
    server.write(
        "sources.list",
        "deb http://mirror.example.org/debian bookworm main\n\
         deb [signed-by=/usr/share/keyrings/vendor.gpg] https://vendor.example.org/apt stable main\n",
    );
    server.says();
    let sources: Vec<String> = (0..3)
        .map(|n| {
            server
                .file(1, &format!("usr/share/apu-data/sources/0{n}.sources"))
                .unwrap()
        })
        .collect();
    assert!(sources[0].contains(
        "URIs: http://apu.example.org/local\nSuites: ./\nSigned-By: /usr/share/keyrings/apu-data.gpg\n"
    ));
    assert!(sources[1].contains("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"));
    assert!(sources[2].contains("Signed-By: /usr/share/apu-data/keyrings/vendor.gpg\n"));
    assert!(server.deb(1).exists());
    let to = server.dir.path().join("unpacked-1");
    assert_eq!(
        fs::read(to.join("usr/share/apu-data/keyrings/vendor.gpg")).unwrap(),
        fs::read(path).unwrap()
    );
}

#[test]
fn the_archive_does_not_replace_debians_packages_unless_it_may() {
    let server = Server::new();
    server.says();
    let pins = server.file(1, "etc/apt/preferences.d/apu.pref").unwrap();
    assert!(
        pins.ends_with("Package: *\nPin: release o=apu,l=apu\nPin-Priority: 100\n"),
        "{pins}"
    );
    server.write("apu.toml", "[archive]\nmay_replace = ['nginx', 'nginx-common']\n");
    server.says();
    let pins = server.file(2, "etc/apt/preferences.d/apu.pref").unwrap();
    assert!(
        pins.ends_with("Package: nginx nginx-common\nPin: release o=apu,l=apu\nPin-Priority: 500\n"),
        "{pins}"
    );
}

#[test]
fn every_archive_of_the_server_has_its_source_and_its_pin() {
    let server = Server::new();
    server.write(
        "apu.toml",
        "[archive]\norigin = 'Site'\nmay_replace = ['nginx']\n\
         [[archives]]\nname = 'tools'\npath = '/srv/apt'\nurl = 'http://apu.example.org/apt'\nsuite = 'stable'\n\
         components = ['main', 'extra']\n\
         [[archives]]\nname = 'trials'\npath = '/srv/apt'\nurl = 'http://apu.example.org/apt'\nsuite = 'next'\n\
         [[archives]]\nname = 'flat'\npath = '/srv/flat'\nurl = 'http://apu.example.org/flat'\n",
    );
    server.says();
    let source = |n: u32| {
        server
            .file(1, &format!("usr/share/apu-data/sources/0{n}.sources"))
            .unwrap()
    };
    for (number, expected) in [
        (
            1,
            "URIs: http://apu.example.org/apt\nSuites: stable\nComponents: main extra\n",
        ),
        (
            2,
            "URIs: http://apu.example.org/apt\nSuites: next\nComponents: main\n",
        ),
        (3, "URIs: http://apu.example.org/flat\nSuites: ./\n"),
    ] {
        assert!(source(number).contains(expected), "{}", source(number));
    }
    let pins = server.file(1, "etc/apt/preferences.d/apu.pref").unwrap();
    for label in ["apu", "tools", "trials", "flat"] {
        for pin in [
            format!("Package: *\nPin: release o=Site,l={label}\nPin-Priority: 100\n"),
            format!("Package: nginx\nPin: release o=Site,l={label}\nPin-Priority: 500\n"),
        ] {
            assert_eq!(pins.matches(&pin).count(), 1, "{pin} in {pins}");
        }
    }
}

#[test]
fn a_proxy_setting_that_is_gone_goes_from_the_clients_too() {
    let server = Server::new();
    server.write("apu.toml", "[client]\nproxy = 'http://proxy.example.org:3128'\n");
    server.says();
    let proxy = server.file(1, "etc/apt/apt.conf.d/50apu").unwrap();
    assert!(
        proxy.contains("Acquire::http::Proxy \"http://proxy.example.org:3128\";\n"),
        "{proxy}"
    );
    assert_eq!(server.script(1, "preinst"), None);
    server.write("apu.toml", "");
    server.says();
    assert_eq!(server.file(2, "etc/apt/apt.conf.d/50apu"), None);
    for name in ["preinst", "postinst", "postrm"] {
        let script = server.script(2, name).unwrap();
        assert!(
            script.contains("rm_conffile /etc/apt/apt.conf.d/50apu 2~ apu-data -- \"$@\""),
            "{script}"
        );
    }
}

#[test]
fn the_scripts_are_posix_shell() {
    let server = Server::new();
    server.write("apu.toml", "[client]\nexclusive = true\n");
    server.write(
        "sources.list",
        "deb http://mirror.example.org/debian bookworm main\n",
    );
    server.says();
    for name in ["preinst", "postinst", "prerm", "postrm"] {
        let path = server.dir.path().join(name);
        fs::write(&path, server.script(1, name).unwrap()).unwrap();
        assert!(
            Command::new("dash")
                .arg("-n")
                .arg(&path)
                .status()
                .unwrap()
                .success(),
            "{name}"
        );
    }
}

type Break = Box<dyn Fn(&Server)>;

/// What is wrong, and a part of each line that the program says of it.
#[test]
fn what_is_wrong_is_said_with_what_why_and_try() {
    fn write(name: &'static str, text: &'static str) -> Break {
        Box::new(move |server| server.write(name, text))
    }
    fn remove(path: fn(&Site) -> PathBuf) -> Break {
        Box::new(move |server| fs::remove_file(path(&server.site())).unwrap())
    }
    let cases: Vec<(Break, [&str; 3])> = vec![
        (
            write("apu.toml", "[client]\nexclusiv = true\n"),
            [
                "cannot read the settings in ",
                "line 2: there is no key `exclusiv`",
                "write `exclusive` instead in ",
            ],
        ),
        (
            remove(Site::push_key_pub),
            [
                "there is no usable push key in ",
                "No such file",
                "sudo apu setup",
            ],
        ),
        (
            remove(Site::archive_key),
            [
                "there is no usable archive key in ",
                "No such file",
                "sudo apu setup",
            ],
        ),
        (
            remove(Site::archive_gpg),
            ["there is no archive key", "No such file", "sudo apu setup"],
        ),
        (
            write(
                "sources.list",
                "deb [trusted=yes] http://x.example.org/debian s main\n",
            ),
            [
                "cannot use ",
                "line 1: Trusted would let packages in that nobody signed",
                "remove it from line 1 of ",
            ],
        ),
        (
            write("sources.list", "deb http://x.example.org/apt s main\n"),
            [
                "cannot use ",
                "line 1: http://x.example.org/apt has no Signed-By",
                "[signed-by=/usr/share/keyrings/NAME.gpg]",
            ],
        ),
        (
            write(
                "sources.list",
                "deb [signed-by=/usr/share/keyrings/no.gpg] http://x.example.org/apt s main\n",
            ),
            ["cannot read ", "No such file", "put the archive's keyring there"],
        ),
        (
            Box::new(|server| {
                let key = server.site().archive_key();
                let key = key.strip_prefix(server.dir.path()).unwrap().display().to_string();
                let line = format!("deb [signed-by=/{key}] https://x.example.org/apt s main\n");
                server.write("sources.list", &line);
            }),
            ["holds a SECRET key", "goes to every client", "--export >NEW.gpg"],
        ),
        (
            write(
                "sources.list",
                "\ndeb [signed-by=/k.gpg] https://user:pa55word@x.example.org/apt s main\n",
            ),
            [
                "cannot use ",
                "line 2: the address of x.example.org has a user name or password in it",
                "`machine x.example.org login USER password PASSWORD` into /etc/apt/auth.conf.d/",
            ],
        ),
        (
            write(
                "50apu",
                "Acquire::http::Proxy \"http://user:pa55word@p.example.org\";\n",
            ),
            [
                "cannot use ",
                "has a user name or password in it",
                "with mode 0600",
            ],
        ),
        (
            write(
                "apu.toml",
                "[client]\nproxy = 'http://user:pa55word@p.example.org'\n",
            ),
            [
                "cannot read the settings",
                "without a user name or password",
                "apu.toml",
            ],
        ),
        (
            write(
                "sources.list",
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://apu.example.org/local/ ./\n",
            ),
            ["cannot use ", "this server's own archive", "remove line 1 from "],
        ),
        (
            write("50apu", "Acquire::http::Proxy \"http://x\"\n"),
            ["would stop apt on every client", "50apu", "see apt.conf(5)"],
        ),
        (
            write("apu.toml", "[client]\nexclusive = true\n"),
            [
                "cut off from Debian's updates",
                "exclusive = true",
                "set exclusive = false",
            ],
        ),
    ];
    for (number, (break_it, parts)) in cases.into_iter().enumerate() {
        let server = Server::new();
        break_it(&server);
        let output = server.generate();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "case {number}: {said}");
        for (label, part) in ["error: ", "  why: ", "  try: "].into_iter().zip(parts) {
            assert!(
                said.lines()
                    .any(|line| line.starts_with(label) && line.contains(part)),
                "case {number}: no `{label}…{part}` in:\n{said}"
            );
        }
        assert!(!said.contains("pa55word"), "case {number}: {said}");
        assert!(!server.deb(1).exists(), "case {number}");
    }
}
