# make help lists the targets. CONTRIBUTING.md says how they are used.

SHELL := /usr/bin/env bash -o pipefail
.DEFAULT_GOAL := help

ROOT := $(CURDIR)
TOOLS := $(ROOT)/bin/tools
# The tools' versions are in hack/tools/go.mod, and a change of it makes them anew.
TOOLS_MOD := hack/tools/go.mod
CONTROLLER_GEN := $(TOOLS)/controller-gen
GOLANGCI_LINT := $(TOOLS)/golangci-lint
CRD_REF_DOCS := $(TOOLS)/crd-ref-docs
HELM := $(TOOLS)/helm
HELM_DOCS := $(TOOLS)/helm-docs

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/sluice-dev/sluice/internal/setup.version=$(VERSION)

# The race detector links with a C compiler; without one the tests run all the same, and say so.
RACE := $(shell gcc -fsyntax-only -include stdlib.h -x c /dev/null 2>/dev/null && echo -race)

# How long each fuzz target runs in make fuzz.
FUZZTIME ?= 20s
# More flags for go test, such as -run or -count.
TESTFLAGS ?=

.PHONY: help
help: ## Explain the targets.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

.PHONY: quickstart
quickstart: build ## Run Sluice with a control plane of its own on this machine, until Ctrl-C.
	@CGO_ENABLED=0 go build -trimpath -o bin/quickstart ./hack/quickstart
	@exec bin/quickstart

.PHONY: build
build: ## Build the operator into bin/manager.
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/manager ./cmd/manager

##@ Test it

.PHONY: controlplane
controlplane: ## Get or build kube-apiserver, etcd and kubectl into bin/controlplane (about 10 minutes, once).
	@hack/controlplane/build.sh >/dev/null

.PHONY: test
test: controlplane $(HELM) ## Run every test, with the race detector, the ones against a real API server included.
	@test -n "$(RACE)" || echo "there is no C compiler (gcc): the tests run without the race detector"
	KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)" go test $(RACE) -timeout 20m $(TESTFLAGS) ./...
	@# The race detector makes sync.Pool forget, so what is said of allocations is tested without it.
	go test -run 'Alloc' ./ingest/...
	cd test/sdk && go test $(RACE) $(TESTFLAGS) ./...
	cd test/deploy && KUBEBUILDER_ASSETS="$$(../../hack/controlplane/build.sh)" go test $(RACE) -count=1 $(TESTFLAGS) ./...

.PHONY: fuzz
fuzz: ## Fuzz every fuzz target for FUZZTIME (20s) each.
	@hack/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: controlplane ## Run the benchmarks; they print ratios and figures for orientation.
	KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)" go test -run '^$$' -bench . -benchmem -timeout 30m $(TESTFLAGS) ./...

##@ Change it

.PHONY: generate
generate: $(CONTROLLER_GEN) $(CRD_REF_DOCS) $(HELM_DOCS) ## Generate deep copies, CustomResourceDefinitions, the chart's copies and README, the API reference and more.
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths=./api/...
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	$(CRD_REF_DOCS) --config=hack/crd-ref-docs.yaml --source-path=api --renderer=markdown --output-path=docs/reference/api.md
	go generate ./...
	@# The chart's definitions and permissions are copies, so that there is one source of each.
	rm -rf charts/sluice/files/crds charts/sluice/files/rbac && mkdir charts/sluice/files/crds charts/sluice/files/rbac
	cp config/crd/bases/*.yaml charts/sluice/files/crds
	cp config/rbac/*_role*.yaml charts/sluice/files/rbac
	$(HELM_DOCS) --chart-search-root=charts --sort-values-order=file --log-level=warning

.PHONY: verify
verify: generate ## Fail if a generated file, go.mod or formatting is not as it should be.
	@hack/verify.sh

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run the linters, and the API linter on api/.
	$(GOLANGCI_LINT) run ./...
	$(GOLANGCI_LINT) run -c .golangci-kal.yaml ./api/...

.PHONY: clean
clean: ## Remove what was built, but not the control plane.
	rm -rf bin/manager bin/quickstart bin/tools .quickstart

# A tool's package, from the tool block of hack/tools/go.mod.
$(CONTROLLER_GEN): PACKAGE = sigs.k8s.io/controller-tools/cmd/controller-gen
$(GOLANGCI_LINT): PACKAGE = sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter
$(CRD_REF_DOCS): PACKAGE = github.com/elastic/crd-ref-docs
$(HELM): PACKAGE = helm.sh/helm/v4/cmd/helm
$(HELM_DOCS): PACKAGE = github.com/norwoodj/helm-docs/cmd/helm-docs

$(CONTROLLER_GEN) $(GOLANGCI_LINT) $(CRD_REF_DOCS) $(HELM) $(HELM_DOCS): $(TOOLS_MOD)
	@echo "building $(@F)"
	@go build -modfile=$(TOOLS_MOD) -trimpath -o $@ $(PACKAGE)
