//! Many hosts whose scripts are silent for a minute, all at once: what that takes of the server and of the clients.

use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use apu_tests::{Fleet, Host, Stage};

use super::let_go;

/// How much more memory the server may take with more hosts than connections, in KiB.
const MORE: usize = 40 * 1024;

/// How much processor time a client may spend on a silent run, in milliseconds a minute.
const IDLE: f64 = 50.0;

/// What silent runs took at most, while all of them were silent.
#[derive(Debug)]
struct Taken {
    connections: usize,
    /// What apt-all and the connections had of the server's memory, in KiB.
    memory: usize,
}

/// The connections of the server, and what they and apt-all take of its memory in KiB.
fn connections(server: &Host) -> (usize, usize) {
    let said = server.sh(
        "for process in $(pgrep -x 'ssh|apt-all'); do
            read -r name </proc/$process/comm && pss=$(awk '/^Pss:/ { print $2 }' /proc/$process/smaps_rollup) && echo \"$name $pss\"
        done 2>/dev/null; true",
    );
    let said = said.ok();
    let processes = said.lines().filter_map(|line| line.split_once(' '));
    let connections = processes.clone().filter(|(name, _)| *name == "ssh").count();
    let memory = processes.filter_map(|(_, pss)| pss.parse::<usize>().ok()).sum();
    (connections, memory)
}

/// The processor time that the run's supervisor has used so far, in milliseconds.
fn used(host: &Host) -> u64 {
    let said = host
        .sh("cat /proc/$(pgrep -of 'apu-client [r]un')/schedstat")
        .ok();
    let nanoseconds = said.split(' ').next().and_then(|word| word.parse::<u64>().ok());
    nanoseconds.expect("a time") / 1_000_000
}

/// Does something on each of the hosts, on several at a time.
fn each(hosts: &[&Host], work: impl Fn(&Host) + Sync) {
    scope(|scope| {
        for some in hosts.chunks(hosts.len().div_ceil(4)) {
            let work = &work;
            scope.spawn(move || some.iter().for_each(|host| work(host)));
        }
    });
}

/// Now, and what the run's supervisor has used by now.
fn reading(host: &Host) -> (Instant, u64) {
    (Instant::now(), used(host))
}

/// Upgrades so many hosts at once, and holds all of them within a silent script for so long. There are `most` connections by these settings.
fn silent_runs(hosts: usize, silence: Duration, (most, settings): (usize, &str)) -> Taken {
    let fleet = Fleet::of_size(hosts).up();
    let server = fleet.server();
    let before = server.read("/etc/apu-server/apu.toml").unwrap();
    server.write("/etc/apu-server/apu.toml", &format!("{before}\n{settings}\n"));
    let clients: Vec<&Host> = fleet.clients().collect();
    each(&clients, |client| {
        client.sh("apt-get -q -y install hurts-silent").ok();
    });
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").all_ended("changed");
    let running = fleet.start_apt_all(&format!("default upgrade --yes --waves 100% --parallel {hosts}"));
    // Each waits to be let go, so that all are at work at once.
    let patience = Instant::now() + Duration::from_secs(30) * u32::try_from(hosts).unwrap();
    for client in &clients {
        while client.read("/var/lib/hurts-silent.begun").is_none() {
            assert!(Instant::now() < patience, "{} never began", client.name());
            sleep(Duration::from_millis(100));
        }
    }
    let at_first: Vec<(Instant, u64)> = clients.iter().map(|client| reading(client)).collect();
    let mut taken = Taken {
        connections: 0,
        memory: 0,
    };
    let begun = Instant::now();
    while begun.elapsed() < silence {
        let (connections, memory) = connections(server);
        taken.connections = taken.connections.max(connections);
        taken.memory = taken.memory.max(memory);
        sleep(Duration::from_millis(200));
    }
    let spent = clients.iter().zip(at_first).map(|(client, (since, before))| {
        let (now, after) = reading(client);
        (after - before) as f64 / (now - since).as_secs_f64() * 60.0
    });
    let each_minute = spent.sum::<f64>() / hosts as f64;
    each(&clients, let_go);
    let run = running.finish();
    run.all_ended("changed").exited(0);
    let again = run.events().iter();
    assert_eq!(again.filter(|event| event["event"] == "reconnecting").count(), 0);
    println!("{hosts} hosts: {taken:?}, {each_minute:.1} ms a minute each");
    // Those in use, and a few that are about to end.
    assert!(taken.connections <= most + most / 4 + 2, "{taken:?}");
    assert!(each_minute < IDLE, "{each_minute} ms a minute");
    taken
}

/// With `APU_HOSTS=300`, so many hosts as an administrator without settings would have them, beside 50.
#[test]
fn silent_runs_need_no_connection_each() {
    let Ok(hosts) = std::env::var("APU_HOSTS") else {
        let settings = "[ssh]\nconnections = 2\nmost_kept = 2\n";
        silent_runs(6, Duration::from_secs(5), (2, settings));
        return;
    };
    let hosts = hosts.parse().expect("a number");
    let minute = Duration::from_secs(60);
    let usual = (64, "[run]\ntimeout = 7200\n");
    let (many, few) = (silent_runs(hosts, minute, usual), silent_runs(50, minute, usual));
    println!("50 hosts: {few:?}; {hosts} hosts: {many:?}");
    assert!(many.memory <= few.memory + MORE, "{few:?} {many:?}");
}
