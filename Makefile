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
.PHONY: run test test-faults soak soak-memory audit load setup help
run: $(READY) ## All of it: feed → GEX → a live page (ARGS="-u QQQ")
	@exec $(ZEROGEX) up $(ARGS)

test: $(DEV) ## Set everything up, then ruff, mypy and every test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/pytest -n 3 --dist worksteal $(ARGS)

test-faults: $(DEV) ## Break feed, database, processes (FAULT_SEED=2)
	.venv/bin/pytest -m faults tests/faults -n 3 --dist worksteal $(ARGS)

soak: $(DEV) ## Seed after seed, for hours (ARGS="--hours 8")
	.venv/bin/python tests/faults/soak.py $(ARGS)

soak-memory: $(DEV) ## A simulated week: memory must not grow
	.venv/bin/python bench/soak_memory.py $(ARGS)

audit: .venv/ready/audit ## Known vulnerabilities of what is installed
	.venv/bin/python tools/audit.py

.venv/ready/audit: pyproject.toml setup/install.sh
	@sh setup/install.sh audit

load: $(READY) ## The whole platform at 8,000 messages/s
	.venv/bin/python bench/load.py $(ARGS)

setup: $(READY) ## Only install

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9 -]+:.*## / {n = split($$1, name, " "); for (i = 1; i <= n; i++) printf "  %-22s %s\n", name[i], $$2}' Makefile

##@ Run one part
.PHONY: run-ingest run-analytics run-analytics-once run-serve run-simulator run-config
.PHONY: run-auth run-client run-backfill run-stream run-greeks run-iv
run-ingest: $(READY) ## Ingest engine: feed → IV, Greeks → minutes
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

run-auth: $(READY) ## Whether the feed accepts our credentials
	@exec $(ZEROGEX) probe auth $(ARGS)

run-client: $(READY) ## Every probe of the feed (ARGS="quote --symbol SPY")
	@exec $(ZEROGEX) probe $(ARGS)

run-backfill: $(READY) ## Fill missing minutes (ARGS="--lookback-days 3")
	@exec $(ZEROGEX) backfill $(ARGS)

run-stream: $(READY) ## What the feed says (ARGS="--max-iterations 10")
	@exec $(ZEROGEX) stream $(ARGS)

run-greeks: $(READY) ## Price and Greeks of one option (ARGS="--help")
	@exec $(ZEROGEX) greeks $(ARGS)

run-iv: $(READY) ## Implied volatility of one price (ARGS="--help")
	@exec $(ZEROGEX) iv $(ARGS)

# Values of people: as they are typed, through the environment, never through a shell.
ifdef SQL
override SQL := $(value SQL)
export SQL
endif

##@ Quick stats
.PHONY: stats latest today check-streaming
stats: $(READY) ## What is stored of each underlying
	@exec $(ZEROGEX) show stats $(ARGS)

latest: $(READY) ## Newest minute, chain and analysis of each underlying
	@exec $(ZEROGEX) show latest $(ARGS)

today: $(READY) ## The newest day: minutes, range, volume
	@exec $(ZEROGEX) show today $(ARGS)

check-streaming: $(READY) ## Whether data is streaming, and how old it is
	@exec $(ZEROGEX) show check-streaming $(ARGS)

##@ Underlying
.PHONY: underlying underlying-latest underlying-today underlying-volume
underlying: $(READY) ## The last 10 minutes of each underlying
	@exec $(ZEROGEX) show underlying -n 10 $(ARGS)

underlying-latest: $(READY) ## The spot of each underlying now
	@exec $(ZEROGEX) show underlying-latest $(ARGS)

underlying-today: $(READY) ## All minutes of the newest day
	@exec $(ZEROGEX) show underlying-today $(ARGS)

underlying-volume: $(READY) ## Volume of each minute of the newest day
	@exec $(ZEROGEX) show underlying-volume $(ARGS)

##@ Options
.PHONY: options options-latest options-today options-strikes options-raw options-fields
options: $(READY) ## The newest chain of each underlying, 10 contracts
	@exec $(ZEROGEX) show options -n 10 $(ARGS)

options-latest: $(READY) ## Latest quotes, the 10 most traded
	@exec $(ZEROGEX) show options-latest -n 10 $(ARGS)

options-today: $(READY) ## Chains stored on the newest day, by minute
	@exec $(ZEROGEX) show options-today $(ARGS)

options-strikes: $(READY) ## Open interest, volume and IV by strike
	@exec $(ZEROGEX) show options-strikes $(ARGS)

options-raw: $(READY) ## Rows of option_chains as stored
	@exec $(ZEROGEX) show options-raw $(ARGS)

options-fields: $(READY) ## Which fields are populated, IV and Greeks included
	@exec $(ZEROGEX) show options-fields $(ARGS)

##@ Greeks and GEX
.PHONY: greeks greeks-summary gex-summary gex-strikes gex-preview
greeks: $(READY) ## Latest IV and Greeks, 20 contracts of each at spot
	@exec $(ZEROGEX) show greeks -n 20 $(ARGS)

greeks-summary: $(READY) ## Averages by expiration and kind, and why IV is missing
	@exec $(ZEROGEX) show greeks-summary $(ARGS)

gex-summary: $(READY) ## Latest GEX summary
	@exec $(ZEROGEX) show gex-summary $(ARGS)

gex-strikes: $(READY) ## GEX by strike, the 20 of each underlying at spot
	@exec $(ZEROGEX) show gex-strikes -n 20 $(ARGS)

gex-preview: $(READY) ## The live analysis, as the page shows it
	@exec $(ZEROGEX) show gex-preview $(ARGS)

##@ Flow (sides and net flow are inferred: docs/operations.md)
.PHONY: flow-by-type flow-by-strike flow-by-expiration flow-smart-money flow-buying-pressure flow-live
flow-by-type: $(READY) ## Puts against calls, by minute
	@exec $(ZEROGEX) show flow-by-type $(ARGS)

flow-by-strike: $(READY) ## Which strikes trade, with average Greeks
	@exec $(ZEROGEX) show flow-by-strike $(ARGS)

flow-by-expiration: $(READY) ## Which expirations trade, with IV and theta
	@exec $(ZEROGEX) show flow-by-expiration $(ARGS)

flow-smart-money: $(READY) ## Unusual prints, scored 0 to 10
	@exec $(ZEROGEX) show flow-smart-money $(ARGS)

flow-buying-pressure: $(READY) ## Up and down volume of the underlying, by minute
	@exec $(ZEROGEX) show flow-buying-pressure $(ARGS)

flow-live: $(READY) ## All on one screen (ARGS="--watch 10" renews it)
	@exec $(ZEROGEX) flow $(ARGS)

##@ Data quality
.PHONY: gaps gaps-today quality
gaps: $(READY) ## Minutes missing from each session
	@exec $(ZEROGEX) show gaps $(ARGS)

gaps-today: $(READY) ## Minutes missing from the newest session
	@exec $(ZEROGEX) show gaps-today $(ARGS)

quality: $(READY) ## How good the newest session's data is, and why
	@exec $(ZEROGEX) quality $(ARGS)

##@ Alerts (make a rule: zerogex alerts add SPY spot crosses gamma_flip)
.PHONY: alerts alerts-log alerts-test
alerts: $(READY) ## Every rule, and where it stands
	@exec $(ZEROGEX) alerts list $(ARGS)

alerts-log: $(READY) ## What was told, and whether it arrived
	@exec $(ZEROGEX) alerts log $(ARGS)

alerts-test: $(READY) ## Send a test alert to every channel
	@exec $(ZEROGEX) alerts test

##@ Data (asks for the database's name, saves a dump first; ARGS=--yes: no question)
.PHONY: clear-data clear-options clear-underlying
clear-data: $(READY) ## Erase all market data and analyses
	@exec $(ZEROGEX) db clear-data $(ARGS)

clear-options: $(READY) ## Erase option chains only
	@exec $(ZEROGEX) db clear-options $(ARGS)

clear-underlying: $(READY) ## Erase underlying quotes only
	@exec $(ZEROGEX) db clear-underlying $(ARGS)

##@ Maintenance
.PHONY: vacuum size refresh-views db-init db-migrate db-check db-status db-start db-stop
vacuum: $(READY) ## Vacuum and analyze all tables
	@exec $(ZEROGEX) db vacuum $(ARGS)

size: $(READY) ## Disk used by each table
	@exec $(ZEROGEX) show size $(ARGS)

refresh-views: $(READY) ## Sum stored flow anew; refresh materialized views
	@exec $(ZEROGEX) db refresh-views $(ARGS)

db-init: $(READY) ## Make the database if it is missing, and its schema
	@exec $(ZEROGEX) db init $(ARGS)

db-migrate: $(READY) ## Bring the schema up to date
	@exec $(ZEROGEX) db migrate $(ARGS)

db-check: $(READY) ## Whether the database answers and fits this program
	@exec $(ZEROGEX) db check $(ARGS)

db-status: $(READY) ## Where the database is, its versions and users
	@exec $(ZEROGEX) db status $(ARGS)

db-start: $(READY) ## Keep the embedded database running (ARGS=--detach)
	@exec $(ZEROGEX) db start $(ARGS)

db-stop: $(READY) ## End that
	@exec $(ZEROGEX) db stop $(ARGS)

##@ Interactive
.PHONY: psql query
psql: $(READY) ## PostgreSQL's shell on the database
	@exec $(ZEROGEX) db psql $(ARGS)

query: $(READY) ## Your own SELECT: make query SQL="SELECT now()"
	@exec $(ZEROGEX) query $(ARGS)

##@ Services under systemd
SERVICES := ingestion analytics api
ONE := $(foreach action,start stop restart status enable disable health logs logs-tail logs-errors,$(SERVICES:%=%-$(action)))
ALL := start stop restart status health logs logs-tail logs-errors
.PHONY: service-install $(ONE) $(ALL) logs-grep logs-clear
service-install: $(READY) ## Write the three unit files (with sudo)
	@exec $(ZEROGEX) service install $(ARGS)

ingestion-start analytics-start api-start: ## Start one
ingestion-stop analytics-stop api-stop: ## Stop one; it drains first
ingestion-restart analytics-restart api-restart: ## Stop it, then start it
ingestion-status analytics-status api-status: ## Its state
ingestion-enable analytics-enable api-enable: ## Start it at boot
ingestion-disable analytics-disable api-disable: ## Do not start it at boot
ingestion-health analytics-health api-health: ## State, memory, recent errors and warnings
ingestion-logs analytics-logs api-logs: ## Follow its log; Ctrl-C ends
ingestion-logs-tail analytics-logs-tail api-logs-tail: ## Its last lines (ARGS="-n 500")
ingestion-logs-errors analytics-logs-errors api-logs-errors: ## Its recent errors
$(ONE): $(READY)
	@exec $(ZEROGEX) service $(@:$(firstword $(subst -, ,$@))-%=%) $(firstword $(subst -, ,$@)) $(ARGS)

start stop restart status health: ## All three at once
logs logs-tail logs-errors: ## The log of all three
$(ALL): $(READY)
	@exec $(ZEROGEX) service $@ $(ARGS)

# The pattern reaches the program as it was typed: neither make nor the shell evaluates it.
override export PATTERN := $(value PATTERN)
logs-grep: $(READY) ## Today's lines that match PATTERN='a regex'
	@exec $(ZEROGEX) service logs-grep -- "$$PATTERN"

logs-clear: $(READY) ## Drop archived logs, after a question
	@exec $(ZEROGEX) service logs-clear $(ARGS)

##@ Housekeeping
.PHONY: clean
clean: ## Remove the environment and caches (never data)
	rm -rf .venv .bootstrap .pytest_cache .mypy_cache .ruff_cache .hypothesis
