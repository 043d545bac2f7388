package rls_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	descriptor "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	pb "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/gate/rls"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/policy/envoy"
	"github.com/weir-dev/weir/limit"
)

const config = `
domain: shop
descriptors:
  - key: user
    rate_limit: {name: per-user, unit: minute, requests_per_unit: 3}
  - key: user
    value: banned
    rate_limit: {unit: minute, requests_per_unit: 0}
  - key: user
    value: boss
    rate_limit: {unlimited: true}
  - key: vip
    rate_limit: {unit: minute, requests_per_unit: 5, replaces: [{name: per-user}]}
  - key: dark
    rate_limit: {unit: minute, requests_per_unit: 1}
    shadow_mode: true
  - key: quota
    rate_limit: {unit: minute, requests_per_unit: 1}
    quota_mode: true
  - key: big
    rate_limit: {unit: week, requests_per_unit: 4294967295}
`

// bench is a service with a clock that tests turn.
type bench struct {
	*rls.Service
	now atomic.Int64
}

var start = time.Date(2026, 11, 21, 12, 0, 10, 0, time.UTC)

func serve(t testing.TB, text string, o rls.Options) *bench {
	t.Helper()
	b := &bench{}
	b.now.Store(start.UnixNano())
	o.Guard.Clock = func() time.Time { return time.Unix(0, b.now.Load()) }
	s, err := rls.New(file(t, text), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b.Service = s
	return b
}

func file(t testing.TB, text string) *policy.File {
	t.Helper()
	f, err := envoy.Parse("limits.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (b *bench) pass(d time.Duration) { b.now.Add(int64(d)) }

// request reads "user=a,plan=b*3" and so on: descriptors separated by blanks,
// with the hits of their own behind a star.
func request(domain, text string) *pb.RateLimitRequest {
	req := &pb.RateLimitRequest{Domain: domain}
	for _, one := range strings.Fields(text) {
		d := &descriptor.RateLimitDescriptor{}
		one, hits, own := strings.Cut(one, "*")
		if own {
			n := uint64(0)
			fmt.Sscan(hits, &n)
			d.HitsAddend = wrapperspb.UInt64(n)
		}
		for _, e := range strings.Split(one, ",") {
			k, v, _ := strings.Cut(e, "=")
			d.Entries = append(d.Entries, &descriptor.RateLimitDescriptor_Entry{Key: k, Value: v})
		}
		req.Descriptors = append(req.Descriptors, d)
	}
	return req
}

// show writes an answer as "OK: OK 2 of 3/MINUTE 50s, …".
func show(res *pb.RateLimitResponse, err error) string {
	if err != nil {
		return err.Error()
	}
	var parts []string
	for _, st := range res.Statuses {
		p := fmt.Sprintf("%v %d", st.Code, st.LimitRemaining)
		if c := st.CurrentLimit; c != nil {
			p += fmt.Sprintf(" of %d/%v", c.RequestsPerUnit, c.Unit)
			if m := c.UnitMultiplier; m != nil {
				p += fmt.Sprintf("x%d", m.Value)
			}
		}
		if st.DurationUntilReset != nil {
			p += fmt.Sprintf(" %ds", st.DurationUntilReset.Seconds)
		}
		parts = append(parts, p)
	}
	return fmt.Sprintf("%v: %s", res.OverallCode, strings.Join(parts, ", "))
}

func TestDecisions(t *testing.T) {
	type step struct {
		wait time.Duration
		ask  string
		want string
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"a limit", []step{
			{0, "user=a", "OK: OK 2 of 3/MINUTE 50s"},
			{0, "user=a", "OK: OK 1 of 3/MINUTE 50s"},
			{0, "user=b", "OK: OK 2 of 3/MINUTE 50s"},
			{9 * time.Second, "user=a", "OK: OK 0 of 3/MINUTE 41s"},
			{0, "user=a", "OVER_LIMIT: OVER_LIMIT 0 of 3/MINUTE 41s"},
			{41*time.Second - 1, "user=a", "OVER_LIMIT: OVER_LIMIT 0 of 3/MINUTE 1s"},
			{1, "user=a", "OK: OK 2 of 3/MINUTE 60s"},
		}},
		{"hits", []step{
			{0, "user=a*0", "OK: OK 3 of 3/MINUTE 50s"},
			{0, "user=a*3", "OK: OK 0 of 3/MINUTE 50s"},
			{0, "user=a*0", "OK: OK 0 of 3/MINUTE 50s"},
			{0, "user=a*1", "OVER_LIMIT: OVER_LIMIT 0 of 3/MINUTE 50s"},
			// What asks for nothing hears that the count is above the limit.
			{0, "user=a*0", "OVER_LIMIT: OVER_LIMIT 0 of 3/MINUTE 50s"},
			{0, "user=b*4", "OVER_LIMIT: OVER_LIMIT 0 of 3/MINUTE 50s"},
			{0, "user=b*1", "OVER_LIMIT: OVER_LIMIT 0 of 3/MINUTE 50s"},
		}},
		{"a limit of 0", []step{
			{0, "user=banned*0", "OK: OK 0 of 0/MINUTE 50s"},
			{0, "user=banned", "OVER_LIMIT: OVER_LIMIT 0 of 0/MINUTE 50s"},
			{0, "user=banned*0", "OVER_LIMIT: OVER_LIMIT 0 of 0/MINUTE 50s"},
		}},
		{"no limit", []step{
			{0, "user=boss", "OK: OK 4294967295"},
			{0, "user=a,other=b", "OK: OK 0"},
			{0, "colour=red", "OK: OK 0"},
		}},
		{"each descriptor counts by itself", []step{
			{0, "user=banned user=a colour=red", "OVER_LIMIT: OVER_LIMIT 0 of 0/MINUTE 50s, OK 2 of 3/MINUTE 50s, OK 0"},
			{0, "user=a user=a", "OK: OK 1 of 3/MINUTE 50s, OK 0 of 3/MINUTE 50s"},
		}},
		{"replaces", []step{
			{0, "user=a vip=a", "OK: OK 0, OK 4 of 5/MINUTE 50s"},
			{0, "vip=a user=a", "OK: OK 3 of 5/MINUTE 50s, OK 0"},
			{0, "user=a", "OK: OK 2 of 3/MINUTE 50s"},
		}},
		{"shadow", []step{
			{0, "dark=a", "OK: OK 0 of 1/MINUTE 50s"},
			{0, "dark=a", "OK: OK 0 of 1/MINUTE 50s"},
		}},
		{"quota", []step{
			{0, "quota=a*2", "OK: OK 0 of 1/MINUTE"},
		}},
		{"large", []step{
			{0, "big=a*4294967294", "OK: OK 1 of 4294967295/WEEK 388790s"},
			{0, "big=a*1", "OK: OK 0 of 4294967295/WEEK 388790s"},
			{0, "big=a*4294967295", "OVER_LIMIT: OVER_LIMIT 0 of 4294967295/WEEK 388790s"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := serve(t, config, rls.Options{})
			for i, st := range tt.steps {
				b.pass(st.wait)
				if got := show(b.ShouldRateLimit(t.Context(), request("shop", st.ask))); got != st.want {
					t.Errorf("step %d, %s: got %s, want %s", i+1, st.ask, got, st.want)
				}
			}
		})
	}
}

func override(n uint32, u typev3.RateLimitUnit, times uint32) *descriptor.RateLimitDescriptor_RateLimitOverride {
	o := &descriptor.RateLimitDescriptor_RateLimitOverride{RequestsPerUnit: n, Unit: u}
	if times > 0 {
		o.UnitMultiplier = wrapperspb.UInt32(times)
	}
	return o
}

func TestLimitOfTheRequest(t *testing.T) {
	b := serve(t, config, rls.Options{})
	ask := func(domain string, l *descriptor.RateLimitDescriptor_RateLimitOverride) string {
		req := request(domain, "user=a")
		req.Descriptors[0].Limit = l
		return show(b.ShouldRateLimit(t.Context(), req))
	}
	steps := []struct {
		domain string
		limit  *descriptor.RateLimitDescriptor_RateLimitOverride
		want   string
	}{
		{"shop", override(2, typev3.RateLimitUnit_HOUR, 0), "OK: OK 1 of 2/HOUR 3590s"},
		{"shop", override(2, typev3.RateLimitUnit_HOUR, 0), "OK: OK 0 of 2/HOUR 3590s"},
		{"shop", override(2, typev3.RateLimitUnit_HOUR, 0), "OVER_LIMIT: OVER_LIMIT 0 of 2/HOUR 3590s"},
		{"shop", override(9, typev3.RateLimitUnit_HOUR, 0), "OK: OK 5 of 9/HOUR 3590s"},
		{"shop", override(9, typev3.RateLimitUnit_MINUTE, 10), "OK: OK 8 of 9/MINUTEx10 590s"},
		{"shop", override(9, typev3.RateLimitUnit_MINUTE, 10), "OK: OK 7 of 9/MINUTEx10 590s"},
		{"shop", override(0, typev3.RateLimitUnit_DAY, 0), "OVER_LIMIT: OVER_LIMIT 0 of 0/DAY 43190s"},
		{"shop", override(1, typev3.RateLimitUnit_UNKNOWN, 0), "rpc error: code = InvalidArgument desc = a limit of the request has no unit, or a window of more than 290 years"},
		{"shop", override(1, typev3.RateLimitUnit_YEAR, math.MaxUint32), "rpc error: code = InvalidArgument desc = a limit of the request has no unit, or a window of more than 290 years"},
		{"nowhere", override(0, typev3.RateLimitUnit_DAY, 0), "OK: OK 0"},
	}
	for i, st := range steps {
		if got := ask(st.domain, st.limit); got != st.want {
			t.Errorf("step %d: got %s, want %s", i+1, got, st.want)
		}
	}
	if got, want := show(b.ShouldRateLimit(t.Context(), request("shop", "user=a"))), "OK: OK 2 of 3/MINUTE 50s"; got != want {
		t.Errorf("the configured limit: got %s, want %s", got, want)
	}
	var last string
	for i := range uint32(100) {
		last = ask("shop", override(9, typev3.RateLimitUnit_SECOND, 100+i))
	}
	if !strings.Contains(last, "more than 64 different windows") {
		t.Errorf("after 100 windows: %s", last)
	}
	for u := range typev3.RateLimitUnit_name {
		if u == 0 {
			continue
		}
		// The two enumerations of the protocol agree: a number says the same in both.
		if pb.RateLimitResponse_RateLimit_Unit_name[u] != typev3.RateLimitUnit_name[u] {
			t.Errorf("unit %d: %s and %s", u, pb.RateLimitResponse_RateLimit_Unit_name[u], typev3.RateLimitUnit_name[u])
		}
		if _, ok := envoy.UnitNamed(typev3.RateLimitUnit_name[u]); !ok {
			t.Errorf("unit %s is not known", typev3.RateLimitUnit_name[u])
		}
	}
}

func TestNegativeHitsGiveNothing(t *testing.T) {
	b := serve(t, config, rls.Options{})
	req := request("shop", "user=a*3")
	b.ShouldRateLimit(t.Context(), req)
	req.Descriptors[0].IsNegativeHits = true
	if got, want := show(b.ShouldRateLimit(t.Context(), req)), "OK: OK 0 of 3/MINUTE 50s"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHitsOfTheRequest(t *testing.T) {
	b := serve(t, config, rls.Options{})
	req := request("shop", "user=a user=b*1")
	req.HitsAddend = 3
	if got, want := show(b.ShouldRateLimit(t.Context(), req)), "OK: OK 0 of 3/MINUTE 50s, OK 2 of 3/MINUTE 50s"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRefusedMessages(t *testing.T) {
	b := serve(t, config, rls.Options{MaxDescriptors: 2})
	tests := []struct {
		req  *pb.RateLimitRequest
		want string
	}{
		{request("", "user=a"), "no domain"},
		{request("shop", ""), "no descriptors"},
		{nil, "no domain"},
		{request("shop", "user=a user=a user=a"), "3 descriptors, more than 2"},
		{request("shop", "user=a*4294967296"), "hits_addend is more than 4294967295"},
		{&pb.RateLimitRequest{Domain: "shop", Descriptors: []*descriptor.RateLimitDescriptor{nil}}, "descriptor 0 is null"},
	}
	for _, tt := range tests {
		_, err := b.ShouldRateLimit(t.Context(), tt.req)
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.ShouldRateLimit(ended, request("shop", "user=a")); status.Code(err) != codes.Canceled {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestHeadersAndShadow(t *testing.T) {
	b := serve(t, config, rls.Options{Shadow: true, LimitHeader: "L", RemainingHeader: "R", ResetHeader: "S"})
	tests := []struct{ ask, want string }{
		{"user=a vip=x dark=x*0 colour=red", "OK 3 L=1 R=1 S=50"},
		{"colour=red", "OK 0 "},
		{"dark=x*0 user=banned vip=y", "OK 3 L=0 R=0 S=50"},
	}
	for _, tt := range tests {
		res, err := b.ShouldRateLimit(t.Context(), request("shop", tt.ask))
		if err != nil {
			t.Fatal(err)
		}
		var fields []string
		for _, h := range res.ResponseHeadersToAdd {
			fields = append(fields, h.Key+"="+h.Value)
		}
		if got := fmt.Sprintf("%v %d %s", res.OverallCode, len(fields), strings.Join(fields, " ")); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.ask, got, tt.want)
		}
	}
}

func TestObserveAndStats(t *testing.T) {
	var heard []string
	var o rls.Options
	o.Guard.Observe = func(e *guard.Event) {
		heard = append(heard, fmt.Sprintf("%v %s %s %d %d/%d", e.Kind, e.Policy.Name, e.Key, e.Cost, e.Decision.Remaining, e.Decision.Limit))
	}
	f := file(t, config)
	f.Policies[0].WarnAt = 0.6
	s, err := rls.New(f, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 4 {
		s.ShouldRateLimit(t.Context(), request("shop", "user=a"))
	}
	s.ShouldRateLimit(t.Context(), request("shop", "dark=a*2"))
	want := []string{
		"allowed shop.user shop_user_a 1 2/3",
		"allowed shop.user shop_user_a 1 1/3", "warned shop.user shop_user_a 1 1/3",
		"allowed shop.user shop_user_a 1 0/3", "warned shop.user shop_user_a 1 0/3",
		"refused shop.user shop_user_a 1 0/3", "warned shop.user shop_user_a 1 0/3",
		"shadow-refused shop.dark shop_dark_a 2 0/1",
	}
	if strings.Join(heard, "\n") != strings.Join(want, "\n") {
		t.Errorf("heard\n%s\nwant\n%s", strings.Join(heard, "\n"), strings.Join(want, "\n"))
	}
	got := s.Stats().Policies
	if len(got) != 7 || got[0] != (rls.PolicyStats{Name: "shop.user", Total: 4, Over: 1}) || got[4] != (rls.PolicyStats{Name: "shop.dark", Total: 2, Shadow: 2}) {
		t.Errorf("stats: %+v", got)
	}
}

// Counts survive another file, also those of limits that requests bring.
func TestReplace(t *testing.T) {
	b := serve(t, config, rls.Options{})
	brought := request("shop", "user=a")
	brought.Descriptors[0].Limit = override(9, typev3.RateLimitUnit_MINUTE, 10)
	b.ShouldRateLimit(t.Context(), request("shop", "user=a*2"))
	b.ShouldRateLimit(t.Context(), brought)
	next := "domain: shop\ndescriptors:\n- key: first\n  rate_limit: {unit: second, requests_per_unit: 1}\n- key: user\n  rate_limit: {unit: minute, requests_per_unit: 5}\n"
	if err := b.Replace(file(t, next)); err != nil {
		t.Fatal(err)
	}
	if got, want := show(b.ShouldRateLimit(t.Context(), request("shop", "user=a"))), "OK: OK 2 of 5/MINUTE 50s"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := show(b.ShouldRateLimit(t.Context(), brought)), "OK: OK 7 of 9/MINUTEx10 590s"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	bad := file(t, next)
	bad.Policies[0].Policy = limit.Policy{Name: "x", Algorithm: limit.Concurrency, Limit: 3}
	if err := b.Replace(bad); err == nil || !strings.Contains(err.Error(), "concurrency") {
		t.Errorf("a concurrency limit: %v", err)
	}
	if total := b.Stats().Policies[1].Total; total != 3 {
		t.Errorf("hits after two files: %d, want 3", total)
	}
}

func TestOtherAlgorithms(t *testing.T) {
	f := &policy.File{Policies: []policy.Policy{{
		Policy:     limit.Policy{Name: "bucket", Limit: 1, Window: 10 * time.Second, Burst: 2},
		Descriptor: &policy.Descriptor{Domain: "d", Entries: []policy.DescriptorEntry{{Key: "k"}}},
	}}}
	b := &bench{}
	b.now.Store(start.UnixNano())
	s, err := rls.New(f, rls.Options{Guard: guard.Options{Clock: func() time.Time { return time.Unix(0, b.now.Load()) }}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, want := range []string{"OK: OK 1 of 1/SECONDx10 10s", "OK: OK 0 of 1/SECONDx10 20s", "OVER_LIMIT: OVER_LIMIT 0 of 1/SECONDx10 10s"} {
		if got := show(s.ShouldRateLimit(t.Context(), request("d", "k=a"))); got != want {
			t.Errorf("request %d: got %s, want %s", i+1, got, want)
		}
	}
	if got := show(s.ShouldRateLimit(t.Context(), request("d", "k=a*0"))); !strings.HasPrefix(got, "OVER_LIMIT") {
		t.Errorf("asking for nothing of an empty bucket: %s", got)
	}
}

// Many clients at once are given as many as the limit says, while files change.
func TestConcurrent(t *testing.T) {
	b := serve(t, "domain: d\ndescriptors:\n- key: k\n  rate_limit: {unit: hour, requests_per_unit: 500}\n", rls.Options{})
	var given atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				req := request("d", "k=a")
				if i%50 == 7 {
					req = request("d", "k=b")
					req.Descriptors[0].Limit = override(9, typev3.RateLimitUnit_SECOND, uint32(2+i/50))
				}
				res, err := b.ShouldRateLimit(t.Context(), req)
				if err != nil {
					t.Error(err)
				} else if res.OverallCode == pb.RateLimitResponse_OK && req.Descriptors[0].Limit == nil {
					given.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if given.Load() != 500 {
		t.Errorf("given %d, want 500", given.Load())
	}
}

// deaf is a store that never answers.
type deaf struct{}

func (deaf) Prepare(enforce.Set) (enforce.Decider, error) { return deaf{}, nil }
func (deaf) Gates(ctx context.Context) (int, error)       { return 0, errors.New("deaf") }
func (deaf) Take(ctx context.Context, _ []enforce.Ask) (limit.Decision, error) {
	return limit.Decision{}, errors.New("deaf")
}
func (deaf) Release(context.Context, []enforce.Ask) error { return errors.New("deaf") }

func TestStoreErrors(t *testing.T) {
	for word, want := range map[string]string{
		policy.OnStoreOpen:   "OK: OK 3 of 3/MINUTE",
		policy.OnStoreClosed: "OVER_LIMIT: OVER_LIMIT 0 of 3/MINUTE",
		policy.OnStoreLocal:  "OK: OK 2 of 3/MINUTE",
	} {
		f := file(t, config)
		f.Policies[0].OnStoreError = word
		s, err := rls.New(f, rls.Options{Guard: guard.Options{Store: deaf{}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := show(s.ShouldRateLimit(t.Context(), request("shop", "user=a"))); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", word, got, want)
		}
		s.Close()
	}
}

func TestServe(t *testing.T) {
	b := serve(t, config, rls.Options{MaxMessage: 4096})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	client := pb.NewRateLimitServiceClient(conn)
	if got, want := show(client.ShouldRateLimit(ctx, request("shop", "user=a"))), "OK: OK 2 of 3/MINUTE 50s"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, name := range []string{"", "ratelimit"} {
		res, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: name})
		if err != nil || res.Status != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v %v", name, res, err)
		}
	}
	if _, err := client.ShouldRateLimit(ctx, request("shop", "user="+strings.Repeat("a", 5000))); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message of 5000 bytes: %v", err)
	}
	// The same listener speaks HTTP/1, and a connection that says nothing is in
	// nobody's way.
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	res, err := http.Post("http://"+l.Addr().String()+"/json", "application/json", strings.NewReader(`{"domain":"shop","descriptors":[{"entries":[{"key":"user","value":"banned"}]}]}`))
	if err != nil || res.StatusCode != 429 {
		t.Fatalf("POST /json: %v %v", res, err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if err := b.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := b.Serve(l); err != nil {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

func TestJSON(t *testing.T) {
	b := serve(t, config, rls.Options{MaxMessage: 4096})
	h := b.Handler()
	const ask = `{"domain":"shop","descriptors":[{"entries":[{"key":"dark2"},{"key":"x"}]},{"entries":[{"key":"user","value":"banned"}]}]}`
	tests := []struct {
		method, path, body string
		status             int
		want               string // with blanks taken out
	}{
		{"POST", "/json", `{"domain":"shop","descriptors":[{"entries":[{"key":"user","value":"a"}]}]}`, 200, `{"overallCode":"OK","statuses":[{"code":"OK","currentLimit":{"name":"per-user","requestsPerUnit":3,"unit":"MINUTE"},"limitRemaining":2,"durationUntilReset":"50s"}]}`},
		{"POST", "/json", ask, 429, `{"overallCode":"OVER_LIMIT","statuses":[{"code":"OK"},{"code":"OVER_LIMIT","currentLimit":{"unit":"MINUTE"},"durationUntilReset":"50s"}]}`},
		{"POST", "/json", `{"domain":"shop"}`, 400, "therequesthasnodescriptors"},
		{"POST", "/json", `{"colour":"red"}`, 400, "notaRateLimitRequestinJSON"},
		{"POST", "/json", `{`, 400, "notaRateLimitRequestinJSON"},
		{"POST", "/json", strings.Repeat(" ", 5000), 413, "toolarge"},
		{"GET", "/json", "", 405, ""},
		{"GET", "/healthcheck", "", 200, "OK"},
		{"GET", "/", "", 404, ""},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
		body, _ := io.ReadAll(w.Result().Body)
		got := strings.NewReplacer(" ", "", "\n", "", "\u00a0", "").Replace(string(body))
		if w.Code != tt.status || !strings.Contains(got, tt.want) {
			t.Errorf("%s %s %.60s: got %d %s, want %d %s", tt.method, tt.path, tt.body, w.Code, got, tt.status, tt.want)
		}
	}
	b.Shutdown(t.Context())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthcheck", nil))
	if w.Code != 500 {
		t.Errorf("health after Shutdown: %d", w.Code)
	}
}

func BenchmarkShouldRateLimit(b *testing.B) {
	s := serve(b, config, rls.Options{})
	req := request("shop", "big=a")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.ShouldRateLimit(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// A decision takes few allocations: the answer itself and what it is made of.
func TestAllocations(t *testing.T) {
	s := serve(t, config, rls.Options{})
	req := request("shop", "big=a")
	if n := testing.AllocsPerRun(200, func() { s.ShouldRateLimit(context.Background(), req) }); n > 20 {
		t.Errorf("%v allocations a request, want at most 20", n)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"domain":"shop","descriptors":[{"entries":[{"key":"user","value":"a"}],"limit":{"requestsPerUnit":1,"unit":"HOUR","unitMultiplier":3},"hitsAddend":"7"}]}`)
	f.Add(`{"domain":"shop","descriptors":[null,{}]}`)
	f.Add(`[[[[`)
	b := serve(f, config, rls.Options{})
	h := b.Handler()
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/json", strings.NewReader(body)))
		switch w.Code {
		case 200, 400, 413, 429:
		default:
			t.Errorf("status %d for %q", w.Code, body)
		}
	})
}
