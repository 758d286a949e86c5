//! The server's answers to debconf's questions: which of them concern a transaction, and whether they fit.
//!
//! An answer concerns a transaction that installs or upgrades its owner. So the key sets no answer of a package that it does not
//! change as well, and none that the package, or debconf's database for it, has no question of.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use apu_debian::debconf::{Misfit, Secret, Template};
use apu_proto::{
    Action, Advice, AnsweredQuestion, ApprovedAnswer, Cause, DebconfAnswer, Request, Step, WrongAnswer,
};

use super::control_files::{control_file, unpack_control};
use super::debconf;
use super::policy::Policy;
use super::refusal::Refusal;
use crate::apt::Plan;
use crate::os::paths::ClientPaths;
use crate::os::temporary_directory::TemporaryDirectory;

/// Time limit for reading the templates of all packages.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The most letters of an answer that is replaced, as it is told, and the most choices.
const LONGEST_TOLD: usize = 200;
const MAX_CHOICES: usize = 50;

/// The answers of a request that concern the steps of a plan.
pub(crate) fn concerning<'a>(request: &'a Request, steps: &[Step]) -> Vec<&'a DebconfAnswer> {
    let names: BTreeSet<&str> = installed(steps).collect();
    let all = request.answers().map_or(&[][..], |answers| answers.all());
    all.iter()
        .filter(|answer| names.contains(answer.owner.as_str()))
        .collect()
}

/// The names of the packages that are installed or upgraded.
fn installed(steps: &[Step]) -> impl Iterator<Item = &str> {
    steps.iter().filter_map(|step| match step {
        Step::Install { package, .. } => Some(package.name()),
        Step::Remove { .. } => None,
    })
}

/// What these answers are of what is approved.
pub(super) fn approved(answers: &[&DebconfAnswer]) -> Vec<ApprovedAnswer> {
    answers.iter().map(|answer| answer.approved()).collect()
}

/// How many answers of a request concern other packages than those of a plan.
pub(crate) fn left_out(request: &Request, plan: &Plan) -> usize {
    let all = request.answers().map_or(0, |answers| answers.all().len());
    all - concerning(request, &plan.steps).len()
}

/// Refuses answers where the machine's own administrator wants none.
pub(crate) fn check_policy(
    paths: &ClientPaths,
    policy: &Policy,
    answers: &[&DebconfAnswer],
) -> Result<(), Refusal> {
    if answers.is_empty() || policy.takes_answers() {
        return Ok(());
    }
    let questions = answers.iter().map(|answer| answer.question.to_string()).collect();
    let path = paths.policy().display().to_string();
    Err(Refusal::new(Cause::AnswersForbidden { questions }).advise(Advice::Correct { path }))
}

/// Refuses answers that do not fit their questions. The .debs of the plan have to be in apt's cache.
pub(crate) fn check_templates(
    paths: &ClientPaths,
    plan: &Plan,
    answers: &[&DebconfAnswer],
) -> Result<(), Refusal> {
    if answers.is_empty() {
        return Ok(());
    }
    let templates =
        templates(paths, plan, answers).map_err(|error| Refusal::fault(Action::ReadTemplates, &error))?;
    let wrong: Vec<WrongAnswer> = answers
        .iter()
        .filter_map(|answer| misfit(answer, &templates))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(Cause::WrongAnswers { answers: wrong }))
}

/// Why an answer does not fit, by the first template that has its question.
fn misfit(answer: &DebconfAnswer, templates: &[Template]) -> Option<WrongAnswer> {
    let name = answer.question.as_str();
    let template = templates.iter().find(|template| template.name == name);
    let why = match (template, &answer.value) {
        (None, _) => Misfit::NoQuestion,
        (Some(template), Some(value)) => template.check(answer.kind, value.expose()).err()?,
        // A plan has no password.
        (Some(template), None) if template.kind == answer.kind => return None,
        (Some(_), None) => Misfit::OtherType,
    };
    let choices = template.filter(|_| why == Misfit::NoChoice);
    let choices = choices
        .and_then(|template| template.choices.clone())
        .unwrap_or_default();
    Some(WrongAnswer {
        question: answer.question.clone(),
        why,
        choices: choices.into_iter().take(MAX_CHOICES).collect(),
    })
}

/// The templates with the questions of these answers: those of the owners, those of other packages of the plan where a question is
/// theirs, and those that debconf knows of these packages.
fn templates(paths: &ClientPaths, plan: &Plan, answers: &[&DebconfAnswer]) -> io::Result<Vec<Template>> {
    let deadline = Instant::now() + TIMEOUT;
    let directory = TemporaryDirectory::of_process(&paths.views())?;
    let owners: BTreeSet<&str> = answers.iter().map(|answer| answer.owner.as_str()).collect();
    let debs: Vec<(&str, PathBuf)> = installed(&plan.steps)
        .zip(plan.debs.iter().map(|deb| paths.archives().join(&deb.file)))
        .collect();
    if debs.len() != installed(&plan.steps).count() {
        return Err(io::Error::other("not every package of the plan has a .deb"));
    }
    // The owners come first, and nearly always have all of it.
    let (own, others): (Vec<_>, Vec<_>) = debs.iter().partition(|(name, _)| owners.contains(name));
    let mut found: Vec<Template> = Vec::new();
    let is_complete = |found: &[Template]| {
        let has = |answer: &&DebconfAnswer| {
            found
                .iter()
                .any(|template| template.name == answer.question.as_str())
        };
        answers.iter().all(has)
    };
    for (place, (_, deb)) in own.iter().chain(&others).enumerate() {
        if place >= own.len() && is_complete(&found) {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let control = directory.path().join(place.to_string());
        unpack_control(deb, &control)?;
        found.extend(Template::read_all(
            &control_file(&control, "templates")?,
            "Template",
        ));
    }
    if !is_complete(&found) {
        found.extend(debconf::known_templates(
            paths,
            &installed(&plan.steps).collect(),
        )?);
    }
    Ok(found)
}

/// The questions that these answers are for, each with what somebody else has answered on the machine.
pub(crate) fn answered(paths: &ClientPaths, answers: &[&DebconfAnswer]) -> Vec<AnsweredQuestion> {
    let seen = match answers {
        [] => return Vec::new(),
        _ => debconf::seen_values(paths),
    };
    let mut told: Vec<AnsweredQuestion> = (answers.iter())
        .map(|answer| {
            let was = seen.get(answer.question.as_str());
            let value = answer.value.as_ref().map(Secret::expose);
            let was = was.filter(|was| !answer.kind.is_secret() && Some(was.as_str()) != value);
            AnsweredQuestion {
                question: answer.question.clone(),
                was: was.map(|was| was.chars().take(LONGEST_TOLD).collect()),
            }
        })
        .collect();
    told.sort();
    told.dedup_by(|one, other| one.question == other.question);
    told
}

#[cfg(test)]
mod tests {
    use std::fs;

    use apu_debian::debconf::QuestionKind;
    use apu_proto::{AnswerMark, Answers, AnswersSalt};

    use super::*;

    fn answer(owner: &str, question: &str, kind: QuestionKind, value: Option<&str>) -> DebconfAnswer {
        DebconfAnswer {
            owner: owner.parse().unwrap(),
            question: question.parse().unwrap(),
            kind,
            mark: AnswerMark::from_bytes([1; 16]),
            value: value.map(Secret::from),
        }
    }

    fn request(answers: Vec<DebconfAnswer>) -> Request {
        let answers = Answers::new(AnswersSalt::from_bytes([0; 16]), answers).unwrap();
        Request::parse(b"apu/1 upgrade")
            .unwrap()
            .with_answers(answers)
            .unwrap()
    }

    fn plan(output: &str) -> Plan {
        Plan::parse(output, "amd64").unwrap()
    }

    #[test]
    fn an_answer_concerns_the_transaction_that_installs_its_owner_and_no_other() {
        let request = request(vec![
            answer("lab", "lab/colour", QuestionKind::Select, Some("red")),
            answer(
                "openssh-server",
                "openssh-server/permit-root-login",
                QuestionKind::Boolean,
                Some("true"),
            ),
            answer("gone", "gone/really", QuestionKind::Boolean, Some("true")),
        ]);
        let plan = plan("Inst lab [2] (3 Site:x [all])\nRemv gone [2]\n");
        let found = concerning(&request, &plan.steps);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].question.as_str(), "lab/colour");
        assert_eq!(left_out(&request, &plan), 2);
        let bare = Request::parse(b"apu/1 upgrade").unwrap();
        assert!(concerning(&bare, &plan.steps).is_empty() && left_out(&bare, &plan) == 0);
    }

    #[test]
    fn what_does_not_fit_is_named_with_why_and_never_with_its_value() {
        let text = "Template: lab/colour\nType: select\nChoices: red, green\n\nTemplate: lab/secret\nType: password\n";
        let templates = Template::read_all(text, "Template");
        let why = |question, kind, value| misfit(&answer("lab", question, kind, value), &templates);
        use QuestionKind::{Password, Select, String};
        assert_eq!(why("lab/colour", Select, Some("green")), None);
        assert_eq!(why("lab/secret", Password, None), None);
        let wrong = why("lab/colour", Select, Some("hunter2")).unwrap();
        assert_eq!(
            (wrong.why, wrong.choices.join(" ").as_str()),
            (Misfit::NoChoice, "red green")
        );
        assert!(!format!("{wrong:?}").contains("hunter2"));
        assert_eq!(
            why("lab/colour", String, Some("red")).unwrap().why,
            Misfit::OtherType
        );
        assert_eq!(why("lab/colour", Password, None).unwrap().why, Misfit::OtherType);
        assert_eq!(
            why("lab/color", Select, Some("red")).unwrap().why,
            Misfit::NoQuestion
        );
    }

    #[test]
    fn an_answer_that_is_replaced_is_told_unless_it_is_a_password_or_the_same() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let database = paths.path("/var/cache/debconf");
        fs::create_dir_all(&database).unwrap();
        let config = "Name: lab/colour\nTemplate: lab/colour\nValue: blue\nOwners: lab\nFlags: seen\n\n\
                      Name: lab/same\nTemplate: lab/same\nValue: x\nOwners: lab\nFlags: seen\n\n\
                      Name: lab/unseen\nTemplate: lab/unseen\nValue: y\nOwners: lab\n";
        fs::write(database.join("config.dat"), config).unwrap();
        fs::write(
            database.join("passwords.dat"),
            "Name: lab/secret\nTemplate: lab/secret\nValue: hunter2\nOwners: lab\nFlags: seen\n",
        )
        .unwrap();
        let answers = [
            answer("lab", "lab/unseen", QuestionKind::String, Some("x")),
            answer("lab", "lab/colour", QuestionKind::Select, Some("red")),
            answer("lab", "lab/same", QuestionKind::String, Some("x")),
            answer("lab", "lab/secret", QuestionKind::Password, None),
        ];
        let told = answered(&paths, &answers.iter().collect::<Vec<_>>());
        let told: Vec<(&str, Option<&str>)> = (told.iter())
            .map(|answer| (answer.question.as_str(), answer.was.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("lab/colour", Some("blue")),
                ("lab/same", None),
                ("lab/secret", None),
                ("lab/unseen", None)
            ]
        );
    }

    #[test]
    fn a_machine_that_takes_no_answers_refuses_those_that_concern_it_and_no_others() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let (never, asked) = (
            Policy::parse("answers = \"never\"").unwrap(),
            Policy::parse("").unwrap(),
        );
        let one = answer("lab", "lab/colour", QuestionKind::Select, Some("red"));
        assert!(check_policy(&paths, &never, &[]).is_ok() && check_policy(&paths, &asked, &[&one]).is_ok());
        let refusal = check_policy(&paths, &never, &[&one]).unwrap_err();
        let questions = vec!["lab/colour".to_owned()];
        assert_eq!(
            refusal.result.reason.unwrap().cause,
            Cause::AnswersForbidden { questions }
        );
    }
}
