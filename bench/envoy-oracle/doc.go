// Package oracle compares internal/gate/rls with the reference implementation of
// Envoy's rate limit service, github.com/envoyproxy/ratelimit, decision by
// decision. It is a module of its own, so that nothing of what that service
// needs comes into Weir's.
//
// Run it with go test; it needs a redis-server.
package oracle
