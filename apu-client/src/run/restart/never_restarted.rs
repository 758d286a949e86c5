//! The services that a restart would do harm to, each with why: they keep their old files until a reboot, or until somebody restarts
//! them by hand.

use apu_proto::WhyLeft;

/// Names of units without `.service`; with `*` at its end, all that begin so.
const NEVER_RESTARTED: &[(&str, WhyLeft)] = &[
    // Every service with a connection to it loses that, and few connect again.
    ("dbus", WhyLeft::Bus),
    ("dbus-broker", WhyLeft::Bus),
    // They have the logins: seats, terminals, displays, and what runs in a user's session.
    ("systemd-logind", WhyLeft::Sessions),
    ("elogind", WhyLeft::Sessions),
    ("user@*", WhyLeft::Sessions),
    ("getty@*", WhyLeft::Sessions),
    ("serial-getty@*", WhyLeft::Sessions),
    ("container-getty@*", WhyLeft::Sessions),
    ("console-getty", WhyLeft::Sessions),
    ("autovt@*", WhyLeft::Sessions),
    ("display-manager", WhyLeft::Sessions),
    ("gdm*", WhyLeft::Sessions),
    ("greetd", WhyLeft::Sessions),
    ("lightdm", WhyLeft::Sessions),
    ("lxdm", WhyLeft::Sessions),
    ("nodm", WhyLeft::Sessions),
    ("sddm", WhyLeft::Sessions),
    ("slim", WhyLeft::Sessions),
    ("wdm", WhyLeft::Sessions),
    ("xdm", WhyLeft::Sessions),
    ("xrdp*", WhyLeft::Sessions),
    ("emergency", WhyLeft::Sessions),
    ("rescue", WhyLeft::Sessions),
    // The way to the machine goes through them: addresses, links, tunnels, routes.
    ("systemd-networkd", WhyLeft::Network),
    ("NetworkManager", WhyLeft::Network),
    ("networking", WhyLeft::Network),
    ("ifup@*", WhyLeft::Network),
    ("dhcpcd*", WhyLeft::Network),
    ("connman", WhyLeft::Network),
    ("wpa_supplicant*", WhyLeft::Network),
    ("iwd", WhyLeft::Network),
    ("hostapd*", WhyLeft::Network),
    ("openvswitch*", WhyLeft::Network),
    ("ovs-vswitchd", WhyLeft::Network),
    ("ovsdb-server", WhyLeft::Network),
    ("openvpn*", WhyLeft::Network),
    ("strongswan*", WhyLeft::Network),
    ("tinc*", WhyLeft::Network),
    ("bird*", WhyLeft::Network),
    ("frr", WhyLeft::Network),
    // Without live-restore dockerd ends its containers; the others have theirs in memory.
    ("docker", WhyLeft::Containers),
    ("containerd", WhyLeft::Containers),
    ("crio", WhyLeft::Containers),
    ("podman*", WhyLeft::Containers),
    ("lxc*", WhyLeft::Containers),
    ("lxd*", WhyLeft::Containers),
    ("incus*", WhyLeft::Containers),
    ("systemd-nspawn@*", WhyLeft::Containers),
    // They lose hold of the machines, their consoles or their disks.
    ("libvirt*", WhyLeft::Machines),
    ("virt*", WhyLeft::Machines),
    ("xen*", WhyLeft::Machines),
    ("qemu*", WhyLeft::Machines),
    // What is mounted from them, or lies on disks that they serve, fails meanwhile.
    ("iscsid", WhyLeft::Storage),
    ("multipathd", WhyLeft::Storage),
    ("zfs*", WhyLeft::Storage),
    ("gluster*", WhyLeft::Storage),
    ("ceph*", WhyLeft::Storage),
    // They do what is due at boot, or a job that another unit times.
    ("rc-local", WhyLeft::Once),
    ("cloud-*", WhyLeft::Once),
    ("apt-daily*", WhyLeft::Once),
    ("plymouth*", WhyLeft::Once),
];

/// Why a service is never restarted, by its name without `.service`; none for the others.
pub(super) fn never_restarted(name: &str) -> Option<WhyLeft> {
    let is_meant = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    };
    let mut all = NEVER_RESTARTED.iter();
    all.find(|(pattern, _)| is_meant(pattern))
        .map(|(_, why)| why.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_the_machine_is_never_restarted_and_ordinary_services_are() {
        for (name, expected) in [
            ("dbus", Some(WhyLeft::Bus)),
            ("dbus-broker", Some(WhyLeft::Bus)),
            ("systemd-logind", Some(WhyLeft::Sessions)),
            ("user@1000", Some(WhyLeft::Sessions)),
            ("getty@tty1", Some(WhyLeft::Sessions)),
            ("serial-getty@ttyS0", Some(WhyLeft::Sessions)),
            ("gdm3", Some(WhyLeft::Sessions)),
            ("systemd-networkd", Some(WhyLeft::Network)),
            ("NetworkManager", Some(WhyLeft::Network)),
            ("wpa_supplicant@wlan0", Some(WhyLeft::Network)),
            ("ifup@eth0", Some(WhyLeft::Network)),
            ("openvswitch-switch", Some(WhyLeft::Network)),
            ("docker", Some(WhyLeft::Containers)),
            ("containerd", Some(WhyLeft::Containers)),
            ("libvirtd", Some(WhyLeft::Machines)),
            ("virtqemud", Some(WhyLeft::Machines)),
            ("rc-local", Some(WhyLeft::Once)),
            ("ssh", None),
            ("cron", None),
            ("nginx", None),
            ("systemd-journald", None),
            ("systemd-resolved", None),
            ("dbus-org.example", None),
            ("postgresql@15-main", None),
        ] {
            assert_eq!(never_restarted(name), expected, "{name}");
        }
    }
}
