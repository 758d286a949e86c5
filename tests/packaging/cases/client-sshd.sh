# suites: bullseye bookworm trixie
# What apu-client does with an sshd that is not as Debian ships it. It never locks a host out.

services_may_start
sshd_is_ready_to_check
main=/etc/ssh/sshd_config
drop_in=/etc/ssh/sshd_config.d/50-apu.conf
cp $main /t/sshd_config

# A configuration that sshd does not accept.
echo 'PermitRootLogin perhaps' >>$main
before=$(sha256sum $main)
check "apu-client installs beside a broken sshd_config" apt install "$client_deb"
says "it says what is wrong" perhaps
says "it says what to do" 'dpkg-reconfigure apu-client'
check "it is configured all the same" same "$(state apu-client)" installed
check "no drop-in is left beside a broken sshd_config" not test -e $drop_in
check "the broken sshd_config is as it was" same "$(sha256sum $main)" "$before"
cp /t/sshd_config $main
check "after mending, dpkg-reconfigure goes on" dpkg-reconfigure apu-client
check "then the drop-in is there" same "$(sshd_for apu forcecommand)" /usr/lib/apu/apu-wrapper

# A drop-in that sshd does not accept, in an upgrade.
broken() {
    sed -i 's/^    DisableForwarding yes/    DisableForwarding perhaps/' "$1/usr/share/apu-client/50-apu.conf"
}
before=$(sha256sum $drop_in)
check "an upgrade with a broken drop-in installs" apt install "$(newer "$client_deb" broken)"
says "it says that the drop-in is not used" 'so it is not installed'
check "the old drop-in stays" same "$(sha256sum $drop_in)" "$before"
check "sshd still starts" sshd -t
check "purge" apt purge apu-client
check "install, with a broken drop-in from the first" apt install "$(newer "$client_deb" broken)"
check "the broken drop-in is not there" not test -e $drop_in
check "sshd still starts then" sshd -t
check "purge again" apt purge apu-client

# A drop-in that passes every look before, and fails in its place. No configuration is known that does that, so it is
# sshd's answer that is changed here.
mv /usr/sbin/sshd /usr/sbin/sshd.real
cat >/usr/sbin/sshd <<'SSHD'
#!/bin/sh
if [ "$1" = -t ] && [ -e /etc/ssh/sshd_config.d/50-apu.conf ]; then
    echo "not this one" >&2
    exit 1
fi
exec /usr/sbin/sshd.real "$@"
SSHD
chmod 755 /usr/sbin/sshd
check "apu-client installs where sshd refuses the drop-in late" apt install "$client_deb"
says "it says that it is taken back" 'it is taken back'
check "the drop-in is taken back" not test -e $drop_in
mv /usr/sbin/sshd.real /usr/sbin/sshd
check "with another sshd, dpkg-reconfigure tries again" dpkg-reconfigure apu-client
check "and the drop-in is there" test -e $drop_in
check "purge for the third time" apt purge apu-client

# No Include: an sshd_config kept from an older release.
sed -i '/^Include/d' $main
check "apu-client installs without an Include" apt install "$client_deb"
says "it warns that a layer is missing" 'WARNING: sshd does not read'
says "it says which line is missing" 'Include /etc/ssh/sshd_config.d/\*.conf'
check "sshd_config is left alone" not grep -q Include $main
with_a_push_key
check "sshd starts without an Include" start_sshd
check "a request is answered by the key's own line" answers
push apu@127.0.0.1 id >/t/answer
check "the key's own line holds" grep -q '"refused"' /t/answer
cp /t/sshd_config $main
check "with the Include, dpkg-reconfigure goes on" dpkg-reconfigure apu-client
check "then both layers hold" same "$(sshd_for apu authorizedkeysfile)" /usr/share/apu-data/authorized_keys
check "apu's home is empty again" same "$(ls -A /var/lib/apu/home)" ""
check "sshd has reloaded it" answers

# A site that lets only some in.
echo 'AllowUsers root' >>$main
check "dpkg-reconfigure with AllowUsers" dpkg-reconfigure apu-client
says "it says that AllowUsers keeps apu out" 'keeps user apu out'
cp /t/sshd_config $main

# No host key and no /run/sshd: an image that has never run.
check "purge once more" apt purge apu-client
pkill -x sshd
rm -rf /etc/ssh/ssh_host_* /run/sshd
check "apu-client installs into an image" apt install "$client_deb"
check "the drop-in is there" test -e $drop_in
check "no host key is made" same "$(ls /etc/ssh/ssh_host_* 2>/dev/null)" ""
check "no directory of sshd is left" not test -e /run/sshd
