# What the cases share. Sourced on the machine, in /t, with one apu-client.deb and one apu-server.deb there.
set -uo pipefail

client_deb=$(echo /t/apu-client_*.deb)
server_deb=$(echo /t/apu-server_*.deb)
bad=0

# check "promise" COMMAND…
check() {
    local promise=$1
    shift
    if "$@" >/t/said 2>&1; then
        echo "ok $promise"
    else
        echo "FAILED $promise"
        echo "    $*:"
        sed 's/^/    /' /t/said
        bad=$((bad + 1))
    fi
}

# says "promise" PATTERN     of the last check's command
says() {
    cp /t/said /t/saying
    check "$1" grep -q -- "$2" /t/saying
    cp /t/saying /t/said
}

not() {
    ! "$@"
}

same() {
    [[ "$1" == "$2" ]] || { printf '%s\n--- instead of ---\n%s\n' "$1" "$2"; return 1; }
}

finish() {
    exit $((bad > 0))
}

apt() {
    echo "+ apt-get $*" >&2
    apt-get -q -y -o Dpkg::Use-Pty=0 "$@"
}

state() {
    dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || echo none
}

# One field of what sshd would do for a user.
sshd_for() {
    sshd -T -C "user=$1,host=x,addr=127.0.0.1" 2>&1 | sed -n "s/^$2 //p"
}

sshd_is_ready_to_check() {
    mkdir -p /run/sshd
    [[ -e /etc/ssh/ssh_host_ed25519_key ]] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
}

# The same package with a higher version; a function changes its files, in the folder that it is given.
newer() {
    local deb=$1 change=${2:-true} tree=/t/newer out
    rm -rf "$tree"
    dpkg-deb -R "$deb" "$tree"
    sed -i 's/^Version: .*/&+newer1/' "$tree/DEBIAN/control"
    "$change" "$tree" >&2
    (cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
    out=/t/newer-$(basename "$deb")
    dpkg-deb -b -Zgzip "$tree" "$out" >&2
    echo "$out"
}

# Every file with its mode, owner, target and content, but what dpkg, apt and their friends write for themselves.
snapshot() {
    find / -xdev \( -path /proc -o -path /t -o -path /dev -o -path /run -o -path /sys -o -path /tmp \
        -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log \
        -o -path /var/lib/systemd/deb-systemd-helper-enabled \) -prune \
        -o ! -name 'passwd*' ! -name 'shadow*' ! -name 'group*' ! -name 'gshadow*' ! -name 'sub?id*' \
        ! -path /etc/ld.so.cache ! -path "/etc/init.d/.depend.*" ! -path '/etc/ssh/ssh_host_*' -printf '%p %M %U:%G %l\n' -type f -exec sha256sum {} + |
        LC_ALL=C sort
    getent passwd | sort
    getent group | sort
}

# The site's key, as apu-data brings it.
with_a_push_key() {
    [[ -e /t/key ]] || ssh-keygen -q -t ed25519 -N '' -f /t/key
    mkdir -p /usr/share/apu-data
    printf 'restrict,command="/usr/lib/apu/apu-wrapper" %s\n' "$(cat /t/key.pub)" >/usr/share/apu-data/authorized_keys
}

# As on a machine with sysvinit: packages may start what they bring. Without this invoke-rc.d starts nothing in a chroot.
services_may_start() {
    printf '#!/bin/sh\nexit 0\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
}

start_sshd() {
    sshd_is_ready_to_check
    invoke-rc.d ssh start
    for _ in {1..50}; do
        [[ -s /run/sshd.pid ]] && (: </dev/tcp/127.0.0.1/22) 2>/dev/null && return 0
        sleep 0.1
    done
    echo "sshd does not answer" >&2
    return 1
}

push() {
    timeout 60 ssh -i /t/key -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/t/known_hosts \
        -o LogLevel=ERROR "$@" </dev/null
}

# A whole answer to the smallest request.
answers() {
    push apu@127.0.0.1 apu/1 ping >/t/answer
    grep -q '"result"' /t/answer || { cat /t/answer; return 1; }
}
