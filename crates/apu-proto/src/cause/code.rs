//! The code of each cause.

use super::Cause;
use crate::outcome::ReasonCode;

impl Cause {
    /// The code under which programs know it.
    #[must_use]
    pub const fn code(&self) -> ReasonCode {
        match self {
            Self::Malformed | Self::NoRequest { .. } | Self::UnendedLine | Self::MoreThanALine => {
                ReasonCode::Grammar
            }
            Self::OtherCaller => ReasonCode::Caller,
            Self::RunAtWork(_)
            | Self::TooManyRuns { .. }
            | Self::TooManyRequests
            | Self::LockHeld { .. }
            | Self::LockedForApt => ReasonCode::Locked,
            Self::RemovalWithoutPlan | Self::RemovalNotAllowed { .. } => ReasonCode::Removal,
            Self::RemovesProtected { .. }
            | Self::RemovesEssential
            | Self::HoldsProtected { .. }
            | Self::ConffileProtected { .. } => ReasonCode::Protected,
            Self::RunIdReused
            | Self::DebsNotPlanned { .. }
            | Self::OnHold
            | Self::ChangesHeld { .. }
            | Self::Downgrade { .. }
            | Self::Downgrades
            | Self::ForeignArchitecture { .. }
            | Self::OperationForbidden { .. }
            | Self::RemovalForbidden { .. }
            | Self::RebootOnlyWhenNeeded
            | Self::PackageForbidden { .. }
            | Self::AnswersForbidden { .. }
            | Self::OutsideWindows { .. }
            | Self::InBlackout { .. }
            | Self::HoldIsOver { .. }
            | Self::TooManyHolds { .. }
            | Self::HeldByMachine { .. }
            | Self::DecisionForbidden { .. }
            | Self::NotAConffile { .. }
            | Self::ConffileNotSafe { .. }
            | Self::ConffileOfTwo { .. }
            | Self::NoWallTime => ReasonCode::Policy,
            Self::UnknownPackage { .. } | Self::NoCandidate { .. } | Self::NotInstalled { .. } => {
                ReasonCode::UnknownPackage
            }
            Self::NotTheCandidate { .. } => ReasonCode::NotTheCandidate,
            Self::Drifted | Self::ConffileChanged { .. } => ReasonCode::Drifted,
            Self::NoSpace { .. } | Self::TooLittleSpace { .. } => ReasonCode::Space,
            Self::NotAKey { .. } | Self::PackagesBroken(_) | Self::ConffileNotConfigured { .. } => {
                ReasonCode::Broken
            }
            Self::ClientEnded { .. } | Self::ShuttingDown => ReasonCode::Interrupted,
            Self::ListsExpired { .. } | Self::ListsNotFetched { .. } => ReasonCode::Lists,
            Self::Incomplete(_)
            | Self::AptFailed
            | Self::CannotPlan
            | Self::NoDownloads
            | Self::NoSha256 { .. }
            | Self::NotDownloaded { .. }
            | Self::DebNotKept { .. }
            | Self::WrongDeb { .. }
            | Self::UnknownStep { .. }
            | Self::StillAutomatic { .. }
            | Self::AnswersNotTaken
            | Self::HoldsNotSet { .. } => ReasonCode::Apt,
            Self::PolicyUnreadable
            | Self::PolicyOfOthers
            | Self::PolicyMalformed
            | Self::WrongAnswers { .. }
            | Self::AptConfiguration
            | Self::AptSetting { .. }
            | Self::Sources
            | Self::UnsignedSource { .. }
            | Self::SiteSourceUnused { .. }
            | Self::SiteSourceOtherKey { .. }
            | Self::NoSiteSources { .. } => ReasonCode::Configuration,
            Self::NotRestarted { .. } | Self::ChecksFailed { .. } | Self::ChecksInconclusive { .. } => {
                ReasonCode::Health
            }
            Self::UnknownRun { .. } => ReasonCode::UnknownRun,
            Self::SourcesNotUnderstood
            | Self::NoPlan { .. }
            | Self::NotARun { .. }
            | Self::NeverBegun
            | Self::NoSystemd
            | Self::ServicesNotRead
            | Self::ResultNotUnderstood { .. }
            | Self::Fault { .. } => ReasonCode::Client,
            Self::Unknown => ReasonCode::Other,
        }
    }
}
