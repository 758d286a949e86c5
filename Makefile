# Each target installs what it needs (Debian packages, Rust where none is new enough) and runs as root, since the fleet is
# made of namespaces, overlays and roots of its own.

SHELL = /bin/sh
.DEFAULT_GOAL = check
.PHONY: check quick fmt shell clippy doc unit deb fleet packaging reproducible independent differential demo playground bench bench-index audit clean deps

deps:
	@scripts/install-deps check

# What CI runs, and what a change has to pass.
check: deps
	@scripts/check

# Before each commit: what needs neither root nor packages. Plain cargo, so it shares what `cargo test` has compiled.
quick:
	@scripts/install-deps quick
	cargo fmt --all --check
	cargo clippy --all-targets -- -D warnings
	cargo test

fmt: deps
	cargo fmt --all --check

clippy: deps
	@scripts/cargo-release clippy --workspace --all-targets -- -D warnings

shell: deps
	@scripts/shellcheck

doc: deps
	@RUSTDOCFLAGS="-D warnings" scripts/cargo-release doc --no-deps --workspace

unit: deps
	@scripts/cargo-release test --workspace --exclude apu-tests

# The packages, into dist/. With nothing changed since, that takes seconds.
deb:
	@scripts/install-deps build
	@scripts/make-deb

fleet: deps deb
	@scripts/cargo-release test -p apu-tests

packaging: deps deb
	@tests/packaging/lintian
	@tests/packaging/run

# A second build from nothing, in another directory, gives the same bytes. Takes as long as the first.
reproducible: deb
	@scripts/reproducible

# Our archive read by code that is not ours. Apart from `check`, since that code takes minutes to compile.
independent: deb
	@scripts/independent

# What our readers make of thousands of generated files, against apt and dpkg themselves.
differential: deps deb
	@scripts/differential

demo: deps deb
	@scripts/cargo-release run -p apu-tests --bin demo

# A shell on a server with six clients, which are there as long as the shell is.
playground: deps deb
	@scripts/cargo-release run -q -p apu-tests --bin playground

bench: deb
	@scripts/install-deps bench
	@scripts/cargo-release run -p apu-tests --bin bench
	@scripts/cargo-release run -p apu-tests --bin bench_index

# The archive alone. Needs no root once its packages are installed and the .debs are fetched.
bench-index: deb
	@scripts/install-deps bench
	@scripts/cargo-release run -p apu-tests --bin bench_index

audit:
	@scripts/install-deps build
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check licenses bans sources
	cargo deny check advisories || echo "advisories: see above; without the database they cannot be checked"

clean:
	rm -rf dist
	dh_clean
	cargo clean
