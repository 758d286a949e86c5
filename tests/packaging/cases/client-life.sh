# suites: bullseye bookworm trixie
# apu-client from its first day to its last: install, re-install, upgrade, remove, purge.

services_may_start
sshd_is_ready_to_check
snapshot >/t/before
check "apu-client installs" apt install "$client_deb"
check "it is configured" same "$(state apu-client)" installed

check "user apu has a home, /bin/sh and no more" \
    same "$(getent passwd apu | cut -d: -f6-)" /var/lib/apu/home:/bin/sh
check "the account has no password, and is not locked" same "$(getent shadow apu | cut -d: -f2)" '*'
check "user apu is in no group but its own" same "$(id -nG apu)" apu
check "apu's home is root's" same "$(stat -c '%U:%G %a' /var/lib/apu/home)" "root:root 755"
check "apu's home is empty" same "$(ls -A /var/lib/apu/home)" ""
check "apu owns no file" same "$(find / -xdev -path /proc -prune -o -user apu -print)" ""
check "apu cannot read the runs" not runuser -u apu -- ls /var/lib/apu-client/runs

check "sshd accepts its configuration" sshd -t
check "apu is bound to the wrapper" same "$(sshd_for apu forcecommand)" /usr/lib/apu/apu-wrapper
check "apu's keys come from apu-data alone" \
    same "$(sshd_for apu authorizedkeysfile)" /usr/share/apu-data/authorized_keys
for word in disableforwarding:yes permittty:no permituserrc:no x11forwarding:no allowtcpforwarding:no \
    allowagentforwarding:no allowstreamlocalforwarding:no permittunnel:no passwordauthentication:no \
    kbdinteractiveauthentication:no authenticationmethods:publickey; do
    check "for apu sshd has $word" same "$(sshd_for apu "${word%%:*}")" "${word#*:}"
done
check "root is bound to nothing" same "$(sshd_for root forcecommand)" none
# sshd takes the first value that it reads, so only a file that comes before sshd_config's own lines can show this.
echo 'LoginGraceTime 77' >/etc/ssh/sshd_config.d/60-site.conf
echo 'AllowAgentForwarding no' >>/etc/ssh/sshd_config.d/60-site.conf
check "a file behind the drop-in holds for everyone" \
    same "$(sshd_for root logingracetime) $(sshd_for root allowagentforwarding)" "77 no"
rm /etc/ssh/sshd_config.d/60-site.conf

with_a_push_key
check "the programs run here" apu-client --version
check "holds that are over are looked for" \
    test -e /etc/systemd/system/timers.target.wants/apu-holds.timer -a -e /etc/cron.d/apu-client
check "the listener listens, where systemd does not" \
    same "$(stat -c '%U:%G %a %F' /run/apu/apu.sock)" "root:apu 660 socket"
check "sshd starts" start_sshd
check "a request is answered through ssh" answers
push apu@127.0.0.1 id >/t/answer
check "a command is refused by the wrapper" grep -q '"refused"' /t/answer
check "a command is not carried out" not grep -q uid= /t/answer
push apu@127.0.0.1 >/t/answer
check "a shell is refused by the wrapper" grep -q '"refused"' /t/answer

snapshot >/t/installed
sshd_before=$(cat /run/sshd.pid)
check "apu-client installs once more" apt install --reinstall "$client_deb"
check "a re-install changes nothing" same "$(snapshot | diff /t/installed -)" ""
check "sshd runs on" test -n "$sshd_before"
check "sshd is reloaded, not restarted" same "$(cat /run/sshd.pid)" "$sshd_before"
check "a request is answered after a re-install" answers

echo '# by hand' >>/etc/apu-client/policy.toml
changed() {
    sed -i 's/^    MaxSessions .*/    MaxSessions 3/' "$1/usr/share/apu-client/50-apu.conf"
    sed -i 's/^conffiles = .*/conffiles = "new"/' "$1/etc/apu-client/policy.toml"
}
check "an upgrade installs" apt -o DPkg::Options::=--force-confold install "$(newer "$client_deb" changed)"
check "an upgrade brings its drop-in" same "$(sshd_for apu maxsessions)" 3
check "an upgrade leaves the administrator's policy" grep -qx '# by hand' /etc/apu-client/policy.toml
check "an upgrade keeps the account" same "$(getent shadow apu | cut -d: -f2)" '*'
check "a request is answered after an upgrade" answers

echo '# by hand' >>/etc/ssh/sshd_config.d/50-apu.conf
check "a downgrade installs" apt -o DPkg::Options::=--force-confold install --allow-downgrades "$client_deb"
check "an administrator's drop-in stays" grep -qx '# by hand' /etc/ssh/sshd_config.d/50-apu.conf
check "and holds" same "$(sshd_for apu maxsessions)" 3

check "apu-client is removed" apt remove apu-client
check "nothing listens any more" not test -e /run/apu/apu.sock
check "no process of it is left" not pidof apu-client
check "sshd accepts its configuration after the removal" sshd -t
check "the key is good for nothing after the removal" same "$(push apu@127.0.0.1 apu/1 ping 2>/dev/null)" ""
check "apu-client comes back" apt install "$client_deb"
check "a request is answered again" answers

rm -r /usr/share/apu-data
mkdir -p /var/lib/apu-client/runs/0123
check "apu-client is purged" apt purge apu-client
check "sshd accepts its configuration after the purge" sshd -t
pkill -x sshd
check "a purge leaves nothing" same "$(snapshot | diff /t/before -)" ""
check "a purge leaves nothing with dpkg" same "$(state apu-client)" none
