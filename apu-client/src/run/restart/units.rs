//! Reads what `systemctl show` says of units: blocks of `Key=value` lines, a unit each.

use std::collections::HashMap;

/// The properties that are asked for.
pub(super) const PROPERTIES: [&str; 19] = [
    "Id",
    "LoadState",
    "ActiveState",
    "Type",
    "KillMode",
    "MainPID",
    "CanStart",
    "RefuseManualStart",
    "RefuseManualStop",
    "Transient",
    "StandardInput",
    "SuccessAction",
    "FailureAction",
    "StartLimitAction",
    "RequiredBy",
    "RequisiteOf",
    "BoundBy",
    "ConsistsOf",
    "PropagatesStopTo",
];

/// What systemd says of one unit. A property that this systemd does not have is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unit {
    properties: HashMap<String, String>,
}

impl Unit {
    pub(super) fn get(&self, property: &str) -> &str {
        self.properties.get(property).map_or("", String::as_str)
    }

    pub(super) fn is_yes(&self, property: &str) -> bool {
        self.get(property) == "yes"
    }

    /// Its main process; none where it has none or systemd does not know it.
    pub(super) fn main_process(&self) -> Option<u32> {
        self.get("MainPID").parse().ok().filter(|number| *number != 0)
    }

    /// The units that systemd stops when it stops this one.
    pub(super) fn stopped_with_it(&self) -> impl Iterator<Item = &str> {
        let kinds = [
            "RequiredBy",
            "RequisiteOf",
            "BoundBy",
            "ConsistsOf",
            "PropagatesStopTo",
        ];
        kinds
            .into_iter()
            .flat_map(|kind| self.get(kind).split_ascii_whitespace())
    }
}

/// Reads the answer, each unit by its name with `.service`.
pub(super) fn parse(answer: &str) -> HashMap<String, Unit> {
    let mut units = HashMap::new();
    for block in answer.split("\n\n") {
        let lines = block.lines().filter_map(|line| line.split_once('='));
        let properties: HashMap<String, String> = lines
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let unit = Unit { properties };
        let id = unit.get("Id").to_owned();
        if !id.is_empty() {
            units.insert(id, unit);
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_read_by_its_name_and_what_systemd_does_not_know_is_empty() {
        // As systemd 252 prints it.
        let answer = "Type=notify\nStandardInput=null\nMainPID=612\nKillMode=process\nId=ssh.service\nRequiredBy=\n\
                      LoadState=loaded\nActiveState=active\nCanStart=yes\nRefuseManualStart=no\n\n\
                      Type=forking\nMainPID=0\nId=exim4.service\nRequiredBy=a.service mnt-x.mount\nConsistsOf=b.service\n\
                      ExecStart={ path=/x ; argv[]=/x a=b ; }\n\nMainPID=0\nNoEquals\n";
        let units = parse(answer);
        assert_eq!(units.len(), 2);
        let ssh = &units["ssh.service"];
        assert_eq!((ssh.get("Type"), ssh.main_process()), ("notify", Some(612)));
        assert!(ssh.is_yes("CanStart") && !ssh.is_yes("RefuseManualStart") && !ssh.is_yes("Transient"));
        assert_eq!((ssh.get("SuccessAction"), ssh.stopped_with_it().count()), ("", 0));
        let exim = &units["exim4.service"];
        assert_eq!(exim.main_process(), None);
        let with_it: Vec<&str> = exim.stopped_with_it().collect();
        assert_eq!(with_it, ["a.service", "mnt-x.mount", "b.service"]);
        for nothing in ["", "\n\n\n", "Id=", "=x\n\n=y"] {
            assert!(parse(nothing).is_empty(), "{nothing:?}");
        }
    }
}
