//! Wrong words and wrong configuration: each ends with what, why and what to try, before any client is asked.

use apu_tests::{Fleet, Host};

/// One mistake: how it is made, the command that meets it, how that ends, and what it must say.
struct Mistake {
    name: &'static str,
    made_by: &'static str,
    command: &'static str,
    code: i32,
    says: &'static [&'static str],
}

const MISTAKES: [Mistake; 15] = [
    Mistake {
        name: "a class that does not exist",
        made_by: "true",
        command: "apt-all wbe update",
        code: 2,
        says: &["`wbe`", "web"],
    },
    Mistake {
        name: "a class whose name is a path",
        made_by: "true",
        command: "apt-all ../apu.toml update",
        code: 2,
        says: &["../apu.toml"],
    },
    Mistake {
        name: "a class file with a bad line",
        made_by: "printf 'web1\\n\\n-oProxyCommand=id\\n' >/etc/apu-server/clients/web",
        command: "apt-all web update",
        code: 2,
        says: &["line 3", "/etc/apu-server/clients/web"],
    },
    Mistake {
        name: "a class that includes itself",
        made_by: "printf '@web\\n' >/etc/apu-server/clients/web",
        command: "apt-all web update",
        code: 2,
        says: &["web"],
    },
    Mistake {
        name: "an empty class",
        made_by: "echo '# nobody yet' >/etc/apu-server/clients/web",
        command: "apt-all web update",
        code: 2,
        says: &["/etc/apu-server/clients/web"],
    },
    Mistake {
        name: "not root",
        made_by: "true",
        command: "setpriv --reuid nobody --clear-groups apt-all web update",
        code: 2,
        says: &["root", "sudo apt-all"],
    },
    Mistake {
        name: "no key yet",
        made_by: "rm /etc/apu-server/ssh/id_ed25519*",
        command: "apt-all web update",
        code: 2,
        says: &["/etc/apu-server/ssh/id_ed25519"],
    },
    Mistake {
        name: "no archive key yet",
        made_by: "rm /etc/apu-server/gpg/archive.*",
        command: "gen-apu-data-pkg",
        code: 2,
        says: &["/etc/apu-server/gpg/archive"],
    },
    Mistake {
        name: "an unknown key in apu.toml",
        made_by: "printf '[ssh]\\nkye = \"/root/.ssh/id\"\\n' >>/etc/apu-server/apu.toml",
        command: "apt-all web update",
        code: 2,
        says: &["kye", "/etc/apu-server/apu.toml"],
    },
    Mistake {
        name: "an apu.toml that is no TOML",
        made_by: "echo 'ssh = {' >>/etc/apu-server/apu.toml",
        command: "gen-apu-data-pkg",
        code: 2,
        says: &["/etc/apu-server/apu.toml"],
    },
    Mistake {
        name: "an apu.toml that cannot be read",
        made_by: "rm /etc/apu-server/apu.toml && mkdir /etc/apu-server/apu.toml",
        command: "apt-all web update",
        code: 2,
        says: &["/etc/apu-server/apu.toml"],
    },
    Mistake {
        name: "a full disk under the archive",
        made_by: "mount -t tmpfs -o size=4k,mode=755 full /var/lib/apu-data/repo/local && echo '# new' >>/etc/apu-server/sources.list",
        command: "gen-apu-data-pkg",
        code: 3,
        says: &["No space left on device", "/var/lib/apu-data/repo/local"],
    },
    Mistake {
        name: "an operation that does not exist",
        made_by: "true",
        command: "apt-all web ugrade",
        code: 2,
        says: &["ugrade", "upgrade"],
    },
    Mistake {
        name: "a package that is an option",
        made_by: "true",
        command: "apt-all web install --yes -- -oDPkg::Pre-Invoke::=id",
        code: 2,
        says: &["-oDPkg::Pre-Invoke::=id"],
    },
    Mistake {
        name: "a package where none is taken",
        made_by: "true",
        command: "apt-all web update htop",
        code: 2,
        says: &["update takes no package", "apt-all web update"],
    },
];

fn says_what_why_and_what_to_try(server: &Host, client: &Host, mistake: &Mistake) -> Result<(), String> {
    server.sh(mistake.made_by).ok();
    let watch = client.watch().unwrap();

    let finished = server.sh(mistake.command);

    let said = &finished.stderr;
    let mut wrong = Vec::new();
    if finished.code != mistake.code {
        wrong.push(format!(
            "exit status {} instead of {}",
            finished.code, mistake.code
        ));
    }
    if !said.starts_with("error: ") {
        wrong.push("it does not start with `error: `".to_owned());
    }
    // clap's own words for a usage error end with advice, too.
    if !said.contains("\n  try: ") && !said.contains("try '--help'") {
        wrong.push("no advice".to_owned());
    }
    wrong.extend(
        mistake
            .says
            .iter()
            .filter(|part| !said.contains(**part))
            .map(|part| format!("no {part:?}")),
    );
    if said.contains("panicked") || said.lines().count() > 12 {
        wrong.push("not for people".to_owned());
    }
    if !watch.programs().unwrap().is_empty() {
        wrong.push("the client was asked".to_owned());
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{}: {}\n{said}", mistake.name, wrong.join(", ")))
    }
}

#[test]
fn every_mistake_ends_with_what_why_and_what_to_try() {
    let fleet = Fleet::of(["web1"]).in_class("web").up();
    let server = fleet.server();
    server.sh("cp -a /etc/apu-server /var/tmp/whole").ok();
    let mut wrong = Vec::new();
    for mistake in &MISTAKES {
        wrong.extend(says_what_why_and_what_to_try(server, fleet.host("web1"), mistake).err());
        let mend = "umount /var/lib/apu-data/repo/local 2>/dev/null
            rm -rf /etc/apu-server && cp -a /var/tmp/whole /etc/apu-server";
        server.sh(mend).ok();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // And it was all only the mistakes.
    fleet.apt_all("web update").ended("web1", "changed").exited(0);
}
