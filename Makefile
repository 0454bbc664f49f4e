# Herald needs git, make, curl and Go; what else a target needs it installs itself and says so.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 20s
COUNT    ?= 10
# Extra arguments of go test, such as ARGS='-run TestSplit -v'; PKGS narrows what is tested.
ARGS     ?=
PKGS     ?= ./...

LINT_VERSION := $(shell cat .golangci-lint-version)
LINT         := bin/tools/golangci-lint-$(LINT_VERSION)
WITHSERVER   := go run ./internal/postgres/pgtest/withserver
WITHKAFKA    := go run ./internal/kafka/kafkatest/withkafka -libs bin/kafka
RACE         := -race -shuffle=on -timeout 15m

.PHONY: help
help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z][a-z0-9\/-]*:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

## Build and run
.PHONY: build run clean
build: ## build bin/herald
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/herald ./cmd/herald

run: deps/postgres build ## build, then start everything with demo data (herald up --demo)
	./bin/herald up --demo

clean: ## remove what was built
	rm -rf bin

## Check
.PHONY: check fmt fmt/check generate lint verify vuln
check: fmt/check lint test/unit verify ## all that needs no database

fmt: $(LINT) ## format the code (gofumpt, gci)
	$(LINT) fmt

fmt/check: $(LINT) ## fail when a file is not formatted
	$(LINT) fmt --diff

generate: ## write the generated files again
	go generate ./...

lint: $(LINT) ## run golangci-lint (version in .golangci-lint-version)
	$(LINT) run --build-tags integration,e2e

verify: ## fail when go.mod or a generated file is not up to date
	go mod tidy -diff
	go mod verify
	.ci/unchanged go generate ./...

vuln: ## look for known vulnerabilities, where govulncheck can be installed
	@if GOBIN=$(CURDIR)/bin/tools go install golang.org/x/vuln/cmd/govulncheck@v1.1.4 2>/dev/null; \
	then bin/tools/govulncheck ./...; \
	else echo 'vuln: govulncheck cannot be installed from the Go module proxy in use; nothing was checked'; fi

$(LINT):
	@echo 'lint: installing golangci-lint $(LINT_VERSION) into bin/tools (about a minute, once)'
	@mkdir -p bin/tools
	@GOBIN=$(CURDIR)/bin/tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv bin/tools/golangci-lint $@

## Test
.PHONY: test test/unit test/integration test/e2e test-kafka test/cover
test: deps/test ## everything that proves the product: unit, integration and short e2e, with the race detector
	$(WITHSERVER) go test $(RACE) -tags integration $$(go list -tags integration ./... | grep -v /test/e2e)
	go test $(RACE) -tags e2e ./test/e2e/...

test/unit: ## tests that need nothing but Go
	go test -shuffle=on $(ARGS) $(PKGS)

test/integration: deps/test ## unit tests and those that need PostgreSQL; a throw-away server is started for them
	$(WITHSERVER) go test $(RACE) -tags integration $(ARGS) $(PKGS)

test/e2e: deps/test ## whole processes, killed and restarted, in short form
	go test $(RACE) -tags e2e $(ARGS) ./test/e2e/...

test-kafka: deps/test deps/kafka ## what depends on the broker, on an Apache Kafka of its own (downloads 54 MB of jars once)
	$(WITHKAFKA) go test $(RACE) -tags integration $(ARGS) ./internal/kafka
	$(WITHKAFKA) go test $(RACE) -parallel 3 -tags e2e -run 'TestCluster|TestFire_B|TestKafka_' $(ARGS) ./test/e2e

test/cover: deps/postgres ## coverage of unit and integration tests, in bin/cover.html
	@mkdir -p bin
	$(WITHSERVER) go test -tags integration -coverpkg=./... -coverprofile=bin/cover.out $(ARGS) $(PKGS)
	go tool cover -html=bin/cover.out -o bin/cover.html
	@go tool cover -func=bin/cover.out | tail -n 1

## Long runs and numbers
.PHONY: chaos fuzz bench
chaos: deps/test ## the e2e scenarios in full size, also on an Apache Kafka where `make deps/kafka` has been run
	HERALD_CHAOS=full go test -count=1 -timeout 60m -v -tags e2e $(ARGS) ./test/e2e/...
	@if [ -e bin/kafka/.complete ]; then set -x; \
		HERALD_CHAOS=full $(WITHKAFKA) go test -count=1 -timeout 60m -v -tags e2e -run 'TestCrash|TestCluster|TestFire_[BR]' $(ARGS) ./test/e2e; \
	else echo 'chaos: not run on an Apache Kafka; make deps/kafka fetches it'; fi

fuzz: ## every fuzz target for FUZZTIME (20s)
	@grep -rHoE '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' --exclude-dir=node_modules . | sort | \
	while IFS=: read -r file func; do \
		echo "== $${func#func } in $$(dirname "$$file")"; \
		go test -run '^$$' -fuzz "^$${func#func }$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null; \
	done

bench: ## every benchmark COUNT (10) times; compare two outputs with benchstat
	go test -run '^$$' -bench . -benchmem -count $(COUNT) $(ARGS) $(PKGS)

.PHONY: deps/postgres deps/test deps/kafka
deps/postgres:
	@deploy/dev/deps.sh postgres
deps/test:
	@deploy/dev/deps.sh postgres cc
deps/kafka: bin/kafka/.complete
	@deploy/dev/deps.sh java cc postgres
bin/kafka/.complete: deploy/dev/kafka/pom.xml
	@deploy/dev/deps.sh java maven
	@echo 'test-kafka: collecting the jars of Apache Kafka into bin/kafka (once)'
	@rm -rf bin/kafka
	@mvn -B -q -f deploy/dev/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/bin/kafka
	@touch $@
