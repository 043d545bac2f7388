// Package limiters measures internal/enforce beside other limiters of Go, in one
// run. It is a module of its own, so that they are needed nowhere else:
//
//	cd bench/limiters && go test -bench . -benchtime 300ms -count 5
//
// The Redis benchmarks start a server of their own and are skipped without one.
package limiters
