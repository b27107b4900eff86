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
# What make build makes.
BINARY ?= bin/manager
# Without the pages about requests that gRPC would serve, for which it needs html/template, the linker finds out which methods nobody
# calls: a fifth less to keep in memory.
TAGS := grpcnotrace
LDFLAGS := -s -w -X github.com/sluice-dev/sluice/internal/app.version=$(VERSION)

# The race detector links with a C compiler; without one the tests run all the same, and say so.
RACE := $(shell gcc -fsyntax-only -include stdlib.h -x c /dev/null 2>/dev/null && echo -race)

# The modules of Go code besides the operator's: each is tested and linted. Those without code are tidied too, see
# hack/verify.sh.
MODULES := hack/image hack/release test/bench test/deploy test/sdk
# The packages whose tests need no control plane.
UNIT_PACKAGES = $(shell go list ./... | grep -v -e /api/ -e /controllers/ -e /ingest/sink/ -e /internal/translation -e /test/ -e /hack/quickstart)

# How long each fuzz target runs in make fuzz.
FUZZTIME ?= 20s
# What make chaos is made from, how long it goes on, and how many senders arrive in a second.
SEED ?= 1
DURATION ?= 20m
RATE ?= 80
# Flags for bin/bench, such as --page=docs/performance.md or --experiments=accept; bin/bench --help has them all.
BENCHFLAGS ?=
# More flags for go test, such as -run or -count.
TESTFLAGS ?=

.PHONY: help
help: ## Explain the targets.
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

.PHONY: quickstart
quickstart: build ## Run Sluice with a control plane of its own on this machine, until Ctrl-C.
	@CGO_ENABLED=0 go build -trimpath -o bin/quickstart ./hack/quickstart
	@exec bin/quickstart

.PHONY: build
build: ## Build the operator into bin/manager.
	@# Without git's stamp: the same source makes the same bytes in a clone, a copy and the build of an image.
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags "$(TAGS)" -ldflags "$(LDFLAGS)" -o $(BINARY) ./cmd/manager

##@ Test it

.PHONY: test-unit
test-unit: ## Run the tests that need no control plane, in less than a minute once they are built.
	go test $(TESTFLAGS) $(UNIT_PACKAGES)

.PHONY: controlplane
controlplane: ## Get or build kube-apiserver, etcd and kubectl into bin/controlplane (about 10 minutes, once).
	@hack/controlplane/build.sh >/dev/null

.PHONY: test
test: controlplane $(HELM) ## Run every test, with the race detector, the ones against a real API server included.
	@test -n "$(RACE)" || echo "there is no C compiler (gcc): the tests run without the race detector"
	KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)" go test $(RACE) -timeout 20m $(TESTFLAGS) ./...
	@# The race detector makes sync.Pool forget, so what is said of allocations is tested without it.
	go test -run 'Alloc' ./ingest/...
	@# Breaking everything for two minutes takes the machine for itself, and it measures itself.
	SLUICE_CHAOS=1 go test -count=1 -run TestShortRun ./test/chaos
	@# go test does not notice changes of files outside of a module, such as the Dockerfile.
	export KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)"; $(foreach module,$(MODULES),(cd $(module) && go test $(RACE) -count=1 $(TESTFLAGS) ./...) &&) true

.PHONY: fuzz
fuzz: ## Fuzz every fuzz target for FUZZTIME (20s) each.
	@hack/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: build bin/bench controlplane ## Measure Sluice against the API server and more, in less than 15 minutes; BENCHFLAGS is for bin/bench.
	@KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)" exec bin/bench $(BENCHFLAGS)

.PHONY: bin/bench
bin/bench:
	@cd test/bench && CGO_ENABLED=0 go build -trimpath -o $(ROOT)/$@ .

.PHONY: microbench
microbench: controlplane ## Run every benchmark of the packages; they print figures for orientation.
	KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)" go test -run '^$$' -bench . -benchmem -timeout 30m $(TESTFLAGS) ./...

.PHONY: chaos
chaos: build controlplane ## Break everything under load, for DURATION (20m) and by SEED (1), and compare what was acknowledged with etcd.
	@CGO_ENABLED=0 go build -trimpath -o bin/chaos ./test/chaos
	@KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)" exec bin/chaos --seed=$(SEED) --duration=$(DURATION) --rate=$(RATE)

# The versions that make e2e installs and upgrades to.
E2E_VERSIONS := v0.0.0-e2e.1 v0.0.0-e2e.2
# The image that the chart and config/manager install by themselves, as those do who follow the documentation.
CHART_IMAGE := $(shell sed -n 's/^  repository: //p' charts/sluice/values.yaml)
CHART_VERSION := $(shell sed -n 's/^appVersion: //p' charts/sluice/Chart.yaml)
# The cluster that make e2e uses instead of one of its own.
E2E_KUBECONFIG ?=

.PHONY: e2e
e2e: $(if $(E2E_KUBECONFIG),,e2e-cluster) $(HELM) ## Run the end-to-end test, with the image and the chart, in a cluster of one real node (Linux, root).
	@go test -c -tags e2e -o bin/e2e.test ./test/e2e
	@export PATH="$(TOOLS):$$(hack/controlplane/build.sh):$$PATH" E2E_IMAGE=$(IMAGE) E2E_VERSIONS="$(E2E_VERSIONS)" E2E_CHART=charts/sluice; \
	if [ -n "$(E2E_KUBECONFIG)" ]; then \
		export E2E_KUBECONFIG="$(E2E_KUBECONFIG)"; exec bin/e2e.test -test.timeout=20m; \
	else \
		export E2E_KUBECONFIG="$(ROOT)/.cluster/kubeconfig" E2E_DOCUMENTATION=1; \
		go test -count=1 -tags e2e ./test/cluster && \
		exec bin/cluster $(patsubst %,--image=bin/e2e/%.tar,$(E2E_VERSIONS) $(CHART_VERSION)) run bin/e2e.test -test.timeout=20m; \
	fi

# What runs in the cluster. The check comes first: what follows takes minutes the first time.
.PHONY: e2e-cluster
e2e-cluster: bin/image
	@CGO_ENABLED=0 go build -trimpath -o bin/cluster ./test/cluster
	@bin/cluster check
	@hack/controlplane/build.sh >/dev/null
	@hack/controlplane/build.sh node >/dev/null
	@CGO_ENABLED=0 go build -trimpath -o bin/pause ./test/cluster/pause
	@bin/image --file=test/cluster/pause/Dockerfile --tag=sluice.dev/pause:1 --output=bin/pause-image.tar
	@mkdir -p bin/e2e
	@for version in $(E2E_VERSIONS); do \
		$(MAKE) --no-print-directory image VERSION=$$version && mv bin/sluice-image.tar bin/e2e/$$version.tar || exit 1; \
	done
	@$(MAKE) --no-print-directory image IMAGE=$(CHART_IMAGE) VERSION=$(CHART_VERSION) && mv bin/sluice-image.tar bin/e2e/$(CHART_VERSION).tar

##@ Ship it

# The image's name, and the architecture of make image.
IMAGE ?= ghcr.io/sluice-dev/sluice
ARCH ?= $(shell go env GOHOSTARCH)

.PHONY: image
image: bin/image ## Make the image of the Dockerfile, offline, as bin/sluice-image.tar. IMAGE, VERSION and ARCH change what is made.
	@GOOS=linux GOARCH=$(ARCH) $(MAKE) --no-print-directory build VERSION=$(VERSION)
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH-$$(git log -1 --format=%ct)} bin/image --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$$(git rev-parse HEAD) --tag $(IMAGE):$(VERSION) --output bin/sluice-image.tar

# The program that makes images.
.PHONY: bin/image
bin/image:
	@cd hack/image && CGO_ENABLED=0 go build -trimpath -o $(ROOT)/$@ .

# The program that writes bills of materials.
.PHONY: bin/release
bin/release:
	@cd hack/release && CGO_ENABLED=0 go build -trimpath -o $(ROOT)/$@ .

.PHONY: release
release: export VERSION := $(VERSION)
release: ## Make what a release consists of in dist: binaries, image, chart, install.yaml, bills of materials, checksums. VERSION=v0.1.0.
	@HELM=$(HELM) IMAGE=$(IMAGE) hack/release/release.sh "$$VERSION"

.PHONY: release-verify
release-verify: VERSION = $(shell sed -n 's/^appVersion: //p' charts/sluice/Chart.yaml)
release-verify: $(HELM) controlplane ## Make the release of what is committed twice, in different folders, and fail if a byte differs (PLATFORMS=linux/amd64).
	@VERSION=$(VERSION) PLATFORMS="$${PLATFORMS-linux/amd64}" hack/release/verify.sh

##@ Change it

.PHONY: generate
generate: $(CONTROLLER_GEN) $(CRD_REF_DOCS) $(HELM_DOCS) ## Generate deep copies, CustomResourceDefinitions, roles, the chart's copies and README, the API reference and more.
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths=./api/...
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=unnamed,fileName=operator_roles.yaml,headerFile=hack/rbac-header.txt \
		paths=./ingest/... paths=./controllers/... paths=./internal/app output:rbac:artifacts:config=config/rbac
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
	$(foreach module,$(MODULES),(cd $(module) && $(GOLANGCI_LINT) run -c $(ROOT)/.golangci.yaml ./...) &&) true

.PHONY: clean
clean: ## Remove what was built, but not the control plane.
	rm -rf bin/manager bin/quickstart bin/chaos bin/image bin/release bin/bench bin/bench-results dist bin/sluice-image.tar bin/cluster bin/pause bin/pause-image.tar bin/e2e bin/e2e.test bin/tools .quickstart .cluster

# A tool's package, from the tool block of hack/tools/go.mod.
$(CONTROLLER_GEN): PACKAGE = sigs.k8s.io/controller-tools/cmd/controller-gen
$(GOLANGCI_LINT): PACKAGE = sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter
$(CRD_REF_DOCS): PACKAGE = github.com/elastic/crd-ref-docs
$(HELM): PACKAGE = helm.sh/helm/v4/cmd/helm
$(HELM_DOCS): PACKAGE = github.com/norwoodj/helm-docs/cmd/helm-docs

$(CONTROLLER_GEN) $(GOLANGCI_LINT) $(CRD_REF_DOCS) $(HELM) $(HELM_DOCS): $(TOOLS_MOD)
	@echo "building $(@F)"
	@go build -modfile=$(TOOLS_MOD) -trimpath -o $@ $(PACKAGE)
