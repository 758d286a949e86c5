set -eu
echo apu-architecture "$(dpkg --print-architecture)"
s=
if [ "$(id -u)" != 0 ]; then s="sudo -n"; $s true || exit 91; fi
d=$(mktemp -d)
trap "rm -rf \"\$d\"" EXIT
read -r client data
head -c "$client" > "$d/apu-client.deb"
head -c "$data" > "$d/apu-data.deb"
exec < /dev/null
chmod 755 "$d"
chmod 644 "$d/apu-client.deb" "$d/apu-data.deb"
apt_get() {
    $s env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -q -y --no-install-recommends \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300 "$@" 2>&1
}
apt_get install "$d/apu-client.deb" "$d/apu-data.deb" ||
    { apt_get update; apt_get install "$d/apu-client.deb" "$d/apu-data.deb"; }
echo apu-installed
