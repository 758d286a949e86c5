//! sources.list as gen-apu-data-pkg reads it, against apt's own reading on each release: generated files, plain and hostile.
//!
//! What is taken means to apt what it means here, and apt reads it. What apt would not read is never taken. Where this is
//! stricter than apt, it is so for a reason that the program names, and never for a plain file.
//! `APU_DIFFERENTIAL` says how many files; `make differential` asks for more than `make check` does.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and figures are for its reader"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use apu_tests::{Fleet, Host, Suite};

/// A generator of numbers that are the same on each run: Steele, Lea and Flood's SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.next().is_multiple_of(sides)
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let count = u64::try_from(words.len()).expect("few");
        words[usize::try_from(self.next() % count).expect("few")]
    }
}

/// A generated file.
struct Case {
    text: String,
    style: &'static str,
    /// Whether nothing about it is out of the ordinary.
    is_plain: bool,
}

const URIS: [&str; 7] = [
    "http://v.example.org/apt",
    "https://v.example.org/apt/",
    "http://mirror.example.org/debian",
    "http://v.example.org:8080/x/y",
    "https://v.example.org/$(ARCH)/apt",
    "file:///srv/archive",
    "mirror+http://v.example.org/list",
];
const ODD_URIS: [&str; 14] = [
    "http://v.example.org/%41pt",
    "\"http://v.example.org/a b\"",
    "v.example.org/apt",
    "http:/v.example.org",
    "cdrom:[Disc]/",
    "http://user:word@v.example.org/apt",
    "http://v.example.org/a#b",
    "http://[2001:db8::1]/apt",
    "http://v.example.org/apt,",
    "HTTP://v.example.org/apt",
    "http://v.example.org//apt//",
    "http://v.example.org/apt?token=x",
    "[http://v.example.org]",
    "http://v.example.org/\u{fc}",
];
const SUITES: [&str; 6] = ["s", "bookworm", "s-updates", "a/b/1.0", "noble", "s~1"];
const PATHS: [&str; 4] = ["./", "/", "binary/", "s/$(ARCH)/"];
const ODD_SUITES: [&str; 8] = ["../s", "s,", "s/..", "\"s\"", "s%2f", "[s]", "-s", ".//"];
const COMPONENTS: [&str; 6] = [
    "main",
    "main contrib",
    "non-free",
    "a/b",
    "main  x-1.0",
    "main\tcontrib",
];
const ODD_COMPONENTS: [&str; 8] = [
    "main,",
    "main, contrib",
    "../x",
    "/main",
    "./",
    "ma'in",
    "main/",
    "\"main\"",
];
const OPTIONS: [&str; 9] = [
    "arch=amd64",
    "arch=amd64,arm64",
    "arch+=i386",
    "arch-=i386",
    "lang=de,en",
    "pdiffs=no",
    "by-hash=force",
    "check-valid-until=no",
    "target=Packages",
];
const ODD_OPTIONS: [&str; 14] = [
    "Arch=i386",
    "arch=",
    "trusted=yes",
    "trusted=no",
    "lang=en#x",
    "colour=red",
    "arch",
    "by-hash=maybe",
    "allow-insecure=yes",
    "arch=amd64 arch=i386",
    "signed-by=/x.gpg signed-by=/y.gpg",
    "signed-by=k.gpg",
    "\"arch=amd64\"",
    "valid-until-max=1d",
];

/// What one file is made with.
struct Maker<'a> {
    dice: &'a mut Dice,
    is_odd: bool,
    is_plain: bool,
}

impl Maker<'_> {
    /// One of the usual words, or of the others where the file is to be odd.
    fn word(&mut self, usual: &[&'static str], others: &[&'static str]) -> &'static str {
        if self.is_odd && self.dice.one_in(7) {
            self.is_plain = false;
            self.dice.of(others)
        } else {
            self.dice.of(usual)
        }
    }
}

fn case(dice: &mut Dice) -> Case {
    let is_odd = dice.one_in(2);
    let mut text = String::new();
    let stanzas = 1 + dice.next() % 3;
    let one_line = dice.one_in(2);
    let mut make = Maker {
        dice,
        is_odd,
        is_plain: true,
    };
    for number in 0..stanzas {
        // Other archives, unless two of one are wanted.
        let is_one = is_odd && make.dice.one_in(3);
        let tell_apart = if is_one {
            String::new()
        } else {
            format!("-{number}")
        };
        make.is_plain &= !is_one;
        let uri = make.word(&URIS, &ODD_URIS);
        let flat = make.word(&["", "", "", "flat"], &["flat"]) == "flat";
        let usual: &[&str] = if flat { &PATHS } else { &SUITES };
        let suite = match make.word(usual, &ODD_SUITES) {
            suite if flat || suite.contains(['"', '[', '%']) => suite.to_owned(),
            suite => format!("{suite}{tell_apart}"),
        };
        // A path has no components, and the same path twice is one archive twice.
        make.is_plain &= !flat || number == 0;
        let components = make.word(&COMPONENTS, &ODD_COMPONENTS);
        let components = if flat {
            make.word(&[""], &["main"])
        } else {
            make.word(&[components], &[""])
        };
        let kind = make.word(&["deb", "deb", "deb-src"], &["rpm", "Deb", "deb,", "\"deb\""]);
        let key = make.word(
            &["/k.gpg", "/usr/share/keyrings/k.gpg"],
            &["/k.gpg,/l.gpg", "k", "/usr/../k.gpg"],
        );
        let option = make.word(&OPTIONS, &ODD_OPTIONS);
        let with_option = make.word(&["", "", "yes"], &["yes"]) == "yes";
        if one_line {
            let blank = make.word(&[" ", "  ", "\t"], &["\u{a0}", " \t "]);
            let end = make.word(
                &["\n", "  \n", " # why\n", "\n\n"],
                &["\r\n", "#x\n", " #[trusted=yes]\n"],
            );
            let open = make.word(&["[", "[ "], &["[[", "[\t", ""]);
            let close = make.word(&["]", " ]"], &["", "] [trusted=yes]", "]]"]);
            let option = if with_option { option } else { "" };
            let _ = write!(
                text,
                "{kind}{blank}{open}{option} signed-by={key}{close}{blank}{uri}{blank}{suite} {components}{end}"
            );
        } else {
            let types = make.word(&["Types"], &["types", "Type"]);
            let uris = make.word(&["URIs"], &["uris", "URI"]);
            let more = make.word(
                &["", "# why\n", "X-Repolib-Name: x\n", "Enabled: yes\n"],
                &[
                    "Enabled: no\n",
                    "Enabled: 0\n",
                    "Enabled: maybe\n",
                    "Enabled: no\nEnabled: yes\n",
                    "Trusted: yes\n",
                    "Colour: red\n",
                    "Suites: other\n",
                    " # no comment\n",
                    "#\u{e4}\n",
                    "Include: a\n",
                ],
            );
            let colon = make.word(&[": ", ":", ":\n "], &[" : ", ":\t", "=", ":\n\t"]);
            let between = make.word(&["\n"], &[" \n", "", "\n\n\n", "\r\n", "#\n"]);
            let lines = if with_option {
                "Architectures: amd64 arm64\nPDiffs: no\n"
            } else {
                ""
            };
            let components = if components.is_empty() {
                String::new()
            } else {
                format!("Components{colon}{components}\n")
            };
            let _ = write!(
                text,
                "{types}: {kind}\n{uris}{colon}{uri}\n{more}Suites: {suite}\n{lines}{components}Signed-By: {key}\n{between}"
            );
        }
    }
    Case {
        text,
        style: if one_line { "list" } else { "sources" },
        is_plain: make.is_plain,
    }
}

/// Lets a host's apt read each case, and what clients would get of it where it is taken; exit statuses and what apt said.
fn ask(host: &Host, folder: &Path) {
    let pack = Command::new("tar")
        .arg("-C")
        .arg(folder)
        .args(["-c", "."])
        .stdout(Stdio::piped())
        .spawn();
    let mut pack = pack.expect("tar");
    let unpacked = host
        .command("sh")
        .args(["-c", "mkdir /srv/cases && tar -C /srv/cases -x"])
        .stdin(pack.stdout.take().expect("a pipe"))
        .status()
        .expect("nsenter");
    assert!(unpacked.success() && pack.wait().expect("tar").success());
    let script = "mkdir -p /srv/lists/partial; cd /srv/cases && for dir in */*/; do \
         apt-get indextargets --no-release-info -o Dir::Etc::SourceList=/dev/null \
             -o Dir::Etc::SourceParts=/srv/cases/$dir -o Dir::State::lists=/srv/lists \
             --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ARCHITECTURE) $(LANGUAGE) $(PDIFFS) $(CREATED_BY)' \
             >${dir%/}.out 2>${dir%/}.err </dev/null || echo $? >${dir%/}.refused; done";
    host.sh(script).ok();
    let packed = host
        .command("tar")
        .args(["-C", "/srv/cases", "-c", "."])
        .stdout(Stdio::piped())
        .spawn();
    let mut packed = packed.expect("nsenter");
    let unpacked = Command::new("tar")
        .arg("-C")
        .arg(folder)
        .arg("-x")
        .stdin(packed.stdout.take().expect("a pipe"))
        .status()
        .expect("tar");
    assert!(unpacked.success() && packed.wait().expect("tar").success());
}

/// The targets that apt found; nothing where it refused.
fn targets(folder: &Path, which: &str) -> Option<Vec<String>> {
    if folder.join(format!("{which}.refused")).exists() {
        return None;
    }
    let text = fs::read(folder.join(format!("{which}.out"))).expect("an answer");
    let mut lines: Vec<String> = String::from_utf8_lossy(&text)
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines.dedup();
    Some(lines)
}

/// A reason without what is different in each file.
fn kind_of(reason: &str) -> String {
    let words = reason
        .split_whitespace()
        .filter(|word| !word.contains(['"', '/', ':']));
    let words = words.filter(|word| !word.bytes().any(|byte| byte.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

fn compared(suite: Suite, seed: u64) {
    let count = std::env::var("APU_DIFFERENTIAL").map_or(200, |count| count.parse().expect("a number"));
    let mut dice = Dice(seed);
    let cases: Vec<Case> = (0..count).map(|_| case(&mut dice)).collect();
    let place = tempfile::tempdir().unwrap();
    let ours: Vec<Result<String, String>> = cases
        .iter()
        .enumerate()
        .map(|(number, case)| {
            let folder = place.path().join(format!("{number:06}"));
            fs::create_dir_all(folder.join("theirs")).unwrap();
            fs::write(
                folder.join("theirs").join(format!("x.{}", case.style)),
                &case.text,
            )
            .unwrap();
            let ours = gen_apu_data_pkg::rendered(&case.text);
            if let Ok(text) = &ours {
                fs::create_dir(folder.join("ours")).unwrap();
                fs::write(folder.join("ours/x.sources"), text).unwrap();
            }
            ours
        })
        .collect();
    let fleet = Fleet::of(["one"]).suite(suite).without_server().up();
    ask(fleet.host("one"), place.path());

    let (mut taken, mut stricter, mut both_refuse) = (0, BTreeMap::<String, usize>::new(), 0);
    let mut wrong = Vec::new();
    for (number, (case, ours)) in cases.iter().zip(&ours).enumerate() {
        let folder = place.path().join(format!("{number:06}"));
        let theirs = targets(&folder, "theirs");
        match ours {
            Ok(_) => {
                taken += 1;
                let read = targets(&folder, "ours");
                if theirs.is_none() || read != theirs {
                    let said = fs::read_to_string(folder.join("theirs.err")).unwrap_or_default();
                    wrong.push(format!(
                        "{:?}\n  {ours:?}\n  {theirs:?}\n  {read:?}\n  {said}",
                        case.text
                    ));
                }
            }
            Err(reason) if theirs.is_some() => {
                if case.is_plain {
                    wrong.push(format!("a plain file: {:?}\n  {reason}", case.text));
                }
                *stricter.entry(kind_of(reason)).or_default() += 1;
            }
            Err(_) => both_refuse += 1,
        }
    }
    eprintln!(
        "{}: {count} files, {taken} taken, {both_refuse} refused by both, refused here alone:",
        suite.name()
    );
    for (reason, count) in &stricter {
        eprintln!("  {count:5}  {reason}");
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.iter().take(8).cloned().collect::<Vec<_>>().join("\n\n")
    );
    assert!(
        taken * 4 > count,
        "{taken} of {count} were taken: nothing was compared"
    );
    assert!(both_refuse > 0, "apt refused none of them");
}

#[test]
fn sources_are_read_as_the_apt_of_bookworm_reads_them() {
    compared(Suite::Bookworm, 12);
}

#[test]
fn sources_are_read_as_the_apt_of_trixie_reads_them() {
    compared(Suite::Trixie, 13);
}
