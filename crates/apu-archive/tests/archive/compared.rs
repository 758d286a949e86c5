//! Our Packages beside those of apt-ftparchive, field by field.

use std::collections::BTreeMap;
use std::process::Command;

use apu_debian::deb822::{Comments, paragraphs};

use super::place::{Place, deb};

/// Fields by file. Our index has one sum for each .deb: SHA256, which every apt since 2010 asks for.
fn by_file(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let index = paragraphs(text, Comments::Refused).unwrap();
    let fields = |fields: Vec<(String, String)>| -> BTreeMap<String, String> {
        let counts = |(name, _): &(String, String)| !["MD5sum", "SHA1", "SHA512"].contains(&name.as_str());
        fields.into_iter().filter(counts).collect()
    };
    index
        .into_iter()
        .map(|paragraph| {
            (
                paragraph.get("Filename").unwrap().to_owned(),
                fields(paragraph.fields),
            )
        })
        .collect()
}

fn apt_ftparchive(place: &Place, architecture: &str, folder: &str) -> String {
    let output = Command::new("apt-ftparchive")
        .args(["--arch", architecture, "packages", folder])
        .current_dir(place.path(""))
        .output()
        .expect("apt-ftparchive is in apt-utils");
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn fill(place: &Place, folder: &str) {
    for (package, version, architecture) in [
        ("aa", "1", "amd64"),
        ("aa", "1:2~rc1-3", "amd64"),
        ("bb", "1", "all"),
        ("dd", "1", "arm64"),
    ] {
        let file_version = version.replace(':', "%3a");
        let name = format!("{folder}/{package}_{file_version}_{architecture}.deb");
        place.put_bytes(&name, &deb(package, version, architecture));
    }
}

#[test]
fn the_indexes_of_a_suite_have_what_apt_ftparchive_writes() {
    let place = Place::suite(&["main", "extra"]);
    fill(&place, "pool/stable/main/a");
    // It tells architectures by the names of files.
    place.put("pool/stable/extra/xx_1_all.deb", "xx", "1");
    place.publish();
    for component in ["main", "extra"] {
        for architecture in ["amd64", "arm64"] {
            let index = format!("dists/stable/{component}/binary-{architecture}/Packages");
            let theirs = apt_ftparchive(&place, architecture, &format!("pool/stable/{component}"));
            let theirs = by_file(&theirs);
            assert_eq!(
                theirs.len(),
                if component == "extra" {
                    1
                } else {
                    2 + usize::from(architecture == "amd64")
                }
            );
            assert_eq!(by_file(&place.read(&index)), theirs, "{index}");
        }
    }
}

#[test]
fn the_index_of_a_flat_archive_has_what_apt_ftparchive_writes() {
    let place = Place::new();
    fill(&place, "some/where");
    place.publish();
    let theirs = by_file(&apt_ftparchive(&place, "", "some"));
    assert_eq!(theirs.len(), 4);
    assert_eq!(by_file(&place.read("Packages")), theirs);
}
