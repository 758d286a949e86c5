//! What packages would ask on which hosts: `apt-all TARGET questions`.

use std::fmt::Write;

use apu_fleet::HostName;
use apu_proto::{ChangedConffiles, Plan};

use super::clean::clean;
use super::groups::{groups, set};
use super::host_table::with_head;
use super::paint::Paint;
use super::run_facts::shorten;

/// The most characters of a set of hosts, and of a default; `-v` shows all of it.
const LONGEST: usize = 40;

/// Priorities are in the packages' scripts, which do not run for this.
const UNKNOWN: &str = "unknown";

/// A line for each new question and for each configuration file that was changed on both sides, with the hosts that have it.
#[must_use]
pub fn questions(planned: &[(HostName, &Plan)], paint: Paint, verbose: bool) -> String {
    let cut = |text: String| match verbose {
        true => text,
        false => shorten(&text, LONGEST, paint.unicode),
    };
    let mut asked = Vec::new();
    let (mut files, mut of_ucf) = (Vec::new(), Vec::new());
    let mut text = String::new();
    for (host, plan) in planned {
        let ucf = plan.changed_ucf_files.iter();
        of_ucf.extend(ucf.clone().flat_map(|changed| kept_or_not(host, changed)));
        let mut more: usize = ucf.map(|changed| changed.more + changed.more_replaced).sum();
        let (Some(questions), Some(changed)) = (&plan.new_questions, &plan.changed_conffiles) else {
            if !plan.transaction.steps().is_empty() {
                let _ = writeln!(
                    text,
                    "{host}: what its packages would ask is not known: not all of them are there"
                );
            }
            tell_more(&mut text, host, more);
            continue;
        };
        for question in &questions.questions {
            let is_it = |answer: &&apu_proto::AnsweredQuestion| answer.question.as_str() == question.name;
            let answer = match plan.answered.iter().find(is_it) {
                Some(_) => "the server's",
                None => "the default",
            };
            asked.push((host, (question, answer)));
        }
        files.extend(kept_or_not(host, changed));
        more += questions.more + changed.more + changed.more_replaced;
        tell_more(&mut text, host, more);
    }
    let mut asked = groups(asked);
    asked.sort_by(|one, other| one.0.cmp(&other.0));
    let rows = asked.iter().map(|((question, answer), hosts)| {
        vec![
            clean(&question.name),
            question.kind.to_string(),
            cut(clean(&question.default)),
            UNKNOWN.to_owned(),
            (*answer).to_owned(),
            cut(set(hosts)),
        ]
    });
    let mut lines = Vec::new();
    if !asked.is_empty() {
        lines.extend(with_head(
            ["QUESTION", "TYPE", "DEFAULT", "PRIORITY", "ANSWER", "HOSTS"],
            rows,
            paint,
        ));
    }
    // Whether there are other versions of ucf's is known only when the packages' scripts run.
    for (head, files) in [("CHANGED ON BOTH SIDES", files), ("CHANGED HERE, OF UCF", of_ucf)] {
        let mut files = groups(files);
        files.sort_by(|one, other| one.0.cmp(&other.0));
        let rows = files.iter().map(|((path, keeps), hosts)| {
            let stays = if *keeps { "stays" } else { "is replaced" };
            vec![clean(path), stays.to_owned(), cut(set(hosts))]
        });
        if !files.is_empty() {
            lines.extend(with_head([head, "WHICH", "HOSTS"], rows, paint));
        }
    }
    if lines.is_empty() && text.is_empty() {
        return "no questions\n".to_owned();
    }
    let lines: String = lines.into_iter().map(|line| line + "\n").collect();
    paint.letters(lines + &text)
}

/// What a plan has no room for is counted.
fn tell_more(text: &mut String, host: &HostName, more: usize) {
    if more > 0 {
        let _ = writeln!(text, "{host} has {more} more");
    }
}

/// Each file that a host's plan names, and whether the machine's version stays.
fn kept_or_not<'a>(
    host: &'a HostName,
    changed: &'a ChangedConffiles,
) -> impl Iterator<Item = (&'a HostName, (&'a String, bool))> {
    let named = changed.paths.iter().map(|path| (path, changed.keeps));
    let replaced = changed.replaced.iter().map(|path| (path, false));
    named.chain(replaced).map(move |file| (host, file))
}

#[cfg(test)]
mod tests {
    use apu_debian::debconf::QuestionKind;
    use apu_proto::{AnsweredQuestion, NewQuestion, NewQuestions, Step, Transaction};

    use super::*;

    #[test]
    fn equal_questions_are_told_once_with_their_hosts_and_who_answers() {
        let question = |name: &str, kind, default: &str| NewQuestion {
            name: name.into(),
            kind,
            default: default.into(),
        };
        let all = [
            question("foo/colour", QuestionKind::Select, "gr\u{1b}een"),
            question("foo/secret", QuestionKind::Password, ""),
        ];
        let plain = Plan {
            new_questions: Some(NewQuestions::new(all.into())),
            changed_conffiles: Some(ChangedConffiles::new(true, ["/etc/foo.conf".to_owned()].into())),
            ..Plan::default()
        };
        let answered = Plan {
            answered: vec![AnsweredQuestion {
                question: "foo/secret".parse().unwrap(),
                was: None,
            }],
            ..plain.clone()
        };
        let unknown = Plan {
            changed_ucf_files: Some(
                ChangedConffiles {
                    more: 3,
                    ..ChangedConffiles::new(true, ["/etc/ucf".to_owned()].into())
                }
                .replacing(["/etc/other".to_owned()].into()),
            ),
            transaction: Transaction::new(vec![Step::Remove {
                package: "a:amd64".parse().unwrap(),
                old: "1".into(),
            }]),
            ..Plan::default()
        };
        let host = |name: &str| -> HostName { name.parse().unwrap() };
        let planned = [
            (host("web1"), &plain),
            (host("web2"), &answered),
            (host("web3"), &plain),
            (host("db1"), &unknown),
        ];
        let paint = Paint {
            colour: false,
            unicode: true,
        };
        let text = questions(&planned, paint, false);
        let words: Vec<String> = (text.lines())
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            words,
            [
                "QUESTION TYPE DEFAULT PRIORITY ANSWER HOSTS",
                "foo/colour select gr\u{fffd}een unknown the default web[1-3]",
                "foo/secret password unknown the default web[1,3]",
                "foo/secret password unknown the server's web2",
                "CHANGED ON BOTH SIDES WHICH HOSTS",
                "/etc/foo.conf stays web[1-3]",
                "CHANGED HERE, OF UCF WHICH HOSTS",
                "/etc/other is replaced db1",
                "/etc/ucf stays db1",
                "db1: what its packages would ask is not known: not all of them are there",
                "db1 has 3 more",
            ]
        );
        assert_eq!(questions(&[], paint, false), "no questions\n");
    }
}
