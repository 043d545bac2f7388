package oracle

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	descriptor "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	pb "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	refconfig "github.com/envoyproxy/ratelimit/src/config"
	"github.com/envoyproxy/ratelimit/src/provider"
	refredis "github.com/envoyproxy/ratelimit/src/redis"
	"github.com/envoyproxy/ratelimit/src/server"
	reference "github.com/envoyproxy/ratelimit/src/service"
	"github.com/envoyproxy/ratelimit/src/settings"
	"github.com/envoyproxy/ratelimit/src/stats"
	gostats "github.com/lyft/gostats"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc/health"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weir-dev/weir/internal/gate/rls"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy/envoy"
)

// clock is the time of both services.
type clock struct{ unix atomic.Int64 }

func (c *clock) UnixNow() int64 { return c.unix.Load() }
func (c *clock) now() time.Time { return time.Unix(c.unix.Load(), 0) }

// constant is a source of jitter: keys in Redis outlive the test, since its time
// is not that of the test.
type constant struct{}

func (constant) Int63() int64 { return 1 << 62 }
func (constant) Seed(int64)   {}

// fixed is a provider with one configuration.
type fixed struct {
	events chan provider.ConfigUpdateEvent
	config refconfig.RateLimitConfig
}

func (f *fixed) ConfigUpdateEvent() <-chan provider.ConfigUpdateEvent { return f.events }
func (f *fixed) Stop()                                                {}
func (f *fixed) GetConfig() (refconfig.RateLimitConfig, any)          { return f.config, nil }

// backend is a Redis with the reference's way to it.
type backend struct {
	manager *stats.ManagerImpl
	client  refredis.Client
}

func start(t *testing.T) *backend {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is not installed, and CI is set")
		}
		t.Skip("skipped: redis-server is not installed")
	}
	dir, err := os.MkdirTemp("", "oracle") // short: the path of a socket has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("redis-server does not start")
		}
	}
	logrus.SetOutput(io.Discard)
	store := gostats.NewStore(gostats.NewNullSink(), false)
	b := &backend{manager: stats.NewStatManager(store, settings.Settings{})}
	b.client = refredis.NewClientImpl(store.Scope("x"), false, "", "unix", "SINGLE", socket, 4, 0, 0, nil, false, nil, 10*time.Second, "", "")
	t.Cleanup(func() { b.client.Close() })
	return b
}

// load gives the reference's service for a configuration, or what it says of it.
func (b *backend) load(text string, c *clock, shadow bool) (_ reference.RateLimitServiceServer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	root := refconfig.ConfigFileContentToYaml("config", text)
	f := &fixed{events: make(chan provider.ConfigUpdateEvent, 1)}
	f.config = refconfig.NewRateLimitConfigImpl([]refconfig.RateLimitConfigToLoad{{Name: "config", ConfigYaml: root}}, b.manager, false)
	f.events <- f
	cache := refredis.NewFixedRateLimitCacheImpl(b.client, nil, c, rand.New(constant{}), 1_000_000, nil, 0.8, "", b.manager, false)
	checker := server.NewHealthChecker(health.NewServer(), "ratelimit", false)
	return reference.NewService(cache, f, b.manager, checker, c, shadow, false, false), nil
}

// config draws a configuration from few words, so that they meet. Sometimes it
// is not valid.
func config(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString("domain: shop\n")
	level(r, &b, "", 0)
	return b.String()
}

func pick(r *rand.Rand, words ...string) string { return words[r.Intn(len(words))] }

func level(r *rand.Rand, b *strings.Builder, in string, depth int) {
	n := r.Intn(6)
	if depth == 0 {
		n += 2
	}
	taken := map[string]bool{}
	for range n {
		key, value := pick(r, "a", "b", "c"), pick(r, "", "", "x", "xy", "x*", "*", "xyz*")
		if r.Intn(20) == 0 {
			key, value = pick(r, "a_x", "a*", "c*"), ""
		}
		if taken[key+value] && r.Intn(50) != 0 {
			continue
		}
		if len(taken) == 0 {
			b.WriteString(in + "descriptors:\n")
		}
		taken[key+value] = true
		fmt.Fprintf(b, "%s- key: %q\n%s  value: %q\n", in, key, in, value)
		if r.Intn(3) == 0 && (strings.HasSuffix(key+value, "*") || r.Intn(50) == 0) {
			b.WriteString(in + "  share_threshold: true\n")
		}
		for _, word := range []string{"shadow_mode", "quota_mode", "detailed_metric", "value_to_metric"} {
			if r.Intn(6) == 0 {
				b.WriteString(in + "  " + word + ": true\n")
			}
		}
		switch r.Intn(8) {
		case 0:
		case 1:
			b.WriteString(in + "  rate_limit: {unlimited: true, replaces: [{name: n1}]}\n")
		default:
			unit := pick(r, "second", "MINUTE", "Hour", "day", "week", "month", "year")
			if r.Intn(200) == 0 {
				unit = pick(r, "fortnight", "unknown", "")
			}
			requests := int64(r.Intn(12))
			if r.Intn(20) == 0 {
				requests = math.MaxUint32
			}
			fmt.Fprintf(b, "%s  rate_limit:\n%s    unit: %q\n%s    requests_per_unit: %d\n", in, in, unit, in, requests)
			if r.Intn(3) == 0 {
				fmt.Fprintf(b, "%s    name: %s\n", in, pick(r, "n1", "n2", "n3"))
			}
			if r.Intn(4) == 0 {
				fmt.Fprintf(b, "%s    replaces: [{name: %s}]\n", in, pick(r, "n1", "n2", "n3"))
			}
		}
		if depth < 2 {
			level(r, b, in+"  ", depth+1)
		}
	}
}

func request(r *rand.Rand) *pb.RateLimitRequest {
	req := &pb.RateLimitRequest{Domain: "shop"}
	if r.Intn(30) == 0 {
		req.Domain = "nowhere"
	}
	req.HitsAddend = [...]uint32{0, 0, 0, 1, 2, 5, math.MaxUint32}[r.Intn(7)]
	for range 1 + r.Intn(4) {
		d := &descriptor.RateLimitDescriptor{}
		for range 1 + r.Intn(3) {
			d.Entries = append(d.Entries, &descriptor.RateLimitDescriptor_Entry{
				Key: pick(r, "a", "b", "c", "cc"), Value: pick(r, "", "x", "xy", "xyz", "xyzzy", "x*", "q"),
			})
		}
		if r.Intn(4) == 0 {
			d.HitsAddend = wrapperspb.UInt64([]uint64{0, 0, 1, 3, math.MaxUint32}[r.Intn(5)])
		}
		if r.Intn(8) == 0 {
			// With a key of its own for each unit: the reference service counts it
			// together with others of these entries whose window starts then.
			unit := typev3.RateLimitUnit(1 + r.Intn(7))
			d.Entries[0].Value = "brought-" + unit.String()
			d.Limit = &descriptor.RateLimitDescriptor_RateLimitOverride{Unit: unit, RequestsPerUnit: uint32(r.Intn(9))}
		}
		req.Descriptors = append(req.Descriptors, d)
	}
	if r.Intn(100) == 0 {
		req.Descriptors = nil
	}
	return req
}

// Every field of every answer is the same, over thousands of configurations'
// and requests' worth of chance, with windows that end in between.
func TestSameDecisions(t *testing.T) {
	for name, value := range map[string]string{
		"LIMIT_RESPONSE_HEADERS_ENABLED": "true", "LIMIT_LIMIT_HEADER": "L", "LIMIT_REMAINING_HEADER": "R", "LIMIT_RESET_HEADER": "S",
	} {
		t.Setenv(name, value)
	}
	b := start(t)
	configs, each := 150, 200
	if testing.Short() {
		configs = 30
	}
	seed := int64(20261121)
	r := rand.New(rand.NewSource(seed))
	var tried, accepted, requests, descriptors, over, differences int
	for tried = 0; accepted < configs && tried < 20*configs; tried++ {
		text := config(r)
		c := &clock{}
		c.unix.Store(1_700_000_000 + r.Int63n(100_000_000))
		if err := b.client.DoCmd(nil, "FLUSHALL", "SYNC"); err != nil {
			t.Fatal(err)
		}
		ref, refErr := b.load(text, c, false)
		f, err := envoy.Parse("config", []byte(text))
		if (err == nil) != (refErr == nil) {
			t.Errorf("the reference says %v, Weir says %v of\n%s", refErr, err, text)
			continue
		}
		if err != nil {
			continue
		}
		accepted++
		ours, err := rls.New(f, rls.Options{Guard: guard.Options{Clock: c.now}, LimitHeader: "L", RemainingHeader: "R", ResetHeader: "S"})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for range each {
			req := request(r)
			want, wantErr := ref.ShouldRateLimit(context.Background(), proto.Clone(req).(*pb.RateLimitRequest))
			got, gotErr := ours.ShouldRateLimit(context.Background(), req)
			requests++
			descriptors += len(req.Descriptors)
			if want.GetOverallCode() == pb.RateLimitResponse_OVER_LIMIT {
				over++
			}
			if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !proto.Equal(got, want) {
				if differences++; differences <= 3 {
					t.Errorf("request %v\nreference %v %v\nWeir      %v %v\n%s", req, want, wantErr, got, gotErr, text)
				}
			}
			if r.Intn(10) == 0 {
				c.unix.Add([]int64{1, 1, 1, 30, 60, 3599, 86400}[r.Intn(7)])
			}
		}
		ours.Close()
	}
	if accepted < configs || over < requests/20 || over > requests*19/20 {
		t.Errorf("%d configurations accepted of %d, %d of %d requests over the limit: this tests too little", accepted, tried, over, requests)
	}
	t.Logf("seed %d: %d configurations (%d refused by both), %d requests with %d descriptors, %d over the limit, %d differences", seed, accepted, tried-accepted, requests, descriptors, over, differences)
}
