//! An index of many pieces, as the real apt of every supported release reads it: .gz alone, and .xz alone.

use apu_tests::{Fleet, Host};

/// How many .debs are published.
const DEBS: usize = 3000;

/// Makes .debs that hold nothing, with a control file that says much: a tar of one file, an empty one, an ar of both.
const MAKE: &str = r#"
use strict;
sub member { my ($name, $bytes) = @_; sprintf("%-16s%-12s%-6s%-6s%-8s%-10s`\n", $name, 0, 0, 0, "100644", length $bytes) . $bytes . "\n" x (length($bytes) % 2) }
sub tar {
    my ($name, $text) = @_;
    my $head = pack("a100 a8 a8 a8 a12 a12 A8 a1 a100 a6 a2 a32 a32 x183", "./$name", "0000644", "0000000", "0000000", sprintf("%011o", length $text), "0" x 11, "", "0", "", "ustar", "00", "root", "root");
    substr($head, 148, 8) = sprintf("%06o\0 ", unpack("%32C*", $head));
    return $head . $text . "\0" x (-length($text) % 512) . "\0" x 1024;
}
for my $number (1 .. shift) {
    srand($number);
    my $words = join("\n ", map { join("", map { chr(97 + rand(26)) } 1 .. 90) } 1 .. 3);
    my $control = tar("control", "Package: many-$number\nVersion: 1.$number\nArchitecture: all\nMaintainer: A <a\@example.org>\nDescription: one of many\n $words\n");
    open(my $out, ">:raw", "/var/lib/apu-data/repo/local/many-$number.deb") or die;
    print $out "!<arch>\n" . member("debian-binary", "2.0\n") . member("control.tar", $control) . member("data.tar", "\0" x 1024);
    close($out) or die;
}
"#;

/// The first word of what a script prints on the server.
fn word(host: &Host, script: &str) -> String {
    host.sh(script).ok().split_whitespace().next().unwrap().to_owned()
}

/// Updates, with this form preferred above all, from nothing; what apt-get says.
fn update_by(client: &Host, form: &str) -> String {
    let done = client.sh(&format!(
        "rm -rf /var/lib/apt/lists/* && apt-get update -q -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any \
         -o Acquire::CompressionTypes::Order::={form} -o Debug::Acquire::http=true 2>&1"
    ));
    assert_eq!(done.code, 0, "{form} on {}: {}", client.name(), done.stdout);
    done.stdout
}

fn apt_reads_all_pieces(client: &Host, server: &Host, local: &str) {
    let text = word(server, &format!("sha256sum {local}/Packages"));
    for form in ["gz", "xz"] {
        let packed = word(server, &format!("sha256sum {local}/Packages.{form}"));
        let said = update_by(client, form);
        assert!(
            said.contains(&format!("/by-hash/SHA256/{packed}")),
            "Packages.{form} was not fetched on {}: {said}",
            client.name()
        );
        let seen = client.sh("apt-cache dumpavail | grep -c '^Package: many-'").ok();
        assert_eq!(seen.trim(), DEBS.to_string(), "{form} on {}", client.name());
        for number in [1, 1700, DEBS] {
            let shown = client.sh(&format!("apt-cache show many-{number}")).ok();
            assert!(shown.contains(&format!("\nVersion: 1.{number}\n")), "{shown}");
        }
        let read = word(
            client,
            &format!(
                "set -e; rm -f /tmp/Packages.*; helper=/usr/lib/apt/apt-helper; \
                 $helper download-file http://apu.example.org/local/Packages.{form} /tmp/Packages.{form} >&2; \
                 $helper cat-file /tmp/Packages.{form} | sha256sum"
            ),
        );
        assert_eq!(read, text, "{form} on {}", client.name());
    }
}

#[test]
fn the_apt_of_every_suite_reads_all_pieces() {
    let fleet = Fleet::of_each_suite().up();
    let server = fleet.server();
    server.write("/tmp/make.pl", MAKE);
    server.sh(&format!("perl /tmp/make.pl {DEBS}")).ok();
    // The second time one of them is new, and the other pieces are those of the first.
    let local = "/var/lib/apu-data/repo/local";
    server
        .sh(&format!(
            "set -e; cd {local}; mv many-1700.deb /tmp; apu repo publish; mv /tmp/many-1700.deb .; apu repo publish; apu repo check"
        ))
        .ok();
    for client in fleet.clients() {
        apt_reads_all_pieces(client, server, local);
    }
}
