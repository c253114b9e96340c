# make run          set up, and run the whole stack with its demo; FOR=60 stops it by itself, FRESH=1 begins anew,
#                   SCENARIO=crash has the market fail the bot, or SCENARIO=outage, SCENARIO=decay
# make test         set up, and pass every check and test
# make check        the checks alone: ruff, mypy, promtool, amtool, docker-compose, import arrows
# make fuzz         a long campaign of broken files, settings and messages, with a new seed; SEED=7 repeats one
# make kills        a long campaign of kills and damage, in the same way
# make docs         write from the code: docs/settings.md, docs/metrics.md, docs/alerts-reference.md, and what each channel
#                   has in the files by hand
# make bench        measure against peers, each in an environment of its own, as ratios; ONLY=exporter for a part
# make requirements pin the requirements anew
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
UV_VERSION := 0.13.9
# Much of what the tests wait for is the disk. They kill processes, not the power: memory does where there is enough of it.
ROOMY_MEMORY := $(shell [ "$$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 2000000 ] 2>/dev/null && echo /dev/shm)
# The cores are the workers': threads that wait for one another in each of them cost six times what they save.
TEST_ENV := OPENBLAS_NUM_THREADS=1 $(if $(ROOMY_MEMORY),TMPDIR=$${TMPDIR:-$(ROOMY_MEMORY)})
# The tests wait for much that is no work, so that two cores have room for a third worker. A file stays on one: its
# tests share what is made once. They run in the order in which they are collected (tests/conftest.py).
WORKERS := -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: run test lint check fuzz kills docs bench requirements

run: $(VENV)/.run-installed
	@exec setpriv --pdeathsig TERM -- $(BIN)/nightdesk run $(if $(FOR),--for $(FOR)) $(if $(FRESH),--fresh) \
	  $(if $(SCENARIO),--scenario $(SCENARIO))

test: lint
	$(TEST_ENV) $(BIN)/python -m pytest $(WORKERS) -rfEs

check: lint
	$(BIN)/python -m pytest tests/test_arrows.py tests/prometheus tests/alertmanager tests/grafana tests/desk/render/test_compose.py

# Each campaign is the tests of one mark, at the size that they name for it (tests/campaigns.py).
fuzz kills: $(VENV)/.test-installed
	$(TEST_ENV) NIGHTDESK_CAMPAIGN=1 $(if $(SEED),NIGHTDESK_SEED=$(SEED)) $(BIN)/python -m pytest -n 2 -m $@

lint: $(VENV)/.test-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 core alerts exporter guard
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin core alerts exporter guard

docs: $(VENV)/.run-installed
	$(BIN)/nightdesk settings --reference > docs/settings.md
	$(BIN)/nightdesk metrics > docs/metrics.md
	$(BIN)/python -m nightdesk.render.static
	$(BIN)/nightdesk alerts --reference > docs/alerts-reference.md

bench: $(VENV)/.run-installed
	$(BIN)/python -m bench $(ONLY)

$(VENV)/bin/python:
	@PYTHON=$(PYTHON) sh desk/system-packages.sh
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-installed: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --require-hashes -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# What the tests need holds all that the product needs, in the same versions.
$(VENV)/.test-installed: requirements/test.txt pyproject.toml desk/system-packages.sh | $(VENV)/bin/python
	@PYTHON=$(PYTHON) sh desk/system-packages.sh test
	$(PIP) install --require-hashes -r requirements/test.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.run-installed $@

requirements:
	$(PYTHON) -m venv var/uv
	var/uv/bin/python -m pip --quiet install uv==$(UV_VERSION)
	var/uv/bin/uv pip compile pyproject.toml --extra all --extra build --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 --upgrade --quiet --output-file requirements/run.txt
	var/uv/bin/uv pip compile pyproject.toml --extra all --extra build --extra dev --generate-hashes --no-header \
	  --no-annotate --python-version 3.11 --upgrade --quiet --constraint requirements/run.txt \
	  --output-file requirements/test.txt
