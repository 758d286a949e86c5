//! Who makes this machine act on others: the user behind sudo, the user who logged in, and the user that the program runs as.

use nix::unistd::{Uid, User, getuid};

/// Who started the program.
#[derive(Debug, Default)]
pub(crate) struct Who {
    /// The user behind sudo or doas.
    pub(crate) behind: Option<String>,
    /// The user who logged in, as the kernel keeps it through every change of user.
    pub(crate) login: Option<String>,
    /// The user that the program runs as.
    pub(crate) user: String,
}

impl Who {
    pub(crate) fn here() -> Self {
        let name = |uid: Uid| match User::from_uid(uid) {
            Ok(Some(user)) => user.name,
            _ => uid.to_string(),
        };
        let behind = ["SUDO_USER", "DOAS_USER"].into_iter();
        let login = std::fs::read_to_string("/proc/self/loginuid");
        let login = login.ok().and_then(|text| text.trim().parse().ok());
        Self {
            behind: behind.filter_map(|variable| std::env::var(variable).ok()).next(),
            // All ones stands for nobody: a daemon, or a kernel without audit.
            login: login
                .filter(|uid| *uid != u32::MAX)
                .map(|uid| name(Uid::from_raw(uid))),
            user: name(getuid()),
        }
    }

    /// The one name that tells most.
    pub(crate) fn name(&self) -> &str {
        self.behind.as_ref().unwrap_or(&self.user)
    }
}
