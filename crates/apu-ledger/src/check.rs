//! Proves that a ledger holds together: what must be true of every run, whatever happened to the process that wrote it.

use std::collections::{BTreeMap, HashMap, HashSet};

use apu_fleet::{Event, HostName, Outcome, Phase, RunState, Tested, TimedEvent, Trial, WaveVerdict};

use apu_proto::Verdict;

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::read::Attempt;
use crate::run::{Run, RunRef, RunStatus};
use crate::work::Work;

impl Ledger {
    /// Returns what does not hold, a sentence each; nothing where all is well.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn check(&self) -> Result<Vec<String>, LedgerError> {
        let mut wrong = Vec::new();
        let integrity: String = self
            .connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if integrity != "ok" {
            wrong.push(format!("the file is damaged: {integrity}"));
        }
        for run in self.runs(u32::MAX)? {
            let (events, attempts, work) = (
                self.events(&run)?,
                self.attempts(run.number)?,
                self.work(run.number)?,
            );
            let open = self.open_before(&run)?;
            let found = check_run(&run, &events, &attempts, (work.as_ref(), open));
            wrong.extend(
                found
                    .into_iter()
                    .map(|what| format!("run {}: {what}", run.number)),
            );
        }
        let mut query = self.connection.prepare(
            "SELECT lease.host FROM lease JOIN run ON run.number = lease.run WHERE run.ended IS NOT NULL",
        )?;
        let kept = query.query_map([], |row| row.get::<_, String>(0))?;
        for host in kept {
            wrong.push(format!("{} is held for a run that has ended", host?));
        }
        Ok(wrong)
    }

    /// The hosts that were at work when the run broke off that this one goes on with.
    fn open_before(&self, run: &Run) -> Result<HashSet<HostName>, LedgerError> {
        let Some(parent) = run.parent else {
            return Ok(HashSet::new());
        };
        // One that was forgotten, or has ended, left nothing open for this one.
        let is_gone_on_with = |parent: &Run| parent.status == RunStatus::WentOn(run.number);
        match self.find(&RunRef::Number(parent)) {
            Ok(parent) if is_gone_on_with(&parent) => {
                let attempts = self.attempts(parent.number)?;
                let open = attempts.into_iter().filter(Attempt::is_open);
                Ok(open.map(|attempt| attempt.host).collect())
            }
            Ok(_) | Err(LedgerError::NoRun(_)) => Ok(HashSet::new()),
            Err(error) => Err(error),
        }
    }
}

/// What does not hold in a run.
fn check_run(
    run: &Run,
    events: &[TimedEvent],
    attempts: &[Attempt],
    (work, open): (Option<&Work>, HashSet<HostName>),
) -> Vec<String> {
    let (trials, trial_of) = work.map(Work::shared_trials).unwrap_or_default();
    let mut seen = Seen {
        work,
        open,
        trials,
        trial_of,
        ..Seen::default()
    };
    let mut state = RunState::new(run.push);
    for event in events {
        state.apply(event);
        seen.event(&event.event);
    }
    let mut wrong = seen.wrong;
    let ends: HashMap<&HostName, Outcome> = state
        .endings()
        .map(|(host, ending)| (host, ending.outcome))
        .collect();
    for attempt in attempts {
        let told = ends.get(&attempt.host).copied();
        let is_over = matches!(run.status, RunStatus::Ended(_));
        // A run that goes on may still give the host another turn.
        if (is_over || attempt.outcome.is_some()) && attempt.outcome != told {
            let word = |outcome: Option<Outcome>| outcome.map_or("nothing", Outcome::as_str);
            wrong.push(format!(
                "{} ended {} by the table and {} by the events",
                attempt.host,
                word(attempt.outcome),
                word(told)
            ));
        }
    }
    wrong
}

/// What the events of a run have told so far.
#[derive(Default)]
struct Seen<'a> {
    work: Option<&'a Work>,
    /// The distinct things to do.
    trials: &'a [Trial],
    /// Which of them each host was to do.
    trial_of: HashMap<&'a HostName, usize>,
    /// The trials that a canary has done.
    are_done: HashSet<usize>,
    /// The trials of which every package was tested. It is found out once for all hosts that share a trial.
    are_tested: HashSet<usize>,
    phase: Option<Phase>,
    /// The hosts that were at work already when the run began.
    open: HashSet<HostName>,
    started: HashSet<HostName>,
    /// The hosts that are at work; one whose health is watched is not.
    running: HashSet<HostName>,
    ended: HashSet<HostName>,
    failed: usize,
    waves: BTreeMap<usize, WaveVerdict>,
    /// Whether no host may start for now.
    is_paused: bool,
    /// The waves that an administrator let pass.
    promoted: HashSet<usize>,
    /// The hosts that have changed and were inconclusive.
    unclear: HashSet<HostName>,
    /// The wave of each host.
    wave_of: HashMap<HostName, usize>,
    tested: Tested,
    /// What hosts leave as it is, since no canary has tested it.
    held_back: HashMap<HostName, HashSet<String>>,
    wrong: Vec<String>,
}

impl<'a> Seen<'a> {
    fn trial(&self, host: &HostName) -> Option<(usize, &'a Trial)> {
        let place = *self.trial_of.get(host)?;
        Some((place, self.trials.get(place)?))
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::PhaseStarted { phase, .. } => self.phase = Some(*phase),
            Event::WaveStarted { wave, hosts, .. } => {
                self.wave_of
                    .extend(hosts.iter().map(|host| (host.clone(), *wave)));
            }
            Event::WaveFinished { wave, verdict, .. } => self.finish_wave(*wave, *verdict),
            Event::Paused { .. } => self.is_paused = true,
            Event::Promoted { wave, .. } => {
                self.is_paused = false;
                self.promoted.insert(*wave);
            }
            Event::Resumed { .. } => self.is_paused = false,
            Event::HeldBack { host, packages } => {
                self.held_back
                    .insert(host.clone(), packages.iter().map(ToString::to_string).collect());
            }
            Event::HostStarted { host, .. } if self.phase == Some(Phase::Apply) => self.start(host),
            Event::Checking { host, .. } => _ = self.running.remove(host),
            Event::HostFinished { host, ending, .. } if self.phase == Some(Phase::Apply) => {
                self.running.remove(host);
                if !self.ended.insert(host.clone()) {
                    self.wrong.push(format!("{host} ended twice"));
                }
                self.failed += usize::from(ending.outcome.is_failure());
                match ending.verdict() {
                    _ if ending.outcome != Outcome::Changed => {}
                    Some(Verdict::Pass) => self.test(host),
                    Some(Verdict::Inconclusive) => _ = self.unclear.insert(host.clone()),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// What the host did was tested.
    fn test(&mut self, host: &HostName) {
        if let Some((place, trial)) = self.trial(host)
            && !trial.is_broken
            // What a host of a later wave did was tested before, or it left it as it is.
            && self.wave_of.get(host).is_none_or(|wave| *wave == 1)
            && self.are_done.insert(place)
        {
            self.tested.add(trial);
        }
    }

    fn finish_wave(&mut self, wave: usize, verdict: WaveVerdict) {
        self.waves.insert(wave, verdict);
        if verdict != WaveVerdict::Promoted {
            return;
        }
        if !self.promoted.contains(&wave) {
            self.wrong
                .push(format!("wave {wave} was promoted, and nothing says by whom"));
        }
        let vouched = |host: &&HostName| self.wave_of.get(*host) == Some(&wave);
        let vouched: Vec<HostName> = self.unclear.iter().filter(vouched).cloned().collect();
        vouched.iter().for_each(|host| self.test(host));
    }

    fn start(&mut self, host: &HostName) {
        let wave = self.wave_of.get(host).copied().unwrap_or(1);
        if !self.started.insert(host.clone()) {
            self.wrong.push(format!("{host} started twice"));
        }
        if self.open.contains(host) {
            return;
        }
        self.running.insert(host.clone());
        if self.is_paused {
            self.wrong.push(format!("{host} started in a pause"));
        }
        let passed = [WaveVerdict::Passed, WaveVerdict::Promoted];
        if wave > 1 && !(self.waves.get(&(wave - 1))).is_some_and(|verdict| passed.contains(verdict)) {
            self.wrong.push(format!(
                "{host} of wave {wave} started before the wave before had passed"
            ));
        }
        let Some(work) = self.work else {
            self.wrong
                .push(format!("{host} started, and nothing says what it was to do"));
            return;
        };
        if self.running.len() > work.parallel {
            self.wrong
                .push(format!("{host} started beside {} others", self.running.len() - 1));
        }
        if work
            .max_failures
            .is_some_and(|most| self.failed + work.failed_before > most)
        {
            self.wrong
                .push(format!("{host} started after too many had failed"));
        }
        if wave > 1
            && let Some((place, trial)) = self.trial(host)
            && !self.are_tested.contains(&place)
        {
            let missing = self.tested.missing(trial);
            let held_back = self.held_back.get(host);
            if missing.is_empty() {
                self.are_tested.insert(place);
            } else if !held_back
                .is_some_and(|held| missing.iter().all(|package| held.contains(&package.to_string())))
            {
                self.wrong
                    .push(format!("{host} started with packages that no canary had tested"));
            }
        }
    }
}
