//! Packages that are packed once more from what is installed: the same under a higher version.

use std::process::Stdio;

use crate::host::Host;

/// `$1` is the package, and `$2` what its version ends with.
const REPACK: &str = r#"
set -e
umask 022
tree=/tmp/again
rm -rf $tree
mkdir -p $tree/DEBIAN
# Directories, and links to them such as /lib, come by themselves.
dpkg -L "$1" | while read -r path; do
    if [ ! -d "$path" ] && { [ -L "$path" ] || [ -f "$path" ]; }; then echo "$path"; fi
done | tar --no-recursion -cf - -T - 2>/dev/null | tar -C $tree -xpf -
for file in preinst postinst prerm postrm config templates conffiles triggers; do
    [ ! -f "/var/lib/dpkg/info/$1.$file" ] || cp -p "/var/lib/dpkg/info/$1.$file" $tree/DEBIAN/$file
done
version=$(dpkg-query -W -f '${Version}' "$1")
dpkg-query -s "$1" | awk '/^[^ ]/ { skip = /^(Status|Conffiles|Version):/ } !skip' >$tree/DEBIAN/control
echo "Version: ${version%%+again*}$2" >>$tree/DEBIAN/control
dpkg-deb -Zgzip -z1 --root-owner-group --build $tree /tmp/again.deb >&2
cat /tmp/again.deb
"#;

/// The .deb of an installed package with another end of its version: `+again`, and a number.
///
/// # Panics
/// If it cannot be packed.
#[track_caller]
#[must_use]
pub fn repack(host: &Host, package: &str, number: u32) -> Vec<u8> {
    let mut command = host.command("sh");
    command.args(["-c", REPACK, "repack", package, &format!("+again{number}")]);
    let packed = command.stdin(Stdio::null()).output().expect("a shell");
    let said = String::from_utf8_lossy(&packed.stderr);
    assert!(packed.status.success(), "{package} cannot be packed: {said}");
    packed.stdout
}
