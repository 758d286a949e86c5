//! A slot as the settings have it, checked: what it asks, when, and who is told.

use apu_proto::{Operation, PackageGlob};
use apu_site::Failure;
use apu_site::settings::{self, Calendar, Notices, SlotOperation};

use super::calendar::times_after;
use super::clock::time;
use super::decide::{GRACE, Step, decide, next_after, plans_at};
use super::state::{Occurrence, SlotState, State};
use super::store::Store;
use crate::apt_all::Asked;
use crate::context::Context;
use crate::notices::Ways;
use crate::{failure, stored_plans};

/// How many of its times are looked at, to see whether its notice fits between them.
const LOOKED_AT: u32 = 10;

/// A slot of this site.
pub(crate) struct Slot<'a> {
    pub(crate) context: &'a Context,
    pub(crate) name: &'a str,
    pub(crate) settings: &'a settings::Slot,
    pub(crate) asked: Asked,
    pub(crate) store: Store,
}

impl<'a> Slot<'a> {
    /// All slots, by their names; one that cannot be used as why not.
    pub(crate) fn all(context: &'a Context) -> Vec<Result<Self, Failure>> {
        let slots = context.settings.slot.keys();
        slots.map(|name| Self::named(context, name)).collect()
    }

    /// The slot of this name.
    ///
    /// # Errors
    /// Where there is none, and where it asks what no client takes.
    pub(crate) fn named(context: &'a Context, name: &str) -> Result<Self, Failure> {
        let path = context.site.settings();
        let Some((name, settings)) = context.settings.slot.get_key_value(name) else {
            let names: Vec<&str> = context.settings.slot.keys().map(String::as_str).collect();
            let failure = Failure::words(format!("there is no slot {name:?}"));
            return Err(match apu_debian::nearest(name, names.iter().copied()) {
                Some(nearest) => failure.advise(format!("write `{nearest}` instead")),
                None => failure.advise(format!("write [slot.{name}] into {}", path.display())),
            });
        };
        let wrong = |why: Failure| {
            Failure::words(format!("[slot.{name}] in {} cannot be used", path.display()))
                .why(why)
                .advise(format!("correct it in {}", path.display()))
        };
        let hold = (settings.hold.iter()).map(|text| {
            text.parse::<PackageGlob>()
                .map_err(|error| wrong(Failure::words(format!("hold has {text:?}")).why(error)))
        });
        let asked = Asked {
            target: settings.class.clone(),
            operation: match settings.operation {
                SlotOperation::Upgrade => Operation::Upgrade,
                SlotOperation::DistUpgrade => Operation::DistUpgrade,
            },
            security: settings.security,
            hold: hold.collect::<Result<_, _>>()?,
        };
        asked.args().map_err(wrong)?;
        Ok(Self {
            context,
            name,
            settings,
            asked,
            store: Store::of(&context.site, name),
        })
    }

    /// Who is told, and how.
    pub(crate) fn ways(&self) -> Ways<'a> {
        let notices: &Notices = &self.context.settings.notices;
        Ways {
            mail: self.settings.mail(notices),
            from: notices.from.as_ref(),
            webhook: self.settings.webhook(notices),
        }
    }

    /// How long before its time its plan is told, in seconds.
    pub(crate) fn notice(&self) -> i64 {
        i64::try_from(self.settings.notice.as_secs()).unwrap_or(i64::MAX)
    }

    /// All that it says of what is done and when, as a text: what was told of other words does not hold.
    pub(crate) fn terms(&self) -> String {
        let Asked {
            target,
            operation,
            security,
            hold,
        } = &self.asked;
        let hold: Vec<String> = hold.iter().map(ToString::to_string).collect();
        format!(
            "{operation} {target:?} at \"{}\" notice={} security={security} hold={}",
            self.settings.at,
            self.notice(),
            hold.join(",")
        )
    }

    /// Its next occurrence that can still be told in time; none where it never comes again.
    ///
    /// # Errors
    /// Where its expression is none, or its notice does not fit between its times.
    pub(crate) fn next(&self, state: &SlotState, now: i64) -> Result<Option<Occurrence>, Failure> {
        let last = state.last.as_ref().map(|last| last.at);
        let after = next_after(last, self.notice(), now);
        let times = self.times(after)?;
        Ok(times.first().map(|at| Occurrence {
            at: *at,
            terms: self.terms(),
            skipped_by: None,
            state: State::NEW,
            warning: None,
        }))
    }

    fn times(&self, after: i64) -> Result<Vec<i64>, Failure> {
        let at: &Calendar = &self.settings.at;
        let times = times_after(at, after, LOOKED_AT)?;
        let between = times.windows(2).map(|pair| pair[1] - pair[0]).min();
        let notice = self.notice();
        if let Some(between) = between.filter(|between| *between <= notice) {
            let span = |seconds: i64| apu_fleet::span(seconds.unsigned_abs());
            return Err(Failure::words(format!(
                "slot {}: its notice of {} is not shorter than the {} between two of its times",
                self.name,
                span(notice),
                span(between)
            ))
            .why("a plan is made when the one before was carried out")
            .advise(format!(
                "write a shorter notice into [slot.{}] of {}",
                self.name,
                self.context.site.settings().display()
            )));
        }
        Ok(times)
    }

    /// How far it is, with its next occurrence looked up where that is not known. Nothing is written.
    ///
    /// # Errors
    /// As [`Slot::next`], and where its file cannot be read.
    pub(crate) fn look(&self, now: i64) -> Result<SlotState, Failure> {
        let mut state = self.store.read()?;
        let is_over = |occurrence: &Occurrence| self.step(occurrence, now) == Step::Next;
        if state.now.as_ref().is_some_and(is_over) {
            over(&mut state);
        }
        if state.now.is_none() {
            state.now = self.next(&state, now)?;
        }
        Ok(state)
    }

    /// What is to be done for an occurrence of it.
    pub(crate) fn step(&self, occurrence: &Occurrence, now: i64) -> Step {
        decide(occurrence, &self.terms(), self.notice(), now)
    }

    /// When the plan of an occurrence is made.
    pub(crate) fn plans_at(&self, occurrence: &Occurrence) -> i64 {
        plans_at(occurrence.at, self.notice())
    }

    /// Checks what is not needed to wait: that its target means hosts, and that its time comes.
    ///
    /// # Errors
    /// Where one of them does not hold.
    pub(crate) fn check(&self, now: i64) -> Result<(), Failure> {
        let hosts = (self.context.inventory()?).resolve(std::slice::from_ref(&self.asked.target), &[]);
        hosts.map_err(|error| failure::target(&self.context.site, error))?;
        self.times(now).map(|_| ())
    }

    /// Holds its next occurrence, or lets it go on. Returns when that is; none where it does not come again.
    ///
    /// # Errors
    /// Where it is at work already, and as [`Slot::next`].
    pub(crate) fn hold(&self, by: Option<&str>, now: i64) -> Result<Option<i64>, Failure> {
        let found = self.look(now)?;
        self.store.change(|state| {
            let is_over = |occurrence: &Occurrence| self.step(occurrence, now) == Step::Next;
            if state.now.as_ref().is_none_or(is_over) {
                *state = found;
            }
            let Some(occurrence) = &mut state.now else {
                return Ok(None);
            };
            if matches!(occurrence.state, State::Applying { .. } | State::Ended { .. }) {
                let failure = Failure::words(format!(
                    "the occurrence of {} of slot {} has begun",
                    time(occurrence.at),
                    self.name
                ));
                return Err(failure.advise("apu runs, and then apu abort RUN"));
            }
            occurrence.skipped_by = by.map(str::to_owned);
            Ok(Some(occurrence.at))
        })?
    }
}

/// Puts an occurrence away that is over; one of which nobody knows is forgotten.
pub(crate) fn over(state: &mut SlotState) {
    let now = state.now.take();
    if let Some(mut occurrence) = now
        && let State::Ended { text, .. } = &mut occurrence.state
    {
        text.clear();
        state.last = Some(occurrence);
    }
}

// A plan that was told as late as it may be is still valid when it is carried out as late as that may be.
const _: () =
    assert!(settings::LONGEST_NOTICE.as_secs() + 2 * GRACE.unsigned_abs() < stored_plans::VALID.as_secs());
