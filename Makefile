# Crannog's doors for people and CI. Each target is one script or one line; none needs another to have run before.
# Builds go to the folder that scripts/target prints.

SHELL := bash

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-stop demo-clean test soak bench dist fmt

help: ## Lists these targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1   \2/p' $(MAKEFILE_LIST)

setup: ## Checks this machine and, as root, installs what building and testing need.
	@scripts/setup test

demo: ## Builds Crannog and runs the flights demo in ./.demo; the server stays up. DEV=1 takes the quicker build.
	@DEV=$(DEV) scripts/demo-from-source

demo-stop: ## Stops the demo's server.
	@scripts/demo-stop .demo

demo-clean: demo-stop ## Stops the demo's server and removes ./.demo.
	@rm -rf .demo

test: ## Runs every check: formatting, lints, Rust tests, then the unmodified clients against the built server.
	@scripts/test

soak: ## Kills a working server 200 times under SQL, REST and uploads, then under MLflow clients. KILLS and SEED change that.
	@[ -n "$$CRANNOG_BIN" ] || CARGO_TARGET_DIR="$$(scripts/target)" cargo build --locked --package crannog
	@CRANNOG_KILLS=$${KILLS:-200} CRANNOG_SEED=$${SEED:-$$RANDOM} \
	  "$$(scripts/setup python test)" -B -m pytest -c tests/pytest.ini -s tests/scenarios/test_killed.py tests/scenarios/test_killed_tracking.py

bench: ## Measures the release build against targets and peers and writes docs/measurements.md. ONLY=tpch runs one measure.
	@scripts/bench $(ONLY)

dist: ## Builds the release and makes dist/crannog-VERSION-linux-ARCH.tar.gz, which runs with nothing else installed.
	@scripts/dist

fmt: ## Formats the Rust code.
	@cargo fmt --all
