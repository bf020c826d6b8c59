# ZeroGEX: every target forwards to `zerogex …`; `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
ZEROGEX := .venv/bin/zerogex
READY := .venv/ready/run
DEV := .venv/ready/dev

$(READY): pyproject.toml setup/install.sh
	@sh setup/install.sh

$(DEV): pyproject.toml setup/install.sh
	@sh setup/install.sh dev

##@ Start here
.PHONY: run test setup help
run: $(READY) ## Set everything up, then feed → GEX → a live page (ARGS="--speed 10 --underlying SPY,QQQ")
	@exec $(ZEROGEX) up $(ARGS)

test: $(DEV) ## Set everything up, then ruff, mypy and every test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/pytest -n 2 --dist worksteal $(ARGS)

setup: $(READY) ## Only install

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' Makefile

##@ Run one part
.PHONY: run-ingest run-analytics run-analytics-once run-serve run-simulator run-config
run-ingest: $(READY) ## Ingest engine: feed → IV and Greeks → minutes → PostgreSQL
	@exec $(ZEROGEX) ingest $(ARGS)

run-analytics: $(READY) ## Analytics engine, on its interval
	@exec $(ZEROGEX) analyze $(ARGS)

run-analytics-once: $(READY) ## Analyse what is stored now, once
	@exec $(ZEROGEX) analyze --once $(ARGS)

run-serve: $(READY) ## The page and the API
	@exec $(ZEROGEX) serve $(ARGS)

run-simulator: $(READY) ## The market simulator alone
	@exec $(ZEROGEX) simulate $(ARGS)

run-config: $(READY) ## Effective settings and where each comes from
	@exec $(ZEROGEX) config $(ARGS)

##@ Look
.PHONY: gex-summary gex-strikes latest stats
gex-summary: $(READY) ## Latest GEX summary
	@exec $(ZEROGEX) show gex-summary $(ARGS)

gex-strikes: $(READY) ## GEX by strike, largest first
	@exec $(ZEROGEX) show gex-strikes $(ARGS)

latest: $(READY) ## Newest row of every table
	@exec $(ZEROGEX) show latest $(ARGS)

stats: $(READY) ## What is stored
	@exec $(ZEROGEX) show stats $(ARGS)

##@ Housekeeping
.PHONY: clean
clean: ## Remove the environment and caches (never data)
	rm -rf .venv .bootstrap .pytest_cache .mypy_cache .ruff_cache .hypothesis
