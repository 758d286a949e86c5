# suites: bookworm
# installs: apu-server
# A proxy that is on the server already becomes the clients' proxy when apu-server is installed. The fleet suites do this
# with the real ones; what apu-server looks for is the program.

services_may_start
mkdir -p /usr/sbin
install -m 755 /bin/true /usr/sbin/apt-cacher-ng
check "apu-server installs" apt install "$server_deb"
check "apt-cacher-ng is offered to the clients" \
    grep -qx 'Acquire::http::Proxy "http://[a-z0-9.-]*:3142";' /etc/apu-server/50apu
check "it goes into apu-data" gen-apu-data-pkg
dpkg-deb --fsys-tarfile /var/lib/apu-data/repo/local/apu-data_*_all.deb >/t/apu-data.tar
check "as the clients' 50apu" same "$(tar -xOf /t/apu-data.tar ./etc/apt/apt.conf.d/50apu)" "$(cat /etc/apu-server/50apu)"

echo '// mine' >/etc/apu-server/50apu
install -m 755 /bin/true /usr/sbin/squid
check "dpkg-reconfigure" dpkg-reconfigure apu-server
check "the administrator's own setting stays" same "$(cat /etc/apu-server/50apu)" "// mine"
rm /etc/apu-server/50apu
check "without one" apu setup
check "squid comes before apt-cacher-ng" grep -q ':3128";' /etc/apu-server/50apu
check "apu-server is purged" apt purge apu-server
check "with what it made" not test -e /etc/apu-server/50apu
