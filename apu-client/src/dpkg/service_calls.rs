//! Finds the services that maintainer scripts restart, in the lines that debhelper writes and in calls of systemctl and others.
//!
//! A script is no data: what it does may depend on anything. A line counts that calls for a restart by the name of a service, whatever has to
//! be so before it is reached; a name that the script finds out itself is not found.

/// Returns the services, without `.service`, that a script restarts: by `deb-systemd-invoke restart UNIT…`, `systemctl restart UNIT…`,
/// `invoke-rc.d NAME restart`, `service NAME restart` or `/etc/init.d/NAME restart`. debhelper's action may be in `$_dh_action`.
pub(super) fn restarted(script: &str) -> Vec<String> {
    let mut units = Vec::new();
    let mut action = "";
    for line in script.lines() {
        let line = line.trim();
        if let Some(given) = line.strip_prefix("_dh_action=") {
            // debhelper's action after an upgrade stands first, that of a first installation behind `else`.
            if !is_restart(action) {
                action = given;
            }
            continue;
        }
        let is_wanted = |word: &str| is_restart(word) || (word == "$_dh_action" && is_restart(action));
        units.extend(calls(line, is_wanted));
        if line.contains("$_dh_action") {
            action = "";
        }
    }
    units
}

/// Returns the services that a `prerm` stops for the time of an upgrade, and not only where the package is removed: as debhelper writes it
/// for packages whose services are not to run meanwhile.
pub(super) fn stopped(script: &str) -> Vec<String> {
    let mut units = Vec::new();
    let mut is_for_removal = false;
    for line in script.lines() {
        let line = line.trim();
        if line.starts_with("if ") {
            is_for_removal = line.contains("remove") && !line.contains("upgrade");
        } else if line == "fi" {
            is_for_removal = false;
        } else if !is_for_removal {
            units.extend(calls(line, |word| word == "stop"));
        }
    }
    units
}

/// The services for which a line calls for an action.
fn calls(line: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut units = Vec::new();
    for command in line.split([';', '|', '&']) {
        let mut words = command
            .split_whitespace()
            .take_while(|word| !word.starts_with(['>', '#']))
            .map(|word| word.trim_matches(['\'', '"']))
            .skip_while(|word| {
                matches!(
                    *word,
                    "if" | "elif" | "then" | "else" | "do" | "while" | "!" | "exec"
                )
            });
        let Some(program) = words.next() else { continue };
        let words: Vec<&str> = words.collect();
        let plain: Vec<&str> = words
            .iter()
            .copied()
            .filter(|word| !word.starts_with('-'))
            .collect();
        match program.rsplit_once('/').map_or(program, |(_, name)| name) {
            // A function of the script's own may stand around it.
            "deb-systemd-invoke" | "systemctl" | "_systemctl" => {
                if let Some((action, named)) = plain.split_first()
                    && is_wanted(action)
                {
                    units.extend(named.iter().filter_map(|unit| service(unit)));
                }
            }
            // What is a unit of its own is left to the lines for systemd.
            "invoke-rc.d" | "service" if !words.contains(&"--skip-systemd-native") => {
                if let [name, action] = plain[..]
                    && is_wanted(action)
                {
                    units.extend(service(name));
                }
            }
            name if program == format!("/etc/init.d/{name}") => {
                if let [action] = plain[..]
                    && is_wanted(action)
                {
                    units.extend(service(name));
                }
            }
            _ => {}
        }
    }
    units
}

fn is_restart(action: &str) -> bool {
    matches!(
        action,
        "restart" | "try-restart" | "condrestart" | "reload-or-restart" | "try-reload-or-restart"
    )
}

/// The name of a service, without `.service`; none for a unit of another kind.
fn service(unit: &str) -> Option<String> {
    let is_other = |kind: &str| matches!(kind, "socket" | "target" | "timer" | "path" | "mount" | "slice");
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@-_.:\\+".contains(&byte);
    let is_service =
        name.len() < unit.len() || !name.rsplit_once('.').is_some_and(|(_, kind)| is_other(kind));
    (is_service && !name.is_empty() && name.bytes().all(is_plain)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What debhelper writes for openssh-server of Debian 12, cut.
    const OPENSSH: &str = "\
if [ \"$1\" = \"configure\" ]; then
	if [ -x /etc/init.d/ssh ]; then
		if [ -n \"$2\" ]; then
			_dh_action=restart
		else
			_dh_action=start
		fi
		invoke-rc.d --skip-systemd-native ssh $_dh_action || exit 1
	fi
	if [ -d /run/systemd/system ]; then
		systemctl --system daemon-reload >/dev/null || true
		if [ -n \"$2\" ]; then
			_dh_action=restart
		else
			_dh_action=start
		fi
		deb-systemd-invoke $_dh_action 'rescue-ssh.target' 'ssh.service' >/dev/null || true
	fi
fi
";

    #[test]
    fn what_debhelper_restarts_after_an_upgrade_is_found() {
        assert_eq!(restarted(OPENSSH), ["ssh"]);
        for (line, expected) in [
            (
                "deb-systemd-invoke restart 'a.service' b@x.service >/dev/null || true",
                &["a", "b@x"][..],
            ),
            (
                "\tdeb-systemd-invoke try-restart \"polkit.service\" || true",
                &["polkit"],
            ),
            ("invoke-rc.d cron restart || exit $?", &["cron"]),
            // Only started, stopped or reloaded; or said in a comment, in words of its own, or of another kind.
            ("deb-systemd-invoke start 'dbus.service' >/dev/null || true", &[]),
            ("deb-systemd-invoke stop polkit.service", &[]),
            ("invoke-rc.d dbus force-reload || true", &[]),
            ("# deb-systemd-invoke restart a.service", &[]),
            ("echo deb-systemd-invoke restart a.service", &[]),
            ("deb-systemd-invoke restart 'a.timer' 'b.socket'", &[]),
            ("deb-systemd-invoke $_dh_action 'a.service'", &[]),
            (
                "_dh_action=start\ndeb-systemd-invoke $_dh_action 'a.service'",
                &[],
            ),
            ("deb-systemd-invoke restart $UNIT", &[]),
            ("", &[]),
        ] {
            assert_eq!(restarted(line), expected, "{line}");
        }
        // An action holds for one block.
        let twice = format!("{OPENSSH}_dh_action=start\ndeb-systemd-invoke $_dh_action 'late.service'\n");
        assert_eq!(restarted(&twice), ["ssh"]);
    }

    #[test]
    fn what_scripts_restart_in_words_of_their_own_is_found() {
        for (line, expected) in [
            // systemd's own, and those of others.
            (
                "    _systemctl try-restart systemd-journald.service || true",
                &["systemd-journald"][..],
            ),
            ("systemctl --quiet restart a.service b", &["a", "b"]),
            ("/bin/systemctl --no-block try-restart a", &["a"]),
            ("if systemctl try-reload-or-restart a; then", &["a"]),
            ("[ -x /usr/sbin/a ] && invoke-rc.d a restart || true", &["a"]),
            ("if invoke-rc.d --quiet a restart >/dev/null 2>&1; then", &["a"]),
            ("service a restart", &["a"]),
            ("/etc/init.d/a restart", &["a"]),
            (
                "pidof a >/dev/null && service a restart; service b restart",
                &["a", "b"],
            ),
            ("systemctl daemon-reexec", &[]),
            ("systemctl enable a.service", &[]),
            ("invoke-rc.d ${service} restart", &[]),
            ("service --status-all", &[]),
            ("invoke-rc.d --skip-systemd-native a restart", &[]),
            ("echo systemctl restart a", &[]),
            ("# systemctl restart a", &[]),
            ("/usr/lib/a/restart restart", &[]),
        ] {
            assert_eq!(restarted(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_stopped_for_an_upgrade_is_found_and_not_what_a_removal_stops() {
        let removal = "if [ -z \"${DPKG_ROOT:-}\" ] && [ \"$1\" = remove ] && [ -d /run/systemd/system ] ; then\n\
                       \tdeb-systemd-invoke stop 'a.service' >/dev/null || true\nfi\n";
        assert_eq!(stopped(removal), [""; 0]);
        let always = removal.replace(" && [ \"$1\" = remove ]", "");
        assert_eq!(stopped(&always), ["a"]);
        assert_eq!(stopped(&format!("{removal}invoke-rc.d b stop\n")), ["b"]);
        let both = removal.replace("= remove ]", "= remove ] || [ \"$1\" = upgrade ]");
        assert_eq!(stopped(&both), ["a"]);
        assert_eq!(stopped("deb-systemd-invoke start a.service\n"), [""; 0]);
    }
}
