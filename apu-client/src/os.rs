//! The machine's resources: paths, files, locks, processes, signals, accounts and the system log.

pub(crate) mod accounts;
pub(crate) mod atomic_file;
pub(crate) mod changes;
pub(crate) mod limited;
pub(crate) mod locks;
pub(crate) mod os_release;
pub(crate) mod paths;
pub(crate) mod process;
pub(crate) mod process_tree;
pub(crate) mod root_folder;
pub(crate) mod services;
pub(crate) mod signals;
pub(crate) mod spawn;
pub(crate) mod syslog;
pub(crate) mod temporary_directory;
pub(crate) mod wall_clock;
