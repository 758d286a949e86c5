//! Moves the clock of one client: the kernel has one for all, so what asks the C library gets another time.
//!
//! That is apt, dpkg and the scripts of packages. Not apu-client, which is linked statically, nor what was started before. Files keep the
//! kernel's times.

use std::process::Command;

use apu_tests::Host;

/// Where the library lies on the client.
const LIBRARY: &str = "/usr/lib/moved-clock.so";

/// By how many seconds the clock goes wrong; without the file it is right.
const MOVED: &str = "/run/moved-clock";

/// Stands before the C library. Where the file may not be read, as in sshd's cage, the clock is right.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long moved(void) {
    char text[32] = "";
    int before = errno;
    int file = syscall(SYS_openat, AT_FDCWD, "/run/moved-clock", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        syscall(SYS_read, file, text, sizeof text - 1);
        syscall(SYS_close, file);
    }
    errno = before;
    return strtol(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int status = syscall(SYS_clock_gettime, clock, now);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += moved();
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int status = syscall(SYS_gettimeofday, now, zone);
    if (status == 0 && now)
        now->tv_sec += moved();
    return status;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to)
        *to = now.tv_sec;
    return now.tv_sec;
}
"#;

/// Lets all that is started from now on have a clock that can be moved.
pub(super) fn can_be_moved(host: &Host) {
    if host.read("/etc/ld.so.preload").is_some() {
        return;
    }
    let desk = tempfile::tempdir().unwrap();
    let (source, library) = (desk.path().join("clock.c"), desk.path().join("clock.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status();
    assert!(built.unwrap().success());
    host.write_bytes(LIBRARY, &std::fs::read(library).unwrap());
    host.write("/etc/ld.so.preload", &format!("{LIBRARY}\n"));
    let year = || host.sh("date +%Y").ok().trim().parse::<i32>().unwrap();
    let right = year();
    move_by(host, -400 * 24 * 3600);
    assert!(year() < right, "the clock cannot be moved");
    is_right_again(host);
}

/// Moves the clock from now on.
pub(super) fn move_by(host: &Host, seconds: i64) {
    host.write(MOVED, &seconds.to_string());
}

/// Sets it right.
pub(super) fn is_right_again(host: &Host) {
    host.sh(&format!("rm -f {MOVED}")).ok();
}
