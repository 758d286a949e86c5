# Starts a machine in namespaces of its own, the control group's among them. Runs in the sandbox, with this machine's files.
set -e
group=$1 log=$2
shift 2
exec 2>"$log"
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo 0 >"/sys/fs/cgroup/$group/cgroup.procs"
umount /sys/fs/cgroup
exec unshare --mount --propagation=private --pid --uts --ipc --net --cgroup --fork --kill-child sh -c "$@"
