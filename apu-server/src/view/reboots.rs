//! Who needs a reboot and why, before anybody is asked: equal reasons together.

use std::fmt::Write;

use apu_fleet::HostName;
use apu_proto::{RebootReason, RebootReport};

use super::clean::clean;
use super::groups::{groups, set};
use super::paint::Paint;

/// A line for each set of reasons, of these hosts that are to reboot.
#[must_use]
pub fn reboots(asked: &[(HostName, &RebootReport)], paint: Paint) -> String {
    let mut text = String::new();
    let told = asked.iter().map(|(host, report)| (host, reasons(report)));
    for (reasons, hosts) in groups(told) {
        let _ = writeln!(text, "{}: {reasons}", paint.strong(&set(&hosts)));
    }
    paint.letters(text)
}

/// What is asked before so many hosts reboot, with the waves where there is more than one; without a line end.
#[must_use]
pub fn question(hosts: usize, waves: Option<&str>) -> String {
    let s = if hosts == 1 { "" } else { "s" };
    let waves = waves.map_or_else(String::new, |waves| format!(", {waves}"));
    format!("Reboot {hosts} host{s}{waves}? [y/N] ")
}

fn reasons(report: &RebootReport) -> String {
    if !report.is_needed() {
        return "reboots, and needs no reboot".to_owned();
    }
    let reasons: Vec<String> = report.reasons.iter().map(reason).collect();
    format!("needs a reboot: {}", clean(&reasons.join("; ")))
}

fn reason(reason: &RebootReason) -> String {
    match reason {
        RebootReason::Kernel { running, newest } => format!("kernel {running} runs, {newest} is installed"),
        RebootReason::Packages { packages } if packages.is_empty() => "a package asks for it".to_owned(),
        RebootReason::Packages { packages } => format!("asked for by {}", packages.join(", ")),
        RebootReason::Microcode => "newer microcode is installed".to_owned(),
        RebootReason::Libc { services: 1 } => "1 service runs with a replaced C library".to_owned(),
        RebootReason::Libc { services } => format!("{services} services run with a replaced C library"),
        RebootReason::Dbus => "dbus runs with replaced code".to_owned(),
        RebootReason::Unknown => "a reason that only a later apu-server knows".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_reasons_are_shown_once_and_a_clients_words_are_cleaned() {
        let report = |reasons: Vec<RebootReason>| RebootReport {
            reasons,
            ..RebootReport::default()
        };
        let kernel = RebootReason::Kernel {
            running: "6.1.0-1-amd64".into(),
            newest: "6.1.0-2-amd64".into(),
        };
        let packages = RebootReason::Packages {
            packages: vec!["libc6".into(), "dbus\u{1b}[2J".into()],
        };
        let (one, two) = (report(vec![kernel.clone()]), report(vec![kernel, packages]));
        let none = report(Vec::new());
        let host = |name: &str| -> HostName { name.parse().unwrap() };
        let asked = [
            (host("web1"), &one),
            (host("web2"), &one),
            (host("db1"), &two),
            (host("db2"), &none),
        ];
        let plain = Paint {
            colour: false,
            unicode: true,
        };
        let text = reboots(&asked, plain);
        assert!(!text.contains('\u{1b}'), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "web[1-2]: needs a reboot: kernel 6.1.0-1-amd64 runs, 6.1.0-2-amd64 is installed"
        );
        assert!(
            lines[1].contains("is installed; asked for by libc6, dbus"),
            "{text}"
        );
        assert_eq!(lines[2], "db2: reboots, and needs no reboot");
        assert_eq!(question(1, None), "Reboot 1 host? [y/N] ");
        assert_eq!(
            question(5, Some("first web1, then 4")),
            "Reboot 5 hosts, first web1, then 4? [y/N] "
        );
    }
}
