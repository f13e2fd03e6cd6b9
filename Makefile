# Everything a person does with this repository; `make` alone lists it. Set-up happens inside the targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3))
BIN := .venv/bin
RUN := PYTHONPATH=tests $(BIN)/python -m
TESTS ?= tests
MODELS ?= gru,xgb
REQUIREMENTS := requirements/operator.txt requirements/trainer-cpu.txt requirements/development.txt

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/.ready ## Train both models of a simulated machine on a local Kubernetes (DATA=file.csv.gz MACHINE=name MODELS=gru,xgb: your own)
	@$(RUN) demo $(if $(DATA),--data '$(DATA)' --machine '$(MACHINE)' --models '$(MODELS)')

.PHONY: test
test: .venv/.ready ## Run every test, on a real API server, node, PostgreSQL and S3 (TESTS=tests/unit: a part)
	@$(BIN)/pytest $(TESTS)

.PHONY: lint
lint: .venv/.ready ## Check format, style, types, imports, the Dockerfile, every YAML and the documentation
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/yamllint --strict crds manifests
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: format
format: .venv/.ready ## Format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: docs
docs: .venv/.ready ## Write the generated parts of the documentation and build it into build/site
	@$(BIN)/python docs/generate.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: cluster-up
cluster-up: .venv/.ready ## Start the local Kubernetes with images, PostgreSQL and S3; prints the KUBECONFIG to export
	@$(RUN) cluster up

.PHONY: cluster-down
cluster-down: .venv/.ready ## Stop it and leave nothing behind
	@$(RUN) cluster down

.PHONY: image
image: .venv/.ready ## Build the images of operator and trainer, by buildah, without a registry
	@$(RUN) cluster image

.PHONY: image-gpu
image-gpu: .venv/.ready ## Build the image of the trainer for GPUs the same way (3 GB to download)
	@$(RUN) cluster image-gpu

.PHONY: bench
bench: .venv/.ready ## Measure the product against the reference, all tables (two hours; TABLES="load search": some)
	@$(RUN) benchmarks $(TABLES)

.PHONY: bench-quick
bench-quick: .venv/.ready ## The same on small sizes, in minutes
	@$(RUN) benchmarks --quick $(TABLES)

.PHONY: bench-operator
bench-operator: .venv/.ready ## Measure the operator in its pod, and beside bare Jobs on a control plane without a node (15 minutes)
	@$(RUN) benchmarks.operator_bench

.PHONY: requirements
requirements: .venv/.ready ## Resolve the hashed requirement files anew from the pyproject files
	@$(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/pip install --quiet uv
	@compile() { $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --fork-strategy fewest \
	    --generate-hashes --no-emit-index-url --no-emit-package trainingjob-api --no-annotate --no-header "$$@"; }; \
	compile operator/pyproject.toml -o requirements/operator.txt; \
	compile trainer/pyproject.toml --extra cpu -o requirements/trainer-cpu.txt; \
	compile -c requirements/trainer-cpu.txt trainer/pyproject.toml --extra gpu -o requirements/trainer-gpu.txt; \
	compile -c requirements/operator.txt -c requirements/trainer-cpu.txt operator/pyproject.toml trainer/pyproject.toml \
	    --extra cpu requirements/development.in -o requirements/development.txt; \
	compile -c requirements/development.txt requirements/build.in -o requirements/build.txt

# The virtual environment is made anew when a requirement changed; Debian keeps venv in a package of its own.
.venv/.ready: $(REQUIREMENTS) api/pyproject.toml operator/pyproject.toml trainer/pyproject.toml
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "==> apt-get install python3-venv (as root)"; \
	    apt-get update -qq && apt-get install -y -qq python3-venv; \
	fi
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@echo "==> Installing the Python packages into .venv (the first time about 2 minutes, 3 GB)"
	@$(BIN)/pip install --quiet --require-hashes -r requirements/development.txt
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e api -e operator -e trainer
	@touch $@
