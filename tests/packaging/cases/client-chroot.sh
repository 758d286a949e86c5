# suites: bookworm trixie
# An image is made in a chroot: nothing is started there.

sshd_is_ready_to_check
check "apu-client installs where nothing may be started" apt install "$client_deb"
check "it is configured" same "$(state apu-client)" installed
check "nothing of it runs" not pidof apu-client
check "the socket is enabled for the first start" test -e /etc/systemd/system/sockets.target.wants/apu-client.socket
check "so is the init script" test -e "$(echo /etc/rc2.d/S*apu-client)"
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
check "it installs once more where a policy forbids to start anything" apt install --reinstall "$client_deb"
check "nothing of it runs then" not pidof apu-client
mkdir -p /run/systemd/system
check "the init script leaves it to systemd" /etc/init.d/apu-client start
check "and starts nothing" not pidof apu-client
