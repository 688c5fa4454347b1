# Everything a developer or CI does, by name.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO := cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
FILE ?=

KILLS ?= 200
PROFILE ?= dev
FEATURES ?=
# The last commit whose records of state are version 1 (schemas/history/v1).
REVISION ?= 9f7985f

.PHONY: help setup build demo test lint fmt unit fuzz soak outage upgrade buckets ballista bench monitoring-test monitoring-full monitoring-up monitoring-down kafka-up kafka-down kafka-status kafka-logs clean

help: ## Show this list
	@printf 'Treble: audio super-resolution on Kafka\n\n'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@printf '\nStart with: make demo, or with a file of your own: make demo FILE=song.mp3\n'

setup: ## Install or name what is missing: tools, ONNX Runtime, Kafka, sample audio
	@infra/setup/setup

build: setup ## Build the treble command (dev profile, the one that tests and the demo use)
	$(CARGO) build --locked --workspace --bins

demo: build ## Upscale a real clip through a real Kafka [FILE=song.mp3]
	@infra/demo/demo --binary $(TARGET)/debug/treble $(if $(FILE),"$(FILE)")

test: ## Everything that CI runs: format, lints, every test, checks from outside
	@infra/setup/setup --tests
	@infra/checks/all

lint: ## Clippy and shellcheck; a warning fails
	@infra/setup/setup --tests
	@infra/checks/lint

fmt: ## Format the Rust code
	$(CARGO) fmt --all

unit: ## Fast tests only: no Kafka
	$(CARGO) test --locked --workspace --lib --bins

soak: build ## Kill stage processes for a long time and judge every stream [KILLS=200]
	TREBLE_SOAK_KILLS=$(KILLS) $(CARGO) test --locked --workspace --test exactly_once -- --ignored --skip another_version --skip the_only_broker_killed --nocapture

outage: build ## Kill the only broker, a trial that shows a defect of Kafka and often stands still
	$(CARGO) test --locked --workspace --test exactly_once -- --ignored the_only_broker_killed --nocapture

upgrade: build ## Replace each stage by another version and back, while streams flow [REVISION=9f7985f]
	@infra/checks/upgrade $(REVISION)

fuzz: ## Fuzz everything that reads bytes from outside, a minute each [SECONDS_EACH=60]
	@infra/checks/fuzz

buckets: ## The lake on S3 and Azure, played on this machine; builds for ten minutes
	@infra/checks/buckets

ballista: setup ## The lake asked by Ballista, DataFusion's distributed engine; builds for ten minutes
	@infra/setup/setup --tests
	@infra/checks/ballista

bench: setup ## Measure against each stage's limit; writes target/bench/summary.json [PROFILE=release FEATURES=libflac]
	@infra/setup/peer
	@infra/setup/rdkafka_performance
	rm -f target/bench/summary.json
	$(CARGO) build --locked --workspace --bins --profile $(PROFILE) $(if $(FEATURES),--features $(FEATURES))
	$(CARGO) bench --locked --workspace --profile $(PROFILE) $(if $(FEATURES),--features $(FEATURES)) --bench stages --bench instrumentation --bench analyse --bench pipeline

monitoring-test: build ## Ask everything that dashboards and rules ask of a pipeline under load; put faults in, see notifications
	@infra/setup/setup --tests
	@infra/monitoring/check
	@infra/monitoring/schema
	@infra/monitoring/rig
	@infra/monitoring/secure --binary $(TARGET)/debug/treble
	@infra/monitoring/live --binary $(TARGET)/debug/treble

monitoring-full: monitoring-test ## The same, and traces through a real OpenTelemetry Collector; builds for ten minutes
	@infra/setup/otelcol
	@infra/monitoring/otel --binary $(TARGET)/debug/treble

monitoring-up: ## Start a local Prometheus and Alertmanager beside the pipeline
	@infra/setup/setup --tests
	@infra/monitoring/up

monitoring-down: ## Stop them; data stays under .treble/monitoring
	@infra/monitoring/down

kafka-up: ## Start the local Kafka and schema registry; returns when both answer
	@infra/kafka/up

kafka-down: ## Stop them; data stays under .treble/local
	@infra/kafka/down

kafka-status: ## Tell which parts run and answer
	@infra/kafka/status

kafka-logs: ## Follow their logs
	@infra/kafka/logs --follow

clean: ## Stop Kafka, remove its data and what was built; downloads stay
	@infra/kafka/down --now --purge
	$(CARGO) clean
	rm -rf .treble/demo
