//! What a client understands beyond the first version of the protocol, by name: it says so in `hello`, so that the server
//! need not guess it from what the client refuses.

use std::fmt;

use crate::operation::Operation;
use crate::request::Request;

/// A part of the protocol that a client may have or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// `update lists_of=site`.
    ListsOfSite,
    /// A plan is that of `apu-plan/1`, with the checksums of the .debs: in the answer to a dry run, and in `plan_sha256=`.
    Plan1,
    /// The operation `health`.
    Health,
    /// `upgrade only_security=yes`, and the same of `dist-upgrade`.
    OnlySecurity,
    /// `hold_packages=`.
    HoldPackages,
    /// `download_only=yes`.
    DownloadOnly,
    /// The operation `conffiles`.
    Conffiles,
    /// The answer to a dry run tells which upgrades are security updates. No request needs it.
    PlanSecurity,
    /// The same answer tells which running services it reaches. No request needs it.
    PlanServices,
    /// `too_young=`.
    TooYoung,
    /// `source_packages=`.
    SourcePackages,
    /// `install only_upgrade=yes`.
    OnlyUpgrade,
    /// The operations `hold`, `unhold` and `showhold`.
    Holds,
    /// The operation `reboot`.
    Reboot,
    /// The operation `restart-services`.
    RestartServices,
    /// `status with_obsolete=yes`.
    Obsolete,
    /// `answers_sha256=`, and the answers behind the request.
    Answers,
    /// The operation `conffile`.
    Conffile,
    /// `conffile_rules=`.
    ConffileRules,
    /// `conffiles with_diffs=yes`.
    ConffileDiffs,
    /// `keep_debs=yes`, and the operations `send-debs` and `take-debs`.
    Debs,
}

/// The features that this crate knows.
pub const FEATURES: [Feature; 21] = [
    Feature::ListsOfSite,
    Feature::Plan1,
    Feature::Health,
    Feature::OnlySecurity,
    Feature::HoldPackages,
    Feature::DownloadOnly,
    Feature::Conffiles,
    Feature::PlanSecurity,
    Feature::PlanServices,
    Feature::TooYoung,
    Feature::SourcePackages,
    Feature::OnlyUpgrade,
    Feature::Holds,
    Feature::Reboot,
    Feature::RestartServices,
    Feature::Obsolete,
    Feature::Answers,
    Feature::Conffile,
    Feature::ConffileRules,
    Feature::ConffileDiffs,
    Feature::Debs,
];

impl Feature {
    /// Its name in `hello`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ListsOfSite => "lists-of-site",
            Self::Plan1 => "apu-plan/1",
            Self::Health => "health",
            Self::OnlySecurity => "only-security",
            Self::HoldPackages => "hold-packages",
            Self::DownloadOnly => "download-only",
            Self::Conffiles => "conffiles",
            Self::PlanSecurity => "plan-security",
            Self::PlanServices => "plan-services",
            Self::TooYoung => "too-young",
            Self::SourcePackages => "source-packages",
            Self::OnlyUpgrade => "only-upgrade",
            Self::Holds => "holds",
            Self::Reboot => "reboot",
            Self::RestartServices => "restart-services",
            Self::Obsolete => "obsolete",
            Self::Answers => "answers",
            Self::Conffile => "conffile",
            Self::ConffileRules => "conffile-rules",
            Self::ConffileDiffs => "conffile-diffs",
            Self::Debs => "debs",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Request {
    /// The first feature that this request takes and that is not among those of a client.
    #[must_use]
    pub fn missing_feature(&self, of_client: &[String]) -> Option<Feature> {
        let taken = [
            self.wants_site_lists_only().then_some(Feature::ListsOfSite),
            (self.operation() == Operation::Reboot).then_some(Feature::Reboot),
            (self.operation() == Operation::RestartServices).then_some(Feature::RestartServices),
            (self.operation() == Operation::Conffile).then_some(Feature::Conffile),
            (self.operation().changes_packages() && (self.is_dry_run() || self.plan().is_some()))
                .then_some(Feature::Plan1),
            (self.operation() == Operation::Health).then_some(Feature::Health),
            self.is_only_security().then_some(Feature::OnlySecurity),
            (!self.hold().is_empty()).then_some(Feature::HoldPackages),
            self.is_download_only().then_some(Feature::DownloadOnly),
            (self.operation() == Operation::Conffiles).then_some(Feature::Conffiles),
            (!self.too_young().is_empty()).then_some(Feature::TooYoung),
            (!self.sources().is_empty()).then_some(Feature::SourcePackages),
            (!self.conffile_rules().is_empty()).then_some(Feature::ConffileRules),
            self.wants_diffs().then_some(Feature::ConffileDiffs),
            self.is_only_upgrade().then_some(Feature::OnlyUpgrade),
            self.wants_obsolete().then_some(Feature::Obsolete),
            (self.operation().sets_holds() || self.operation() == Operation::Showhold)
                .then_some(Feature::Holds),
            self.answers_sha256().map(|_| Feature::Answers),
            (self.keeps_debs() || matches!(self.operation(), Operation::SendDebs | Operation::TakeDebs))
                .then_some(Feature::Debs),
        ];
        (taken.into_iter().flatten()).find(|feature| !of_client.iter().any(|name| name == feature.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_feature_that_a_client_lacks() {
        let request = |words: &str| Request::parse(format!("apu/1 {words}").as_bytes()).unwrap();
        let all = FEATURES.map(|feature| feature.to_string());
        let lists = request("update lists_of=site");
        let plan = request(&format!("upgrade plan_sha256={}", "0".repeat(64)));
        assert_eq!(lists.missing_feature(&[]), Some(Feature::ListsOfSite));
        assert_eq!(plan.missing_feature(&all[..1]), Some(Feature::Plan1));
        let health = request("health");
        assert_eq!(health.missing_feature(&all[..2]), Some(Feature::Health));
        let security = request("dist-upgrade dry_run=yes only_security=yes");
        assert_eq!(security.missing_feature(&all[..3]), Some(Feature::OnlySecurity));
        let hold = request("install hold_packages=linux-* hello");
        assert_eq!(hold.missing_feature(&all[..4]), Some(Feature::HoldPackages));
        let download = request("upgrade download_only=yes");
        assert_eq!(download.missing_feature(&all[..5]), Some(Feature::DownloadOnly));
        let conffiles = request("conffiles");
        assert_eq!(conffiles.missing_feature(&all[..6]), Some(Feature::Conffiles));
        let young = request("upgrade too_young=vim");
        assert_eq!(young.missing_feature(&all[..9]), Some(Feature::TooYoung));
        let source = request("upgrade source_packages=openssl");
        assert_eq!(source.missing_feature(&all[..10]), Some(Feature::SourcePackages));
        let upgrade = request("install only_upgrade=yes vim");
        assert_eq!(upgrade.missing_feature(&all[..11]), Some(Feature::OnlyUpgrade));
        let holds = ["hold hold_reason=x vim", "unhold vim", "showhold"].map(request);
        for request in &holds {
            assert_eq!(request.missing_feature(&all[..12]), Some(Feature::Holds));
            assert_eq!(request.missing_feature(&all), None);
        }
        let reboot = request("reboot dry_run=yes");
        assert_eq!(reboot.missing_feature(&all[..13]), Some(Feature::Reboot));
        let restart = request("restart-services");
        assert_eq!(
            restart.missing_feature(&all[..14]),
            Some(Feature::RestartServices)
        );
        let obsolete = request("status with_obsolete=yes");
        assert_eq!(obsolete.missing_feature(&all[..15]), Some(Feature::Obsolete));
        let answers = request(&format!("upgrade answers_sha256={}", "0".repeat(64)));
        assert_eq!(answers.missing_feature(&all[..16]), Some(Feature::Answers));
        let decision = request("conffile conffile_path=/etc/x conffile_decision=undo");
        assert_eq!(decision.missing_feature(&all[..17]), Some(Feature::Conffile));
        let rules = request("upgrade conffile_rules=keep:/etc/x");
        assert_eq!(rules.missing_feature(&all[..18]), Some(Feature::ConffileRules));
        let diffs = request("conffiles with_diffs=yes");
        assert_eq!(diffs.missing_feature(&all[..19]), Some(Feature::ConffileDiffs));
        let sum = "0".repeat(64);
        let run = format!("run_id={}", "0".repeat(32));
        for words in [
            "upgrade keep_debs=yes".to_owned(),
            format!("send-debs {run} debs_sha256={sum}"),
            format!("take-debs {run} debs_follow={sum}:1"),
        ] {
            assert_eq!(request(&words).missing_feature(&all[..20]), Some(Feature::Debs));
            assert_eq!(request(&words).missing_feature(&all), None);
        }
        for request in [
            &diffs, &obsolete, &lists, &plan, &health, &security, &hold, &download, &conffiles, &young,
            &source, &upgrade, &reboot, &restart, &answers, &decision, &rules,
        ] {
            assert_eq!(request.missing_feature(&all), None);
        }
        assert_eq!(request("update").missing_feature(&[]), None);
    }
}
