use super::*;

/// The setting that is refused beside those of Debian's own.
fn refused(lines: &str) -> Option<String> {
    let text = format!("Dir=/\nDir::State=var/lib/apt\nAPT=\nDPkg=\n{lines}");
    let settings = Settings::parse(&text).unwrap();
    first_refused(&settings, &Settings::default()).map(|setting| setting.shown.clone())
}

#[test]
fn what_apt_has_by_itself_is_no_setting_of_the_machine() {
    let settings = Settings::parse("Dir=/\nAPT::Later=1\nAPT::Other=2\n").unwrap();
    let built_in = Settings::parse("Dir=/\nAPT::Later=1\nAPT::Other=1\n").unwrap();
    let found = first_refused(&settings, &built_in).map(|setting| setting.shown.as_str());
    assert_eq!(found, Some("APT::Other"));
}

#[test]
fn what_debian_and_its_packages_set_is_served() {
    for line in [
        "APT::Install-Recommends=1",
        "APT::Periodic::Update-Package-Lists=1",
        "Unattended-Upgrade::Origins-Pattern::=x",
        "DPkg::Pre-Install-Pkgs::=/usr/sbin/dpkg-preconfigure%20--apt",
        "DPkg::Post-Invoke::=x",
        "DPkg::Options::=--force-confold",
        "DPkg::Options::=--path-exclude=/usr/share/doc/*",
        "Dir::Cache::Archives=/srv/cache",
        "Acquire::IndexTargets::deb::Contents-deb::MetaKey=$(COMPONENT)/Contents-$(ARCHITECTURE)",
        "Acquire::http::Proxy::mirror.example.org=DIRECT",
        "APT::Get::Show-Versions=true",
        "Debug::pkgDPkgPM=true",
        "DPkg::Tools::Options::/usr/bin/apt-listchanges::Version=2",
    ] {
        assert_eq!(refused(line), None);
    }
}

#[test]
fn what_cannot_be_taken_back_is_refused_by_its_name() {
    for line in [
        "DPkg::Options::=--root=/srv",
        "DPkg::Options::=--no-act",
        "DPkg::Options::x=--instdir=/srv",
        "Binary::apt-get::DPkg::Options::=--simulate",
        "DPkg::Chroot-Directory=/srv",
        "Dir::Bin::dpkg=/usr/local/bin/dpkg",
        "Dir::Bin::Methods::http=/usr/local/bin/http",
        "dir::state::STATUS=/srv/status",
        "RootDir=/srv",
        "APT::Sources::With::=/srv/a.deb",
        "APT::Solver=dump",
        "APT::Hashes::SHA1::Untrusted=false",
        "APT::Key::GPGVCommand=/usr/local/bin/gpgv",
        "APT::Snapshot=20260101T000000Z",
        "APT::Architecture=m68k",
        "Acquire::gpgv::Options::=--ignore-time-conflict",
        "Acquire::IndexTargets::deb::Packages::MetaKey=x",
        "Acquire::IndexTargets::deb::X::Identifier=Packages",
        "pkgCacheGen::ForceEssential::=x",
        "Debug::x::=1",
    ] {
        let name = line.split('=').next().unwrap();
        assert_eq!(refused(line).as_deref(), Some(name), "{line}");
    }
}

#[test]
fn a_setting_of_apt_get_that_nobody_knows_is_refused() {
    for name in [
        "APT::Get::Something-New",
        "APT::Something",
        "DPkg::Something",
        "Acquire::X",
    ] {
        assert_eq!(refused(&format!("{name}=1")).as_deref(), Some(name));
    }
}

#[test]
fn whatever_makes_apt_say_more_is_taken_back() {
    let settings = Settings::parse("Dir=/\nDebug=\nDebug::pkgAcquire=1\nDebug::pkgAcquire::Auth=true\n");
    assert_eq!(
        overrides(&settings.unwrap()),
        ["debug::pkgacquire=false", "debug::pkgacquire::auth=false"]
    );
}

#[test]
fn apt_is_told_the_architectures_that_it_would_ask_dpkg_for() {
    let dump = "Dir=/\nAPT::Architectures=\nAPT::Architectures::=amd64\nAPT::Architectures::=i386\n";
    assert_eq!(
        overrides(&Settings::parse(dump).unwrap()),
        ["APT::Architectures::=amd64", "APT::Architectures::=i386"]
    );
}

#[test]
fn each_pin_is_a_name_and_a_value_and_stands_once() {
    let mut names: Vec<String> = FIXED_SETTINGS
        .iter()
        .map(|fixed| fixed.split_once('=').unwrap().0.to_ascii_lowercase())
        .collect();
    names.extend(SET_BY_CALL.map(str::to_owned));
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
