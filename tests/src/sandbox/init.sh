# PID 1 of a host. Started in namespaces of its own; the root is an overlay, and nothing of the machine stays visible.
name=$1 state=$2 layers=$3 start=$4
exec 3>&1 >"$state/boot.log" 2>&1 </dev/null
trap 'echo "failed $name" >&3' EXIT
set -e
cd "$state"
printf '%s\n' \
    "overlay $state/root overlay lowerdir=$layers,upperdir=$state/upper,workdir=$state/work 0 0" \
    "proc $state/root/proc proc nosuid,nodev,noexec 0 0" \
    "devpts $state/root/dev/pts devpts newinstance,ptmxmode=0666,mode=0620,gid=5 0 0" \
    "shm $state/root/dev/shm tmpfs mode=1777,size=64m 0 0" \
    "run $state/root/run tmpfs mode=0755,size=64m 0 0" \
    "tmp $state/root/tmp tmpfs mode=1777,size=256m 0 0" >fstab
mount --all --fstab fstab
cd root
read -r hostname <etc/hostname
echo "$hostname" >proc/sys/kernel/hostname
pivot_root . mnt
cd /
umount --lazy /mnt
mkdir -p /run/lock /run/sshd
# A record as init writes it, type RUN_LVL: without a runlevel no maintainer script may start a service.
{
    printf '\001\000\000\0002N\000\000'
    left=94
    while [ $left -gt 0 ]; do
        printf '\000\000\000\000'
        left=$((left - 1))
    done
} >/run/utmp
eval "$start"
trap - EXIT
set +e
echo "up $name" >&3
exec 3>&- >/dev/null 2>&1
# dash reaps whatever ends while it waits, orphans too.
while :; do
    sleep infinity &
    wait
done
