# `make` alone prints this file's targets.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A duration, or a number of executions such as 500x. On a busy machine Go may end a
# target with "context deadline exceeded"; only a failure that names an input file is
# a finding.
FUZZTIME ?= 1m
BENCHTIME ?= 1s
# A folder with the documents of the clouds' IP ranges, by default read from their
# official addresses. For single files: ARGS="-aws FILE".
DOCUMENTS ?=

# The CDK's command line, pinned. "latest" is not the line that is maintained.
CDK ?= npx --yes aws-cdk@2.1148.1
PYTHON ?= python3
STAGE ?=
REGION ?=

ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
ifeq ($(shell command -v go),)
$(error there is no "go" on this machine; install Go 1.26 or newer)
endif
endif

# The race detector needs a C compiler.
RACE := $(shell test "$$(go env CGO_ENABLED 2>/dev/null)" = 1 && command -v "$$(go env CC | cut -d' ' -f1)" >/dev/null 2>&1 && echo -race)

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: build
build: ## build the function for this machine, as .build/redirector/bootstrap
	@go run ./scripts/dev/build redirector

.PHONY: run
run: ## run the whole system here and pull an image: ONCE=1 exits then, V=1 shows requests, ACCESS=token has an upstream that requires a token
	@echo '   0.0s  building scripts/dev/local (the first time takes a minute or two)' >&2
	@go build -o .build/local ./scripts/dev/local
	@.build/local $(if $(ONCE),-once) $(if $(V),-v) $(if $(ACCESS),-access $(ACCESS)) $(ARGS)

.PHONY: invoke
invoke: ## invoke the built function: EVENT=events/alb/ping.json, V=1 shows metrics
	@test -e .build/invoke || echo 'building scripts/dev/invoke (a minute or two)' >&2
	@go build -o .build/invoke ./scripts/dev/invoke
	@.build/invoke $(if $(V),-v) "$(EVENT)"

# Packages that start no goroutine, or that link the CDK, which takes minutes to
# compile for the race detector.
SEQUENTIAL := ^archeio/(infra|ranges/compile$$|lambda/(clientip|config|gateway|hosts|index|oci|page|spelling|worldmap)$$|scripts/lint|scripts/dev/release|scripts/archeio(/(adopt|capacity|preflight|ranges|report))?$$)

# By default each process of the race detector sleeps for a second when it exits.
# Vetting is left to "make check", which does all of it.
.PHONY: test
test: export GORACE ?= atexit_sleep_ms=0
test: ## run all tests
	@test -n "$(RACE)" || echo 'no C compiler: the tests run without the race detector'
	go test -vet=off $(RACE) $$(go list -e ./... | grep -vE '$(SEQUENTIAL)')
	go test -vet=off $$(go list -e ./... | grep -E '$(SEQUENTIAL)')

.PHONY: check
check: ## check formatting (gofmt), go vet, and tidy module files
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	go vet ./...
	cd scripts/lab/servers && go vet ./...
	go mod tidy -diff
	cd scripts/lab/servers && go mod tidy -diff

.PHONY: bench
bench: ## compare speed with alternatives and print one table: ARGS=-h
	@go build -o .build/bench ./scripts/prove/bench
	@.build/bench $(ARGS)

.PHONY: benchmarks
benchmarks: ## run all Go benchmarks, for BENCHTIME each (1s, or 1x)
	go test -run '^$$' -bench . -benchtime $(BENCHTIME) ./ranges ./ranges/regions ./lambda/... ./scripts/archeio/explain

.PHONY: fuzz
fuzz: ## run every fuzz target, for FUZZTIME each (1m, or 500x executions)
	@grep -rlE '^func Fuzz' --include='*_test.go' . | sort | while read -r file; do \
		sed -nE 's/^func (Fuzz[A-Za-z0-9]*)\(.*/\1/p' "$$file" | while read -r target; do \
			echo "$$(dirname "$$file") $$target"; \
			go test "$$(dirname "$$file")" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s || exit 1; \
		done || exit 1; \
	done

.PHONY: scale
scale: ## fill the mirrors of a registry of millions of generated blobs: memory, requests, seconds, dollars (an hour or more)
	@go build -o .build/scale ./scripts/prove/scale
	.build/scale -mirrors 4 -blobs 200000 -manifests 3000 -repositories 100 -hours 11 -max-memory 400
	.build/scale -mirrors 31 -blobs 1000000 -manifests 300000 -repositories 2000 -hours 1 -compare=false -max-memory 400
	.build/scale -mirrors 2 -blobs 8000000 -manifests 300000 -repositories 2000 -hours 1 -compare=false -max-memory 400
	.build/scale -mirrors 2 -blobs 0 -fill 400000 -max-memory 400

.PHONY: prove-all
prove-all: ## run what takes too long for the gate: all of e2e, bad habits in 300 pairs, scale, bench, every fuzz target for FUZZTIME
	$(MAKE) e2e ARGS=-full
	$(MAKE) e2e ARGS="-access token"
	$(MAKE) deploy-emulated ARGS=-full
	MIRROR_TEST_BLOB=5368709120 go test -count=1 -v -run TestLargeBlob ./scripts/archeio/mirror
	RELEASE_TEST_FRESH=1 go test -count=1 -timeout 60m -v -run TestReproducible ./scripts/dev/release
	RUDE_PAIRS=300 go test -count=1 -timeout 60m -run TestHabits ./lambda/registry ./lambda/copier
	$(MAKE) scale
	$(MAKE) bench
	$(MAKE) fuzz

.PHONY: synth
synth: ## synthesize the templates of all stages, or of STAGE, into cdk.out
	@rm -rf cdk.out
	$(CDK) synth --quiet $(if $(STAGE),-c stage=$(STAGE)) $(if $(ARCHITECTURE),-c architecture=$(ARCHITECTURE))

# More options of the CDK, as in CDK_ARGS="--profile NAME -c KEY=VALUE".
CDK_ARGS ?=
# With YES=1 nothing asks for approval.
YES ?=
# How many stacks are deployed at the same time.
CONCURRENCY ?= 8
CDK_STAGE = -c stage=$(STAGE) $(if $(RELEASE),-c release=$(RELEASE)) $(CDK_ARGS)

.PHONY: bootstrap preflight diff deploy approved adopt destroy report
bootstrap: stage-named ## bootstrap the account and regions of STAGE for the CDK, once
	$(CDK) bootstrap $(CDK_STAGE)
preflight: stage-named ## check whether STAGE can be deployed
	@go run ./scripts/archeio preflight -stage $(STAGE) $(if $(RELEASE),-release $(RELEASE)) $(ARGS)
diff: stage-named ## show what a deployment of STAGE would change
	$(CDK) diff $(CDK_STAGE)
deploy: preflight approved ## run preflight, show the changes, ask once, deploy STAGE: YES=1 does not ask, RELEASE=none skips the rollout, VERIFY=none the acceptance test
	$(CDK) deploy --all --require-approval never --concurrency $(CONCURRENCY) $(CDK_STAGE)
	@test "$(VERIFY)" = none || $(MAKE) verify ARGS=
approved: preflight
	@test -n "$(YES)" || test -t 0 || { echo 'no terminal to ask for approval: review the output of make diff STAGE=$(STAGE), then run make deploy STAGE=$(STAGE) YES=1' >&2; exit 2; }
	@test -n "$(YES)" || { $(CDK) diff $(CDK_STAGE) && printf 'Deploy these changes? [y/N] ' && read -r answer && test "$$answer" = y; }
.PHONY: verify
verify: stage-named ## test the deployed STAGE from outside: ARGS="-write -image NAME:TAG"
	@go run ./scripts/archeio verify -stage $(STAGE) $(ARGS)
adopt: stage-named ## put buckets of an earlier deployment of STAGE back into their stacks: ARGS=-dry-run
	@go run ./scripts/archeio adopt -stage $(STAGE) -cdk "$(CDK)" $(ARGS)
destroy: stage-named ## delete the stacks of STAGE, or those of REGION that it no longer has; buckets stay
ifdef REGION
	@go run ./scripts/archeio destroy -stage $(STAGE) -region $(REGION) $(if $(YES),-yes) $(ARGS)
else
	$(CDK) destroy --all --concurrency $(CONCURRENCY) $(if $(YES),--force) $(CDK_STAGE)
endif
report: stage-named ## print the metrics of STAGE: ARGS="-last 24h -json"
	@go run ./scripts/archeio report -stage $(STAGE) $(ARGS)

.PHONY: stage-named
stage-named:
	@test -n "$(STAGE)" || { echo "missing STAGE: a stage of cdk.json, as in: make $(firstword $(MAKECMDGOALS)) STAGE=sandbox" >&2; exit 2; }

.PHONY: sam
sam: $(if $(shell command -v $(PYTHON)),python) ## invoke the function by sam local invoke: EVENT=events/alb/ping.json, V=1 shows its output
	@go run ./scripts/dev/sam -cdk "$(CDK)" $(if $(V),-v) $(ARGS) $(if $(EVENT),$(EVENT),"")

.PHONY: deploy-emulated
deploy-emulated: python ## deploy to an AWS emulator and pull through it; KEEP=1 stays up
	@go run ./scripts/prove/emulated -cdk "$(CDK) -c plainAlarms=true" $(if $(KEEP),-keep) $(ARGS)

.PHONY: page
page: ## check the registry's page in Chromium: ARGS=-screenshots writes .github/page-*.png
	@go build -o .build/page-check ./scripts/prove/page
	@.build/page-check $(ARGS)

.PHONY: e2e
e2e: ## pull with real clients, run OCI conformance, inject faults, send a million requests, and again with an upstream that requires a token: ARGS=-h
	@go build -o .build/e2e/e2e ./scripts/prove/e2e
	@.build/e2e/e2e $(ARGS)
	$(if $(ARGS),,@.build/e2e/e2e -access token)

.PHONY: lint
lint: python synth ## check the CloudFormation templates of all stages with cfn-lint and checkov
	.build/python/bin/python scripts/lint/regions.py cdk.out/*.template.json
	.build/python/bin/checkov --config-file scripts/lint/checkov.yaml --file cdk.out/*.template.json

.PHONY: release
release: ## build the function zips and archeio for Linux and macOS, with bills of materials and SHA256SUMS
	@go run ./scripts/dev/release $(ARGS)

.PHONY: staticcheck
staticcheck: ## run staticcheck
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

# If empty, a database that cannot be reached is a failure.
VULNERABILITIES_SKIP ?= 1
.PHONY: vulnerabilities
vulnerabilities: ## check for known vulnerabilities with govulncheck
	@mkdir -p .build; go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./... >.build/vulnerabilities 2>&1; code=$$?; cat .build/vulnerabilities; \
	if [ $$code != 0 ] && [ -n "$(VULNERABILITIES_SKIP)" ] && grep -qE '^govulncheck: fetching vulnerabilities: .*(no such host|connection refused|network is unreachable|i/o timeout)' .build/vulnerabilities; then \
		echo "SKIPPED: the database of vulnerabilities, vuln.go.dev, cannot be reached"; exit 0; fi; exit $$code

.PHONY: python
python: .build/python/installed ## install the Python programs that lint, sam and deploy-emulated use

.build/python/installed: scripts/lint/requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "there is no Python 3 on this machine; install it (on Debian: python3 and python3-venv)" >&2; exit 1; }
	@echo "installing the programs of $< into .build/python (a minute or two)" >&2
	@rm -rf .build/python
	@$(PYTHON) -m venv .build/python
	@.build/python/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.PHONY: ranges
ranges: ## compile the IP ranges again and show what changes: DOCUMENTS=folder, ARGS=-h
	@go run ./scripts/archeio ranges compile $(if $(DOCUMENTS),-documents "$(DOCUMENTS)") $(ARGS)

.PHONY: coastline
coastline: ## generate the coastlines of the world map again, from the npm package world-atlas
	go run ./scripts/dev/coastline

.PHONY: clean
clean: ## remove what was built
	rm -rf .build cdk.out
