use super::*;
use crate::answers::{AnswerMark, AnswersSalt, DebconfAnswer};
use apu_debian::debconf::QuestionKind;
use proptest::prelude::*;
use proptest::sample::select;

/// Any option with any value, whether or not a request takes it.
fn option() -> impl Strategy<Value = RequestOption> {
    prop_oneof![
        any::<[u8; 16]>().prop_map(|id| RequestOption::RunId(RunId::from_bytes(id))),
        Just(RequestOption::DryRun),
        Just(RequestOption::EvenIfNotNeeded),
        Just(RequestOption::Obsolete),
        Just(RequestOption::AllowRemove),
        Just(RequestOption::OnlySecurity),
        Just(RequestOption::OnlyUpgrade),
        Just(RequestOption::DownloadOnly),
        Just(RequestOption::KeepDebs),
        proptest::collection::vec(0_u8..3, 1..3).prop_map(|sums| RequestOption::Debs(
            sums.iter().map(|sum| DebSha256::from_bytes([*sum; 32])).collect()
        )),
        proptest::collection::vec((0_u8..3, 0..=crate::MAX_DEB_SIZE), 1..3).prop_map(debs_follow),
        proptest::collection::vec(select(vec!["vim", "linux-*", "lib[!a-c]?"]), 1..4).prop_map(hold),
        proptest::collection::vec(select(vec!["vim", "*"]), 1..4).prop_map(too_young),
        proptest::collection::vec(select(vec!["openssl", "g++"]), 1..3).prop_map(sources),
        any::<[u8; 32]>().prop_map(|id| RequestOption::Plan(TransactionId::from_bytes(id))),
        any::<[u8; 32]>().prop_map(|sum| RequestOption::Answers(AnswersSha256::from_bytes(sum))),
        Just(RequestOption::ListsOfSite),
        select(vec!["waits for #412", "Grüße", "100%"])
            .prop_map(|text| RequestOption::HoldReason(text.parse().unwrap())),
        prop_oneof![0..=MAX_HOLD_END, any::<u64>()].prop_map(RequestOption::HoldUntil),
        select(vec!["alice", "j.doe"]).prop_map(|name| RequestOption::HoldBy(name.parse().unwrap())),
        select(vec!["/etc/app.conf", "/etc/Grüße 100%"])
            .prop_map(|path| RequestOption::ConffilePath(path.parse().unwrap())),
        select(&ConffileDecision::ALL[..]).prop_map(RequestOption::ConffileDecision),
        proptest::collection::vec(select(vec![".dpkg-dist", ".ucf-old"]), 1..3).prop_map(versions),
        proptest::collection::vec(select(vec!["keep:/etc/x", "hold-back:/etc/a:*"]), 1..3).prop_map(rules),
        prop_oneof![0..=MAX_LOCK_WAIT, any::<u32>()].prop_map(RequestOption::LockWait),
    ]
}

fn debs_follow(debs: Vec<(u8, u64)>) -> RequestOption {
    let deb = |(sum, size): (u8, u64)| SentDeb {
        sha256: DebSha256::from_bytes([sum; 32]),
        size,
    };
    RequestOption::DebsFollow(debs.into_iter().map(deb).collect())
}

fn hold(words: Vec<&str>) -> RequestOption {
    RequestOption::Hold(words.iter().map(|word| word.parse().unwrap()).collect())
}

fn versions(suffixes: Vec<&str>) -> RequestOption {
    let versions = suffixes
        .iter()
        .map(|beside| format!("{beside}:fcbc800d:ed9c86a6").parse().unwrap());
    RequestOption::ConffileVersions(versions.collect())
}

fn rules(words: Vec<&str>) -> RequestOption {
    RequestOption::ConffileRules(words.iter().map(|word| word.parse().unwrap()).collect())
}

fn sources(words: Vec<&str>) -> RequestOption {
    RequestOption::Sources(words.iter().map(|word| word.parse().unwrap()).collect())
}

fn too_young(words: Vec<&str>) -> RequestOption {
    RequestOption::TooYoung(words.iter().map(|word| word.parse().unwrap()).collect())
}

/// Either a few packages, some of them twice; or nearly as many, and nearly as long, as a request may have.
fn packages() -> impl Strategy<Value = Vec<PackageArg>> {
    let few = [
        "vim",
        "vim=2:9.0-2+deb12u2",
        "vim:i386",
        "g++",
        "libc6:amd64=2.36-9~rc1",
    ];
    let many = |(count, digits): (usize, usize)| {
        let word = |n| format!("pkg{n}=1{}", "0".repeat(digits));
        (0..count).map(word).collect::<Vec<String>>()
    };
    let words = prop_oneof![
        3 => proptest::collection::vec(select(few.to_vec()).prop_map(str::to_owned), 0..4),
        1 => (MAX_PACKAGES - 2..MAX_PACKAGES + 3, prop_oneof![0..9_usize, 50..60_usize]).prop_map(many),
    ];
    words.prop_map(|words| words.iter().map(|word| word.parse().unwrap()).collect())
}

fn line(operation: Operation, options: &[RequestOption], packages: &[PackageArg]) -> String {
    let options = options.iter().map(|option| format!(" {option}"));
    let words = options.chain(packages.iter().map(|package| format!(" {package}")));
    format!("{VERSION_WORD} {operation}{}", words.collect::<String>())
}

/// Whether building ends as reading the line does. A line is measured before its words are read, so one that is too
/// long may have another fault as well.
fn agree(built: &Result<Request, RequestError>, line: &str) -> bool {
    match Request::parse(line.as_bytes()) {
        Err(RequestError::TooLong) => built.is_err(),
        read => *built == read,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_request_can_be_built_exactly_where_its_line_is_accepted(
        operation in select(&Operation::ALL[..]),
        options in proptest::collection::vec(option(), 0..4),
        packages in packages(),
    ) {
        let line = line(operation, &options, &packages);
        let built = Request::new(operation, options, packages);
        prop_assert!(agree(&built, &line), "{}: {:?}", line, built);
        if let Ok(request) = built {
            prop_assert_eq!(Request::parse(request.to_string().as_bytes()), Ok(request));
        }
    }

    #[test]
    fn options_can_be_added_exactly_where_the_longer_line_is_accepted(
        operation in select(&Operation::ALL[..]),
        first in proptest::option::of(option()),
        others in proptest::collection::vec(option(), 0..3),
        packages in packages(),
    ) {
        if let Ok(request) = Request::new(operation, first.clone(), packages.clone()) {
            let options: Vec<RequestOption> = first.into_iter().chain(others.clone()).collect();
            let line = line(operation, &options, &packages);
            let longer = request.with(others);
            prop_assert!(agree(&longer, &line), "{}: {:?}", line, longer);
        }
    }
}

#[test]
fn a_request_that_needs_no_check_reads_back_as_well() {
    for request in [
        Request::status(),
        Request::check(),
        Request::attach(RunId::from_bytes([7; 16])),
    ] {
        assert_eq!(Request::parse(request.to_string().as_bytes()), Ok(request));
    }
}

#[test]
fn what_is_planned_is_all_that_says_what_to_do() {
    let read = |words: &str| Request::parse(format!("apu/1 dist-upgrade{words}").as_bytes()).unwrap();
    let what = " allow_remove=yes only_security=yes source_packages=openssl hold_packages=vim,linux-* too_young=bash conffile_rules=keep:/etc/x";
    let run = format!(
        " run_id={} dry_run=yes{what} download_only=yes keep_debs=yes plan_sha256={} lock_wait=9",
        "a".repeat(32),
        "b".repeat(64)
    );
    assert_eq!(read(&run).to_be_planned(), read(what));
}

#[test]
fn a_request_that_holds_more_is_a_plan_or_does_that_plan() {
    let read = |words: &str| Request::parse(format!("apu/1 {words}").as_bytes()).unwrap();
    let run = format!("run_id={}", "a".repeat(32));
    let plan = |digit: &str| format!("plan_sha256={}", digit.repeat(64));
    let request = read(&format!(
        "upgrade {run} hold_packages=vim {} lock_wait=9",
        plan("b")
    ));
    let globs = || ["htop", "vim"].map(|word| word.parse().unwrap());
    assert_eq!(
        request.holding(globs(), None),
        Ok(read("upgrade dry_run=yes hold_packages=htop,vim"))
    );
    assert_eq!(
        request.holding(globs(), Some(TransactionId::from_bytes([0xcc; 32]))),
        Ok(read(&format!(
            "upgrade {run} hold_packages=htop,vim {} lock_wait=9",
            plan("c")
        )))
    );
    assert!(read("remove vim").holding(globs(), None).is_err());
    let many = (0..=MAX_PACKAGES).map(|n| format!("p{n}").parse().unwrap());
    assert!(request.holding(many, None).is_err());
}

#[test]
fn answers_are_announced_by_a_checksum_and_are_no_part_of_the_line() {
    let answer = |kind, value: &str| DebconfAnswer {
        owner: "mysql-server".parse().unwrap(),
        question: "mysql-server/root".parse().unwrap(),
        kind,
        mark: AnswerMark::from_bytes([1; 16]),
        value: Some(value.into()),
    };
    let salt = AnswersSalt::from_bytes([2; 16]);
    let answers = Answers::new(salt, vec![answer(QuestionKind::Password, "hunter2")]).unwrap();
    let bare = Request::parse(b"apu/1 upgrade").unwrap();
    let request = bare.clone().with_answers(answers.clone()).unwrap();
    let line = format!("apu/1 upgrade answers_sha256={}", answers.sha256());
    assert_eq!(request.to_string(), line);
    assert!(!format!("{request:?}").contains("hunter2"));
    let read = Request::parse(line.as_bytes()).unwrap();
    assert_eq!(read.answers(), None);
    assert_eq!(
        read.clone().announced(answers.line().as_bytes()),
        Ok(request.clone())
    );
    assert_eq!(read.announced(b"{}"), Err(AnswersError::Other));
    assert_eq!(bare.clone().announced(b"{}"), Err(AnswersError::Other));
    assert_eq!(request.clone().without_answers(), bare);
    assert_eq!(request.to_be_planned(), bare);
    // What a narrower plan is asked for has the answers, and no password.
    let narrower = request
        .holding([], None)
        .map(|request| request.answers().unwrap().all().to_vec());
    assert!(narrower.is_err(), "nothing is held: {narrower:?}");
    let globs = || ["vim".parse().unwrap()];
    let planned = request.holding(globs(), None).unwrap();
    assert_eq!(planned.answers(), Some(&answers.without_secrets()));
    let plan = TransactionId::from_bytes([3; 32]);
    assert_eq!(
        request.holding(globs(), Some(plan)).unwrap().answers(),
        Some(&answers)
    );
    assert!(
        Request::parse(b"apu/1 remove vim")
            .unwrap()
            .with_answers(answers)
            .is_err()
    );
}

#[test]
fn a_request_of_full_length_takes_no_option_more() {
    let names = (0..MAX_PACKAGES).map(|n| format!("p{n:02}{}", "a".repeat(60)));
    let packages: Vec<PackageArg> = names.map(|name| name.parse().unwrap()).collect();
    let short = &packages[..MAX_PACKAGES - 1];
    let request = Request::new(Operation::Install, [], short.iter().cloned()).unwrap();
    assert_eq!(request.to_string().len(), 4045);
    let request = request
        .with([RequestOption::RunId(RunId::from_bytes([7; 16]))])
        .unwrap();
    assert_eq!(
        request.with([RequestOption::LockWait(600)]),
        Err(RequestError::TooLong)
    );
    assert_eq!(
        Request::new(Operation::Install, [], packages),
        Err(RequestError::TooLong)
    );
}
