//! What apu's server and client say to each other: the request line, the answer's frames, and their vocabulary.
//!
//! No I/O happens here. Both sides check a request with the same grammar; neither trusts that the other has.

mod answer;
mod answers;
mod bounded;
mod cause;
mod conffile;
mod conffile_decision;
mod conffile_diff;
mod conffile_rule;
mod debs;
mod encoded;
mod features;
mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod health;
mod hold;
mod key;
mod note;
mod operation;
mod outcome;
mod package_arg;
mod package_glob;
mod printable;
mod question;
mod reason;
mod reboot;
mod request;
mod restart;
mod run_id;
mod services;
mod status;
mod transaction;

pub use answer::{Answer, Change, PackageReport, RunResult};
pub use answers::{
    AnswerMark, Answers, AnswersError, AnswersSalt, AnswersSha256, ApprovedAnswer, DebconfAnswer,
    DigitsError, MAX_ANSWERS,
};
pub use cause::{
    Action, ActiveRuns, Cause, ConffileFault, ExpiredArchive, Incomplete, MAX_PROVIDERS, Progress,
};
pub use conffile::{
    ChangedConffiles, Conffile, ConffileState, HeldBack, MAX_CHANGED_CONFFILES, MAX_CONFFILES, MAX_HELD_BACK,
    MAX_NEW_QUESTIONS, NewQuestion, NewQuestions,
};
pub use conffile_decision::{
    Beside, ConffileDecision, ConffilePath, ConffileVersions, MAX_CONFFILE_PATH, MAX_CONFFILE_VERSIONS,
    ShortSum,
};
pub use conffile_diff::{ConffileDiff, MAX_DIFF, MAX_DIFFS};
pub use conffile_rule::{ConffileRule, ConffileRuleFor, MAX_CONFFILE_RULES};
pub use debs::{MAX_DEB_SIZE, MAX_DEBS, SentDeb};
pub use features::{FEATURES, Feature};
pub use frame::{Frame, MAX_FRAME, MAX_LINE, Phase, StalledProcess};
pub use health::{CANNOT_TELL, Check, MAX_CHECK_LINES, MAX_CHECK_TEXT, MAX_CHECKS, Verdict, overall};
pub use hold::{Hold, HoldReason, MAX_HOLD_END, MAX_HOLD_REASON, MAX_HOLDS};
pub use key::{KeyFingerprint, KeyFingerprintError};
pub use note::{MAX_NOTES, Note};
pub use operation::Operation;
pub use outcome::{ClientOutcome, ReasonCode};
pub use package_arg::PackageArg;
pub use package_glob::{GlobError, MAX_TOO_YOUNG, PackageGlob};
pub use printable::is_invisible;
pub use question::{AnsweredQuestion, MAX_TOLD_ANSWERS, WrongAnswer};
pub use reason::{Advice, MAX_DETAIL, Reason};
pub use reboot::{MAX_REBOOT_PACKAGES, MAX_REBOOT_REASONS, RebootReason, RebootReport};
pub use request::{
    MAX_LOCK_WAIT, MAX_PACKAGES, MAX_REQUEST, Request, RequestError, RequestOption, VERSION_WORD,
};
pub use restart::{FailedRestart, LeftService, MAX_SAID, NotRestarted, RestartReport, WhyLeft};
pub use run_id::{RunId, RunIdError};
pub use services::{MAX_SERVICES, Services};
pub use status::{Broken, FreeSpace, MAX_OBSOLETE, Obsolete, Pending, ReleaseDate, SourceLeftOut, Status};
pub use transaction::{
    DebSha256, OtherSteps, Plan, Sha256Error, Sizes, Step, System, Transaction, TransactionId,
};

/// The protocol versions that this crate speaks.
pub const PROTOCOL: [u32; 1] = [1];
