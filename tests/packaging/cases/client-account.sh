# suites: bookworm trixie
# A person who is called apu keeps the account.

useradd --create-home --shell /bin/bash apu
before=$(getent passwd apu)
check "apu-client does not install over a person's account" not apt install "$client_deb"
check "nothing of it is unpacked" not test -e /usr/sbin/apu-client
check "the account is as it was" same "$(getent passwd apu)" "$before"
check "apt works on" apt check
