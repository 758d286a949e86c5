//! Judges what a client went through: whether what was told of it is what dpkg has.

/// The versions of the package that a trial upgrades, as dpkg has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) version: Option<String>,
    /// Whether dpkg has nothing left to do: `dpkg --audit` says nothing, and its journal is empty.
    pub(super) is_whole: bool,
}

/// What a client went through in a trial.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) before: State,
    /// The version that it was to have.
    pub(super) planned: String,
    /// What each run that the client has taken on ended with, as it says itself; none where it has no end.
    pub(super) runs: Vec<Option<String>>,
    /// The same of the runs of another server.
    pub(super) others: Vec<Option<String>>,
    /// How many transactions apt began.
    pub(super) transactions: usize,
    /// What the server told of it, in the end.
    pub(super) told: Vec<String>,
    /// After the trial, before anybody mended anything.
    pub(super) after: State,
    /// After one more upgrade, that nothing disturbed.
    pub(super) mended: State,
}

/// Says what is wrong with a history; nothing where it is true in all.
pub(super) fn violations(history: &History) -> Vec<&'static str> {
    let History {
        before,
        planned,
        runs,
        others,
        transactions,
        told,
        after,
        mended,
    } = history;
    let has_changed = before != after;
    let is_upgraded = after.version.as_ref() == Some(planned) && after.is_whole;
    let says = |outcome: &str| runs.iter().any(|run| run.as_deref() == Some(outcome));
    let others_say = |outcome: &str| others.iter().any(|run| run.as_deref() == Some(outcome));
    let anybody_says = |outcome: &str| says(outcome) || others_say(outcome);
    let is_told = |outcome: &str| told.iter().any(|told| told == outcome);
    let unknown = ["lost", "timed-out"];
    let nothing = ["skipped", "unreachable"];
    let rules = [
        (
            *transactions > runs.len() + others.len(),
            "apt began more transactions than there are runs",
        ),
        (
            runs.iter().chain(others).any(Option::is_none),
            "a run that the client took on has no end",
        ),
        (told.len() != 1, "the server did not tell one outcome"),
        (
            (anybody_says("changed") || is_told("changed")) && !is_upgraded,
            "it is said to be changed and is not upgraded",
        ),
        (
            !anybody_says("changed") && !anybody_says("failed") && has_changed,
            "something changed, and no run says so",
        ),
        (
            !after.is_whole && (!anybody_says("failed") || is_told("changed") || is_told("unchanged")),
            "dpkg stopped half-way, and that is not told",
        ),
        (
            nothing.iter().any(|outcome| is_told(outcome)) && !runs.is_empty(),
            "nothing is said to have happened, and the client has a run",
        ),
        (
            !runs.is_empty()
                && !unknown.iter().any(|outcome| is_told(outcome))
                && !told.iter().any(|told| says(told)),
            "the server tells another outcome than the client",
        ),
        (
            mended.version.as_ref() != Some(planned) || !mended.is_whole,
            "the next upgrade does not mend it",
        ),
    ];
    rules
        .into_iter()
        .filter_map(|(is_broken, rule)| is_broken.then_some(rule))
        .collect()
}

fn state(version: &str, is_whole: bool) -> State {
    State {
        version: Some(version.into()),
        is_whole,
    }
}

/// A client that did what it was asked, and was told so.
fn true_history() -> History {
    History {
        before: state("1", true),
        planned: "2".into(),
        runs: vec![Some("changed".into())],
        others: Vec::new(),
        transactions: 1,
        told: vec!["changed".into()],
        after: state("2", true),
        mended: state("2", true),
    }
}

#[test]
fn each_lie_is_found() {
    assert_eq!(violations(&true_history()), [""; 0]);
    let with = |lie: fn(&mut History)| {
        let mut history = true_history();
        lie(&mut history);
        violations(&history)
    };
    let failed = |history: &mut History| {
        history.runs[0] = Some("failed".into());
        history.told = vec!["failed".into()];
    };
    // What is true although it is no success: dpkg was stopped half-way, and it is told; nothing was reached.
    let mut half_way = true_history();
    failed(&mut half_way);
    half_way.after = state("2", false);
    assert_eq!(violations(&half_way), [""; 0]);
    let mut away = true_history();
    away.runs.clear();
    away.transactions = 0;
    away.after = away.before.clone();
    away.told = vec!["unreachable".into()];
    assert_eq!(violations(&away), [""; 0]);

    assert_eq!(
        with(|history| history.transactions = 2),
        ["apt began more transactions than there are runs"]
    );
    assert_eq!(
        with(|history| history.runs.push(None)),
        ["a run that the client took on has no end"]
    );
    assert_eq!(
        with(|history| history.told.push("failed".into())),
        ["the server did not tell one outcome"]
    );
    assert_eq!(
        with(|history| history.after = state("1", true)),
        ["it is said to be changed and is not upgraded"]
    );
    assert_eq!(
        with(|history| {
            history.runs[0] = Some("unchanged".into());
            history.told = vec!["unchanged".into()];
        }),
        ["something changed, and no run says so"]
    );
    assert_eq!(
        with(|history| {
            history.after = state("2", false);
            history.told = vec!["lost".into()];
            history.runs[0] = Some("unchanged".into());
        }),
        [
            "something changed, and no run says so",
            "dpkg stopped half-way, and that is not told"
        ]
    );
    assert_eq!(
        with(|history| history.told = vec!["unreachable".into()]),
        [
            "nothing is said to have happened, and the client has a run",
            "the server tells another outcome than the client"
        ]
    );
    assert_eq!(
        with(|history| history.told = vec!["failed".into()]),
        ["the server tells another outcome than the client"]
    );
    assert_eq!(
        with(|history| history.mended = state("2", false)),
        ["the next upgrade does not mend it"]
    );
}
