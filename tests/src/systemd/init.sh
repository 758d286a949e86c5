# Becomes PID 1 of a machine: lays out its root the way systemd wants to find it in a container, and runs it.
set -e
name=$1 state=$2 layers=$3
ip link set lo up
cd "$state"
mount -t overlay -o "lowerdir=$layers,upperdir=$state/upper,workdir=$state/work" overlay root
cd root
mount -t proc -o nosuid,nodev,noexec proc proc
# What there is once for the whole kernel is not this machine's to set.
for path in proc/sys proc/sysrq-trigger proc/irq; do
    [ -e $path ] || continue
    mount --bind $path $path
    mount -o remount,bind,ro $path
done
# Each boot is another one, as on a machine of its own.
cat /proc/sys/kernel/random/uuid >"$state/boot_id"
mount --bind "$state/boot_id" proc/sys/kernel/random/boot_id
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755,nosuid,noexec dev dev
while read -r node major minor; do
    mknod -m 666 "dev/$node" c "$major" "$minor"
done <<'NODES'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
NODES
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5,nosuid,noexec devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
mount -t tmpfs -o mode=0755,nosuid,nodev,size=64m run run
mount -t tmpfs -o mode=1777,nosuid,nodev,size=256m tmp tmp
echo "$name" >etc/hostname
pivot_root . mnt
cd /
umount --lazy /mnt
echo up
# No clock, no module, no device: it is root, and shares the kernel with the machine that the tests run on.
exec env -i container=apu-tests PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set=-mknod,-sys_boot,-sys_module,-sys_rawio,-sys_time,-syslog --inh-caps=-all \
    /lib/systemd/systemd >/dev/null 2>&1
