//! How much a test does: bounded in `make check`, whole in `make check-long`.

/// The first in `make check`; the second in `make check-long`, which has `APU_LONG` in its environment.
pub fn in_check_or_long<T>(check: T, long: T) -> T {
    if std::env::var_os("APU_LONG").is_some() {
        long
    } else {
        check
    }
}
