## make demo   both published situations on a real guest: a table and $(OUT)/latest/index.html, within ten minutes on two cores
## make recordings   the recordings in scenarios/recordings anew: three Linux guests (QEMU, and Debian or Ubuntu)
## make test   lint, types, layers, tests
## Both set up what they need first: see .ci/setup. PYTHON=... chooses the interpreter, REPEATS=... the demo's repeats.

BIN := .venv/bin
REPEATS ?= 6
OUT ?= out/demo
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo recordings test lint types layers format clean

help:
	@sed -n 's/^## //p' Makefile

demo:
	@.ci/setup demo
	@if PATH="$$PATH:/usr/sbin" command -v qemu-system-x86_64 >/dev/null; then \
	  $(BIN)/pageferry run unlimited throttled --set repeats=$(REPEATS) --set warmups=0 --out $(OUT); \
	else \
	  echo "demo: no qemu-system-x86_64 here: replaying a generated stream instead of migrating a guest,"; \
	  echo "demo: so without downtime and without QEMU's own compression"; \
	  $(BIN)/pageferry run unlimited throttled --set repeats=$(REPEATS) --set warmups=0 --set guest.kind=synthetic \
	    --only original --only zlib-1 --only isal-1 --only zstd-1 --out $(OUT); \
	fi

recordings:
	@.ci/setup demo
	@$(BIN)/python scenarios/recordings/make.py

# All four are run, so that one look shows all that is wrong; pytest comes last. Most tests wait for other processes, so three files
# are tested at a time (two cores: busy for 89 % of 800 s; with two files 73 % of 1132 s); more would disturb those that migrate guests.
test:
	@.ci/setup test
	@failed=""; \
	for step in lint types layers; do $(MAKE) --no-print-directory -s $$step || failed="$$failed $$step"; done; \
	$(BIN)/python -m pytest -n 3 --dist loadfile || failed="$$failed pytest"; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

lint:
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "ruff format: run make format"; exit 1; }

types:
	@$(BIN)/mypy

layers:
	@$(BIN)/lint-imports --no-cache --no-logo

format:
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf .venv .tox build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
