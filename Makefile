# make            format, vet, lint, test: what to run before a commit
# make demo       the main job: a trading day, end to end, on this machine
# make help       every target

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := precommit

export CGO_ENABLED ?= $(if $(shell command -v $(CC)),1,0)
# The race detector needs a C compiler; a machine with Go and make alone tests without it.
RACE := $(if $(filter 1,$(CGO_ENABLED)),-race)
TEST_TIMEOUT ?= 30m
FUZZTIME ?= 10s
BUILD := CGO_ENABLED=0 go build -trimpath
# The packages of every module of go.work.
PACKAGES = $(addsuffix /...,$(patsubst $(CURDIR)%,.%,$(shell go list -m -f '{{.Dir}}')))
LINT := bin/tools/golangci-lint

.PHONY: node otlp python pythons java emulator precommit build demo day test soak bench benchmarks ci fmt vet lint tidy layer jaeger fuzz docs recording picture release vulnerabilities api clean help

precommit: fmt vet lint test ## format, vet, lint and test

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

build: ## bin/throughline and bin/throughline-extension
	@mkdir -p build && .ci/modfile cmd/throughline build/throughline
	cd cmd/throughline && GOWORK=off $(BUILD) -ldflags '-s -w' -modfile=../../build/throughline.mod -o ../../bin/throughline .
	GOWORK=off $(BUILD) -tags nethttpomithttp2 -ldflags '-s -w -funcalign=16' -o bin/throughline-extension ./cmd/throughline-extension

demo: build ## play a trading day and check what was reported against what happened
	$(BUILD) -o build/demo/tradingday ./examples/tradingday
	bin/throughline demo --dir build/demo --extension bin/throughline-extension --function build/demo/tradingday

# make day HOPS=carry FAULTS=1 SEED=7 STRATEGIES=5 TRADES=9 PYTHON=python3.12 plays another.
day: build ## play a day of a system in Python, 122 hops on and off the bus, and check each edge (needs Python with boto3)
	@mkdir -p build/day
	$(BUILD) -o build/day/day ./cmd/throughline/internal/day
	build/day/day -seed $(or $(SEED),1) -strategies $(or $(STRATEGIES),16) -trades $(or $(TRADES),38) -hops $(or $(HOPS),join) $(if $(FAULTS),-faults) -python $(or $(PYTHON),python3)

test: ## every test, volume tests at a twentieth of their size
	@$(if $(RACE),,echo "no C compiler found: testing without the race detector";)
	go test $(RACE) -timeout $(TEST_TIMEOUT) $(PACKAGES)

soak: ## the volume tests at their stated sizes
	THROUGHLINE_SOAK=1 go test -timeout 90m $(PACKAGES)

bench: ## today's figures beside their baselines and budgets, as one table (about four minutes)
	go run ./test/budgets

benchmarks: ## every benchmark there is
	go test -run '^$$' -bench . -benchmem $(PACKAGES)

fuzz: ## every fuzz target for FUZZTIME each (ten seconds)
	@mkdir -p build
	.ci/fuzz $(FUZZTIME)

fmt: ## format
	gofmt -w $$(git ls-files '*.go')

vet: ## go vet
	go vet $(PACKAGES)

lint: $(LINT) ## the opt-in lint list of .golangci.yml
	$(LINT) run --allow-parallel-runners $(PACKAGES)

$(LINT): tools/go.mod tools/go.sum
	GOWORK=off CGO_ENABLED=0 go build -C tools -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

jaeger: bin/tools/jaeger ## a real Jaeger, from source (about four minutes the first time)

# Its module starts from Jaeger's own go.mod and go.sum: not all of its
# dependencies can be looked up in the checksum database, and that go.sum vouches for them.
bin/tools/jaeger: tools/jaeger/go.mod tools/jaeger/go.sum
	GOWORK=off CGO_ENABLED=0 go build -C tools/jaeger -o ../../$@ github.com/jaegertracing/jaeger/cmd/all-in-one

emulator: bin/tools/aws-lambda-rie ## AWS's emulator of Lambda, from source

bin/tools/aws-lambda-rie: tools/emulator/go.mod tools/emulator/go.sum
	GOWORK=off CGO_ENABLED=0 go build -C tools/emulator -o ../../$@ github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie

NODES := 14.17.6 16.20.2 18.20.8 20.20.2 22.23.3 24.21.0
NPM := npm install --no-fund --no-audit --loglevel=error --prefix

node: build/node/node_modules/aws-lambda-ric/rapid-client.node build/node/installed build/axe/node_modules/axe-core/axe.min.js ## what the layer's tests compare with in Node.js: versions of it, AWS's runtime client and SDKs, tracers

# The packages are no part of the module around them.
build/node/installed: Makefile $(wildcard layer/conformance/nodeshim/packages/*/package.json)
	mkdir -p build/node && echo 'module node' >build/node/go.mod
	set -e; for version in $(NODES); do $(NPM) build/node/v$${version%%.*} node@$$version; done
	set -e; for set in old new hopsold hopsnew; do mkdir -p build/node/$$set; cp layer/conformance/nodeshim/packages/$$set/package.json build/node/$$set; $(NPM) build/node/$$set; done
	touch $@

build/node/node_modules/aws-lambda-ric/rapid-client.node: Makefile
	$(NPM) build/node node@22 aws-lambda-ric@4 @aws-sdk/client-eventbridge@3 undici@7

build/axe/node_modules/axe-core/axe.min.js: # what tells whether a page is accessible
	$(NPM) build/axe axe-core@4.14.1

otlp: build/otlp/installed ## OpenTelemetry's distributions for Python and Node.js, which examples/otlp is run with

build/otlp/installed: Makefile $(wildcard examples/otlp/*/requirements.txt examples/otlp/*/package.json)
	mkdir -p build/otlp/express && echo 'module otlp' >build/otlp/go.mod
	python3 -m venv build/otlp/python && build/otlp/python/bin/pip install --quiet -r examples/otlp/flask/requirements.txt
	cp examples/otlp/express/package.json build/otlp/express && $(NPM) build/otlp/express
	touch $@

python: ## Python environments for the tests of the Python shim: the oldest and the newest
	layer/conformance/pythonshim/venvs 3.8 3.13

pythons: ## and those between, for make soak
	layer/conformance/pythonshim/venvs 3.8 3.9 3.10 3.11 3.12 3.13 3.14

java: build/java/installed ## AWS's runtime client and SDK for Java, for the layer's tests

JAVA := layer/conformance/runtimes/testdata/java
build/java/installed: $(JAVA)/pom.xml
	rm -rf build/java && mkdir -p build/java && cp $< build/java
	mvn --quiet --batch-mode --file build/java/pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=lib
	touch $@

# The tag that is checked out, if any: what is built of it tells it as its version.
TAG ?= $(shell git describe --tags --exact-match --match 'v*' 2>/dev/null)

layer: ## the Lambda layer for both architectures, in build/layer
	go run ./layer/pack --out build/layer --tag "$(TAG)"

release: ## the files of a release, of the tag that is checked out, in build/release
	@[ -z "$$(git status --porcelain)" ] || { echo "make release: the checkout is not clean"; exit 1; }
	go run ./cmd/internal/release --tag "$(TAG)" --out build/release

# The versions that these two have are those of tools/checks/go.mod.
bin/tools/govulncheck: tools/checks/go.mod tools/checks/go.sum
	GOWORK=off CGO_ENABLED=0 go build -C tools/checks -o ../../$@ golang.org/x/vuln/cmd/govulncheck

bin/tools/apidiff: tools/checks/go.mod tools/checks/go.sum
	GOWORK=off CGO_ENABLED=0 go build -C tools/checks -o ../../$@ golang.org/x/exp/cmd/apidiff

vulnerabilities: bin/tools/govulncheck ## known vulnerabilities of what is linked and called, where their database can be reached
	.ci/vulnerabilities

api: bin/tools/apidiff ## what differs in the exported API from the last tag
	.ci/api

docs: ## rewrite what is generated: docs/metrics.md, the packages in docs/design.md, the settings and the help in README and docs
	THROUGHLINE_UPDATE=1 go test -count=1 -run Design .
	THROUGHLINE_UPDATE=1 go test -count=1 ./metrics
	THROUGHLINE_UPDATE=1 go test -count=1 -run Readme ./cmd/throughline

recording: demo ## draw the recording of the demo, docs/demo.svg, anew
	go run ./cmd/internal/record -o docs/demo.svg -typed 'make demo' -- bin/throughline demo --dir build/demo --extension bin/throughline-extension --function build/demo/tradingday

picture: demo ## take the README's picture of the report, docs/report.png, anew (needs Chromium)
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1200,760 --screenshot=docs/report.png file://$(CURDIR)/build/demo/report.html

tidy: ## module files as the code needs them
	.ci/tidy

clean: ## remove what make made
	rm -rf bin build

ci: ## what decides whether work lands: the checks of precommit, and a clean tree
	.ci/run
