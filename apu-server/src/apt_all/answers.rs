//! Which answers to debconf's questions each host of a push gets: those of its classes, and those for all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use apu_debian::debconf::QuestionName;
use apu_debian::{PackageName, nearest};
use apu_fleet::{Host, HostName};
use apu_proto::{Answers, AnswersSalt, DebconfAnswer, Request, Transaction};
use apu_site::Failure;

use super::class_key::members;
use crate::answers::{AnswerFiles, MarkKey, salt};
use crate::context::Context;

/// The class that stands for every host.
const ALL: &str = "all";

/// Packages that a host must always be able to get, whatever its answers are.
const NEVER_ANSWERED: [&str; 2] = ["apu-client", "apu-data"];

/// The answers of each host that has any.
#[derive(Default)]
pub(super) struct HostAnswers(HashMap<HostName, Answers>);

/// The answers of one class, and its hosts.
struct OfClass<'a> {
    class: &'a str,
    hosts: BTreeSet<String>,
    answers: &'a [DebconfAnswer],
}

impl HostAnswers {
    /// Reads the answers for these hosts.
    ///
    /// # Errors
    /// Where a file cannot be used, there is no such class, or two classes of a host answer a question differently.
    pub(super) fn read(context: &Context, hosts: &[Host]) -> Result<Self, Failure> {
        let key = || {
            let path = context.push_key();
            MarkKey::of(&path)
                .map_err(|error| Failure::of_io(format!("cannot read {}", path.display()), error, &path))
        };
        let files = AnswerFiles::read(&context.site, key)?;
        let mut classes = Vec::new();
        for (class, answers) in &files.0 {
            check_class(context, class)?;
            let members = members(context, class, class, hosts)?;
            classes.push(OfClass {
                class,
                hosts: members.iter().map(ToString::to_string).collect(),
                answers,
            });
        }
        if classes.is_empty() {
            return Ok(Self::default());
        }
        let salt = salt().map_err(|error| Failure::machine("cannot read /dev/urandom").why(error))?;
        let mut found = HashMap::new();
        for host in hosts {
            let answers = of_host(host.name.as_str(), &classes)?;
            if !answers.is_empty() {
                found.insert(host.name.clone(), sendable(&host.name, salt, answers)?);
            }
        }
        Ok(Self(found))
    }

    /// What goes with the request for a host's plan, without passwords.
    pub(super) fn for_plan(&self, host: &HostName, request: &Request) -> Option<Answers> {
        let answers = self.0.get(host).filter(|_| takes_answers(request))?;
        Some(answers.without_secrets())
    }

    /// The answers that were approved with a transaction, as they are now. Where one of them is another by now, the host has drifted:
    /// its transaction is another one with it.
    pub(super) fn approved(&self, host: &HostName, transaction: &Transaction) -> Option<Answers> {
        let approved: BTreeSet<(&PackageName, &QuestionName)> = (transaction.answers().iter())
            .map(|answer| (&answer.owner, &answer.question))
            .collect();
        let all = self.0.get(host)?.all().iter();
        let answers = all.filter(|answer| approved.contains(&(&answer.owner, &answer.question)));
        let answers: Vec<DebconfAnswer> = answers.cloned().collect();
        // Fewer than those that were read once.
        Answers::new(salt().ok()?, answers).ok()
    }
}

/// Refuses a file that is for no class: its answers would be missed, and nobody would know why.
fn check_class(context: &Context, class: &str) -> Result<(), Failure> {
    let inventory = context.inventory()?;
    let mut classes = inventory.classes().map(ToString::to_string);
    if class == ALL || classes.any(|known| known == class) {
        return Ok(());
    }
    let path = context.site.debconf().join(class);
    let nearest = nearest(class, inventory.classes().map(|known| known.as_str()));
    let advice = match nearest {
        Some(nearest) => format!("mv {} {}", path.display(), path.with_file_name(nearest).display()),
        None => format!("make the class {}", context.site.clients().join(class).display()),
    };
    Err(
        Failure::words(format!("{} has answers for no class", path.display()))
            .why(format!("there is no class {class}"))
            .advise(advice),
    )
}

/// Whether answers go with a request for a plan.
fn takes_answers(request: &Request) -> bool {
    let is_kept_free = |name: &str| NEVER_ANSWERED.contains(&name);
    let mut packages = request.packages().iter();
    request.is_dry_run()
        && request.operation().takes_answers()
        && (request.packages().is_empty() || !packages.all(|package| is_kept_free(package.name.as_str())))
}

fn sendable(host: &HostName, salt: AnswersSalt, answers: Vec<DebconfAnswer>) -> Result<Answers, Failure> {
    Answers::new(salt, answers).map_err(|error| {
        Failure::words(format!("cannot send {host} its answers to debconf's questions"))
            .why(error)
            .advise("give its classes fewer answers in /etc/apu-server/debconf")
    })
}

/// The answers of a host, in the order of owners and questions. Of two classes that answer a question, that one counts whose hosts
/// are all in the other, too; `all` counts least.
fn of_host(host: &str, classes: &[OfClass<'_>]) -> Result<Vec<DebconfAnswer>, Failure> {
    let mut found: BTreeMap<(&str, &str), Vec<(&OfClass<'_>, &DebconfAnswer)>> = BTreeMap::new();
    for class in classes.iter().filter(|class| class.hosts.contains(host)) {
        for answer in class.answers {
            let key = (answer.owner.as_str(), answer.question.as_str());
            found.entry(key).or_default().push((class, answer));
        }
    }
    let mut answers = Vec::new();
    for ((_, question), candidates) in found {
        let is_narrower = |one: &OfClass<'_>, other: &OfClass<'_>| {
            one.class != ALL
                && (other.class == ALL || (one.hosts != other.hosts && one.hosts.is_subset(&other.hosts)))
        };
        let mut narrowest = (candidates.iter())
            .filter(|(class, _)| !candidates.iter().any(|(other, _)| is_narrower(other, class)));
        let Some((class, answer)) = narrowest.next() else {
            continue;
        };
        let other = narrowest.find(|(_, other)| (other.kind, other.mark) != (answer.kind, answer.mark));
        if let Some((other, _)) = other {
            return Err(Failure::words(format!("{host} has two answers to {question}"))
                .why(format!(
                    "the files {} and {} in /etc/apu-server/debconf differ, and neither class is a part of the other",
                    class.class, other.class
                ))
                .advise(format!("answer {question} in one of them, or equally in both")));
        }
        answers.push((*answer).clone());
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use apu_debian::debconf::QuestionKind;
    use apu_proto::{AnswerMark, Step};
    use apu_site::report;

    use super::*;

    fn answer(owner: &str, question: &str, mark: u8) -> DebconfAnswer {
        DebconfAnswer {
            owner: owner.parse().unwrap(),
            question: question.parse().unwrap(),
            kind: QuestionKind::Password,
            mark: AnswerMark::from_bytes([mark; 16]),
            value: Some(format!("value {mark}").into()),
        }
    }

    fn class<'a>(class: &'a str, hosts: &str, answers: &'a [DebconfAnswer]) -> OfClass<'a> {
        let hosts = hosts.split(' ').map(str::to_owned).collect();
        OfClass {
            class,
            hosts,
            answers,
        }
    }

    #[test]
    fn the_narrowest_class_of_a_host_answers_and_a_tie_is_refused() {
        let [all, web, front, mail] = [1, 2, 3, 4].map(|mark| [answer("aa", "a/b", mark)]);
        let more = [answer("aa", "a/b", 1), answer("aa", "a/c", 9)];
        let classes = [
            class("all", "web1 web2 web3 db1", &more),
            class("web", "web1 web2 web3", &web),
            class("front", "web1", &front),
            class("mail", "web2 mx1", &mail),
        ];
        let marks = |host: &str| -> Vec<AnswerMark> {
            of_host(host, &classes)
                .unwrap()
                .iter()
                .map(|answer| answer.mark)
                .collect()
        };
        let of = |marks: [u8; 2]| marks.map(|mark| AnswerMark::from_bytes([mark; 16]));
        assert_eq!(marks("db1"), of([1, 9]));
        assert_eq!(marks("web3"), of([2, 9]));
        assert_eq!(marks("web1"), of([3, 9]));
        let said = report(&of_host("web2", &classes).unwrap_err()).0;
        assert!(
            said.contains("web2 has two answers to a/b") && said.contains("web and mail"),
            "{said}"
        );
        // Even where a push has these hosts alone.
        let both = [class("all", "web1", &all), class("web", "web1", &web)];
        assert_eq!(of_host("web1", &both).unwrap()[0].mark, web[0].mark);
        let same = [class("web", "web1 web2", &web), class("mail", "web2 mx1", &web)];
        assert_eq!(of_host("web2", &same).unwrap().len(), 1);
        assert!(of_host("mx2", &same).unwrap().is_empty());
    }

    #[test]
    fn a_plan_gets_all_answers_without_passwords_and_a_run_those_that_were_approved() {
        let host: HostName = "web1".parse().unwrap();
        let all = vec![answer("aa", "a/b", 1), answer("bb", "b/c", 2)];
        let salt = AnswersSalt::from_bytes([0; 16]);
        let answers = HostAnswers([(host.clone(), sendable(&host, salt, all.clone()).unwrap())].into());
        let sent = [
            "upgrade dry_run=yes",
            "install dry_run=yes apu-data",
            "upgrade",
            "remove dry_run=yes vim",
        ]
        .map(|words| {
            let request = Request::parse(format!("apu/1 {words}").as_bytes()).unwrap();
            answers.for_plan(&host, &request)
        });
        assert_eq!(sent.each_ref().map(Option::is_some), [true, false, false, false]);
        let sent = sent[0].as_ref().unwrap();
        assert!(sent.all().len() == 2 && !sent.line().contains("value 1"));
        let step = Step::Install {
            package: "aa:amd64".parse().unwrap(),
            old: None,
            new: "1".into(),
            sha256: None,
            origin: String::new(),
        };
        let plain = Transaction::new(vec![step]);
        assert!(answers.approved(&host, &plain).is_none());
        let approved = plain.answered(vec![all[0].approved()]);
        let now = answers.approved(&host, &approved).unwrap();
        assert_eq!(now.all(), &all[..1]);
        assert!(now.line().contains("value 1"));
    }
}
