//! Has dpkg killed on a client at a chosen call of the system, by strace.

use std::fs;
use std::process::Command;

use apu_tests::Host;

/// Where strace and its libraries lie on the client, whose own may be others.
const FOLDER: &str = "/opt/strace";

/// Which call, and which of them, dpkg does not come back from; without the file, dpkg is as ever.
const POINT: &str = "/run/crash";

/// Stands in the place of dpkg. dpkg's questions and the calls of others are left alone.
const WRAPPER: &str = r#"#!/bin/sh
case " $* " in
*" --unpack "* | *" --configure "*)
	if read -r call number </run/crash; then
		exec /opt/strace/ld.so --library-path /opt/strace /opt/strace/strace -o /dev/null \
			-e "trace=$call" -e "inject=$call:signal=SIGKILL:when=$number" /usr/bin/dpkg.real "$@"
	fi
	;;
esac 2>/dev/null
exec /usr/bin/dpkg.real "$@"
"#;

/// Lets the next dpkg of the client that unpacks or configures be killed at its `number`th call of this name.
pub(super) fn crash_at(host: &Host, call: &str, number: u32) {
    if host.read("/opt/strace/strace").is_none() {
        install(host);
    }
    host.write(POINT, &format!("{call} {number}\n"));
}

/// Lets dpkg be as ever.
pub(super) fn crash_no_more(host: &Host) {
    host.sh(&format!("rm -f {POINT}")).ok();
}

fn install(host: &Host) {
    host.sh(&format!("mkdir -p {FOLDER}")).ok();
    let listed = Command::new("ldd").arg("/usr/bin/strace").output();
    let listed = listed.expect("strace is installed").stdout;
    let listed = String::from_utf8(listed).expect("text");
    let paths = listed
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    for path in paths.chain(["/usr/bin/strace"]) {
        let name = path.rsplit('/').next().expect("a name");
        let name = if name.starts_with("ld-linux") {
            "ld.so"
        } else {
            name
        };
        let bytes = fs::read(path).expect("a file of strace");
        host.write_bytes(&format!("{FOLDER}/{name}"), &bytes);
    }
    host.write("/usr/bin/dpkg.wrapper", WRAPPER);
    host.sh(&format!(
        "chmod 755 {FOLDER}/* /usr/bin/dpkg.wrapper && ln /usr/bin/dpkg /usr/bin/dpkg.real && mv /usr/bin/dpkg.wrapper /usr/bin/dpkg"
    ))
    .ok();
}
