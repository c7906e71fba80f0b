# demarc's house commands. Everything runs in .venv, made from the lock files (pinned, with hashes).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := PYTHONDONTWRITEBYTECODE=1 $(BIN)/python

.PHONY: help venv system demo-system bench-system machine-system check lint types contracts unit rules test test-system peers lab demo bench campaign soak fuzz lock clean
help: ## List these commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

venv: $(VENV)/.ready ## Make .venv from the lock files
$(VENV)/.ready: requirements.lock requirements-dev.lock pyproject.toml
	$(PYTHON) tools/python_is_new_enough.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock -r requirements-dev.lock
	$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

system: ## Install the Debian packages that lab, demo and tests use (asks for nothing when they are there)
	@PYTHON="$(PYTHON)" sh tools/install_system_packages.sh

check: venv ## Lint, types, contracts, unit and property tests; no root
	@$(RUN) -m tools.run_tests lint types contracts unit rules

lint types contracts unit rules: venv
	@$(RUN) -m tools.run_tests $@

test: system venv ## All of check, real servers, and each lab scenario once
	@$(RUN) -m tools.run_tests

peers: venv
	$(RUN) -m pytest -q tests/peers

lab: venv
	$(RUN) -m pytest -q tests/lab

test-system: machine-system venv ## The installed agent under systemd, with kernel ESP, WireGuard and netem, in a virtual machine (QEMU)
	$(RUN) -m pytest -q -m "" tests/system

demo-system bench-system machine-system:
	@PYTHON="$(PYTHON)" sh tools/install_system_packages.sh $(@:-system=)

demo: demo-system venv ## Break a real VPN in front of your eyes and say whose segment it was
	@$(RUN) -m lab.demo

bench: bench-system venv ## Measure detection time, cost and memory; medians of several runs
	@$(RUN) -m tools.bench

campaign: venv ## Random disturbances: whom the product names, and whom simpler rules would have named
	@$(RUN) -m tools.campaign
	@$(RUN) -m tools.campaign.late

soak: system venv ## Full counts: kills, failing disks, catalogue, endurance, campaign, fuzz, properties (ONLY="ledger disk" for some)
	$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements-fuzz.lock
	@$(RUN) -m tools.soak $(ONLY)

fuzz: venv ## Coverage-guided bytes into every parser, FUZZ_SECONDS each (60)
	$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements-fuzz.lock
	@$(RUN) -m tools.fuzz --seconds $${FUZZ_SECONDS:-60}

lock: ## Renew the lock files
	$(BIN)/pip-compile -q --upgrade --generate-hashes --allow-unsafe --no-annotate --no-header --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.lock pyproject.toml
	$(BIN)/pip-compile -q --upgrade --generate-hashes --allow-unsafe --no-annotate --no-header --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements-dev.lock requirements-dev.in
	$(BIN)/pip-compile -q --upgrade --generate-hashes --allow-unsafe --no-annotate --no-header --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements-fuzz.lock requirements-fuzz.in

clean: ## Remove what the other commands made
	rm -rf $(VENV) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info build
