//! An archive of somebody else's, in a folder of a client: signed by a key of its own, or not at all.

use std::fs;

use crate::gpg::Gpg;
use crate::host::Host;
use crate::packages::deb;

/// The archive; its key is on the client as `/usr/share/keyrings/NAME.gpg`.
pub struct Vendor {
    name: String,
    gpg: Option<Gpg>,
}

impl Vendor {
    /// An archive that its own key signs.
    #[track_caller]
    #[must_use]
    pub fn signed(client: &Host, name: &str) -> Self {
        let gpg = Gpg::stranger();
        let desk = tempfile::tempdir().expect("a folder");
        let path = desk.path().join("key.gpg");
        gpg.export(&path).expect("a key");
        let key = fs::read(path).expect("a key");
        client.write_bytes(&format!("/usr/share/keyrings/{name}.gpg"), &key);
        Self {
            name: name.to_owned(),
            gpg: Some(gpg),
        }
    }

    /// An archive without a Release file.
    #[must_use]
    pub fn unsigned(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            gpg: None,
        }
    }

    /// Where it lies on the client.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("/srv/{}", self.name)
    }

    /// Makes it anew, with these packages: names and versions. `fields` are lines of its Release file.
    #[track_caller]
    pub fn offers(&self, client: &Host, packages: &[(&str, &str)], fields: &str) {
        let folder = self.folder();
        client.sh(&format!("rm -rf {folder} && mkdir -p {folder}")).ok();
        for (number, (package, version)) in packages.iter().enumerate() {
            let control = format!(
                "Package: {package}\nVersion: {version}\nArchitecture: all\nMaintainer: V <v@example.org>\nDescription: x\n"
            );
            let bytes = deb(&control).expect("a package");
            client.write_bytes(&format!("{folder}/{number}.deb"), &bytes);
        }
        let index = "for file in *.deb; do [ -e $file ] || continue; dpkg-deb -f $file; echo Filename: ./$file; \
                     echo Size: $(stat -c %s $file); echo SHA256: $(sha256sum $file | cut -d ' ' -f 1); echo; done \
                     >Packages; echo \" $(sha256sum Packages | cut -d ' ' -f 1) $(stat -c %s Packages) Packages\"";
        let hashed = client.sh(&format!("cd {folder} && {index}")).ok();
        if let Some(gpg) = &self.gpg {
            let name = &self.name;
            let date = client.sh("date -u -R").ok().replace("+0000", "UTC");
            let text = format!(
                "Origin: {name}\nLabel: {name}\nSuite: {name}\nDate: {date}{fields}SHA256:\n{hashed}"
            );
            client.write(&format!("{folder}/InRelease"), &gpg.signed(&text));
        }
    }

    /// Its line for a source file; `options` beside the key.
    #[must_use]
    pub fn line(&self, options: &str) -> String {
        let folder = self.folder();
        let name = &self.name;
        match self.gpg {
            Some(_) => format!("deb [signed-by=/usr/share/keyrings/{name}.gpg {options}] copy:{folder} ./\n"),
            None => format!("deb [{options}] copy:{folder} ./\n"),
        }
    }
}
