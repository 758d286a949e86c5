//! .debs that an archive does not take: each is named, and the others are not held up.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use apu_archive::ArchiveError;
use apu_archive::{DebWriter, Remedy};

use super::place::{Place, deb, deb_with, snapshot};

#[test]
fn where_it_is_to_be_strict_one_bad_deb_stops_the_publishing_and_nothing_changes() {
    let place = Place::new();
    place.put("a.deb", "aa", "1");
    place.publish();
    let whole = deb("bb", "1", "all");
    fs::write(place.path("b.deb"), &whole[..whole.len() - 7]).unwrap();
    fs::write(place.path("c.deb"), b"no deb at all").unwrap();
    let before = snapshot(&place.path(""));
    let error = place.open().strict().publish().unwrap_err();
    assert_eq!(error.to_string(), "2 of the .debs cannot be published");
    let first = error.source().unwrap();
    assert!(first.to_string().starts_with("b.deb: truncated: "), "{first}");
    let second = first.source().unwrap();
    assert!(second.to_string().starts_with("c.deb: not a .deb"), "{second}");
    let unlike = |files: Vec<(PathBuf, Vec<u8>)>| -> Vec<_> {
        files
            .into_iter()
            .filter(|(path, _)| !path.ends_with("cache") && !path.ends_with("lock"))
            .collect()
    };
    assert!(unlike(before) == unlike(snapshot(&place.path(""))));
}

#[test]
fn a_bad_deb_is_named_and_left_out_and_the_others_are_published() {
    let place = Place::new();
    place.put("a.deb", "aa", "1");
    place.put("b.deb", "bb", "1");
    assert_eq!(place.publish().left_out, Vec::<String>::new());
    let whole = deb("bb", "2", "all");
    fs::write(place.path("b.deb"), &whole[..whole.len() - 7]).unwrap();
    fs::write(place.path("c.deb"), b"no deb at all").unwrap();
    fs::write(place.path("d e.deb"), deb("dd", "1", "all")).unwrap();
    place.put("e.deb", "ee", "1");
    for read in [3, 2] {
        let published = place.publish();
        assert_eq!((published.packages, published.read), (2, read));
        let why = [
            "b.deb: truncated: ",
            "c.deb: not a .deb",
            "d e.deb: its name has letters",
        ];
        assert_eq!(published.left_out.len(), why.len());
        for why in why {
            let is_it = |reason: &String| reason.starts_with(why);
            assert!(
                published.left_out.iter().any(is_it),
                "{why}: {:?}",
                published.left_out
            );
        }
    }
    // What else is done with the archive is not held up by it.
    let file = place.outside("new.deb", &deb("new", "1", "all"));
    let (_, published) = place.open().add(&[file]).unwrap();
    assert_eq!((published.packages, published.left_out.len()), (3, 3));
    let (_, published) = place.open().remove(&[("new", None)]).unwrap();
    assert_eq!((published.packages, published.left_out.len()), (2, 3));
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn a_strange_apu_data_comes_in_by_no_way() {
    let place = Place::new();
    let ours = deb("apu-data", "1", "all");
    place.open().add_made("apu-data_1_all.deb", &ours).unwrap();
    let index = place.read("Packages");
    let strange = place.outside("strange.deb", &deb("apu-data", "2", "all"));
    let add = || place.open().add(std::slice::from_ref(&strange)).map(drop);
    let try_add = || place.open().try_add(std::slice::from_ref(&strange)).map(drop);
    for error in [add().unwrap_err(), try_add().unwrap_err()] {
        let ArchiveError::Refused(refused) = error else {
            panic!("{error}");
        };
        assert!(
            refused.to_string().contains("was not made on this server"),
            "{refused}"
        );
        assert!(refused.remedies().eq([&Remedy::AllowApuData]));
    }
    // Whatever the file is called.
    fs::copy(&strange, place.path("harmless.deb")).unwrap();
    let published = place.publish();
    assert!(published.left_out[0].starts_with("harmless.deb: it is a package apu-data"));
    assert_eq!(published.remedies, [Remedy::AllowApuData]);
    assert!(matches!(
        place.open().strict().publish(),
        Err(ArchiveError::Refused(_))
    ));
    assert_eq!(place.read("Packages"), index);
    // Our own next one is not held up by it.
    let (added, published) = place
        .open()
        .add_made("apu-data_2_all.deb", &deb_with("apu-data", "2", "all", &["ours"]))
        .unwrap();
    assert_eq!(
        (added[0].path.as_str(), published.packages),
        ("apu-data_2_all.deb", 2)
    );
    assert_eq!(place.publish().packages, 2);
    fs::remove_file(place.path("harmless.deb")).unwrap();
    // What clients know already stays, also where the record is lost; and ours may be added by hand.
    fs::remove_file(place.path(".apu/apu-data")).unwrap();
    let published = place.publish();
    assert_eq!((published.packages, published.left_out.len()), (2, 0));
    let same = place.outside("same.deb", &ours);
    assert!(place.open().with_apu_data().add(&[same]).is_ok());
    let other = place.outside("other.deb", &deb("apu-data", "7", "all"));
    let (_, published) = place.open().with_apu_data().add(&[other]).unwrap();
    assert_eq!(published.packages, 3);
    assert_eq!((place.publish().packages, place.faults()), (3, Vec::new()));
}

#[test]
fn a_deb_that_a_web_server_cannot_read_is_made_readable_or_named() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o7777;
    let set =
        |name: &str, mode| fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    for (number, bits) in [0o600, 0o640, 0o664, 0o666, 0o644, 0o444].into_iter().enumerate() {
        place.put("a.deb", "aa", &number.to_string());
        set("a.deb", bits);
        assert_eq!(place.publish().left_out, Vec::<String>::new());
        assert_eq!(mode("a.deb"), if bits == 0o444 { 0o444 } else { 0o644 });
    }
    // It may have been forgotten since.
    set("a.deb", 0o600);
    let faults = place.faults();
    assert!(
        faults
            .iter()
            .any(|fault| fault.contains("a.deb: a web server cannot read it")),
        "{faults:?}"
    );
    assert_eq!(place.publish().read, 0);
    assert_eq!(place.faults(), Vec::<String>::new());
    place.put("sub/b.deb", "bb", "1");
    set("sub", 0o700);
    place.publish();
    let faults = place.faults();
    assert!(
        faults[0].contains("sub/b.deb: a web server cannot look into its folder"),
        "{faults:?}"
    );
    set("sub", 0o755);
    // Somebody's file for few, under a second name.
    let secret = place.outside("secret.deb", &deb("secret", "1", "all"));
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(&secret, place.path("second.deb")).unwrap();
    let published = place.publish();
    assert_eq!(published.packages, 2);
    assert!(
        published.left_out[0]
            .starts_with("second.deb: its mode is 0600, and it has another name too: chmod 0644 ")
    );
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(place.path("second.deb")).unwrap();
    // A bad one stays as it is.
    fs::write(place.path("bad.deb"), "no deb at all").unwrap();
    set("bad.deb", 0o600);
    place.publish();
    assert_eq!(mode("bad.deb"), 0o600);
    if std::os::unix::fs::chown(place.path("a.deb"), Some(4242), None).is_ok() {
        let published = place.publish();
        assert!(
            published.left_out[0].contains("a.deb: it belongs to user 4242, who could change"),
            "{published:?}"
        );
        assert_eq!(published.packages, 1);
    }
}

#[test]
fn add_refuses_all_when_one_is_bad() {
    let place = Place::new();
    let good = place.outside("good.deb", &deb("foo", "1", "all"));
    let whole = deb("bar", "1", "all");
    let cut = place.outside("bar_1_all.deb", &whole[..whole.len() - 4]);
    let error = place.open().add(&[good, cut]).unwrap_err();
    let source = error.source().unwrap().to_string();
    assert!(source.contains("truncated: it ends after"), "{error:?}");
    assert_eq!(place.publish().packages, 0);
}

#[test]
fn an_essential_package_gets_in_only_by_name() {
    let place = Place::new();
    let essential = |package: &str| {
        let control = format!(
            "Package: {package}\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nEssential: yes\n\
             Description: a test\n"
        );
        DebWriter::new(control.parse().unwrap(), 1_700_000_000)
            .build()
            .unwrap()
    };
    place
        .open()
        .add(&[place.outside("dash.deb", &essential("dash"))])
        .unwrap();
    let error = place
        .open()
        .add(&[place.outside("evil.deb", &essential("evil"))])
        .unwrap_err();
    assert!(matches!(error, ArchiveError::Essential { .. }), "{error}");
    assert!(!place.path("evil_1_all.deb").exists());
    fs::write(place.path("evil.deb"), essential("evil")).unwrap();
    let published = place.publish();
    assert_eq!(published.packages, 1);
    assert!(
        published.left_out[0].starts_with("evil.deb: it is marked Essential"),
        "{published:?}"
    );
    assert_eq!(published.remedies, [Remedy::AllowEssential("evil".to_owned())]);
    assert!(matches!(
        place.open().strict().publish(),
        Err(ArchiveError::Refused(_))
    ));
}
