//! apu as somebody uses it who has only a folder of .debs: the program out of the built package, and a site in a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::product::Product;
use crate::tool::run;

/// An installation below a folder, with keys of its own. Needs no root.
pub struct Publisher {
    apu: PathBuf,
    site: PathBuf,
}

impl Publisher {
    /// Unpacks the package from `dist/` into `folder` and sets the site up beside it.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let program = folder.join("apu-server");
        run(Command::new("dpkg-deb")
            .arg("--extract")
            .arg(Product::built()?.server)
            .arg(&program))?;
        let publisher = Self {
            apu: program.join("usr/sbin/apu"),
            site: folder.join("site"),
        };
        run(publisher.command().arg("setup"))?;
        Ok(publisher)
    }

    /// `apu` for this site, without an operation yet.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.apu);
        command.arg("--root").arg(&self.site);
        command
    }

    /// Publishes a folder of .debs; the text of the index.
    pub fn index(&self, dir: &Path) -> Result<String> {
        run(self.command().args(["repo", "publish"]).arg(dir))?;
        let index = dir.join("Packages");
        fs::read_to_string(&index).with_context(|| format!("cannot read {}", index.display()))
    }
}
