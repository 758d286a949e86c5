# suites: bookworm trixie
# installs: apu-server
# Server and client on one machine: what debian/tests does wherever Debian's packages are tested.

services_may_start
check "apu-client and apu-server install side by side" apt install "$client_deb" "$server_deb"
check "debian/tests/push" /t/tests/push
check "they are purged" apt purge apu-client apu-server
