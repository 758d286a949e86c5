//! Posts a notice to a webhook by curl, which knows TLS, proxies and this machine's certificates. The address goes to it on standard
//! input: it is seen in no list of processes, and in nothing that is said here.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::time::Duration;

use apu_site::Site;
use apu_site::settings::{Url, Webhook};
use tokio::process::Command;

use super::notice::Notice;
use crate::child;
use crate::view::clean::clean;

const CURL: &str = "/usr/bin/curl";

/// How long a post may take, in seconds.
const SECONDS: u64 = 30;

/// The most bytes of a file with an address.
const LONGEST: u64 = 4096;

/// Posts a notice as JSON; why it was not taken, where it was not.
pub(super) fn post(site: &Site, webhook: &Webhook, notice: &Notice) -> Result<(), String> {
    let address = match webhook {
        Webhook::Address(address) => address.clone(),
        Webhook::File(path) => {
            read(&site.at(path)).map_err(|why| format!("nothing was posted: {}: {why}", path.display()))?
        }
    };
    let failed = |why: &str| {
        let host = Webhook::host_of(&address);
        format!("nothing was posted to {host}: {}", without(&address, &clean(why)))
    };
    let body = body(site, notice).map_err(|error| failed(&error.to_string()))?;
    let config = config(&address, &body.path().to_string_lossy());
    let mut command = Command::new(CURL);
    // No curlrc of root's has a say.
    command.args(["-q", "--config", "-"]);
    let patience = Duration::from_secs(SECONDS + 5);
    let said = child::run(&mut command, config.as_bytes(), patience).map_err(|error| match error.kind() {
        ErrorKind::NotFound => failed(&format!("{CURL} is not there; apt install curl")),
        _ => failed(&error.to_string()),
    })?;
    if !said.status.success() {
        let words = said.errors.lines().next().unwrap_or("curl said nothing");
        return Err(failed(words));
    }
    match said.out.trim() {
        status if status.len() == 3 && status.starts_with('2') => Ok(()),
        status => Err(failed(&format!("it answered with status {status}"))),
    }
}

/// What curl is to do. A redirect is not followed, and nothing but the status of an answer is kept.
fn config(address: &Url, body: &str) -> String {
    // Neither has a quote or a backslash: `Url` refuses them, and the other is a path of ours.
    format!(
        "url = \"{address}\"\n\
         data-binary = \"@{body}\"\n\
         header = \"Content-Type: application/json\"\n\
         header = \"Expect:\"\n\
         user-agent = \"apu\"\n\
         proto = \"=http,https\"\n\
         max-redirs = 0\n\
         max-time = {SECONDS}\n\
         connect-timeout = 10\n\
         output = \"/dev/null\"\n\
         write-out = \"%{{http_code}}\"\n\
         globoff\n\
         silent\n\
         show-error\n"
    )
}

/// The notice in a file that only root reads, for as long as it is posted.
fn body(site: &Site, notice: &Notice) -> io::Result<tempfile::NamedTempFile> {
    (DirBuilder::new().recursive(true).mode(0o700)).create(site.run())?;
    let mut file = tempfile::NamedTempFile::new_in(site.run())?;
    file.write_all(serde_json::to_string(notice)?.as_bytes())?;
    Ok(file)
}

/// The address in a file. What is wrong with it is said without a word of it.
fn read(path: &std::path::Path) -> Result<Url, String> {
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    match Webhook::try_from(text.trim().to_owned()) {
        Ok(Webhook::Address(address)) => Ok(address),
        Ok(Webhook::File(_)) => Err("it names another file, and no address".to_owned()),
        Err(expected) => Err(expected.to_owned()),
    }
}

/// A text without the address and without what is behind its host.
fn without(address: &Url, text: &str) -> String {
    let text = text.replace(address.as_str(), "…");
    let rest = address.as_str().split_once("://").map_or("", |(_, rest)| rest);
    match rest.find(['/', '?']) {
        Some(at) if rest.len() > at + 1 => text.replace(&rest[at..], "…").replace(&rest[at + 1..], "…"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_has_no_word_of_the_address_but_its_host() {
        let address: Url = "https://hooks.example.org/services/s3cret?k=s3cret"
            .parse()
            .unwrap();
        for said in [
            "cannot use https://hooks.example.org/services/s3cret?k=s3cret",
            "no /services/s3cret?k=s3cret there",
            "services/s3cret?k=s3cret",
        ] {
            let shown = without(&address, said);
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        let host: Url = "https://hooks.example.org/".parse().unwrap();
        assert_eq!(without(&host, "a/b"), "a/b");
    }

    #[test]
    fn a_file_that_holds_no_address_is_told_without_what_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("webhook");
        fs::write(&path, "https://hooks.example.org/x\n").unwrap();
        assert_eq!(read(&path).unwrap().as_str(), "https://hooks.example.org/x");
        for text in [
            "",
            "ftp://hooks.example.org/s3cret",
            "/s3cret",
            "https://h/ s3cret\n",
        ] {
            fs::write(&path, text).unwrap();
            let why = read(&path).unwrap_err();
            assert!(!why.contains("s3cret"), "{why}");
        }
    }
}
