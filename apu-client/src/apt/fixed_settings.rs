//! Decides about each setting in apt's configuration: fixed on every call, left to the machine's administrator, or
//! refused because no command line option can override it.
//!
//! The names come from apt's own index (`/usr/share/doc/apt/examples/configure-index`). The fixed values are apt's
//! defaults, so they change nothing on a machine without such settings.

use super::settings::{Setting, Settings};

/// Settings that every call of apt-get overrides, whatever a configuration file says.
pub(crate) const FIXED_SETTINGS: [&str; 86] = [
    // Weaken the verification of archives, or let apt do more than was asked.
    "APT::Get::AllowUnauthenticated=false",
    "Acquire::AllowInsecureRepositories=false",
    "Acquire::AllowWeakRepositories=false",
    "Acquire::AllowDowngradeToInsecureRepositories=false",
    "Acquire::AllowUnsizedPackages=false",
    "Acquire::Check-Valid-Until=true",
    "Acquire::Check-Date=true",
    "APT::Authentication::TrustCDROM=false",
    "APT::Update::Error-Mode=any",
    "APT::Get::allow-downgrades=false",
    "APT::Get::allow-remove-essential=false",
    "APT::Get::allow-solver-remove-essential=false",
    "APT::Get::allow-change-held-packages=false",
    "APT::Get::Force-Yes=false",
    "APT::Ignore-Hold=false",
    "APT::Force-LoopBreak=false",
    "pkgCacheGen::Essential=native",
    "pkgCacheGen::Protected=native",
    // Change what the request does.
    "APT::Get::Download=true",
    "APT::Get::Download-Only=false",
    "APT::Get::Print-URIs=false",
    "APT::Get::Assume-No=false",
    "APT::Get::Trivial-Only=false",
    "APT::Get::Mark-Auto=false",
    "APT::Get::Purge=false",
    "APT::Get::Fix-Missing=false",
    "APT::Get::Fix-Policy-Broken=false",
    "APT::Get::Upgrade=true",
    "APT::Get::Only-Upgrade=false",
    "APT::Get::Upgrade-Allow-New=false",
    "APT::Get::Upgrade-By-Source-Package=true",
    "APT::Get::AutomaticRemove::Kernels=false",
    "APT::Get::Autosolving=true",
    "APT::Get::CallResolver=true",
    "APT::Get::Only-Source=false",
    "APT::Get::Arch-Only=false",
    "APT::Get::Indep-Only=false",
    "APT::Get::Compile=false",
    "APT::Get::Diff-Only=false",
    "APT::Get::Tar-Only=false",
    "APT::Get::Dsc-Only=false",
    "APT::Get::Satisfy-Automatic=false",
    "APT::Get::Build-Dep-Automatic=false",
    "APT::Get::Host-Architecture=",
    "APT::Clean-Installed=true",
    "APT::Planner=internal",
    "APT::Mark::Simulate=false",
    // Change what apt prints, or its form.
    "quiet=1",
    "quiet::NoUpdate=true",
    // true would leave out Hit, Get and Err too.
    "quiet::NoProgress=false",
    "quiet::NoStatistic=false",
    "APT::Color=false",
    "APT::Output-Version=0",
    "APT::Get::Show-Versions=false",
    "APT::Get::Show-Upgraded=true",
    "APT::Get::HideAutoRemove=false",
    "APT::Get::Show-User-Simulation-Note=false",
    "APT::Get::IndexTargets::ReleaseInfo=true",
    "APT::Get::IndexTargets::Format=",
    "APT::Internal::OpProgress::Absolute=false",
    "APT::Cmd::Show-Update-Stats=false",
    "APT::Cmd::Use-Format=false",
    "APT::Cmd::Pattern-Only=false",
    "APT::Cmd::Use-Regexp=false",
    "APT::Status-deb822-Fd=-1",
    "help=false",
    "version=false",
    // Change how dpkg is called. Without a terminal of its own, dpkg stops half-way when a stream breaks.
    "DPkg::Use-Pty=true",
    "DPkg::Progress=false",
    "DPkg::Progress-Fancy=false",
    "DPkgPM::Progress=false",
    "DPkg::Path=/usr/sbin:/usr/bin:/sbin:/bin",
    "DPkg::Run-Directory=/",
    "DPkg::StopOnError=true",
    "DPkg::NoTriggers=false",
    "DPkg::ConfigurePending=true",
    "DPkg::TriggersPending=true",
    "DPkg::FlushSTDIN=true",
    "DPkg::MaxArgBytes=32768",
    "DPkgPM::Reporting-Steps=1",
    // Limits that can make apt stop early.
    "APT::Cache-Start=25165824",
    "APT::Cache-Grow=1048576",
    "APT::Cache-Limit=0",
    "APT::pkgPackageManager::MaxLoopCount=5000",
    "pkgProblemResolver::MaxCounter=20",
    "pkgProblemResolver::FixByInstall=true",
];

/// Settings that every call overrides with a value of its own.
const SET_BY_CALL: [&str; 9] = [
    "apt::get::assume-yes",
    "apt::get::remove",
    "apt::get::automaticremove",
    "apt::get::simulate",
    "apt::get::reinstall",
    "apt::get::fix-broken",
    "apt::get::list-cleanup",
    "apt::status-fd",
    "dpkg::lock::timeout",
];

/// Scopes and settings that the administrator may choose, or that no call of apu reads. A name includes everything
/// below it.
const ALLOWED: [&str; 100] = [
    "apt::architectures",
    "apt::archives",
    "apt::autoremove",
    "apt::barbarianarchitectures",
    "apt::build-essential",
    "apt::build-profiles",
    "apt::cache",
    "apt::cache-fallback",
    "apt::cdrom",
    "apt::changelogs",
    "apt::cmd",
    "apt::color",
    "apt::compressor",
    "apt::config",
    "apt::default-release",
    "apt::extracttemplates",
    "apt::ftparchive",
    "apt::get::always-include-phased-updates",
    "apt::get::never-include-phased-updates",
    "apt::get::phase-policy",
    "apt::get::update",
    "apt::history",
    "apt::immediate-configure",
    "apt::immediate-configure-all",
    "apt::install-recommends",
    "apt::install-suggests",
    "apt::keep-downloaded-packages",
    "apt::keep-fds",
    "apt::key::assert-pubkey-algo",
    "apt::lastinstalledkernel",
    "apt::list-cleanup",
    "apt::listchanges",
    "apt::machine-id",
    "apt::markauto",
    "apt::moo",
    "apt::move-autobit-sections",
    "apt::never-markauto-sections",
    "apt::neverautoremove",
    "apt::periodic",
    "apt::protect-kernels",
    "apt::sandbox",
    "apt::snapshots",
    "apt::sortpkgs",
    "apt::system",
    "apt::update",
    "apt::versionedkernelpackages",
    "acquire::allowreleaseinfochange",
    "acquire::allowtls",
    "acquire::by-hash",
    "acquire::cdrom",
    "acquire::changelogs",
    "acquire::compressiontypes",
    "acquire::forcehash",
    "acquire::forceipv4",
    "acquire::forceipv6",
    "acquire::ftp",
    "acquire::gzipindexes",
    "acquire::http",
    "acquire::https",
    "acquire::enablesrvrecords",
    "acquire::languages",
    "acquire::max-futuretime",
    "acquire::max-pipeline-depth",
    "acquire::max-validtime",
    "acquire::maxreleasefilesize",
    "acquire::min-validtime",
    "acquire::pdiffs",
    "acquire::progress",
    "acquire::queue-mode",
    "acquire::queuehost",
    "acquire::retries",
    "acquire::samemirrorforallindexes",
    "acquire::send-uri-encoded",
    "acquire::snapshots",
    "acquire::source-symlinks",
    "acquire::uriencode",
    "acquire::indextargets",
    "dir::bin",
    "dir::boot",
    "dir::cache",
    "dir::etc",
    "dir::ignore-files-silently",
    "dir::locale",
    "dir::log",
    "dir::media",
    "dir::state",
    "dir::usr",
    "dpkg::build-options",
    "dpkg::inhibit-shutdown",
    "dpkg::lock",
    "dpkg::options",
    "dpkg::post-invoke",
    "dpkg::pre-install-pkgs",
    "dpkg::pre-invoke",
    "dpkg::progress-fancy",
    "dpkg::source-options",
    "dpkg::tools",
    "dpkg::useionice",
    "pkgcachefile::generate",
    "pkgcachegen::forceimportant",
];

/// The top scopes that apt-get itself reads. Other scopes belong to other programs.
const READ_BY_APT_GET: [&str; 16] = [
    "apt",
    "acquire",
    "dir",
    "dpkg",
    "dpkgpm",
    "pkgcachefile",
    "pkgcachegen",
    "pkgproblemresolver",
    "packagemanager",
    "orderlist",
    "quiet",
    "rootdir",
    "edsp",
    "eipp",
    "help",
    "version",
];

/// dpkg options that only change how files are treated, and so are allowed. apu's own calls also set `--force-conf…`.
const DPKG_OPTIONS: [&str; 14] = [
    "--force-confdef",
    "--force-confold",
    "--force-confnew",
    "--force-confmiss",
    "--force-confask",
    "--force-unsafe-io",
    "--force-overwrite",
    "--force-overwrite-dir",
    "--force-overwrite-diverted",
    "--force-statoverride-add",
    "--no-debsig",
    "--no-pager",
    "--refuse-unsafe-io",
    "--refuse-overwrite",
];

/// The same, for options that take a value.
const DPKG_OPTIONS_WITH_VALUE: [&str; 4] = ["--path-exclude=", "--path-include=", "--log=", "--debug="];

/// Returns the first setting that may change what a request means and that no call can override. apt's own defaults, in
/// `built_in`, are allowed: a later version of apt may have more of them.
pub(crate) fn first_refused<'a>(settings: &'a Settings, built_in: &Settings) -> Option<&'a Setting> {
    let is_built_in = |setting: &Setting| {
        built_in
            .iter()
            .any(|other| (&other.name, &other.value) == (&setting.name, &setting.value))
    };
    settings
        .iter()
        .find(|setting| !is_allowed(setting, settings) && !is_built_in(setting))
}

/// Returns options that switch off the debug output that this machine's configuration switches on, and that name the
/// architectures which `apt-config dump` told: without them every call of apt starts dpkg several times to ask for them. apt
/// ignores an architecture that is named twice.
pub(crate) fn overrides(settings: &Settings) -> Vec<String> {
    let talks = |setting: &&Setting| setting.name.starts_with("debug::") && !setting.name.ends_with("::");
    let quiet = settings
        .iter()
        .filter(talks)
        .map(|setting| format!("{}=false", setting.name));
    let architectures = settings
        .iter()
        .filter(|setting| setting.name == "apt::architectures::" && !setting.value.is_empty())
        .map(|setting| format!("APT::Architectures::={}", setting.value));
    quiet.chain(architectures).collect()
}

fn is_allowed(setting: &Setting, settings: &Settings) -> bool {
    let (name, value) = (setting.name.as_str(), setting.value.as_str());
    let scope = name.split("::").next().unwrap_or_default();
    if scope == "debug" {
        // No option can empty a list.
        return !name.ends_with("::");
    }
    // A scope prints as a setting without a value.
    if !READ_BY_APT_GET.contains(&scope) || value.is_empty() {
        return true;
    }
    match name {
        "apt" | "acquire" | "dpkg" | "dpkgpm" => return true,
        "dir" | "rootdir" => return value == "/",
        "apt::architecture" => return value == usual_architecture(),
        "apt::solver" => return matches!(value, "internal" | "3.0"),
        "dpkg::chroot-directory" => return value == "/",
        "dir::state::status" => return settings.path(name).as_os_str() == "/var/lib/dpkg/status",
        "dir::bin::dpkg" => return settings.path(name).as_os_str() == crate::dpkg::DPKG,
        "dir::bin::methods" => return value.trim_end_matches('/') == "/usr/lib/apt/methods",
        "acquire::indextargets::randomized" => return true,
        _ => {}
    }
    if let Some(option) = name.strip_prefix("dpkg::options::").map(|_| value) {
        return DPKG_OPTIONS.contains(&option)
            || DPKG_OPTIONS_WITH_VALUE
                .iter()
                .any(|known| option.starts_with(known));
    }
    if REFUSED.iter().any(|refused| is_below(name, refused)) {
        return false;
    }
    if let Some(target) = name.strip_prefix("acquire::indextargets::") {
        return is_usual_target(target, value);
    }
    is_fixed(name) || ALLOWED.iter().any(|allowed| is_below(name, allowed))
}

/// Returns Debian's name for the architecture that this program was compiled for; empty where it is not known, which
/// makes the caller compare with apt's default.
fn usual_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "riscv64" => "riscv64",
        "s390x" => "s390x",
        _ => "",
    }
}

/// Settings that are refused below a scope that is allowed.
const REFUSED: [&str; 13] = [
    // These take packages or indexes from elsewhere, or use another verifier.
    "apt::sources::with",
    "apt::hashes",
    "acquire::gpgv",
    "dir::bin::methods",
    "dir::bin::gpg",
    "dir::bin::gpgv",
    "dir::bin::apt-key",
    "dir::bin::sqv",
    "dir::bin::dpkg-deb",
    "pkgcachegen::forceessential",
    "dpkg::options",
    "orderlist",
    "edsp",
];

/// Whether a setting leaves the indexes of packages as apt defines them. Other indexes, such as Contents, may be added.
fn is_usual_target(target: &str, value: &str) -> bool {
    let mut words = target.split("::");
    let (kind, name, field) = (words.next(), words.next(), words.next());
    match (kind, name, field) {
        (Some("deb"), Some("packages"), Some(field)) => match field {
            "metakey" => value == "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages",
            "flatmetakey" => value == "Packages",
            "shortdescription" => value == "Packages",
            "description" => value == "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages",
            "flatdescription" => value == "$(RELEASE) Packages",
            "optional" => value == "0",
            "pdiffs" | "by-hash" | "keepcompressed" | "keepcompressedas" => true,
            "defaultenabled" => matches!(value, "1" | "true" | "yes"),
            _ => false,
        },
        (_, _, Some("identifier")) => !value.eq_ignore_ascii_case("packages"),
        (_, _, Some("fallback-of")) => !value.eq_ignore_ascii_case("packages"),
        _ => true,
    }
}

fn is_fixed(name: &str) -> bool {
    let same = |fixed: &str| {
        fixed
            .split_once('=')
            .is_some_and(|(fixed_name, _)| fixed_name.eq_ignore_ascii_case(name))
    };
    SET_BY_CALL.contains(&name) || FIXED_SETTINGS.iter().any(|fixed| same(fixed)) || is_below(name, "quiet")
}

/// Whether a name is this scope or below it.
fn is_below(name: &str, scope: &str) -> bool {
    name.strip_prefix(scope)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests;
