//! The answers to `conffiles`: each configuration file with the hosts that have the same versions of it.

use apu_fleet::{Ending, HostName};
use apu_proto::{Answer, Conffile, ConffileState};

use super::clean::clean;
use super::conffile_diffs::bare;
use super::groups::{groups, set};
use super::host_table::with_head;
use super::paint::Paint;
use super::run_facts::shorten;

/// The most characters of a set of hosts; `-v` shows all of it.
const LONGEST: usize = 40;

/// A line for each configuration file and set of versions; nothing where no host answered with any.
#[must_use]
pub fn conffiles(endings: &[(HostName, Ending)], paint: Paint, verbose: bool) -> String {
    let answers = endings
        .iter()
        .filter_map(|(host, ending)| Some((host, &ending.result.as_ref()?.answer)));
    let mut files: Vec<(&HostName, Conffile)> = Vec::new();
    let mut left_out = Vec::new();
    for (host, answer) in answers {
        if let Answer::Conffiles { files: found, more } = answer {
            files.extend(found.iter().map(|file| (host, bare(file))));
            if *more > 0 {
                left_out.push((host, *more));
            }
        }
    }
    if files.is_empty() {
        return String::new();
    }
    let mut folded = groups(files);
    folded.sort_by(|one, other| one.0.cmp(&other.0));
    let rows = folded.iter().map(|(file, hosts)| {
        let hosts = set(hosts);
        let hosts = if verbose {
            hosts
        } else {
            shorten(&hosts, LONGEST, paint.unicode)
        };
        vec![clean(&file.path), state(file), versions(file), hosts]
    });
    let mut lines = with_head(["FILE", "STATE", "VERSIONS", "HOSTS"], rows, paint);
    for (host, more) in left_out {
        lines.push(format!("{host} has {more} more"));
    }
    paint.letters(lines.join("\n") + "\n\n")
}

fn state(file: &Conffile) -> String {
    let word = match file.state {
        ConffileState::Kept => "kept",
        ConffileState::Replaced => "replaced",
        ConffileState::Missing => "missing",
        ConffileState::Unknown => "unknown",
    };
    match file.beside.as_str() {
        "" => word.to_owned(),
        beside => format!("{word} ({})", clean(beside)),
    }
}

/// `22efa2f4 | 25b5af20`: the file, and what lies beside it.
fn versions(file: &Conffile) -> String {
    let sum = |sum: &Option<String>| sum.as_ref().map_or_else(|| "-".to_owned(), |sum| clean(sum));
    match file.state {
        ConffileState::Missing => String::new(),
        _ => format!("{} | {}", sum(&file.sha256), sum(&file.other_sha256)),
    }
}

#[cfg(test)]
mod tests {
    use apu_proto::{ClientOutcome, RunResult};

    use super::*;

    fn answer(host: &str, files: &[(&str, ConffileState, &str, &str)]) -> (HostName, Ending) {
        let file = |(path, state, sha256, other): &(&str, ConffileState, &str, &str)| Conffile {
            path: (*path).to_owned(),
            state: *state,
            beside: if other.is_empty() {
                String::new()
            } else {
                ".dpkg-dist".to_owned()
            },
            sha256: Some((*sha256).to_owned()).filter(|sum| !sum.is_empty()),
            other_sha256: Some((*other).to_owned()).filter(|sum| !sum.is_empty()),
            diff: None,
        };
        let files = files.iter().map(file).collect();
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Conffiles { files, more: 0 });
        (host.parse().unwrap(), Ending::of_result(Box::new(result), None))
    }

    #[test]
    fn hosts_with_the_same_versions_are_one_line() {
        use ConffileState::{Kept, Missing};
        let kept = ("/etc/app.conf", Kept, "22efa2f4", "25b5af20");
        let other = ("/etc/app.conf", Kept, "aaaaaaaa", "25b5af20");
        let missing = ("/etc/\u{1b}[31mgone.conf", Missing, "", "");
        let endings = [
            answer("web1", &[kept]),
            answer("web2", &[kept, missing]),
            answer("web3", &[other]),
            answer("web4", &[]),
        ];
        let paint = Paint {
            colour: false,
            unicode: true,
        };
        assert_eq!(
            conffiles(&endings, paint, false),
            "FILE                 STATE              VERSIONS             HOSTS\n\
             /etc/\u{fffd}[31mgone.conf  missing                                 web2\n\
             /etc/app.conf        kept (.dpkg-dist)  22efa2f4 | 25b5af20  web[1-2]\n\
             /etc/app.conf        kept (.dpkg-dist)  aaaaaaaa | 25b5af20  web3\n\n"
        );
        assert_eq!(conffiles(&endings[3..], paint, false), "");
    }
}
