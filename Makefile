# make            format, vet, lint, test: what to run before a commit
# make demo       the main job: a trading day, end to end, on this machine
# make help       every target

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := precommit

export CGO_ENABLED ?= $(if $(shell command -v $(CC)),1,0)
# The race detector needs a C compiler; a machine with Go and make alone tests without it.
RACE := $(if $(filter 1,$(CGO_ENABLED)),-race)
TEST_TIMEOUT ?= 15m
BUILD := CGO_ENABLED=0 go build -trimpath
LINT := bin/tools/golangci-lint

.PHONY: node precommit build demo test soak bench benchmarks ci fmt vet lint tidy layer jaeger fuzz docs recording clean help

precommit: fmt vet lint test ## format, vet, lint and test

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

build: ## bin/throughline and bin/throughline-extension
	$(BUILD) -o bin/throughline ./cmd/throughline
	$(BUILD) -tags nethttpomithttp2 -ldflags '-s -w' -o bin/throughline-extension ./cmd/throughline-extension

demo: build ## play a trading day and check what was reported against what happened
	$(BUILD) -o build/demo/tradingday ./examples/tradingday
	bin/throughline demo --dir build/demo --extension bin/throughline-extension --function build/demo/tradingday

test: ## every test, volume tests at a twentieth of their size
	@$(if $(RACE),,echo "no C compiler found: testing without the race detector";)
	go test $(RACE) -timeout $(TEST_TIMEOUT) ./...

soak: ## the volume tests at their stated sizes
	THROUGHLINE_SOAK=1 go test -timeout 90m ./...

bench: ## today's figures beside their baselines and budgets, as one table (about four minutes)
	go run ./internal/budgets

benchmarks: ## every benchmark there is
	go test -run '^$$' -bench . -benchmem ./...

fmt: ## format
	gofmt -w $$(git ls-files '*.go')

vet: ## go vet
	go vet ./...

lint: $(LINT) ## the opt-in lint list of .golangci.yml
	$(LINT) run ./...

$(LINT): tools/go.mod tools/go.sum
	CGO_ENABLED=0 go build -C tools -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

jaeger: bin/tools/jaeger ## a real Jaeger, from source (about four minutes the first time)

# Its module starts from Jaeger's own go.mod and go.sum: not all of its
# dependencies can be looked up in the checksum database, and that go.sum vouches for them.
bin/tools/jaeger: tools/jaeger/go.mod tools/jaeger/go.sum
	CGO_ENABLED=0 go build -C tools/jaeger -o ../../$@ github.com/jaegertracing/jaeger/cmd/all-in-one

node: build/node/node_modules/aws-lambda-ric/rapid-client.node ## AWS's own Node runtime client and SDK, for the layer's tests

build/node/node_modules/aws-lambda-ric/rapid-client.node: Makefile
	npm install --no-fund --no-audit --loglevel=error --prefix build/node node@22 aws-lambda-ric@4 @aws-sdk/client-eventbridge@3 undici@7

layer: ## the Lambda layer for both architectures, in build/layer
	go run ./layer/pack --out build/layer

docs: ## rewrite what is generated: docs/metrics.md, the README's settings and help
	THROUGHLINE_UPDATE=1 go test -count=1 ./metrics
	THROUGHLINE_UPDATE=1 go test -count=1 -run Readme ./cmd/throughline

recording: demo ## draw the README's recording of the demo, docs/demo.svg, anew
	go run ./cmd/internal/record -o docs/demo.svg -typed 'make demo' -- bin/throughline demo --dir build/demo --extension bin/throughline-extension --function build/demo/tradingday

tidy: ## module files as the code needs them
	go mod tidy

clean: ## remove what make made
	rm -rf bin build

ci: ## what decides whether work lands: the checks of precommit, and a clean tree
	.ci/run
