# The commands of this repository. `make` lists them. Each target installs what it needs.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3))
BIN := .venv/bin
RUN := PYTHONPATH=tests $(BIN)/python -m
TESTS ?= tests
# Each process has its own PostgreSQL and S3 server, so that more need more memory.
PROCESSES ?= 2
SEED ?= 1
MODELS ?= gru,xgb
VERSION ?= dev
# The name of each image, without its end.
IMAGE = $(if $(IMAGES),$(IMAGES)/)trainingjob
# Each version of kind has its own node images, so both change together.
KIND := go run sigs.k8s.io/kind@v0.33.0
KUBERNETES ?= 1.35
KIND_NODE_1.34 := kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d
KIND_NODE_1.35 := kindest/node:v1.35.8@sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0
KIND_CONFIG := $(CURDIR)/build/kind/kubeconfig
ON_KIND := KUBECONFIG=$(KIND_CONFIG) USE_EXISTING_CLUSTER=true
# Docker's default builder cannot create attestations.
BUILDER := docker buildx inspect trainingjob >/dev/null 2>&1 \
    || docker buildx create --name trainingjob --driver docker-container
BUILDX := docker buildx build --builder trainingjob --sbom=true --provenance=mode=max
# Libraries by which several GPUs work together: a trainer has one, and JAX and XGBoost do without. They take 0.9 GB.
SEVERAL_GPUS := nvidia-nccl-cu12 nvidia-nvshmem-cu12
REQUIREMENTS := requirements/operator.txt requirements/trainer-cpu.txt requirements/development.txt

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/.ready ## Train both models on a local Kubernetes, reports in build/demo (DATA=file.csv.gz MACHINE=name MODELS=gru,xgb: use your data; KEEP=1: leave the cluster up)
	@$(RUN) demo $(if $(DATA),--data '$(DATA)' --machine '$(MACHINE)' --models '$(MODELS)') $(if $(KEEP),--keep)

.PHONY: test
test: .venv/.ready ## Run every test, on a real API server, node, PostgreSQL and S3 (TESTS=tests/unit: only these; PROCESSES=0: in one process)
	@$(BIN)/pytest --numprocesses=$(PROCESSES) $(TESTS)

.PHONY: test-chaos
test-chaos: .venv/.ready ## Run 300 TrainingJobs under faults, and six on a node, and print what was lost or doubled (20 minutes; SEED=2: other faults)
	@nice $(BIN)/pytest --chaos=long --chaos-seed=$(SEED) tests/chaos tests/e2e/test_faults.py

.PHONY: lint
lint: .venv/.ready ## Check format, style, types, imports, Dockerfile, YAML files and documentation
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/yamllint --strict .github .pre-commit-config.yaml crds manifests
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: format
format: .venv/.ready ## Format the code and apply automatic fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: docs
docs: .venv/.ready ## Generate parts of the documentation and build it into build/site
	@$(BIN)/python docs/generate.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.PHONY: cluster-up
cluster-up: .venv/.ready ## Start the local Kubernetes with operator, PostgreSQL, S3 and telemetry; prints the KUBECONFIG to export (BARE=1: without operator and telemetry)
	@$(RUN) $(if $(BARE),cluster up,demo.ready_cluster)

.PHONY: cluster-environment
cluster-environment: .venv/.ready ## Print the variables for tests on the local Kubernetes: eval "$(make cluster-environment)"
	@$(RUN) cluster environment

.PHONY: cluster-down
cluster-down: .venv/.ready ## Stop the local Kubernetes and remove everything that it created
	@$(RUN) cluster down

.PHONY: image
image: .venv/.ready ## Build the images of operator and trainer with buildah; needs no Docker and no registry
	@$(RUN) cluster image

.PHONY: image-gpu
image-gpu: .venv/.ready ## Build the GPU image of the trainer with buildah (downloads 3 GB)
	@$(RUN) cluster image-gpu

.PHONY: kind-up
kind-up: ## Start a kind cluster; needs Docker and Go (KUBERNETES=1.34: another minor version)
	@[ -n '$(KIND_NODE_$(KUBERNETES))' ] || { echo "error: KUBERNETES=$(KUBERNETES) is none of $(sort $(patsubst KIND_NODE_%,%,$(filter KIND_NODE_%,$(.VARIABLES))))" >&2; exit 1; }
	@mkdir -p $(dir $(KIND_CONFIG))
	@$(KIND) create cluster --name trainingjob --image '$(KIND_NODE_$(KUBERNETES))' --kubeconfig $(KIND_CONFIG) --wait 5m
	@echo 'export KUBECONFIG=$(KIND_CONFIG)'

.PHONY: kind-load
kind-load: ## Build the images with Docker and load them into kind
	@for target in operator trainer-cpu; do docker build --target $$target --tag trainingjob-$$target:dev .; done
	@$(KIND) load docker-image --name trainingjob trainingjob-operator:dev trainingjob-trainer-cpu:dev

.PHONY: kind-deploy
kind-deploy: ## Deploy the operator, PostgreSQL and MinIO to kind
	@KUBECONFIG=$(KIND_CONFIG) kubectl apply --server-side -k manifests/overlays/kind
	@for deployment in telemetry/postgres telemetry/minio trainingjob-system/trainingjob-operator; do \
	    KUBECONFIG=$(KIND_CONFIG) kubectl rollout status --timeout=5m \
	        --namespace=$${deployment%/*} deployment/$${deployment#*/}; \
	done

.PHONY: kind-demo
kind-demo: .venv/.ready kind-deploy ## Run the demonstration on kind
	@$(ON_KIND) $(RUN) demo

.PHONY: test-e2e-kind
test-e2e-kind: .venv/.ready kind-deploy ## Run tests/e2e on kind, and check all manifests by its API server
	@$(ON_KIND) $(BIN)/pytest --cluster=existing tests/e2e tests/manifests/test_validity.py

.PHONY: kind-down
kind-down: ## Delete the kind cluster
	@$(KIND) delete cluster --name trainingjob --kubeconfig $(KIND_CONFIG)

.PHONY: images-attested
images-attested: ## Build images with SBOM and provenance into build/images; needs Docker
	@$(BUILDER)
	@mkdir -p build/images
	@for target in operator trainer-cpu; do \
	    $(BUILDX) --target $$target --tag trainingjob-$$target:$(VERSION) \
	        --output type=oci,dest=build/images/trainingjob-$$target.tar .; \
	done

.PHONY: images-push
images-push: ## Build all images with SBOM and provenance, with the GPU image, and push them (IMAGES=registry/project VERSION=1.2.3)
	@[ -n '$(IMAGES)' ] || { echo 'error: set IMAGES=registry/project to the destination' >&2; exit 1; }
	@$(BUILDER)
	@for target in operator trainer-cpu trainer-gpu; do \
	    $(BUILDX) --target $$target --tag $(IMAGES)/trainingjob-$$target:$(VERSION) --push .; \
	done

.PHONY: install-manifest
install-manifest: ## Write build/install.yaml, the manifests with their images; needs kubectl (VERSION=1.2.3 IMAGES=registry/project)
	@mkdir -p build/install
	@printf '%s\n' 'resources: [../../manifests/base]' \
	    'images:' \
	    '  - {name: trainingjob-operator, newName: $(IMAGE)-operator, newTag: "$(VERSION)"}' \
	    'configMapGenerator:' \
	    '  - name: trainingjob-operator' \
	    '    namespace: trainingjob-system' \
	    '    behavior: merge' \
	    '    literals: ["TRAINER_IMAGE_CPU=$(IMAGE)-trainer-cpu:$(VERSION)"]' > build/install/kustomization.yaml
	@kubectl kustomize build/install > build/install.yaml

.PHONY: release-notes
release-notes: ## Print the section of CHANGELOG.md for VERSION=1.2.3
	@awk -v heading='## [$(VERSION)]' 'index($$0, "## [") == 1 {found = index($$0, heading) == 1; next} \
	    found {print; any = 1} END {exit !any}' CHANGELOG.md \
	    || { echo 'error: CHANGELOG.md has no section for $(VERSION)' >&2; exit 1; }

.PHONY: bench
bench: .venv/.ready ## Compare the product with the reference and with its goals, all tables (two hours; TABLES="load search": only these)
	@$(RUN) benchmarks $(TABLES)

.PHONY: bench-quick
bench-quick: .venv/.ready ## Run loading, search, training and a whole run on 20,000 rows (5 minutes; TABLES=fleet: a small fleet)
	@$(RUN) benchmarks --quick $(TABLES)

.PHONY: bench-together
bench-together: .venv/.ready ## Train 256 machines at once on a GPU, and one after the other (SIZES="--machines 4 --rows 2000 --alone 2": fewer)
	@$(RUN) benchmarks.fleet_together $(SIZES)

.PHONY: bench-operator
bench-operator: .venv/.ready ## Measure the operator in its pod, and compared with plain Jobs on a control plane without a node (15 minutes)
	@$(RUN) benchmarks.operator_bench

.PHONY: requirements
requirements: .venv/.ready ## Update the hashed requirement files from the pyproject files
	@$(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/pip install --quiet uv
	@compile() { $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --fork-strategy fewest \
	    --generate-hashes --no-emit-index-url --no-emit-package trainingjob-api --no-annotate --no-header "$$@"; }; \
	compile operator/pyproject.toml -o requirements/operator.txt; \
	compile trainer/pyproject.toml --extra cpu -o requirements/trainer-cpu.txt; \
	compile -c requirements/trainer-cpu.txt trainer/pyproject.toml --extra gpu $(SEVERAL_GPUS:%=--no-emit-package %) \
	    -o requirements/trainer-gpu.txt; \
	compile -c requirements/operator.txt -c requirements/trainer-cpu.txt operator/pyproject.toml trainer/pyproject.toml \
	    --extra cpu requirements/development.in -o requirements/development.txt; \
	compile -c requirements/development.txt requirements/build.in -o requirements/build.txt

# Debian has venv in a separate package. Messages go to standard error, because a shell evaluates the output of some
# targets.
.venv/.ready: $(REQUIREMENTS) api/pyproject.toml operator/pyproject.toml trainer/pyproject.toml
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "==> apt-get install python3-venv (as root)"; \
	    apt-get update -qq && apt-get install -y -qq python3-venv; \
	fi >&2
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@echo "==> Installing the Python packages into .venv (about 2 minutes and 3 GB the first time)" >&2
	@$(BIN)/pip install --quiet --require-hashes -r requirements/development.txt
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e api -e operator -e trainer
	@touch $@
