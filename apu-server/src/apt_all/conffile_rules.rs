//! Which rules for configuration files each host of a push gets: those of its classes in apu.toml, and those for all.

use std::collections::{BTreeMap, HashMap};

use apu_debian::PathGlob;
use apu_fleet::{Host, HostName};
use apu_proto::{ConffileRule, ConffileRuleFor, MAX_CONFFILE_RULES};
use apu_site::Failure;
use apu_site::settings::ConffilePaths;

use super::class_key::members;
use crate::context::Context;

/// The rules of each host that has any.
#[derive(Debug, Default)]
pub(super) struct HostRules(HashMap<HostName, Vec<ConffileRuleFor>>);

impl HostRules {
    /// Reads the rules for these hosts.
    ///
    /// # Errors
    /// Where there is no such class, and where a host has more rules than a request can have.
    pub(super) fn read(context: &Context, hosts: &[Host]) -> Result<Self, Failure> {
        let mut paths: BTreeMap<&HostName, ConffilePaths> = BTreeMap::new();
        let mut classes: BTreeMap<&HostName, Vec<&str>> = BTreeMap::new();
        for (class, of_class) in &context.settings.conffiles {
            let members = members(context, "[conffiles]", class, hosts)?;
            for host in hosts.iter().filter(|host| members.contains(&host.name)) {
                paths.entry(&host.name).or_default().add(of_class);
                classes.entry(&host.name).or_default().push(class);
            }
        }
        let mut all = HashMap::new();
        for (host, paths) in paths {
            let rules = rules(&paths);
            if rules.len() > MAX_CONFFILE_RULES {
                return Err(too_many(host, rules.len(), &classes[host]));
            }
            all.insert(host.clone(), rules);
        }
        Ok(Self(all))
    }

    /// Those of a host.
    pub(super) fn of(&self, host: &HostName) -> &[ConffileRuleFor] {
        self.0.get(host).map_or(&[], Vec::as_slice)
    }
}

fn too_many(host: &HostName, number: usize, classes: &[&str]) -> Failure {
    let keys: Vec<String> = (classes.iter())
        .map(|class| format!("[conffiles.{class}]"))
        .collect();
    Failure::words(format!(
        "{} of apu.toml have {number} patterns for {host}",
        keys.join(" and ")
    ))
    .why(format!("a request has {MAX_CONFFILE_RULES} at most"))
    .advise("write fewer patterns, with * in them")
}

/// The strictest first.
fn rules(paths: &ConffilePaths) -> Vec<ConffileRuleFor> {
    let of = |rule: ConffileRule, globs: &[PathGlob]| {
        let rule = |paths: &PathGlob| ConffileRuleFor {
            rule,
            paths: paths.clone(),
        };
        globs.iter().map(rule).collect::<Vec<_>>()
    };
    [
        of(ConffileRule::HoldBack, &paths.hold_back),
        of(ConffileRule::Keep, &paths.keep),
        of(ConffileRule::New, &paths.new),
    ]
    .concat()
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use apu_site::{Ui, report};

    use super::*;

    /// A site with the class `web` of web1 and web2, the class `front` of web1, db1 in no class of theirs, and this apu.toml.
    pub(in crate::apt_all) fn site(settings: &str) -> (tempfile::TempDir, Context) {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc/apu-server");
        fs::create_dir_all(etc.join("clients")).unwrap();
        for (class, hosts) in [("web", "web1\nweb2\n"), ("front", "web1\n"), ("db", "db1\n")] {
            fs::write(etc.join("clients").join(class), hosts).unwrap();
        }
        fs::write(etc.join("apu.toml"), settings).unwrap();
        let context = Context::enter(root.path(), "apt-all", &Ui::of_process()).unwrap();
        (root, context)
    }

    pub(in crate::apt_all) fn hosts(names: &[&str]) -> Vec<Host> {
        names
            .iter()
            .map(|name| Host::plain(name.parse().unwrap()))
            .collect()
    }

    fn words(rules: &HostRules, host: &str) -> String {
        let rules = rules.of(&host.parse().unwrap());
        rules
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn a_host_has_the_rules_of_its_classes_and_of_all_whatever_the_target_is() {
        let (_root, context) = site(
            "[conffiles.all]\nkeep = ['/etc/k']\n[conffiles.web]\nnew = ['/etc/n']\nkeep = ['/etc/k']\n\
             [conffiles.front]\nhold-back = ['/etc/h*']\n",
        );
        let rules = HostRules::read(&context, &hosts(&["web1", "web2", "db1"])).unwrap();
        assert_eq!(words(&rules, "web1"), "hold-back:/etc/h* keep:/etc/k new:/etc/n");
        assert_eq!(words(&rules, "web2"), "keep:/etc/k new:/etc/n");
        assert_eq!(words(&rules, "db1"), "keep:/etc/k");
        assert_eq!(words(&rules, "mx1"), "");
    }

    #[test]
    fn a_class_that_is_none_and_more_rules_than_a_request_has_are_refused() {
        let refused = |settings: &str, names: &[&str]| {
            let (_root, context) = site(settings);
            HostRules::read(&context, &hosts(names)).map(|_| ())
        };
        let said = report(&refused("[conffiles.wbe]\nkeep = ['/etc/k']\n", &["db1"]).unwrap_err()).0;
        assert!(said.contains("wbe"), "{said}");
        let many: Vec<String> = (0..MAX_CONFFILE_RULES)
            .map(|number| format!("'/etc/{number}'"))
            .collect();
        let many = format!(
            "[conffiles.web]\nkeep = [{}]\n[conffiles.front]\nnew = ['/etc/n']\n",
            many.join(", ")
        );
        assert!(refused(&many, &["web2", "db1"]).is_ok());
        let said = report(&refused(&many, &["web1"]).unwrap_err()).0;
        assert!(
            said.contains("[conffiles.front] and [conffiles.web] of apu.toml have 33 patterns for web1"),
            "{said}"
        );
    }
}
