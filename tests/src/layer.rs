//! Layers: what is installed onto a base root once, by real apt, and then lies below every host that needs it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::host::Host;
use crate::product::{self, Product};
use crate::root::{self, Flavour, Suite};
use crate::sandbox::{Birth, Sandbox};
use crate::service::Service;
use crate::store::{self, Inputs, word};
use crate::upstream::{self, Stage};
use crate::web::Web;

/// Where the server answers; every root knows it as [`SERVER_NAME`].
pub(crate) const SERVER: &str = "127.9.0.1";
/// The server's name.
pub(crate) const SERVER_NAME: &str = "apu.example.org";
/// Where the archive that stands for Debian's mirror answers.
pub(crate) const UPSTREAM: &str = "127.9.0.2";
const UPSTREAM_URL: &str = "http://upstream.example.org";

/// What every client has from the start: pkg-a to pkg-e in version 1.0.
const INSTALLED: [&str; 5] = ["pkg-a", "pkg-b", "pkg-c", "pkg-d", "pkg-e"];

/// A root as its lower layers, the topmost first.
#[derive(Debug, Clone)]
pub(crate) struct Layers(pub(crate) Vec<PathBuf>);

impl Layers {
    fn on(&self, entry: &Path) -> Self {
        let own = std::iter::once(entry.join("upper"));
        Self(own.chain(self.0.iter().cloned()).collect())
    }

    /// Names what lies below, for the digest of what goes on top.
    fn identity(&self) -> Vec<String> {
        self.0.iter().map(word).collect()
    }
}

/// A Debian machine that follows the upstream archive and knows nothing of apu.
pub(crate) fn bare(suite: Suite, flavour: Flavour) -> Result<Layers> {
    let base = Layers(vec![root::base(suite, flavour)?]);
    let archive = upstream::archive()?;
    let inputs = Inputs::of("recipe 1")
        .and(base.identity())
        .and(&archive)
        .and(INSTALLED);
    let name = format!("bare-{}-{flavour:?}", suite.name()).to_lowercase();
    let entry = build(&name, &inputs, &base, |host| {
        host.write("/etc/apt/sources.list", "# see sources.list.d/upstream.sources\n");
        host.write(
            "/etc/apt/sources.list.d/upstream.sources",
            &upstream::sources(UPSTREAM_URL),
        );
        copy_in(
            host,
            &archive.join("archive.gpg"),
            "/usr/share/keyrings/upstream.gpg",
        )?;
        apt(host, &["update"])?;
        apt(host, &[&["install"], &INSTALLED[..]].concat())?;
        apt(host, &["clean"])
    })?;
    Ok(base.on(&entry))
}

/// A client of the server whose apu-data this is.
pub(crate) fn client(suite: Suite, flavour: Flavour, product: &Product, site: &Layers) -> Result<Layers> {
    let bare = bare(suite, flavour)?;
    let apu_data = product::apu_data(site)?;
    let inputs = Inputs::of("recipe 1")
        .and(bare.identity())
        .and_file(&product.client)?
        .and_file(&apu_data)?;
    let name = format!("client-{}-{flavour:?}", suite.name()).to_lowercase();
    let entry = build(&name, &inputs, &bare, |host| {
        copy_in(host, &product.client, "/tmp/apu-client.deb")?;
        copy_in(host, &apu_data, "/tmp/apu-data.deb")?;
        apt(host, &["install", "/tmp/apu-client.deb", "/tmp/apu-data.deb"])?;
        apt(host, &["clean"])
    })?;
    Ok(bare.on(&entry))
}

/// The server as its package installs it: with keys, and set up for this network.
pub(crate) fn server(product: &Product) -> Result<Layers> {
    let base = Layers(vec![root::base(Suite::of_server()?, Flavour::Plain)?]);
    let inputs = Inputs::of("recipe 1")
        .and(base.identity())
        .and_file(&product.server)?;
    let entry = build("server", &inputs, &base, |host| {
        host.write("/etc/apt/sources.list", "# nothing can be fetched from in here\n");
        copy_in(host, &product.server, "/tmp/apu-server.deb")?;
        apt(host, &["install", "/tmp/apu-server.deb"])?;
        product::configure_site(host)
    })?;
    Ok(base.on(&entry))
}

/// The server with its first apu-data in its archive.
pub(crate) fn site(product: &Product) -> Result<Layers> {
    let server = server(product)?;
    let inputs = Inputs::of("recipe 1").and(server.identity());
    let entry = build("site", &inputs, &server, product::make_apu_data)?;
    Ok(server.on(&entry))
}

/// The site with a program beside apu. A proxy goes to the clients with the next apu-data.
pub(crate) fn site_beside(service: Service, product: &Product) -> Result<Layers> {
    let site = site(product)?;
    let inputs = Inputs::of("recipe 1")
        .and(site.identity())
        .and(service.packages()?);
    let entry = build(&format!("site-{}", service.name()), &inputs, &site, |host| {
        service.install(host)?;
        if !service.is_web_server() {
            host.exec(&["apu", "setup"]).ok();
            product::make_apu_data(host)?;
        }
        Ok(())
    })?;
    Ok(site.on(&entry))
}

/// Boots one host on the layers below, lets `fill` work in it, and keeps what that wrote.
fn build(
    name: &str,
    inputs: &Inputs,
    below: &Layers,
    fill: impl FnOnce(&Host) -> Result<()>,
) -> Result<PathBuf> {
    store::entry("layers", name, inputs, |draft| {
        let mut sandbox = Sandbox::new()?;
        for folder in ["upper/etc", "work", "root"] {
            fs::create_dir_all(draft.join(folder))?;
        }
        fs::write(draft.join("upper/etc/hosts"), hosts_file([]))?;
        fs::write(draft.join("upper/etc/hostname"), format!("{SERVER_NAME}\n"))?;
        let birth = Birth {
            name: "layer".to_owned(),
            layers: below.0.clone(),
            state: draft.to_owned(),
            start: String::new(),
        };
        let pids = sandbox.boot(&[birth])?;
        let _web = Web::serve(
            sandbox.pid(),
            &format!("{UPSTREAM}:80"),
            upstream::archive()?.join(Stage::Before.folder()),
        )?;
        let host = Host {
            name: "layer".to_owned(),
            address: SERVER.to_owned(),
            init: *pids.get("layer").context("the host is not there")?,
            keeper: sandbox.pid(),
            trace: sandbox.seen_from_outside(&sandbox.state("trace")),
        };
        fill(&host)?;
        sandbox.down();
        for folder in ["work", "root"] {
            fs::remove_dir_all(draft.join(folder))?;
        }
        Ok(())
    })
}

/// The text of /etc/hosts with these names and addresses beside everybody's.
pub(crate) fn hosts_file<'a>(hosts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let short = SERVER_NAME.split('.').next().unwrap_or_default();
    let mut text =
        format!("127.0.0.1 localhost\n{SERVER} {SERVER_NAME} {short}\n{UPSTREAM} upstream.example.org\n");
    for (name, address) in hosts {
        text += &format!("{address} {name}\n");
    }
    text
}

/// Runs apt-get in a host the way an administrator's script would.
pub(crate) fn apt(host: &Host, words: &[&str]) -> Result<()> {
    let options = [
        "-y",
        "-q",
        "-o",
        "APT::Update::Error-Mode=any",
        "-o",
        "APT::Sandbox::User=root",
    ];
    let output = host
        .command("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(options)
        .args(words)
        .output()?;
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        output.status.success(),
        "apt-get {}: {out}{error}",
        words.join(" ")
    );
    Ok(())
}

/// Copies a file of this machine into a host.
pub(crate) fn copy_in(host: &Host, from: &Path, to: &str) -> Result<()> {
    let file = fs::File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    let status = host
        .command("sh")
        .args(["-c", "cat >\"$1\"", "sh", to])
        .stdin(file)
        .status()?;
    ensure!(status.success(), "cannot write {to}");
    Ok(())
}
