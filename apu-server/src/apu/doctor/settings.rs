//! Looks at what apu.toml says of classes and slots: names that nobody has do nothing, and are noticed late.

use std::collections::BTreeSet;

use apu_site::Failure;

use super::{Finding, well, wrong};
use crate::context::Context;
use crate::slots::{Slot, now};

/// What is to be said of classes and slots in apu.toml; nothing where it names none.
pub(super) fn settings(context: &Context) -> Vec<Finding> {
    let mut findings = classes(context);
    for slot in Slot::all(context) {
        let checked = slot.and_then(|slot| slot.check(now()).map(|()| slot.name.to_owned()));
        findings.push(match checked {
            Ok(name) => well(format!("slot {name}")),
            Err(failure) => of_failure(&failure, context),
        });
    }
    findings
}

/// The targets that have a table of their own and mean nobody.
fn classes(context: &Context) -> Vec<Finding> {
    let settings = &context.settings;
    let rollout = settings
        .rollout
        .keys()
        .map(|name| (format!("[rollout.{name}]"), name));
    let maintenance = settings.maintenance.keys();
    let maintenance = maintenance.map(|name| (format!("[maintenance.{name}]"), name));
    let protect = settings
        .protect
        .keys()
        .map(|name| (format!("{name} in [protect]"), name));
    let all: BTreeSet<(String, &String)> = rollout.chain(maintenance).chain(protect).collect();
    let named = all.into_iter().filter(|(_, name)| *name != "all");
    let Ok(inventory) = context.inventory() else {
        // It is said of the classes themselves.
        return Vec::new();
    };
    let unknown = named.filter_map(|(key, name)| {
        let error = inventory.resolve(std::slice::from_ref(name), &[]).err()?;
        let path = context.site.settings();
        Some(wrong(
            format!("{key} of {}: {error}", path.display()),
            format!("correct {}", path.display()),
        ))
    });
    unknown.collect()
}

fn of_failure(failure: &Failure, context: &Context) -> Finding {
    let advice = failure.advice().map_or_else(
        || format!("correct {}", context.site.settings().display()),
        str::to_owned,
    );
    wrong(failure.to_string(), advice)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use apu_site::{Settings, Site, Ui};

    use super::*;

    #[test]
    fn names_that_nobody_has_and_slots_that_cannot_be_used_are_told() {
        let root = tempfile::tempdir().unwrap();
        let site = Site::below(root.path());
        fs::create_dir_all(site.clients()).unwrap();
        fs::write(site.clients().join("web"), "web1\n").unwrap();
        let text = "[rollout.web]\nsoak = 1\n[rollout.wep]\nsoak = 1\n[maintenance.all]\n\
                    [protect]\nweb = ['cron']\ndb = ['cron']\n\
                    [slot.good]\nclass = 'web'\noperation = 'upgrade'\nat = 'Thu 22:00'\nmail = ['a@example.org']\n\
                    [slot.bad]\nclass = 'nobody'\noperation = 'upgrade'\nat = 'Thu 22:00'\nmail = ['a@example.org']\n";
        let context = Context {
            settings: Settings::parse(text).unwrap(),
            site,
            ui: Ui::of_process(),
        };
        let told: Vec<(String, bool)> = settings(&context)
            .into_iter()
            .map(|finding| (finding.what, finding.advice.is_none()))
            .collect();
        let begins = ["[rollout.wep] of ", "db in [protect] of ", "", "slot good"];
        assert_eq!(told.len(), begins.len(), "{told:?}");
        for ((what, is_well), begin) in told.iter().zip(begins) {
            assert!(what.starts_with(begin), "{told:?}");
            assert_eq!(*is_well, begin == "slot good", "{told:?}");
        }
        assert!(told[2].0.contains("nobody"), "{told:?}");
    }
}
