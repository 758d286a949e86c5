# suites: bookworm trixie
# openssh-server is purged before apu-client is, which has a file in its folder.

sshd_is_ready_to_check
check "apu-client installs" apt install "$client_deb"
check "openssh-server is purged, and apu-client with it" apt purge openssh-server
check "nothing is left with dpkg" same "$(state apu-client)" none
check "nothing keeps sshd's folder" not test -e /etc/ssh/sshd_config.d
