//! OpenPGP by gpg: for the archives that are not made by apu, and for forgeries of those that are.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::host::Host;
use crate::tool::run;

/// A home of gpg with one key that signs and never expires. Its agent ends when this is dropped.
pub struct Gpg {
    home: PathBuf,
    /// Where nobody else keeps the folder.
    _desk: Option<tempfile::TempDir>,
}

impl Gpg {
    /// Makes the folder `home`, 0700, and the key in it.
    pub fn generate(home: &Path, user_id: &str) -> Result<Self> {
        let gpg = Self {
            home: home.to_owned(),
            _desk: None,
        };
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

    /// A key that nobody knows.
    ///
    /// # Panics
    /// For want of gpg.
    #[track_caller]
    #[must_use]
    pub fn stranger() -> Self {
        let stranger = || -> Result<Self> {
            let desk = tempfile::tempdir()?;
            let mut gpg = Self::generate(&desk.path().join("gnupg"), "stranger@example.org")?;
            gpg._desk = Some(desk);
            Ok(gpg)
        };
        stranger().expect("gpg makes a key")
    }

    /// The archive key of a server, secret part and all.
    ///
    /// # Panics
    /// If the server has none, or gpg does not take it.
    #[track_caller]
    #[must_use]
    pub fn of_server(server: &Host) -> Self {
        let import = || -> Result<Self> {
            let desk = tempfile::tempdir()?;
            // tempfile makes it 0700, as gpg wants it.
            let gpg = Self {
                home: desk.path().to_owned(),
                _desk: Some(desk),
            };
            let key = gpg.home.join("archive.key");
            let secret = server
                .command("cat")
                .arg("/etc/apu-server/gpg/archive.key")
                .output()?;
            fs::write(&key, secret.stdout)?;
            run(gpg.command().arg("--import").arg(&key))?;
            Ok(gpg)
        };
        import().expect("gpg takes the server's key")
    }

    /// A text with its signature, as InRelease has them.
    ///
    /// # Panics
    /// If gpg does not sign.
    #[track_caller]
    #[must_use]
    pub fn signed(&self, text: &str) -> String {
        let sign = || -> Result<String> {
            let (from, to) = (self.home.join("Release"), self.home.join("InRelease"));
            fs::write(&from, text)?;
            self.clearsign(&from, &to)?;
            fs::read_to_string(&to).context("gpg wrote nothing")
        };
        sign().expect("gpg signs")
    }

    /// gpg, asking nobody anything.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", &self.home)
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
            .env("GNUPGHOME", &self.home));
    }
}
