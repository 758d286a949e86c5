//! A host as the inventory knows it: its name and how it is reached.

use std::fmt;

use crate::name::{ClassName, HostName, Jump};
use apu_debian::UserName;

/// A host and what the inventory says about reaching it; what is missing comes from the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// What people call it, and under which its key is pinned.
    pub name: HostName,
    /// Where it is, if not under its name.
    pub address: Option<HostName>,
    /// The port of its sshd.
    pub port: Option<u16>,
    /// The push user there.
    pub user: Option<UserName>,
    /// The way through other hosts.
    pub jump: Option<Jump>,
    /// Its exclusive group: the hosts of a group change one after the other.
    pub exclusive: Option<ClassName>,
    /// Whether it may be asked to reboot.
    pub reboot: Reboot,
}

/// Whether a host may be asked to reboot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reboot {
    /// Where it needs that.
    #[default]
    Any,
    /// The same, where the host is named itself, and not as one of a class or a range.
    Ask,
    /// No.
    Never,
}

impl Reboot {
    /// Its words, as a class file has them.
    pub const ALL: [Self; 3] = [Self::Any, Self::Ask, Self::Never];

    /// The word in a class file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Ask => "ask",
            Self::Never => "never",
        }
    }
}

impl Host {
    /// A host that is reached by its name.
    #[must_use]
    pub const fn plain(name: HostName) -> Self {
        Self {
            name,
            address: None,
            port: None,
            user: None,
            jump: None,
            exclusive: None,
            reboot: Reboot::Any,
        }
    }
}

impl fmt::Display for Host {
    /// As a class file has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(address) = &self.address {
            write!(f, " address={address}")?;
        }
        if let Some(port) = self.port {
            write!(f, " port={port}")?;
        }
        if let Some(user) = &self.user {
            write!(f, " user={user}")?;
        }
        if let Some(jump) = &self.jump {
            write!(f, " jump={jump}")?;
        }
        if let Some(group) = &self.exclusive {
            write!(f, " exclusive={group}")?;
        }
        if self.reboot != Reboot::Any {
            write!(f, " reboot={}", self.reboot.as_str())?;
        }
        Ok(())
    }
}
