# suites: bookworm trixie
# installs: apu-server
# apu-server from its first day to its last. Keys are made once and never again.

secrets() {
    find /etc/apu-server/ssh /etc/apu-server/gpg -type f -exec sha256sum {} + | sort
    find /etc/apu-server/ssh /etc/apu-server/gpg -printf '%p %M %U:%G\n' | sort
}

services_may_start
snapshot >/t/before
check "apu-server installs" apt install "$server_deb"
check "it is configured" same "$(state apu-server)" installed
check "the push key is ed25519" grep -q '^ssh-ed25519 ' /etc/apu-server/ssh/id_ed25519.pub
check "the push key's private half is root's alone" \
    same "$(stat -c '%U:%G %a' /etc/apu-server/ssh/id_ed25519)" "root:root 600"
check "so is its folder" same "$(stat -c '%U:%G %a' /etc/apu-server/ssh)" "root:root 700"
check "the archive's secret key is root's alone" \
    same "$(stat -c '%U:%G %a' /etc/apu-server/gpg/archive.key)" "root:root 600"
check "so is its folder" same "$(stat -c '%U:%G %a' /etc/apu-server/gpg)" "root:root 700"
check "the archive is signed from the first" test -s /var/lib/apu-data/repo/local/InRelease
for program in apt-all apu gen-apu-data-pkg; do
    check "$program runs here" "$program" --version
    for file in /usr/share/man/man8/$program.8.gz /usr/share/bash-completion/completions/$program \
        /usr/share/zsh/vendor-completions/_$program /usr/share/fish/vendor_completions.d/$program.fish; do
        check "$program has $file" test -s "$file"
    done
done
# This one's page and completions are written by hand.
for option in $(gen-apu-data-pkg --help | grep -o -- '--[a-z-]*' | sort -u); do
    check "gen-apu-data-pkg $option is in its page" grep -qF -- "${option//-/\\-}" \
        <(zcat /usr/share/man/man8/gen-apu-data-pkg.8.gz)
    check "gen-apu-data-pkg $option is completed" \
        grep -q -- "$option" /usr/share/bash-completion/completions/gen-apu-data-pkg
done
for file in apu.toml sources.list clients/default; do
    check "$file is there to be filled in" test -e /etc/apu-server/$file
    check "$file is the administrator's" grep -qx " /etc/apu-server/$file [0-9a-f]*" \
        <(dpkg-query -W -f '${Conffiles}\n' apu-server)
done
check "it brings the apu-client that it was built with" \
    same "$(sha256sum </usr/share/apu-server/apu-client_*.deb)" "$(sha256sum <"$client_deb")"
check "apu serve is not started" not pidof apu
check "apu serve is not enabled" not test -e /etc/systemd/system/multi-user.target.wants/apu-serve.service
check "the archive is signed anew in time" \
    test -e /etc/systemd/system/timers.target.wants/apu-publish.timer
check "hosts that wait get their turn" \
    test -e /etc/systemd/system/timers.target.wants/apu-queue.timer
check "slots are looked at" test -e /etc/systemd/system/timers.target.wants/apu-slots.timer
before=$(sha256sum </var/lib/apu-data/repo/local/InRelease)
sleep 1
check "also without systemd" run-parts --regex '^apu-server$' /etc/cron.daily
check "with another date" not same "$(sha256sum </var/lib/apu-data/repo/local/InRelease)" "$before"

secrets >/t/secrets
snapshot >/t/installed
check "apu-server installs once more" apt install --reinstall "$server_deb"
check "a re-install changes nothing" same "$(snapshot | diff /t/installed -)" ""

echo '# by hand' >>/etc/apu-server/apu.toml
echo web1.example.org >>/etc/apu-server/clients/default
echo kept >/var/lib/apu-data/repo/local/kept
changed() {
    echo '# a new setting' >>"$1/etc/apu-server/apu.toml"
}
check "an upgrade installs" apt -o DPkg::Options::=--force-confold install "$(newer "$server_deb" changed)"
check "an upgrade keeps the keys" same "$(secrets | diff /t/secrets -)" ""
check "an upgrade keeps the administrator's settings" grep -qx '# by hand' /etc/apu-server/apu.toml
check "an upgrade keeps the classes" grep -qx web1.example.org /etc/apu-server/clients/default
check "an upgrade keeps the archive" grep -qx kept /var/lib/apu-data/repo/local/kept

rm /etc/apu-server/ssh/id_ed25519.pub
check "dpkg-reconfigure" dpkg-reconfigure apu-server
check "what is missing is made from what is there" same "$(secrets | diff /t/secrets -)" ""

check "apu-server is removed" apt remove apu-server
check "a removal keeps the keys" same "$(secrets | diff /t/secrets -)" ""
check "a removal keeps the archive" grep -qx kept /var/lib/apu-data/repo/local/kept
check "apu-server comes back" apt -o DPkg::Options::=--force-confold install "$server_deb"
check "with the same keys" same "$(secrets | diff /t/secrets -)" ""

echo printer1.example.org >/etc/apu-server/clients/printers
check "apu-server is purged" apt purge apu-server
check "a class file of the administrator stays" grep -qx printer1.example.org /etc/apu-server/clients/printers
rm -r /etc/apu-server/clients
rmdir /etc/apu-server
check "a purge leaves nothing else" same "$(snapshot | diff /t/before -)" ""
