//! What sshd says of its settings for user apu. Several of them hold the same thing twice, so that no try from outside
//! could tell if one were missing.

use apu_tests::{Fleet, Suite};

/// Each line of `sshd -T` that the drop-in is there for.
const FOR_APU: [&str; 17] = [
    "allowagentforwarding no",
    "allowstreamlocalforwarding no",
    "allowtcpforwarding no",
    "authenticationmethods publickey",
    "authorizedkeyscommand none",
    "authorizedkeysfile /usr/share/apu-data/authorized_keys",
    "disableforwarding yes",
    "forcecommand /usr/lib/apu/apu-wrapper",
    "gssapiauthentication no",
    "hostbasedauthentication no",
    "kbdinteractiveauthentication no",
    "maxsessions 4",
    "passwordauthentication no",
    "permittty no",
    "permittunnel no",
    "permituserrc no",
    "x11forwarding no",
];

/// Lines of `sshd -T` for a user, in lower case where sshd is not of one mind with itself.
fn settings(fleet: &Fleet, user: &str) -> Vec<String> {
    let connection = format!("user={user},host=x,addr=127.0.0.1,laddr=127.0.0.1,lport=22");
    let text = fleet
        .host("web1")
        .exec(&["/usr/sbin/sshd", "-T", "-C", &connection])
        .ok();
    text.lines()
        .map(|line| line.replacen("challengeresponse", "kbdinteractive", 1))
        .collect()
}

fn missing(settings: &[String]) -> Vec<&'static str> {
    FOR_APU
        .into_iter()
        .filter(|line| !settings.iter().any(|setting| setting == line))
        .collect()
}

#[test]
fn sshd_has_every_setting_for_user_apu_and_none_for_others() {
    for suite in Suite::ALL {
        let fleet = Fleet::of(["web1"]).suite(suite).up();
        assert_eq!(missing(&settings(&fleet, "apu")), [""; 0], "{suite:?}");
        let default: Vec<_> = settings(&fleet, "nobody");
        fleet
            .host("web1")
            .sh("rm /etc/ssh/sshd_config.d/50-apu.conf")
            .ok();
        assert_eq!(
            settings(&fleet, "nobody"),
            default,
            "{suite:?}: the drop-in reaches others"
        );
        assert!(missing(&default).len() >= 12, "{suite:?}: {default:?}");
        assert_eq!(settings(&fleet, "apu"), default, "{suite:?}");
    }
}
