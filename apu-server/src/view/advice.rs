//! English for what clients advise: the one place that makes commands and sentences of it.

use apu_proto::Advice;

/// Advice as a text, for this host.
#[must_use]
pub fn advice_text(advice: &Advice, host: &str) -> String {
    let on_client = |command: &str| format!("on the client: {command}");
    match advice {
        Advice::AllowRemove => "give --allow-remove to the same command, where that is wanted".into(),
        Advice::NewerApuData => format!(
            "gen-apu-data-pkg && apt-all {host} update && apt-all {host} dist-upgrade, which bring a newer apu-data"
        ),
        Advice::NewerServer => "on the server: apt-get install apu-server".into(),
        Advice::Correct { path } => path.clone(),
        Advice::DpkgAudit => on_client("dpkg --audit"),
        Advice::AptConfigDump => on_client("apt-config dump"),
        Advice::FindAptSetting { word } => on_client(&format!(
            "grep -ri '{word}' /etc/apt/apt.conf /etc/apt/apt.conf.d"
        )),
        Advice::AptGetUpdate => on_client("apt-get update"),
        Advice::IndexTargets => on_client("apt-get indextargets"),
        Advice::AptGetClean => on_client("apt-get clean"),
        Advice::AptGetAutoremove => on_client("apt-get autoremove, which removes old kernels"),
        Advice::ShowHold => on_client("apt-mark showhold"),
        Advice::Unhold { packages } => on_client(&format!("apt-mark unhold {}", packages.join(" "))),
        Advice::ListPackages { name } => on_client(&format!("dpkg -l '{name}*'")),
        Advice::ReconfigureApuData => on_client("dpkg-reconfigure apu-data"),
        Advice::RemoveSiteSource { file } => {
            on_client(&format!("remove it from {file}, then dpkg-reconfigure apu-data"))
        }
        Advice::HoldOrSha256 { package } => format!(
            "give the archive's index SHA-256; or, to leave the package out, on the client: apt-mark hold {package}"
        ),
        Advice::AddArchitecture { native, architecture } => format!(
            "give the package built for {native}; or, on a client that is to take both: dpkg --add-architecture {architecture}"
        ),
        Advice::AllowReleaseInfoChange { field } => {
            let option = match field.as_str() {
                "" => String::new(),
                field => format!("-{}", field.to_ascii_lowercase()),
            };
            format!(
                "on the client, if that was to be expected: apt-get update --allow-releaseinfo-change{option}"
            )
        }
        Advice::FailedUnits => on_client("systemctl --failed"),
        Advice::RestartClient => {
            on_client("systemctl restart apu-client.socket, or service apu-client restart")
        }
        Advice::Unknown => "something that this version of apt-all does not know".into(),
    }
}
