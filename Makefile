.DEFAULT_GOAL := help
GO ?= go
export CGO_ENABLED ?= 1
export AXE_JS ?= $(wildcard $(CURDIR)/.cache/axe/node_modules/axe-core/axe.min.js)

help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

demo: ## Run the main job against a local stand-in.
	$(GO) run ./cmd/weir demo

build: ## Build the static binary at bin/weir.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/weir ./cmd/weir

# More at a time than there are cores: most tests of the command wait for time to pass.
PARALLEL ?= 5
test: setup ## Install what the tests need where that is allowed, and run all tests.
	@bash .ci/go-test -timeout 20m -shuffle=on -parallel $(PARALLEL) -- ./...

race: ## Run the tests of everything concurrent under the race detector.
	@bash .ci/go-test -timeout 20m -race -short -parallel $(PARALLEL) -- ./internal/...

check: ## What CI runs.
	bash .ci/run

setup: ## Install the servers that tests run against (nginx, Node, Python, Chromium), where this user may.
	@bash .ci/setup

fuzz: ## Fuzz every parser for 20 seconds each.
	@bash .ci/fuzz 20s

bench: ## Measure against peers and print what goes into bench/RESULTS.md.
	@bash bench/run

.PHONY: help demo build test race check setup fuzz bench
