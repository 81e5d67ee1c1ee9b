# Everything an operator or developer runs. Building needs no privileges; what does is raised by
# scripts/as-root.sh (sudo, unless you are root).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help deps build deb demo demo-clean test test-pages asan fmt lint fuzz bench bench-instr bench-scale man vrctl-page trace-page

target_dir := $(or $(CARGO_TARGET_DIR),target)
as_root := $(CURDIR)/scripts/as-root.sh
say = @printf '\n==> %s\n' $(1)

# Cargo starts test programs through this command: CARGO_TARGET_<host triple>_RUNNER.
runner = env CARGO_TARGET_$$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')_RUNNER="$(as_root)"

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

deps: ## Install the packages that are missing, after naming them
	@scripts/install-deps.sh

build: deps ## Build vrouterd and vrctl (target/release)
	$(call say,"Building")
	cargo build --release --locked -p vrouterd -p vrctl

deb: deps ## Build the Debian package (target/debian)
	@command -v cargo-deb >/dev/null || cargo install --locked cargo-deb
	cargo build --release --locked -p vrouterd -p vrctl
	"$(target_dir)/release/vrctl" man "$(target_dir)/release/man"
	mkdir -p "$(target_dir)/release/completion"
	for shell in bash zsh fish; do \
	    "$(target_dir)/release/vrctl" completion $$shell >"$(target_dir)/release/completion/vrctl.$$shell"; done
	cargo deb --no-build --locked -p vrouterd

demo: deps ## Two nodes, five pods, one service; KEEP=1 leaves it running
	$(call say,"Building")
	cargo build --profile demo --locked -p vrouterd
	$(call say,"Demo")
	@$(as_root) env KEEP="$(KEEP)" demo/run.sh "$(target_dir)/demo/vrouterd"

demo-clean: ## Remove what `make demo KEEP=1` has left running
	@$(as_root) demo/run.sh --remove

test: deps ## Format, lints, unit, pipeline, sanitizer and namespace tests, and the demo
	@$(MAKE) --no-print-directory lint
	$(call say,"Building the daemon under test")
	cargo build --locked --workspace
	$(call say,"Unit and pipeline tests")
	$(runner) cargo test --locked --workspace --exclude tests
	$(call say,"The flow table under a model checker")
	cargo test --locked -p flow-table --features loom --lib loom_tests
	@$(MAKE) --no-print-directory asan
	$(call say,"Namespace tests")
	$(runner) cargo test --locked -p tests
	$(call say,"The demo")
	@$(as_root) env KEEP= demo/run.sh "$(target_dir)/debug/vrouterd"

test-pages: deps ## The pages in a browser alone (part of test); screenshots go to target/tmp/pages
	cargo test --locked -p vrouterd --test pages

# A target directory of its own, and `--target`, so that build scripts are not instrumented.
asan: ## The tests of af-xdp, encap and flow-table under AddressSanitizer (nightly Rust)
	@scripts/install-deps.sh nightly
	$(call say,"Tests under AddressSanitizer")
	$(runner) RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR="$(target_dir)/asan" \
	    cargo +nightly test --locked --target "$$(rustc -vV | sed -n 's/^host: //p')" -p af-xdp -p encap -p flow-table

fmt: ## Format the sources
	cargo fmt --all

lint: ## Check format and lints
	$(call say,"Format")
	cargo fmt --all --check
	$(call say,"Lints")
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(call say,"Alert rules")
	@if command -v promtool >/dev/null; then promtool check rules deploy/alerts.yml; \
	    else echo "promtool is not installed (package prometheus): the alert rules were NOT linted"; fi

man: ## Write the manual pages of vrctl (target/man)
	cargo run --locked --quiet -p vrctl -- man "$(target_dir)/man"
	@echo "$(target_dir)/man/vrctl.1 and others; look at them with: man -l FILE"

vrctl-page: deps ## Write docs/vrctl.md anew, from a run on the nodes of the demo
	cargo build --locked -p vrouterd -p vrctl
	@$(as_root) docs/make-vrctl.sh "$(target_dir)/debug/vrouterd" "$(target_dir)/debug/vrctl" >"$(target_dir)/vrctl.md"
	@mv "$(target_dir)/vrctl.md" docs/vrctl.md

trace-page: deps ## Write docs/trace.md anew, likewise
	cargo build --locked -p vrouterd -p vrctl
	@$(as_root) docs/make-trace.sh "$(target_dir)/debug/vrouterd" "$(target_dir)/debug/vrctl" >"$(target_dir)/trace.md"
	@mv "$(target_dir)/trace.md" docs/trace.md

fuzz: ## Run every fuzz target for SECONDS (60 if not given); nightly Rust
	@scripts/install-deps.sh nightly cargo-fuzz
	scripts/fuzz.sh "$(if $(filter command line,$(origin SECONDS)),$(SECONDS),60)"

bench-instr: ## Instructions per packet against the baseline; BASELINE=write makes it anew
	@scripts/install-deps.sh valgrind
	cargo build --release --locked -p bench --bin replay --bin instructions
	@"$(target_dir)/release/instructions" "$(target_dir)/release/replay" bench/instructions.json $(BASELINE)

bench-scale: deps ## Cost per packet, compilation and publication by size of the configuration
	cargo build --release --locked -p bench --bin scale
	@"$(target_dir)/release/scale"

bench: deps ## Run the benchmarks
	cargo bench --locked -p bench
