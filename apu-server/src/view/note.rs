//! English for the notes of clients: the one place that makes sentences of them.

use apu_proto::Note;

use super::reason::{CLIENT_ENDED, at_work, expired, no_error, reason_lines};

/// A note as a sentence.
#[must_use]
pub fn note_text(note: &Note) -> String {
    match note {
        Note::ExpiredArchive(archive) => {
            format!(
                "nothing is installed from an expired archive: {}",
                expired(archive)
            )
        }
        Note::ListsFetchedApart => {
            "the lists for the next apu-data were fetched apart from the machine's".into()
        }
        Note::ListsNotFetchedApart { said, exit } => {
            let exit = exit.as_deref().map(no_error);
            let said: Vec<&str> = said.iter().map(String::as_str).chain(exit.as_deref()).collect();
            format!(
                "the lists for the next apu-data could not be fetched either: {}",
                said.join("; ")
            )
        }
        Note::HookFailed { said } => format!(
            "all lists were fetched; a hook of this machine's apt said: {}",
            said.join("; ")
        ),
        Note::AptFailedAfterAll { exit, said } => {
            let said = said.as_ref().map_or(String::new(), |said| format!(": {said}"));
            format!("apt-get ended with {exit}, yet all that was planned is installed{said}")
        }
        Note::ConffileReplaced { path } => {
            format!("{path} was replaced by the package's; this machine's lies beside it")
        }
        Note::ConffileBack { path } => {
            format!("{path} was missing here, and is there again as the package has it")
        }
        Note::ConffileTaken { path, backup } => {
            format!(
                "{path} was replaced by the package's, as this client's policy says; its own is put away into {backup}"
            )
        }
        Note::ConffileNotTaken { path, reason } => format!(
            "{path} stays as it is, although this client's policy says to take the package's: {}",
            reason_lines(reason).join("; ")
        ),
        Note::ClientEnded => CLIENT_ENDED.into(),
        Note::UpdateUnknown => "whether the package lists were fetched is not known".into(),
        Note::JournalRepaired => "dpkg had been interrupted and was repaired first".into(),
        Note::RepairTried { packages } => {
            let packages: Vec<&str> = packages.iter().map(|package| package.as_str()).collect();
            format!(
                "before this run these packages were broken and a repair was tried: {}",
                packages.join(", ")
            )
        }
        Note::Downloaded {
            packages,
            fetched,
            size,
        } => {
            let size = size.as_deref().map_or(String::new(), |size| format!(" ({size})"));
            format!("packages in apt's cache: {packages}{size}, fetched now: {fetched}; nothing was changed")
        }
        Note::SecurityUnknown { said } => format!("cannot ask which updates are security updates: {said}"),
        Note::RunAtWork(runs) => at_work(runs),
        Note::SourceLeftOut(left) => {
            format!("left out: {}{}: {}", left.source, see(&left.files), left.words)
        }
        Note::SourcesUnread { said } => format!("apt does not read this machine's sources: {said}"),
        Note::SourcesNotComposed { said, error } => format!(
            "apt does not read this machine's sources, and they cannot be composed again: {error}: {said}"
        ),
        Note::SourcesComposed { said } => format!(
            "apt did not read this machine's sources, and does so again without some of apu-data's: {said}"
        ),
        Note::OwnSourcesUnread { said, files } => format!(
            "apt does not read this machine's own sources{}: {said}",
            see(&files.join(", "))
        ),
        Note::HoldEnded { package } => format!("the hold of {package} was over and is taken off"),
        Note::HoldsNotEnded { said } => {
            format!("holds that are over could not all be taken off: {said}")
        }
        Note::HeldByMachine { package } => format!(
            "{package} was put on hold on this client itself; that hold stays, without a reason and an end"
        ),
        Note::HoldTakenOff { package } => {
            format!("{package} was taken off hold on this client itself, so the reason is forgotten")
        }
        Note::NeedrestartLists => {
            "needrestart is set to restart services by itself here, and was told only to list them; restart-services restarts them"
                .into()
        }
        Note::NeedrestartFailed { said } => format!("needrestart did not tell which services it would restart: {said}"),
        Note::Unknown => "something that this version of apt-all does not know".into(),
    }
}

fn see(files: &str) -> String {
    if files.is_empty() {
        String::new()
    } else {
        format!(", see {files}")
    }
}
