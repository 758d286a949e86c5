# Makes a control group for a machine, and removes it when the program that wanted it has ended, however that happened.
set -e
trap '' INT HUP TERM
mount -t cgroup2 cgroup2 /sys/fs/cgroup
group=/sys/fs/cgroup/$1
mkdir "$group"
echo made
cat >/dev/null
# A group goes only after its last process, which may still be about to end.
patience=200
while [ -d "$group" ] && [ $patience -gt 0 ]; do
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    patience=$((patience - 1))
    sleep 0.05
done
