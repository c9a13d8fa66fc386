# make test is all that CI runs. The steps are scripts in .ci and can be run by hand.
.PHONY: help run test setup fmt lint proto unit planted web web-check e2e fuzz fuzz-long oracle-long model bench-crdt bench-cluster bench-gateway

help:           ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*##/\1\t/p' Makefile | expand -t 14

run:            ## serve on 127.0.0.1:8080 with data in ./weft-data
	go run ./cmd/weft

test: setup     ## everything CI runs: install what is missing, check, test, fuzz briefly
	.ci/test

setup:          ## install what the tests need and this machine lacks
	.ci/setup

fmt:            ## format all Go code
	.ci/fmt -w

lint:           ## vet, staticcheck, go fix, go mod tidy
	.ci/test fmt lint

proto:          ## generate the Go and TypeScript code of protocol/weft.proto
	.ci/proto -w

unit:           ## all Go tests
	.ci/unit

planted:        ## do the tests find bugs that are planted in the code?
	.ci/planted

web:            ## rebuild the demo's committed bundle
	cd client-demo/web && npm run build

web-check:      ## is the committed bundle what its sources build to?
	.ci/web

e2e:            ## the browser tests
	.ci/e2e

fuzz:           ## every fuzz target for a few seconds
	.ci/fuzz

fuzz-long:      ## every fuzz target, ten minutes in all per FUZZ_SECONDS=600
	FUZZ_SECONDS=$${FUZZ_SECONDS:-600} .ci/fuzz

oracle-long:    ## the document engine beside real Yjs for 10,000 seeds: SEEDS=10000 SEED=100000000
	.ci/oracle-long

model:          ## every state of the cluster's protocol, in the large configurations, with what happens without each rule
	.ci/model

bench-crdt:     ## document engine beside real Yjs, in one run, with ratios
	.ci/bench-crdt

bench-cluster:  ## appends a second to a real Redis, and what one costs it
	go test ./cluster -run '^$$' -bench '^BenchmarkAppend$$' -benchtime 2s

bench-gateway:  ## the whole server beside y-websocket and Hocuspocus, in one run, with ratios
	.ci/bench-gateway
