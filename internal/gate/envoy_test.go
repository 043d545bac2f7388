//go:build unix

package gate_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	descriptor "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	pb "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"

	"github.com/weir-dev/weir/internal/enforce/redis"
	"github.com/weir-dev/weir/internal/gate"
	"github.com/weir-dev/weir/internal/gate/rls"
)

const envoyFile = `policies:
  - {name: per address, algorithm: fixed-window, limit: 40, window: 168h, count-denied: true, on-store-error: closed, descriptor: {domain: edge, entries: [{key: remote_address}]}}
  - {name: bucket, limit: 3, window: 168h, on-store-error: open, descriptor: {domain: edge, entries: [{key: bucket}]}}
  - {name: local, algorithm: fixed-window, limit: 1, window: 168h, descriptor: {domain: edge, entries: [{key: local}]}}
  - {name: other, algorithm: fixed-window, limit: 1, window: 168h, shadow: true, descriptor: {domain: edge, entries: [{key: other}]}}
`

// ask puts one descriptor to the service.
func ask(t *testing.T, s *rls.Service, key, value string) pb.RateLimitResponse_Code {
	t.Helper()
	res, err := s.ShouldRateLimit(context.Background(), &pb.RateLimitRequest{Domain: "edge", Descriptors: []*descriptor.RateLimitDescriptor{
		{Entries: []*descriptor.RateLimitDescriptor_Entry{{Key: key, Value: value}}},
	}})
	if err != nil {
		t.Error(err)
		return 0
	}
	return res.OverallCode
}

const (
	passes  = pb.RateLimitResponse_OK
	refuses = pb.RateLimitResponse_OVER_LIMIT
)

// TestEnvoyFigures holds that the figures of Envoy's service are among those of
// the gate.
func TestEnvoyFigures(t *testing.T) {
	service, err := rls.New(parse(t, envoyFile), rls.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	g := start(t, envoyFile, func(o *gate.Options) { o.Envoy = service })
	for range 5 {
		ask(t, service, "bucket", "a")
	}
	ask(t, service, "local", "a")
	ask(t, service, "other", "a")
	ask(t, service, "other", "a")
	_, _, text := get(t, client(t, ""), g.admin+"/metrics")
	for _, want := range []string{
		`weir_rls_hits_total{policy="bucket",result="ok"} 3`, `weir_rls_hits_total{policy="bucket",result="over-limit"} 2`,
		`weir_rls_hits_total{policy="local",result="ok"} 1`, `weir_rls_hits_total{policy="other",result="shadow-over-limit"} 1`, "weir_rls_keys 3",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("/metrics has no %s", want)
		}
	}
	if s := g.Stats().Envoy; s == nil || len(s.Policies) != 4 || s.Policies[1].Total != 5 || s.Policies[1].Over != 2 || s.Keys == nil {
		t.Errorf("stats %+v", s)
	}
}

// TestEnvoyOnAStore holds that two services with one Redis keep one count, and
// what they answer while it is frozen, and after it has come back.
func TestEnvoyOnAStore(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Redis, and runs without -short")
	}
	free := listen(t)
	server := &redisServer{t: t, addr: free.Addr().String()}
	free.Close()
	server.start()
	t.Cleanup(server.stop)
	const budget = 300 * time.Millisecond
	var services []*rls.Service
	for range 2 {
		store, err := redis.New(redis.Options{Addresses: []string{server.addr}, Prefix: "rls"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Close)
		o := rls.Options{Deadline: 5 * time.Second}
		o.Guard.Store, o.Guard.Shared.Budget = store, budget
		s, err := rls.New(parse(t, envoyFile), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		services = append(services, s)
	}
	errors := func() int64 { return services[0].Stats().Guard.Shared.Errors + services[1].Stats().Guard.Shared.Errors }
	eventually(t, "both reach the store", func() bool { // the first questions may come before the connections
		before := errors()
		ask(t, services[0], "bucket", "warm")
		ask(t, services[1], "bucket", "warm")
		return errors() == before && !services[0].Stats().Guard.Shared.Degraded && !services[1].Stats().Guard.Shared.Degraded
	})
	before := errors()
	var admitted atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 10 {
				if ask(t, services[i%2], "remote_address", "192.0.2.1") == passes {
					admitted.Add(1)
				}
			}
		})
	}
	all.Wait()
	if errors() == before && admitted.Load() != 40 {
		t.Errorf("%d of 80 admitted, want 40", admitted.Load())
	}
	if err := server.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if ask(t, services[0], "remote_address", "192.0.2.2") != refuses { // closed
		t.Error("frozen, closed: passes")
	}
	for range 5 { // open: more than the limit
		if ask(t, services[0], "bucket", "b") != passes {
			t.Error("frozen, open: refuses")
		}
	}
	if took := time.Since(begin); took > 6*budget+3*time.Second {
		t.Errorf("six answers without the store took %v", took)
	}
	if s := services[0].Stats().Guard.Shared; s.Open == 0 || s.Closed == 0 || s.Errors == 0 {
		t.Errorf("%+v", s)
	}
	server.cmd.Process.Signal(syscall.SIGCONT)
	if got := server.do("SCRIPT FLUSH"); got != "+OK" {
		t.Errorf("SCRIPT FLUSH: %s", got)
	}
	eventually(t, "the store decides again", func() bool {
		return ask(t, services[0], "remote_address", "192.0.2.1") == refuses && !services[0].Stats().Guard.Shared.Degraded && ask(t, services[0], "remote_address", "192.0.2.3") == passes
	})
}
