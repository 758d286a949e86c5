//! English for the reasons that the server found out itself, and for what it advises: the one place that makes them.
//!
//! What hosts said is in them: what comes out of here is cleaned where it is shown.

use apu_archive::quote;
use apu_debian::PackageKey;
use apu_fleet::{
    Hook, HostName, Lost, Place, ProgramEnd, ServerAction, ServerAdvice, ServerCause, ServerReason,
    StaleList, Work, WorkKind, fold, span,
};
use apu_proto::{MAX_REQUEST, Operation};

/// Why somebody hangs up before the login.
const HUNG_UP: &str = "too many connections, or this address is being punished there";

/// A reason as lines. The first line says what happened and why.
#[must_use]
pub fn server_reason_lines(reason: &ServerReason) -> Vec<String> {
    text(reason).lines().map(str::to_owned).collect()
}

/// A list of a client that is older than what was published.
#[must_use]
pub fn stale_list(list: &StaleList) -> String {
    format!("lists of {} {} {}", list.uri, list.suite, age(list))
}

fn age(list: &StaleList) -> String {
    match list.older_by {
        Some(seconds) => format!("are {} older than what this server published last", span(seconds)),
        None => "do not say when they were made".to_owned(),
    }
}

fn text(reason: &ServerReason) -> String {
    let is_output = matches!(
        reason.cause,
        ServerCause::HookFailed { .. } | ServerCause::CheckFailed
    );
    let detail = reason.detail.join(if is_output { "\n" } else { " " });
    let text = match (&reason.cause, reason.found.as_deref()) {
        (ServerCause::KeyRefused, Some("")) => {
            "it does not take the push key, and finds no cause for that".to_owned()
        }
        (ServerCause::KeyRefused, Some(found)) => format!("it does not take the push key: {found}"),
        (cause, None | Some("")) => sentence(cause, &reason.place, &detail),
        (cause, Some(found)) => format!("{}; {found}", sentence(cause, &reason.place, &detail)),
    };
    match &reason.work {
        Some(work) => format!("{text}; {}", at_work(work)),
        None => text,
    }
}

fn hung_up(place: &Place, detail: &str) -> String {
    match place {
        Place::Way(jump) => format!("{}: {detail}: {HUNG_UP}", way(jump.as_deref())),
        Place::HostOrWay(jump) => format!(
            "it hung up before the login, or {} did: {HUNG_UP}",
            way(jump.as_deref())
        ),
        Place::Host | Place::SeenFrom(_) => format!("it hung up before the login: {HUNG_UP}"),
    }
}

fn placed(place: &Place, text: String) -> String {
    match place {
        Place::Host | Place::HostOrWay(_) => text,
        Place::SeenFrom(jump) => format!("{text}, seen from {}", jump_host(jump.as_deref())),
        Place::Way(jump) => format!("{}: {text}", way(jump.as_deref())),
    }
}

fn way(jump: Option<&str>) -> String {
    jump.map_or_else(
        || "the way that ssh_config has to it".to_owned(),
        |jump| format!("the way through {jump}"),
    )
}

fn jump_host(jump: Option<&str>) -> &str {
    jump.unwrap_or("the jump host")
}

fn sentence(cause: &ServerCause, place: &Place, detail: &str) -> String {
    let said = match cause {
        ServerCause::HungUp => return hung_up(place, detail),
        ServerCause::ConnectionRefused => "connection refused: no sshd listens there".into(),
        ServerCause::TimedOut => "no answer: the connection timed out".into(),
        ServerCause::NoLogin { seconds } => format!("no login within {seconds} s"),
        ServerCause::NoAnswerInTime => "no answer in time".into(),
        ServerCause::ConnectedAndSilent => "connected, and then no answer".into(),
        ServerCause::ConnectedAndFailed => format!("connected, and then: {detail}"),
        ServerCause::NoRoute => "no route to it".into(),
        ServerCause::NoAddress => "its name has no address".into(),
        ServerCause::HostKeyUnknown => "its host key is not known here".into(),
        ServerCause::HostKeyChanged => {
            "its host key has CHANGED: it was installed anew, or somebody stands between".into()
        }
        ServerCause::HostKeyRevoked => "its host key is revoked in known_hosts".into(),
        ServerCause::KeyRefused => {
            "it does not take the push key: it has no apu-client, an apu-data with another key, or an sshd that keeps \
             the user out; apu bootstrap finds out which"
                .into()
        }
        ServerCause::TurnedAway => format!("it hung up before the login: {detail}"),
        ServerCause::LoginEnded => format!("it ended the login: {detail}"),
        ServerCause::SshSaid if detail.is_empty() => "ssh gave up without a word".into(),
        ServerCause::SshSaid | ServerCause::NoCommonAlgorithm | ServerCause::SshConfiguration => {
            detail.to_owned()
        }
        ServerCause::ProgramEnds => "the program is ending".into(),
        ServerCause::Fault { action, object } => {
            let object = object.as_deref().unwrap_or("ssh");
            match action {
                ServerAction::MakePipe => format!("cannot make a pipe: {detail}"),
                ServerAction::Start => format!("cannot start {object}: {detail}"),
                ServerAction::WaitFor => format!("{object}: {detail}"),
                ServerAction::ConfigureSsh => format!("cannot configure ssh: {detail}"),
                ServerAction::UseSocket => format!("ssh made no socket: {detail}"),
            }
        }
        ServerCause::Bug => "apt-all itself failed here, which is a bug".into(),
        ServerCause::Lost(lost) => lost_text(lost),
        ServerCause::LostBeforeBegin(lost) => {
            format!("{}, before the run began: nothing was done", lost_text(lost))
        }
        ServerCause::TimeUp {
            seconds,
            goes_on,
            lost,
        } => {
            let goes_on = if *goes_on {
                "; what was begun there goes on"
            } else {
                ""
            };
            let lost = lost
                .as_ref()
                .map_or_else(String::new, |lost| format!("; {}", lost_text(lost)));
            format!("no result within {seconds} s{goes_on}{lost}")
        }
        ServerCause::OldClient { version, feature } => {
            let version = version
                .as_ref()
                .map_or_else(String::new, |version| format!(" {version}"));
            format!("its apu-client{version} does not know {feature}")
        }
        ServerCause::NotStarted => "interrupted before its turn".into(),
        ServerCause::NotResumed { by } => {
            format!("not started: {} paused the run, and nobody resumed it in time", quote(by))
        }
        ServerCause::LeftAtWork => "left while it was at work; what was begun there goes on".into(),
        ServerCause::MaxFailures {
            failed,
            hosts,
            allowed,
        } => {
            let s = if *hosts == 1 { "" } else { "s" };
            format!("{failed} of {hosts} host{s} failed, --max-failures is {allowed}")
        }
        ServerCause::WaveFailed {
            wave, waves, hosts, more,
        } => format!(
            "not started: {} of wave {wave} of {waves} did not end well",
            and_more(&fold(hosts.iter().map(HostName::as_str)), *more)
        ),
        ServerCause::WaveInconclusive {
            wave, waves, hosts, more,
        } => format!(
            "not started: whether {} of wave {wave} of {waves} is well cannot be told",
            and_more(&fold(hosts.iter().map(HostName::as_str)), *more)
        ),
        ServerCause::OutsideWindows { class, windows } => {
            format!("not started: [maintenance.{class}] allows it only in {}", windows.join(", "))
        }
        ServerCause::InBlackout { class, blackout } => {
            format!("not started: [maintenance.{class}] has the blackout {blackout}")
        }
        ServerCause::GroupAtWork { group, by } => {
            format!("not started: {by}, of the same exclusive group {group}, is not known to be well")
        }
        ServerCause::Untested { packages, more } => {
            let packages: Vec<&str> = packages.iter().map(PackageKey::as_str).collect();
            match packages.join(", ") {
                none if none.is_empty() => "not started: no canary has tested what it would do".into(),
                some => format!("not started: no canary has tested {}", and_more(&some, *more)),
            }
        }
        ServerCause::NotFrozen { packages, more, .. } => {
            let packages: Vec<&str> = packages.iter().map(PackageKey::as_str).collect();
            format!("not started: no canary gave the .debs of {}", and_more(&packages.join(", "), *more))
        }
        ServerCause::RestartsProtected { services, more } => {
            let services = services.join(", ");
            format!("not asked: its packages restart {}, which is protected", and_more(&services, *more))
        }
        ServerCause::RestartsNotTold => {
            "not asked: services are protected, and it does not tell which ones its packages restart".into()
        }
        ServerCause::RequestTooLong { rules, answers, held } => {
            let parts = [
                (*rules, "rule", "for configuration files"),
                (*answers, "answer", "to debconf's questions"),
                (*held, "package", "to be held"),
            ];
            let parts = parts.into_iter().filter(|(number, ..)| *number > 0);
            let parts: Vec<String> = parts
                .map(|(number, what, whose)| {
                    let s = if number == 1 { "" } else { "s" };
                    format!("{number} {what}{s} {whose}")
                })
                .collect();
            let with = match parts.join(", ") {
                none if none.is_empty() => none,
                some => format!(" with {some}"),
            };
            format!("not asked: what it would be asked has no room in {MAX_REQUEST} bytes{with}")
        }
        ServerCause::HeldByRun { run, operation, by } => {
            format!("not asked: run {run} of {by} is at work there: {operation}")
        }
        ServerCause::UnknownSinceRun { run, operation, by } => format!(
            "not asked: run {run} of {by} was broken off while it was at work there, and how it ended is not known: {operation}"
        ),
        ServerCause::GroupHeldByRun {
            host,
            group,
            run,
            operation,
            by,
        } => format!(
            "not asked: run {run} of {by} is at work on {host}, which is of the exclusive group {group} as well: {operation}"
        ),
        ServerCause::GroupUnknownSinceRun {
            host,
            group,
            run,
            operation,
            by,
        } => format!(
            "not asked: run {run} of {by} was broken off while it was at work on {host}, which is of the exclusive group {group} as well, \
             and how it ended is not known: {operation}"
        ),
        ServerCause::NotRecorded { why } => {
            format!("not asked: this machine could not write down what it was about to do: {why}")
        }
        ServerCause::HookFailed { hook, program, end } => {
            format!("not started: {}", hook_failed(*hook, program, *end, detail))
        }
        ServerCause::CheckFailed if detail.is_empty() => "changed, and this server's check of it fails".into(),
        ServerCause::CheckFailed => format!("changed, and this server's check of it fails: {detail}"),
        ServerCause::NoLoginAfterChange { why } => {
            format!("changed, and no new login was possible then: {}", text(why))
        }
        ServerCause::NotBack { seconds, why } => {
            let seen = match why {
                Some(why) => text(why),
                None => "it still answers from the boot of before".to_owned(),
            };
            format!("it did not come back from its reboot within {}: {seen}", span(*seconds))
        }
        ServerCause::NeverRebooted => "not asked: its class has reboot=never".into(),
        ServerCause::RebootedByName => {
            "not asked: its class has reboot=ask, and it is not named itself".into()
        }
        ServerCause::ThisServer => {
            "not asked: it is this server, or a container that shares its boot; a run never reboots what it runs on".into()
        }
        ServerCause::BootNotTold => {
            "not asked: it does not tell which boot it is in, so that a new one could not be told from it".into()
        }
        ServerCause::Stale { lists } => {
            let gave =
                |list: &StaleList| format!("{} {} gave it lists that {}", list.uri, list.suite, age(list));
            lists.iter().map(gave).collect::<Vec<_>>().join("\n")
        }
    };
    placed(place, said)
}

/// `the before-host hook /etc/apu-server/hooks.d/before-host ended with exit status 3: no answer`.
#[must_use]
pub(crate) fn hook_failed(hook: Hook, program: &str, end: ProgramEnd, detail: &str) -> String {
    let how = match end {
        ProgramEnd::Exited { status } => format!("ended with exit status {status}"),
        ProgramEnd::Killed { signal } => format!("was ended by signal {signal}"),
        ProgramEnd::Late { seconds } => format!("did not end within {}", span(seconds)),
        ProgramEnd::NotRun | ProgramEnd::Unknown => "failed".to_owned(),
    };
    let said = if detail.is_empty() {
        String::new()
    } else {
        format!(": {detail}")
    };
    format!("the {hook} hook {} {how}{said}", quote(program))
}

fn and_more(some: &str, more: usize) -> String {
    match more {
        0 => some.to_owned(),
        _ => format!("{some} and {more} more"),
    }
}

fn lost_text(lost: &Lost) -> String {
    let mut words = "the connection ended without a result".to_owned();
    if !lost.said.is_empty() {
        words += &format!(": {}", lost.said);
    }
    if let Some(then) = &lost.then {
        words += &format!("; and then: {}", text(then));
    }
    words
}

fn at_work(work: &Work) -> String {
    let about = &work.about;
    let what = match work.kind {
        WorkKind::Connecting => "it has not been reached".to_owned(),
        WorkKind::Silent => "it has been asked and is silent".to_owned(),
        WorkKind::Rebooting => "it reboots".to_owned(),
        WorkKind::Checking => "it has changed and its health is watched".to_owned(),
        WorkKind::Hook => format!("its {about} hook is called"),
        WorkKind::Waiting if about.is_empty() => "it waits for a lock".to_owned(),
        WorkKind::Waiting => format!("it waits for {about}"),
        WorkKind::Repair => format!("it repairs what an interrupted dpkg left {about}"),
        WorkKind::Download => format!("it fetches {about}"),
        WorkKind::Install => format!("it installs {about}"),
    };
    format!("{}, for {} by then", what.trim_end(), span(work.seconds))
}

/// Packages as words behind an operation.
fn words(packages: &[String]) -> String {
    packages
        .iter()
        .map(|package| format!(" {}", quote(package)))
        .collect()
}

/// The command that asks again what the last run asked for.
const RETRY: &str = "apu retry";

/// What a decision about a configuration file is asked for again by.
const SAME_DECISION: &str = "which asks for the same decision";

/// The text with the number of its run where it says to repeat that one.
#[must_use]
pub fn of_run(text: &str, run: Option<u64>) -> String {
    match run {
        Some(run) => text.replace(
            &format!("{RETRY}, {SAME_DECISION}"),
            &format!("{RETRY} {run}, {SAME_DECISION}"),
        ),
        None => text.to_owned(),
    }
}

/// The command that asks this host again.
fn again(host: &str, operation: Operation, packages: &[String]) -> String {
    match operation {
        // Which file and which decision it was about is known to the run.
        Operation::Conffile => format!("{RETRY}, {SAME_DECISION}"),
        _ => format!("apt-all {host} {operation}{}", words(packages)),
    }
}

/// Advice as a text, for this host.
#[must_use]
pub fn server_advice_text(advice: &ServerAdvice, host: &str) -> String {
    match advice {
        ServerAdvice::PinHostKey => format!("apu host-key {host}"),
        ServerAdvice::ReplaceHostKey => {
            format!("find out why, and then: apu host-key {host} --replace")
        }
        ServerAdvice::FindOutJumpKey => "find out why; its pinned key is in root's own known_hosts".into(),
        ServerAdvice::KnowJumpHost { jump } => format!(
            "log in to {} as root once with ssh, and compare its key",
            jump_host(jump.as_deref())
        ),
        ServerAdvice::LogInToJumpHost { jump } => format!(
            "let root's ssh log in to {} without a question, by a key or an agent",
            jump_host(jump.as_deref())
        ),
        ServerAdvice::Bootstrap => format!("apu bootstrap {host}"),
        ServerAdvice::NewerClient => format!("sudo apu bootstrap {host}, which brings a newer apu-client"),
        ServerAdvice::MendAndBootstrap => format!("mend that on {host}, and then: apu bootstrap {host}"),
        ServerAdvice::LookIntoLog => format!("look into the log of sshd on {host}: journalctl -t sshd"),
        ServerAdvice::GiveAddress => format!("write `{host} address=…` in its class"),
        ServerAdvice::Attach { run } => format!("apu attach {host} {run}"),
        ServerAdvice::MendAndRepeat { operation, packages } => {
            let again = again(host, *operation, packages);
            format!("mend what failed, and then: {again}")
        }
        ServerAdvice::WaitForRun {
            run,
            operation,
            packages,
        } => format!("apu wait {run}, and then: {}", again(host, *operation, packages)),
        ServerAdvice::ResumeRun { run } => {
            format!("apu resume {run}, which finds out, or apu unlock {host}")
        }
        ServerAdvice::LookAndRepeat {
            hosts,
            operation,
            packages,
        } => format!(
            "see why: apt-all {} health, and then: {}",
            quote(&fold(hosts.iter().map(HostName::as_str))),
            again(host, *operation, packages)
        ),
        ServerAdvice::RepeatAlone { operation, packages } => {
            format!("{}, which tests it there", again(host, *operation, packages))
        }
        ServerAdvice::NameIt { operation } => again(host, *operation, &[]),
        ServerAdvice::AllowRestart {
            operation,
            packages,
            services,
        } => {
            let all = ["*".to_owned()];
            let services = if services.is_empty() { &all[..] } else { services };
            let option = |service: &String| format!(" --allow-restart {}", quote(service));
            let options: String = services.iter().map(option).collect();
            format!("apt-all {host} {operation}{}{options}", words(packages))
        }
        ServerAdvice::ShortenRequest { has_rules: true } => {
            "name fewer packages at once, or write fewer and shorter patterns into [conffiles] of apu.toml"
                .into()
        }
        ServerAdvice::ShortenRequest { has_rules: false } => "name fewer packages at once".into(),
        ServerAdvice::RebootServer => "systemctl reboot, once apu runs shows none that is running".into(),
        ServerAdvice::CompareRelease { uri } => {
            format!("on the client: curl -s {uri}/InRelease | grep Date")
        }
        ServerAdvice::MayReplace { package, version } => format!(
            "where {package} {version} is to replace theirs: write \"{package}\" into may_replace of [archive] in \
             /etc/apu-server/apu.toml, then: gen-apu-data-pkg --push {host}"
        ),
        ServerAdvice::PushMayReplace { package } => format!(
            "gen-apu-data-pkg --push {host}, where {package} is new in may_replace; else give it a version above theirs"
        ),
    }
}
