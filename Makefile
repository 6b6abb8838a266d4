# `make` alone prints this file's targets.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

FUZZTIME ?= 1m
BENCHTIME ?= 1s
# Documents of the providers' IP ranges: files, or by default their official
# addresses.
AWS ?=
GCP ?=
AZURE ?=

# The race detector needs a C compiler.
RACE := $(shell test "$$(go env CGO_ENABLED 2>/dev/null)" = 1 && command -v "$$(go env CC | cut -d' ' -f1)" >/dev/null 2>&1 && echo -race)

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: build
build: ## build the function for this machine, as .build/redirector/bootstrap
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags lambda.norpc -ldflags='-s -w -buildid=' -o .build/redirector/bootstrap ./lambda/redirector

.PHONY: run
run: ## run the whole system here and pull an image through it; ONCE=1 exits then
	@go build -o .build/local ./scripts/local
	@.build/local $(if $(ONCE),-once) $(ARGS)

.PHONY: invoke
invoke: ## send one event to the built function: EVENT=events/x.json
	@go build -o .build/invoke ./scripts/invoke
	@.build/invoke "$(EVENT)"

.PHONY: test
test: ## run all tests
	@test -n "$(RACE)" || echo 'no C compiler: the tests run without the race detector'
	go test $(RACE) ./lambda/... ./ranges/... ./scripts/...
	go test ./infra/...

.PHONY: check
check: ## format, vet, tidy module files
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	go vet ./...
	cd scripts/servers && go vet ./...
	go mod tidy -diff
	cd scripts/servers && go mod tidy -diff

.PHONY: bench
bench: ## run all benchmarks, for BENCHTIME each
	go test -run '^$$' -bench . -benchtime $(BENCHTIME) ./ranges ./ranges/regions ./lambda/... ./scripts/explain

.PHONY: fuzz
fuzz: ## run every fuzz target, for FUZZTIME each
	@grep -rlE '^func Fuzz' --include='*_test.go' . | sort | while read -r file; do \
		sed -nE 's/^func (Fuzz[A-Za-z0-9]*)\(.*/\1/p' "$$file" | while read -r target; do \
			echo "$$(dirname "$$file") $$target"; \
			go test "$$(dirname "$$file")" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) || exit 1; \
		done || exit 1; \
	done

.PHONY: ranges
ranges: ## compile the IP ranges anew and show what changes: AWS= GCP= AZURE= name files
	go run ./ranges/compile $(if $(AWS),-aws $(AWS)) $(if $(GCP),-gcp $(GCP)) $(if $(AZURE),-azure $(AZURE)) $(ARGS)

.PHONY: clean
clean: ## remove what was built
	rm -rf .build
