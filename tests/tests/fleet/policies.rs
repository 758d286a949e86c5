//! The packages that hurt, in every policy about configuration files and questions: what the plan says, what the result says, and what is
//! on the disk, in one table. Each policy on one release in `make check`; on each of them and on unstable in `make check-long`.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use apu_tests::{Fleet, Host, Run, Stage, Suite, in_check_or_long};
use serde_json::Value;

/// What becomes of a package's file or question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The machine's version stays, the package's lies beside it.
    Kept,
    /// The package's version is in place, the machine's lies beside it or is put away.
    Replaced,
    /// The package stays at its version.
    HeldBack,
    /// The package's default holds.
    Default,
    /// The server's answer holds.
    Answered,
    /// It is not mentioned.
    Untold,
    /// It is no state that there should be.
    Torn,
}

use Fate::{Answered, Default as Defaulted, HeldBack, Kept, Replaced, Torn, Untold};

impl Display for Fate {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{self:?}").to_lowercase())
    }
}

/// The packages, each with what is done to its file before it is upgraded. The last two have files of ucf: no plan knows what their scripts
/// do, but what becomes of a file that was changed if they bring another.
const FILES: [(&str, &str); 4] = [
    ("hurts-conffile", "echo mine >"),
    ("hurts-deleted", "rm "),
    ("hurts-ucf", "echo mine >"),
    ("hurts-ucf-same", ": "),
];

/// A policy, and what it leads to.
struct Row {
    /// The host, and the class that it is alone in.
    name: &'static str,
    /// The client's policy.toml.
    policy: &'static str,
    /// What the server's apu.toml says for the class.
    of_class: &'static str,
    /// The server's answers for the class.
    answers: &'static str,
    /// What becomes of the packages' files, in their order.
    files: [Fate; 4],
    /// What becomes of the question.
    question: Fate,
}

const ROWS: [Row; 9] = [
    Row {
        name: "keep",
        policy: "conffiles = \"keep\"",
        of_class: "",
        answers: "",
        files: [Kept, Kept, Kept, Replaced],
        question: Defaulted,
    },
    Row {
        name: "new",
        policy: "conffiles = \"new\"",
        of_class: "",
        answers: "hurts-debconf hurts-debconf/colour select red\n",
        files: [Replaced, Replaced, Replaced, Replaced],
        question: Answered,
    },
    Row {
        name: "hold-back",
        policy: "conffiles = \"hold-back\"",
        of_class: "",
        answers: "",
        files: [HeldBack, HeldBack, Kept, Replaced],
        question: Defaulted,
    },
    Row {
        name: "new-some",
        policy: "[conffiles]\nnew = [\"/etc/hurts-*\"]",
        of_class: "",
        answers: "",
        files: [Replaced, Kept, Replaced, Replaced],
        question: Defaulted,
    },
    Row {
        name: "keep-some",
        policy: "[conffiles]\ndefault = \"new\"\nkeep = [\"/etc/hurts-c*\"]\nhold-back = [\"/etc/hurts-d*\"]",
        of_class: "",
        answers: "",
        files: [Kept, HeldBack, Replaced, Replaced],
        question: Defaulted,
    },
    Row {
        name: "class-new",
        policy: "answers = \"when-asked\"",
        of_class: "new = [\"/etc/hurts-*\"]",
        answers: "hurts-debconf hurts-debconf/colour select blue\n",
        files: [Replaced, Kept, Replaced, Replaced],
        question: Answered,
    },
    Row {
        name: "class-keep",
        policy: "conffiles = \"new\"",
        of_class: "keep = [\"/etc/hurts-*\"]",
        answers: "",
        files: [Kept, Kept, Kept, Replaced],
        question: Defaulted,
    },
    Row {
        name: "class-hold-back",
        policy: "conffiles = \"new\"\nanswers = \"never\"",
        of_class: "hold-back = [\"/etc/hurts-*\"]",
        answers: "",
        files: [HeldBack, HeldBack, Kept, Replaced],
        question: Defaulted,
    },
    // The machine's own word about a path is stricter than the server's.
    Row {
        name: "both",
        policy: "[conffiles]\nkeep = [\"/etc/hurts-conffile.conf\"]\nhold-back = [\"/etc/hurts-deleted.conf\"]",
        of_class: "new = [\"/etc/hurts-*\"]",
        answers: "",
        files: [Kept, HeldBack, Replaced, Replaced],
        question: Defaulted,
    },
];

const QUESTION: &str = "hurts-debconf/colour";

fn path(package: &str) -> String {
    format!("/etc/{package}.conf")
}

/// Whether a list of an answer has this text.
fn has(list: &Value, text: &str) -> bool {
    list.as_array()
        .is_some_and(|list| list.iter().any(|value| value == text))
}

/// Whether an answer says that a package is held back for its file.
fn is_held_back(answer: &Value, package: &str) -> bool {
    let held = answer["held_back"].as_array();
    held.is_some_and(|held| held.iter().any(|held| has(&held["paths"], &path(package))))
}

/// What a plan says of a package's file.
fn planned(plan: &Value, package: &str) -> Fate {
    if is_held_back(plan, package) {
        return HeldBack;
    }
    for changed in [&plan["changed_conffiles"], &plan["changed_ucf_files"]] {
        if has(&changed["replaced"], &path(package)) {
            return Replaced;
        }
        if has(&changed["paths"], &path(package)) {
            return if changed["keeps"] == true { Kept } else { Replaced };
        }
    }
    Untold
}

/// What a result says of it.
fn told(run: &Run, host: &str, package: &str) -> Fate {
    let answer = run.answer(host);
    if is_held_back(answer, package) {
        HeldBack
    } else if has(&answer["conffiles_kept"], &path(package)) {
        Kept
    } else {
        let notes = run.notes(host);
        let ways = [
            "was replaced by the package's",
            "was missing here, and is there again",
        ];
        match ways
            .iter()
            .any(|way| notes.contains(&format!("{} {way}", path(package))))
        {
            true => Replaced,
            false => Untold,
        }
    }
}

/// What the disk has of it.
fn found(host: &Host, package: &str, edit: &str) -> Fate {
    let own = if edit.starts_with("echo") {
        Some("mine\n")
    } else {
        None
    };
    let text = host.read(&path(package));
    let is_own = text.as_deref() == own;
    match host.version_of(package).as_deref() {
        Some("1.0") if is_own => HeldBack,
        Some("2.0") if is_own => Kept,
        Some("2.0") if text.is_some_and(|text| text.contains("2.0")) => Replaced,
        _ => Torn,
    }
}

/// What a plan says of the question.
fn planned_question(plan: &Value) -> Fate {
    let answered = plan["answered"].as_array();
    if answered.is_some_and(|answers| answers.iter().any(|answer| answer["question"] == QUESTION)) {
        Answered
    } else if has(&plan["new_questions"]["names"], QUESTION) {
        Defaulted
    } else {
        Untold
    }
}

/// What a result says of it.
fn told_question(answer: &Value) -> Fate {
    if has(&answer["questions_answered"], QUESTION) {
        Answered
    } else if has(&answer["questions_defaulted"], QUESTION) {
        Defaulted
    } else {
        Untold
    }
}

/// What the package's script got of it.
fn found_question(host: &Host, row: &Row) -> Fate {
    let text = host.read("/var/lib/hurts-debconf").unwrap_or_default();
    let answer = row.answers.split_whitespace().last().unwrap_or("green");
    match (text.trim() == answer, row.answers.is_empty()) {
        (true, true) => Defaulted,
        (true, false) => Answered,
        (false, _) => Torn,
    }
}

/// Installs the old versions and changes their files.
fn prepare(host: &Host, row: &Row) {
    let names: Vec<&str> = FILES.iter().map(|(package, _)| *package).collect();
    let edits: Vec<String> = FILES
        .iter()
        .map(|(package, edit)| format!("{edit}{}", path(package)))
        .collect();
    host.sh(&format!(
        "set -e; DEBIAN_FRONTEND=noninteractive apt-get -q -y install {} hurts-debconf hurts-stdin; {}",
        names.join(" "),
        edits.join("; ")
    ))
    .ok();
    host.write("/etc/apu-client/policy.toml", &format!("{}\n", row.policy));
}

/// Goes through the table on clients of these releases in turn.
fn the_table_is_true_on(suites: &[Suite]) {
    let fleet = Fleet::of(ROWS.iter().map(|row| row.name)).suites(suites).up();
    let server = fleet.server();
    let mut settings = server.read("/etc/apu-server/apu.toml").unwrap();
    server.sh("mkdir -p /etc/apu-server/debconf").ok();
    for row in &ROWS {
        let class = format!("of-{}", row.name);
        fleet.class(&class, &format!("{}\n", row.name));
        if !row.of_class.is_empty() {
            settings += &format!("\n[conffiles.{class}]\n{}\n", row.of_class);
        }
        if !row.answers.is_empty() {
            let answers = format!("/etc/apu-server/debconf/{class}");
            server.write(&answers, row.answers);
            server.sh(&format!("chmod 600 {answers}")).ok();
        }
    }
    server.write("/etc/apu-server/apu.toml", &settings);
    std::thread::scope(|scope| {
        for row in &ROWS {
            scope.spawn(|| prepare(fleet.host(row.name), row));
        }
    });
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("all update").exited(0);
    // With the packages there, the plans know what is in them.
    fleet.apt_all("all upgrade --download-only --yes").exited(0);

    let mut wrong = Vec::new();
    println!(
        "{:<16} {:<16} plan      result    disk      ({suites:?})",
        "policy", "package"
    );
    for row in &ROWS {
        let host = fleet.host(row.name);
        let dry_run = fleet.apt_all(&format!("of-{} upgrade --dry-run", row.name));
        let run = fleet.apt_all(&format!("of-{} upgrade --yes", row.name));
        run.ended(row.name, "changed").exited(0);
        let plan = dry_run.answer(row.name);
        let mut seen = BTreeMap::new();
        for ((package, edit), expected) in FILES.into_iter().zip(row.files) {
            let fates = (
                planned(plan, package),
                told(&run, row.name, package),
                found(host, package, edit),
            );
            seen.insert(package, (fates, expected));
        }
        let question = (
            planned_question(plan),
            told_question(run.answer(row.name)),
            found_question(host, row),
        );
        seen.insert("hurts-debconf", (question, row.question));
        for (package, ((planned, told, found), expected)) in seen {
            println!("{:<16} {package:<16} {planned:<9} {told:<9} {found:<9}", row.name);
            // An unchanged file follows its package, as dpkg's do, and no plan tells of those. ucf of Debian 13 replaces it itself.
            let is_foretold = planned == expected || package == "hurts-ucf-same" && planned == Untold;
            let is_told = told == expected || package == "hurts-ucf-same" && told == Untold;
            if !is_foretold || !is_told || found != expected {
                wrong.push(format!(
                    "{}: {package} should be {expected}: planned {planned}, told {told}, found {found}",
                    row.name
                ));
            }
        }
        // What asks without debconf finds the end of its input, whatever the policy.
        assert_eq!(
            host.read("/var/lib/hurts-stdin").as_deref(),
            Some("end of file\n")
        );
        let audit = host.sh("dpkg --audit").ok();
        assert_eq!(audit, "", "{}", row.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_told_of_files_and_questions_is_what_happens_in_every_policy() {
    let each = |suite| vec![suite];
    // Packages of unstable change every day, so a failure there may be theirs.
    let suites = in_check_or_long(
        // `new` for all is on Debian 13, whose ucf goes by what dpkg is told.
        vec![vec![Suite::Bookworm, Suite::Trixie, Suite::Bullseye]],
        Suite::ALL
            .into_iter()
            .chain([Suite::Unstable])
            .map(each)
            .collect(),
    );
    for suites in suites {
        the_table_is_true_on(&suites);
    }
}
