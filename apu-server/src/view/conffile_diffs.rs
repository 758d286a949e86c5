//! What differs between the versions of configuration files, once for all hosts that have the same ones.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use apu_fleet::{Ending, HostName};
use apu_proto::{Conffile, ConffileDiff};

use super::clean::clean;
use super::groups::{groups, set};
use super::paint::Paint;

/// A file without its difference: equal ones are told together.
#[must_use]
pub fn bare(file: &Conffile) -> Conffile {
    Conffile {
        path: file.path.clone(),
        state: file.state,
        beside: file.beside.clone(),
        sha256: file.sha256.clone(),
        other_sha256: file.other_sha256.clone(),
        diff: None,
    }
}

/// The differences; nothing where no host was asked for any.
#[must_use]
pub fn conffile_diffs(endings: &[(HostName, Ending)], paint: Paint) -> String {
    let mut known: HashMap<Conffile, &ConffileDiff> = HashMap::new();
    for file in endings.iter().flat_map(|(_, ending)| files(ending)) {
        let Some(diff) = &file.diff else { continue };
        let found = known.entry(bare(file)).or_insert(diff);
        // One of them may say more than the first.
        if matches!(diff, ConffileDiff::Unified { .. }) {
            *found = diff;
        }
    }
    if known.is_empty() {
        return String::new();
    }
    let all = endings
        .iter()
        .flat_map(|(host, ending)| files(ending).iter().map(move |file| (host, bare(file))));
    let mut folded = groups(all);
    folded.sort_by(|one, other| one.0.cmp(&other.0));
    let mut text = String::new();
    let mut left_out = 0;
    for (file, hosts) in folded {
        match known.get(&file) {
            Some(diff) => text += &one(&file, &set(&hosts), diff, paint),
            None if file.beside.is_empty() => {}
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        let _ = writeln!(
            text,
            "{left_out} more sets of versions; name fewer hosts to see what differs\n"
        );
    }
    paint.letters(text)
}

/// What differs of one set of versions, with its hosts.
fn one(file: &Conffile, hosts: &str, diff: &ConffileDiff, paint: Paint) -> String {
    let what = format!("{hosts}: {} ({})", clean(&file.path), clean(&file.beside));
    let said = match diff {
        ConffileDiff::Unified { text, .. } if text.is_empty() => ": both versions are the same",
        ConffileDiff::Unified { .. } => "",
        ConffileDiff::Binary => ": not a text",
        ConffileDiff::NotPublic => ": not readable by everybody on the host, so nothing of it is shown",
        ConffileDiff::NotRead => {
            ": not looked at, since it is a link, too long, or in a folder that others than root may change"
        }
        ConffileDiff::NoRoom => ": left out, since what differs there is too long",
        ConffileDiff::Unknown => ": told in a way that this apt-all does not know",
    };
    let mut text = format!("{}{said}\n", paint.strong(&what));
    if let ConffileDiff::Unified { text: lines, is_cut } = diff {
        for line in lines.lines() {
            let _ = writeln!(text, "{}", clean(line));
        }
        if *is_cut {
            text += "… and more\n";
        }
    }
    text + "\n"
}

fn files(ending: &Ending) -> &[Conffile] {
    ending.result.as_ref().map_or(&[], |result| result.conffiles())
}

/// Hosts that have all versions of all files between them: each has one that no host before it has. At most `most`.
#[must_use]
pub fn one_for_each(endings: &[(HostName, Ending)], most: usize) -> Vec<HostName> {
    let mut known = HashSet::new();
    let mut asked = Vec::new();
    for (host, ending) in endings {
        if asked.len() == most {
            break;
        }
        let before = known.len();
        known.extend(
            files(ending)
                .iter()
                .filter(|file| !file.beside.is_empty())
                .map(bare),
        );
        if known.len() > before {
            asked.push(host.clone());
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use apu_proto::{Answer, ClientOutcome, ConffileState, RunResult};

    use super::*;

    fn file(sha256: &str, diff: Option<ConffileDiff>) -> Conffile {
        Conffile {
            path: "/etc/app.conf".into(),
            state: ConffileState::Kept,
            beside: ".dpkg-dist".into(),
            sha256: Some(sha256.into()),
            other_sha256: Some("25b5af20".into()),
            diff,
        }
    }

    fn answer(host: &str, files: Vec<Conffile>) -> (HostName, Ending) {
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Conffiles { files, more: 0 });
        (host.parse().unwrap(), Ending::of_result(Box::new(result), None))
    }

    const PLAIN: Paint = Paint {
        colour: false,
        unicode: true,
    };

    #[test]
    fn one_host_answers_for_all_with_the_same_versions() {
        let unified = ConffileDiff::Unified {
            text: "--- a\n+++ b\n-mine\u{1b}[31m\n".into(),
            is_cut: true,
        };
        let endings = [
            answer("web1", vec![file("aaaaaaaa", Some(unified))]),
            answer("web2", vec![file("aaaaaaaa", None)]),
            answer("web3", vec![file("bbbbbbbb", Some(ConffileDiff::NotPublic))]),
            answer("web4", vec![file("cccccccc", None)]),
        ];
        let names = |hosts: Vec<HostName>| {
            hosts
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(names(one_for_each(&endings, 9)), "web1 web3 web4");
        assert_eq!(names(one_for_each(&endings, 2)), "web1 web3");
        assert_eq!(
            conffile_diffs(&endings, PLAIN),
            "web[1-2]: /etc/app.conf (.dpkg-dist)\n--- a\n+++ b\n-mine\u{fffd}[31m\n… and more\n\n\
             web3: /etc/app.conf (.dpkg-dist): not readable by everybody on the host, so nothing of it is shown\n\n\
             1 more sets of versions; name fewer hosts to see what differs\n\n"
        );
        assert_eq!(conffile_diffs(&endings[3..], PLAIN), "");
    }
}
