# Everything here does its own set-up: the virtual environment .venv, and an etcd in the user's cache folder.
# Needs python3 (3.11 or later) and the base tools of Debian or Ubuntu; never root.

SHELL := /bin/sh
PIP = $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-input
PIP_HINT := { echo "  try: check the network and pip's settings, then call make again" >&2; exit 1; }

# The lock serves every Python and system from any index, so it names none, nor this machine.
LOCK_FORM := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock"

MINUTES := 10

.PHONY: help demo test minimum coverage e2e fuzz soak outages lint bench bench-quick lock clean

help:
	@echo "make demo   watch a day of a gateway's configuration being recorded and restored"
	@echo "make test   run all checks and all tests"
	@echo "make minimum  run the tests of the package itself with the lowest versions that pyproject.toml admits"
	@echo "make coverage  show which branches of core/ and apisix/ no test of theirs reaches"
	@echo "make e2e    run the tests against Ceph's S3 service (69 MB to download)"
	@echo "make fuzz   fuzz the codecs and the YAML renderer, guided by coverage; MINUTES=n for each, 10 at first"
	@echo "make soak   let faults of every kind happen for MINUTES=n, 10 at first; S3=moto|ceph|directory, SEED=n"
	@echo "make outages  let a gateway's control plane fail in every way for MINUTES=n, 10 at first; SEED=n"
	@echo "make lint   run the checks alone: ruff, mypy, import-linter"
	@echo "make bench  run the benchmarks (15 minutes), and keep report and plots below benchmarks/results/;"
	@echo "            S3=moto|ceph for where archives are, make bench-quick for a look (2 minutes)"
	@echo "make lock   write requirements-dev.txt anew after a change of pyproject.toml; NEWEST=1 raises every pin"
	@echo "make clean  remove what make has made in this folder (the cache folder stays)"

demo: .venv/runtime
	@.venv/bin/python tools/fetch etcd >/dev/null
	@.venv/bin/replicator demo

test: lint
	@.venv/bin/python tools/fetch etcd >/dev/null
	@.venv/bin/python tools/fetch faketime >/dev/null
	@.venv/bin/python tools/fetch lua >/dev/null
	@.venv/bin/python tools/fetch prometheus >/dev/null
	.venv/bin/python -m pytest -n 2

# What judges manifests, documents and tools needs the newest of its kind, and asks nothing of our dependencies.
minimum: .venv-minimum/dev
	@for what in etcd faketime lua; do .venv/bin/python tools/fetch $$what >/dev/null || exit 1; done
	.venv-minimum/bin/python -m pytest -n 2 tests/test_api.py $(addprefix tests/,\
		core apisix flows adapters config telemetry cli demo)

coverage: .venv/dev
	@for what in etcd lua; do .venv/bin/python tools/fetch $$what >/dev/null || exit 1; done
	.venv/bin/python -m coverage run --branch --source=replicator/core,replicator/apisix \
		-m pytest -q tests/core tests/apisix tests/flows
	.venv/bin/python -m coverage report --skip-covered --show-missing

e2e: .venv/dev
	@.venv/bin/python tools/fetch etcd >/dev/null
	@.venv/bin/python tools/fetch ceph >/dev/null
	@.venv/bin/python tools/fetch faketime >/dev/null
	.venv/bin/python -m pytest -m ceph

fuzz: .venv/fuzz
	@.venv/bin/python tools/fetch lua >/dev/null
	PYTHONPATH=tests .venv/bin/python -m fuzzing $(MINUTES)

soak: .venv/dev
	@for what in etcd faketime $(filter ceph,$(S3)); do .venv/bin/python tools/fetch $$what >/dev/null || exit 1; done
	PYTHONPATH=tests .venv/bin/python -m faults $(MINUTES) $(if $(S3),--store $(S3)) $(if $(SEED),--seed $(SEED))

outages: .venv/dev
	@for what in etcd faketime lua; do .venv/bin/python tools/fetch $$what >/dev/null || exit 1; done
	PYTHONPATH=.:tests .venv/bin/python -m outages $(MINUTES) $(if $(SEED),--seed $(SEED))

lint: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench bench-quick: .venv/dev
	@for what in etcd $(filter ceph,$(S3)); do .venv/bin/python tools/fetch $$what >/dev/null || exit 1; done
	PYTHONPATH=tests .venv/bin/python -m benchmarks $(if $(filter bench,$@),--save,--quick) $(if $(S3),--store $(S3))

lock: .venv/lock
	.venv/bin/uv pip compile $(LOCK_FORM) $(if $(NEWEST),--upgrade) --extra dev pyproject.toml \
		--output-file requirements-dev.txt

clean:
	rm -rf .venv .venv-minimum .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

# The empty files made, runtime, dev and lock say what .venv holds. Each is made last, so that an interrupted
# step is done again. Users get what pyproject.toml admits, and so does make demo; the development tools, with
# all that they run, come from the lock, byte for byte.
.NOTPARALLEL:

.venv/made:
	@echo "making .venv ..."
	@tools/venv
	@touch $@

.venv/runtime: pyproject.toml .venv/made
	@echo "installing replicator ..."
	@$(PIP) --editable . || $(PIP_HINT)
	@touch $@

.venv/dev: requirements-dev.txt pyproject.toml .venv/made
	@echo "installing replicator and its development tools ..."
	@$(PIP) --require-hashes --requirement requirements-dev.txt || $(PIP_HINT)
	@$(PIP) --no-deps --editable . || $(PIP_HINT)
	@touch .venv/runtime $@

.venv/fuzz: .venv/dev
	@$(PIP) --editable ".[fuzz]" || $(PIP_HINT)
	@touch $@

.venv/lock: pyproject.toml .venv/made
	@echo "installing uv ..."
	@$(PIP) --editable ".[lock]" || $(PIP_HINT)
	@touch $@

# The lowest versions have wheels for the Python that was the first to need them. What the tests run stays as locked
# where the lowest versions let it.
.venv-minimum/dev: requirements-dev.txt pyproject.toml .venv/lock
	@echo "making .venv-minimum ..."
	@PYTHON=$${PYTHON:-$$(command -v python3.11 || echo python3)} tools/venv $(@D)
	@.venv/bin/uv pip compile --quiet --python $(@D)/bin/python --resolution lowest-direct --no-deps \
		--extra parquet pyproject.toml --output-file $(@D)/lowest.txt
	@cp requirements-dev.txt $(@D)/requirements.txt
	@.venv/bin/uv pip compile --quiet --python $(@D)/bin/python --generate-hashes --constraint $(@D)/lowest.txt \
		--extra dev pyproject.toml --output-file $(@D)/requirements.txt
	@$(PIP) --require-hashes --requirement $(@D)/requirements.txt || $(PIP_HINT)
	@$(PIP) --no-deps --editable . || $(PIP_HINT)
	@touch $@
