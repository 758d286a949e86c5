# PID 1 of a fleet: its end is the end of every process and every mount of the fleet.
# It ends when its standard input does, which is when the program that made the fleet ends, however that happens.
set -e
state=$1
ip link set lo up
# The fleet answers at a few addresses that look like a real network; they exist nowhere but in here.
for address in 192.168.1.192 192.168.1.193; do ip address add "$address/32" dev lo; done
nft -f - <<'RULES'
table inet cables {
    set pulled { type ipv4_addr; }
    set slow { type ipv4_addr; }
    chain wire {
        type filter hook input priority 0
        ip daddr @pulled drop
        ip saddr @pulled drop
        ip saddr @slow limit rate over 20 kbytes/second burst 70 kbytes drop
        ip daddr @slow limit rate over 20 kbytes/second burst 70 kbytes drop
    }
}
RULES
mount -t tmpfs -o mode=0755,size=60% apu-fleet "$state"
mkdir "$state/trace"
# Without tracing a fleet is still good for everything but watching.
mount -t tracefs tracefs "$state/trace" 2>/dev/null || true
echo up
while read -r _; do :; done
