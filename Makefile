# make demo     one real Cassandra node, backed up, destroyed, restored and compared
# make test     everything that decides whether a change may land
# make soak     what takes longer: 10 GB through backup and restore and ten million blobs through gc, with memory
#               measured; 180 nodes that are none, backed up and restored by SSH; an LZ4 block of every size
# make bench    write and read path on one core and on two, in MB/s and beside SHA-256; recipes beside each other
# make dedupe   what a backup stores again after compaction, cleanup, streaming, ...: the table of docs/dedupe.md
# make build    bin/cbk
# make dist     dist/: static binaries for linux on amd64 and arm64, and SHA256SUMS; VERSION names them
# make lint     vet, staticcheck, gofmt
# make fuzz     each fuzz target for FUZZTIME
# make compatibility  writes docs/compatibility.md from the tests it names
# make readme   writes the README's excerpt from a run of the demo
FUZZTIME ?= 30s
GO ?= go
DIST ?= dist
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: all build bench binaries demo dist test lint soak dedupe fuzz compatibility readme deps
all: build

build:
	$(GO) build -o bin/cbk ./cmd/cbk

# One process for each number of processors: a benchmark with parts is not run again for the next -cpu of a list.
bench: deps
	@for n in 1 2; do $(GO) test ./repo -run '^$$' -bench . -benchtime 3x -cpu $$n -timeout 30m || exit 1; done
	$(GO) test ./restore -run '^$$' -bench Recipes -benchtime 3x -timeout 60m
	$(GO) test ./cassandra/sstable/... -run '^$$' -bench .
	$(GO) test ./cmd/cbk -run '^$$' -bench . -benchtime 3x -timeout 60m

# The same source and VERSION give the same bytes wherever they are built: no paths, no state of the work tree.
binaries:
	@mkdir -p $(DIST)
	@for arch in amd64 arm64; do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch GOAMD64=v1 GOARM64=v8.0 GOFLAGS= $(GO) build -trimpath -buildvcs=false \
			-ldflags '-s -w -X main.release=$(VERSION)' -o $(DIST)/cbk-linux-$$arch ./cmd/cbk || exit 1; \
	done
	@cd $(DIST) && sha256sum cbk-linux-amd64 cbk-linux-arm64 > SHA256SUMS

# The test builds them a second time, elsewhere.
dist: binaries
	CBK_DIST=$(abspath $(DIST)) VERSION=$(VERSION) $(GO) test -count 1 -tags dist -run Dist ./cmd/cbk
	@cat $(DIST)/SHA256SUMS

demo: deps build
	$(GO) run ./cassandra/cassandratest/demo -cbk bin/cbk

compatibility:
	$(GO) test ./docs -run 'ThePage|EveryTest' -update

readme: deps build
	$(GO) run ./cassandra/cassandratest/demo -cbk bin/cbk -readme README.md

test: deps lint
	$(GO) test -timeout 60m ./...

lint:
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@out=$$($(GO) tool gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofmt: $$out"; exit 1; }

soak: deps
	$(GO) test -timeout 80m -count 1 -v -tags soak -run Soak ./cmd/cbk
	$(GO) test -timeout 80m -count 1 -v -tags soak -run Soak ./repo
	$(GO) test -timeout 80m -count 1 -v -tags soak -run Soak ./cassandra/sstable/chunk

dedupe: deps
	$(GO) test -timeout 60m -count 1 -v -tags soak -run Dedupe ./cmd/cbk

fuzz:
	@for p in ./fuzz ./repo/roles ./cassandra/ring $$($(GO) list ./cassandra/sstable/...); do for f in $$($(GO) test $$p -list '^Fuzz' | grep ^Fuzz); do \
		$(GO) test $$p -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) || exit 1; done; done

# What the tests run beside Go: a JDK 17 and Maven, which fetches Cassandra, pip, which fetches a Java 11 for old
# releases of it, npm, which fetches Azurite, OpenSSH's server with its ssh-agent, and systemd-analyze,
# which reads the units of deploy/. As root on Debian or Ubuntu they are installed; elsewhere the missing ones are named.
deps:
	@missing=; \
	java -version 2>&1 | grep -q 'version "17' || missing="openjdk-17-jdk-headless"; \
	command -v mvn >/dev/null || missing="$$missing maven"; \
	python3 -m pip --version >/dev/null 2>&1 || missing="$$missing python3-pip"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v sshd >/dev/null || missing="$$missing openssh-server"; \
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"; \
	test -z "$$missing" && exit 0; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing; \
	else echo "please install: apt-get install $$missing"; exit 1; fi
