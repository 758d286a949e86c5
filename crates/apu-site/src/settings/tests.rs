use std::path::Path;
use std::time::Duration;

use super::{KeyExchange, MaxFailures, Settings};

#[test]
fn an_empty_file_is_all_defaults() {
    assert_eq!(Settings::parse("").unwrap(), Settings::default());
    assert_eq!(
        Settings::parse("[client]\nurl = ''\nproxy = ''\n").unwrap(),
        Settings::default()
    );
}

#[test]
fn every_key_is_read() {
    let settings = Settings::parse(
        "[ssh]\nuser='push'\nport=2222\nkey='/k'\nkey_exchange='post-quantum'\nconnect_timeout=3\n\
         keep_open=0\nmost_kept=9\nconnections=7\nhandshakes=8\n[run]\nparallel=5\ntimeout=7\nlock_wait='2m'\nmax_failures='10%'\n[client]\nexclusive=true\n\
         url='http://apu.example.org/local'\nproxy='http://apu.example.org:3128'\n[archive]\norigin='Site'\n\
         label='Site'\nsuite='stable'\nmay_replace=['nginx']\nvalid_days=7\npath='/srv/local'\n[[archives]]\nname='extra'\n\
         path='/srv/extra'\nurl='http://apu.example.org/extra'\nsuite='bookworm'\ncomponents=['main']\n\
         architectures=['arm64']\ncontents=true\n",
    )
    .unwrap();
    assert_eq!(settings.ssh.key_exchange, KeyExchange::PostQuantum);
    assert_eq!(settings.ssh.keep_open, Duration::ZERO);
    assert_eq!(
        (settings.ssh.most_kept.get(), settings.ssh.port.unwrap().get()),
        (9, 2222)
    );
    assert_eq!(settings.ssh.connections.get(), 7);
    assert_eq!(settings.run.parallel.get(), 5);
    assert_eq!(settings.run.max_failures, Some(MaxFailures::Percent(10)));
    let number = Settings::parse("[run]\nmax_failures = 0\n").unwrap();
    assert_eq!(number.run.max_failures, Some(MaxFailures::Hosts(0)));
    assert_eq!(
        settings.client.proxy.unwrap().as_str(),
        "http://apu.example.org:3128"
    );
    let extra = &settings.archives[0];
    assert_eq!(extra.components()[0].as_str(), "main");
    assert_eq!(extra.architectures[0].as_str(), "arm64");
    assert!(extra.contents && !settings.archive.contents);
}

#[test]
fn rules_for_configuration_files_are_those_of_a_class() {
    let settings = Settings::parse(
        "[conffiles.all]\nkeep = ['/etc/ssh/*']\n[conffiles.web]\nnew = ['/etc/a']\nhold-back = ['/etc/nginx/*']\n",
    )
    .unwrap();
    let super::ConffilePaths { keep, new, hold_back } = &settings.conffiles["web"];
    let shown = [keep, new, hold_back].map(|globs| globs.iter().map(ToString::to_string).collect::<String>());
    assert_eq!(shown, ["", "/etc/a", "/etc/nginx/*"]);
    assert_eq!(settings.conffiles["all"].keep.len(), 1);
    for wrong in [
        "[conffiles]\nkeep = ['/etc/x']\n",
        "[conffiles.web]\nkept = []\n",
        "[conffiles.web]\nkeep = ['etc/x']\n",
    ] {
        assert!(Settings::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_class_has_its_own_rollout_and_the_rest_of_it_from_all() {
    let settings = Settings::parse(
        "[rollout.all]\nsoak = '5m'\nwaves = '1,10%'\n[rollout.web]\nsoak = 0\ncanary = 2\n[rollout.db]\ncanary = 'db1,db2'\n",
    )
    .unwrap();
    let words = |target: &str| {
        let rollout = settings.rollout(target);
        (
            rollout
                .canary
                .map(|canary| canary.to_string())
                .unwrap_or_default(),
            rollout.waves.map(|waves| waves.to_string()).unwrap_or_default(),
            rollout.soak.unwrap().as_secs(),
        )
    };
    assert_eq!(words("web"), ("2".into(), "1,10%".into(), 0));
    assert_eq!(words("db"), ("db1,db2".into(), "1,10%".into(), 300));
    assert_eq!(words("web db"), (String::new(), "1,10%".into(), 300));
    for text in [
        "[rollout.web]\nwave = 1\n",
        "[rollout.web]\nfreeze = 'Docker*'\n",
        "[rollout]\nsoak = 1\n",
        "[rollout.web]\nwaves = '0'\n",
        "[rollout.web]\ncanary = 0\n",
        "[rollout.web]\nmin_age = 'x'\n",
        "[rollout.web]\nsecurity_at_once = 1\n",
        "[protect]\nweb = ['a/b']\n",
        "[protect]\nweb = 'a'\n",
    ] {
        assert!(Settings::parse(text).is_err(), "{text}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
    let error = Settings::parse("[ssh]\nuser = 'apu'\nprot = 22\n").unwrap_err();
    assert_eq!(error.to_string(), "line 3: there is no key `prot`");
    assert_eq!(
        error.advice(Path::new("/etc/apu-server/apu.toml")),
        "write `port` instead in /etc/apu-server/apu.toml"
    );
}

#[test]
fn a_value_that_cannot_be_is_named_with_its_line() {
    for (text, expected) in [
        ("[ssh]\nport = 0\n", "line 2: `port = 0`: "),
        ("[ssh]\nport = 70000\n", "line 2: `port = 70000`: "),
        ("[ssh]\nuser = '-oProxyCommand=id'\n", "line 2: "),
        ("[ssh]\nkey_exchange = 'slow'\n", "line 2: "),
        ("[run]\ntimeout = 0\n", "line 2: "),
        ("[run]\ntimeout = '5x'\n", "line 2: "),
        ("[run]\ntimeout = -5\n", "line 2: "),
        ("[run]\nparallel = -1\n", "line 2: "),
        (
            "[run]\nmax_failures = '101%'\n",
            "line 2: `max_failures = '101%'`: \"101%\" is more than all hosts",
        ),
        (
            "[run]\nmax_failures = -1\n",
            "line 2: `max_failures = -1`: \"-1\" is neither a number",
        ),
        ("[run]\nmax_failures = 1.5\n", "line 2: "),
        ("[client]\nurl = 'http://a b/'\n", "line 2: "),
        ("[client]\nurl = 'file:/local'\n", "line 2: "),
        ("[client]\nproxy = 'http://x/\"; evil \"'\n", "line 2: "),
        ("[archive]\norigin = \"a\\nb\"\n", "line 2: "),
        ("[archive]\nsuite = ' local'\n", "line 2: "),
        ("[archive]\nmay_replace = ['*']\n", "line 2: "),
        ("[archive]\ncontents = 'yes'\n", "line 2: "),
        ("[archive\n", "line 1: "),
    ] {
        let error = Settings::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?} gave {error:?}");
    }
}

#[test]
fn a_relative_path_is_refused() {
    let error = Settings::parse("[archive]\npath = 'local'\n").unwrap_err();
    assert_eq!(error.to_string(), "[archive] path: local is not an absolute path");
}

#[test]
fn two_archives_that_are_in_each_others_way_are_refused() {
    let one = "[[archives]]\nname='one'\npath='/srv/one'\nurl='http://x.example.org/one'\n";
    for (second, expected) in [
        (one.to_owned(), "another archive has that name"),
        (one.replacen("one", "two", 1), "another archive lies in its path"),
        (
            one.replacen("one", "two", 1)
                .replace("/srv/one", "/var/lib/apu-data/repo/local"),
            "another archive lies in its path",
        ),
        (
            one.replace("one", "two") + "components=['main']\n",
            "components and architectures belong to a suite",
        ),
        (
            one.replace("one", "two") + "suite='a/b'\n",
            "is not a suite or component",
        ),
        (
            one.replace("one", "two") + "suite='a'\narchitectures=['all']\n",
            "is not an architecture",
        ),
    ] {
        let error = Settings::parse(&format!("{one}{second}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{second}: {error}");
    }
    let suites = format!("{one}suite='a'\n{}suite='b'\n", one.replacen("one", "two", 1));
    assert_eq!(Settings::parse(&suites).unwrap().archives.len(), 2);
}
