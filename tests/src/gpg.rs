//! A key of gpg's own, for the archives that are not made by apu.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::tool::run;

/// A home of gpg with one key that signs and never expires. Its agent ends when this is dropped.
pub struct Gpg(PathBuf);

impl Gpg {
    /// Makes the folder `home`, 0700, and the key in it.
    pub fn generate(home: &Path, user_id: &str) -> Result<Self> {
        let gpg = Self(home.to_owned());
        fs::DirBuilder::new().mode(0o700).create(home)?;
        run(gpg.command().args([
            "--passphrase",
            "",
            "--quick-generate-key",
            user_id,
            "ed25519",
            "sign",
            "never",
        ]))?;
        Ok(gpg)
    }

    /// gpg, asking nobody anything.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", &self.0)
            .args(["--batch", "--quiet", "--yes", "--pinentry-mode", "loopback"]);
        gpg
    }

    /// Writes the certificate, binary.
    pub(crate) fn export(&self, to: &Path) -> Result<()> {
        run(self.command().arg("--output").arg(to).arg("--export"))?;
        Ok(())
    }

    /// Writes `from` with a signature around it.
    pub fn clearsign(&self, from: &Path, to: &Path) -> Result<()> {
        run(self
            .command()
            .arg("--output")
            .arg(to)
            .arg("--clearsign")
            .arg(from))?;
        Ok(())
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // The agent would live on.
        let _ = run(Command::new("gpgconf")
            .args(["--kill", "all"])
            .env("GNUPGHOME", &self.0));
    }
}
