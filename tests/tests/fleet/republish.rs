//! A client that updates at any moment sees one whole archive, however often it is published anew meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use apu_tests::{Fleet, Host, in_check_or_long};

/// What every client is to have done between the first publication and the last.
const UPDATES: usize = 4;

/// One `apt-get update` that follows the site's archive alone. It fails with the first download that fails, and must not
/// try twice: a second try would hide what the first one saw.
fn update(client: &Host) -> Result<bool, String> {
    let finished = client.exec(&[
        "nice",
        "apt-get",
        "-q",
        "-o",
        "APT::Update::Error-Mode=any",
        "-o",
        "Acquire::Retries=0",
        "update",
    ]);
    let said = format!("{}{}", finished.stdout, finished.stderr);
    let bad = ["W:", "E:", "Err:", "Hash Sum mismatch", "404  Not Found"];
    if finished.code != 0 || bad.iter().any(|bad| said.contains(bad)) {
        return Err(format!(
            "{}: exit status {}: {said}",
            client.name(),
            finished.code
        ));
    }
    Ok(said.lines().any(|line| line.starts_with("Get:")))
}

/// Three packages come and go, one a time: no two indexes in a row are the same.
fn publish(server: &Host, debs: &[String; 3], number: usize) -> Result<(), String> {
    let deb = &debs[number % debs.len()];
    let name = deb
        .trim_start_matches("/tmp/")
        .split('_')
        .next()
        .unwrap_or_default();
    let change = match number / debs.len() % 2 {
        0 => ["apu", "repo", "add", deb],
        _ => ["apu", "repo", "remove", name],
    };
    let finished = server.exec(&change);
    match finished.code {
        0 => Ok(()),
        code => Err(format!("{change:?} ended with {code}: {}", finished.stderr)),
    }
}

/// One client, and what it has done so far.
struct Updating<'a> {
    client: &'a Host,
    updates: AtomicUsize,
    /// Of these, how many saw another archive than the one before.
    news: AtomicUsize,
}

impl Updating<'_> {
    /// Updates again and again until it is over, or goes wrong.
    fn until(&self, over: &AtomicBool) -> Result<(), String> {
        while !over.load(Ordering::Relaxed) {
            let is_news = update(self.client)?;
            self.updates.fetch_add(1, Ordering::Relaxed);
            self.news.fetch_add(usize::from(is_news), Ordering::Relaxed);
            thread::sleep(Duration::from_secs(3));
        }
        Ok(())
    }
}

#[test]
fn clients_update_while_the_archive_is_published_again_and_again() {
    let (size, enough) = in_check_or_long((16, 80), (50, 200));
    let fleet = Fleet::of_size(size).up();
    let server = fleet.server();
    let debs = ["site-a", "site-b", "site-c"].map(|name| fleet.small_deb(name, "1.0"));
    let clients: Vec<_> = fleet
        .clients()
        .map(|client| Updating {
            client,
            updates: AtomicUsize::new(0),
            news: AtomicUsize::new(0),
        })
        .collect();
    for client in fleet.clients() {
        client.sh("rm /etc/apt/sources.list.d/upstream.sources").ok();
    }

    let over = AtomicBool::new(false);
    let mut wrong = Vec::new();
    let mut publications = 0;
    let slowest = || {
        let updates = clients
            .iter()
            .map(|client| client.updates.load(Ordering::Relaxed));
        updates.min().unwrap_or_default()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter()
            .map(|client| scope.spawn(|| client.until(&over)))
            .collect();
        // Where the machine is slow, there are more publications rather than a client that updates in peace.
        while wrong.is_empty() && (publications < enough || slowest() < UPDATES) {
            wrong.extend(publish(server, &debs, publications).err());
            publications += 1;
            if threads.iter().any(thread::ScopedJoinHandle::is_finished) {
                break;
            }
            thread::sleep(Duration::from_millis(150));
        }
        over.store(true, Ordering::Relaxed);
        for thread in threads {
            wrong.extend(thread.join().expect("no panic").err());
        }
    });

    assert!(
        wrong.is_empty(),
        "after {publications} publications:\n{}",
        wrong.join("\n")
    );
    let updates: usize = clients
        .iter()
        .map(|client| client.updates.load(Ordering::Relaxed))
        .sum();
    let news: usize = clients
        .iter()
        .map(|client| client.news.load(Ordering::Relaxed))
        .sum();
    println!(
        "{publications} publications; {updates} updates by {size} clients, at least {} by each; {news} saw something new",
        slowest()
    );
    // Otherwise they would have raced with nobody.
    assert!(
        news * 2 > updates,
        "{news} of {updates} updates saw something new"
    );
    server.exec(&["apu", "repo", "check"]).ok();
}
