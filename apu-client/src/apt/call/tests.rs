use super::*;

fn call(verb: Verb) -> Call {
    Call::new(&ClientPaths::below("/nonexistent"), verb, Conffiles::Keep)
}

#[test]
fn a_name_reaches_apt_only_as_an_exact_pattern_after_two_dashes() {
    let mut call = call(Verb::Install);
    call.packages = vec![("g++".parse().unwrap(), "amd64".into())];
    let arguments = call.action(600);
    let end = &arguments[arguments.len() - 3..];
    assert_eq!(
        end,
        ["install", "--", "?and(?exact-name(g++),?architecture(amd64))"]
    );
}

#[test]
fn the_simulation_is_the_action_but_for_locks_progress_and_log() {
    let call = call(Verb::DistUpgrade);
    let differs = |word: &String| {
        [
            "APT::Get::Simulate=",
            "Debug::NoLocking=",
            "Dir::Log::Planner=",
            "DPkg::Lock::Timeout=",
            "APT::Status-Fd=",
        ]
        .iter()
        .any(|name| word.starts_with(name))
    };
    let of = |arguments: Vec<String>| {
        let kept = arguments
            .into_iter()
            .filter(|word| word != "-o" && !differs(word));
        kept.collect::<Vec<_>>()
    };
    assert_eq!(of(call.simulation()), of(call.action(60)));
}

#[test]
fn what_stays_at_its_version_stays_in_each_call_of_the_plan_and_in_the_run() {
    let root = tempfile::tempdir().unwrap();
    let paths = ClientPaths::below(root.path());
    let call = Call::new(&paths, Verb::Upgrade, Conffiles::Keep);
    let is_option = |word: &String| word.starts_with("Dir::Etc::Preferences=");
    assert!(!call.action(1).iter().any(is_option));
    let call = call.stay_at_version(&paths, ["a:amd64".to_owned()]).unwrap();
    let call = call.stay_at_version(&paths, ["b".to_owned()]).unwrap();
    let file = call.action(1).into_iter().find(is_option).unwrap();
    for arguments in [call.simulation(), call.print_uris(), call.action(1)] {
        assert_eq!(arguments.iter().filter(|word| **word == file).count(), 1);
        assert_eq!(arguments.iter().filter(|word| is_option(word)).count(), 1);
    }
    let text = std::fs::read_to_string(file.split_once('=').unwrap().1).unwrap();
    assert!(
        text.contains("Package: a:amd64\n") && text.contains("Package: b\n"),
        "{text}"
    );
}

#[test]
fn a_download_is_the_action_but_for_the_option_that_says_so() {
    let call = call(Verb::Install);
    let download = call.clone().download_only().action(1);
    let last = |arguments: &[String]| {
        let of = |word: &&String| word.starts_with("APT::Get::Download-Only=");
        arguments.iter().rfind(of).cloned()
    };
    assert_eq!(last(&download).as_deref(), Some("APT::Get::Download-Only=true"));
    assert_eq!(
        last(&call.action(1)).as_deref(),
        Some("APT::Get::Download-Only=false")
    );
    assert_eq!(download.len(), call.action(1).len() + 2);
}

#[test]
fn the_lists_of_the_site_are_fetched_and_no_others_touched() {
    let root = tempfile::tempdir().unwrap();
    let paths = ClientPaths::below(root.path());
    let options = |paths: &ClientPaths| {
        let call = Call::new(paths, Verb::Update, Conffiles::Keep).use_site_archives(paths);
        let words = call.action(1).join("\n");
        words.replace(&root.path().display().to_string(), "")
    };
    for option in [
        "Dir::Etc::SourceList=/usr/share/apu-data/site.sources",
        "Dir::Etc::SourceParts=/dev/null",
        "APT::Get::List-Cleanup=false",
    ] {
        assert!(options(&paths).contains(option), "{option}: {}", options(&paths));
    }
    assert!(!options(&paths).contains("Dir::State::lists"));

    std::fs::create_dir_all(paths.exclusive_sources()).unwrap();
    std::fs::write(paths.exclusive_sources().join("apu.sources"), "").unwrap();
    let exclusive = options(&paths);
    assert!(
        exclusive.contains("Dir::State::lists=/var/lib/apu-client/lists"),
        "{exclusive}"
    );
    assert_eq!(
        exclusive.matches("Dir::Etc::SourceParts=").count(),
        1,
        "{exclusive}"
    );
}

#[test]
fn nothing_of_the_machines_sources_and_pins_keeps_apu_data_away() {
    let root = tempfile::tempdir().unwrap();
    let paths = ClientPaths::below(root.path());
    std::fs::create_dir_all(paths.exclusive_sources()).unwrap();
    std::fs::write(paths.exclusive_sources().join("apu.sources"), "").unwrap();
    for apart in [true, false] {
        let call = Call::new(&paths, Verb::Install, Conffiles::Keep).for_apu_data(&paths, apart);
        let options = call
            .action(1)
            .join("\n")
            .replace(&root.path().display().to_string(), "");
        for option in [
            "Dir::Etc::SourceList=/usr/share/apu-data/site.sources",
            "Dir::Etc::SourceParts=/dev/null",
            "Dir::Etc::Preferences=/dev/null",
            "Dir::Etc::PreferencesParts=/dev/null",
            "APT::Default-Release=",
            "Dir::Cache::pkgcache=",
            "Dir::Cache::srcpkgcache=",
        ] {
            assert_eq!(
                options.lines().filter(|line| *line == option).count(),
                1,
                "{option}: {options}"
            );
        }
        let lists = if apart { "site-lists" } else { "lists" };
        let lists = format!("Dir::State::lists=/var/lib/apu-client/{lists}\n");
        assert_eq!(options.matches("Dir::State::lists=").count(), 1, "{options}");
        assert!(!options.contains("pkgCacheFile::Generate=false"), "{options}");
        assert!(options.contains(&lists), "{options}");
    }
}

#[test]
fn nothing_is_removed_unless_that_was_asked_for() {
    for (verb, option) in [
        (Verb::DistUpgrade, "APT::Get::Remove=false"),
        (Verb::Install, "APT::Get::Remove=false"),
        (Verb::Remove, "APT::Get::Remove=true"),
    ] {
        assert!(call(verb).action(1).iter().any(|word| word == option), "{verb:?}");
    }
}

#[test]
fn the_trust_of_apt_cannot_be_weakened_by_a_configuration_file() {
    let arguments = call(Verb::Update).action(1);
    // Written out again, so that a line that is lost above fails here.
    for option in [
        "APT::Get::AllowUnauthenticated=false",
        "Acquire::AllowInsecureRepositories=false",
        "Acquire::AllowWeakRepositories=false",
        "Acquire::AllowDowngradeToInsecureRepositories=false",
        "Acquire::Check-Valid-Until=true",
        "Acquire::Check-Date=true",
        "APT::Update::Error-Mode=any",
        "APT::Get::allow-downgrades=false",
        "APT::Get::allow-remove-essential=false",
        "APT::Get::allow-change-held-packages=false",
        "DPkg::Options::=--refuse-confnew",
        "DPkg::Options::=--force-confdef",
        "DPkg::Options::=--force-confold",
    ] {
        let at = arguments.iter().position(|word| word == option).expect(option);
        assert_eq!(arguments[at - 1], "-o");
    }
}
