package gate

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
)

// Admin returns the pages for those who run the gate:
//
//	GET /metrics   for Prometheus
//	GET /healthz   200 while the process works
//	GET /readyz    200 while requests should be sent to it, else 503
//	GET /stats     the figures as JSON
//	GET /api/v2/logs  the tenant log, with Options.TenantLog
//
// They tell no key and no secret, but addresses of upstreams.
func (g *Gate) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", g.metrics.handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		why := g.unready()
		if why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ready\n"))
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.Encode(g.Stats())
	})
	if g.o.TenantLog != nil {
		mux.Handle("GET /api/v2/", g.o.TenantLog)
	}
	return mux
}

// unready says why no requests should come, or "". A store that does not answer
// is no reason: the policies say what happens then, and another gate would have
// the same.
func (g *Gate) unready() string {
	if g.draining.Load() {
		return "stopping"
	}
	if len(g.pool.list) == 0 {
		return ""
	}
	for _, u := range g.pool.list {
		if u.ready(time.Now()) {
			return ""
		}
	}
	return "no upstream answers"
}

// Stats is what a gate has done since it was started.
type Stats struct {
	Started       time.Time       `json:"started"`
	Ready         bool            `json:"ready"`
	InFlight      int64           `json:"in_flight"`
	StoreDegraded bool            `json:"store_degraded"` // now
	LastDegraded  *time.Time      `json:"last_decision_without_store,omitempty"`
	Upstreams     []UpstreamStats `json:"upstreams"`
	Policies      []PolicyStats   `json:"policies"`        // in the order of the file
	Keys          *KeyStats       `json:"keys,omitempty"`  // without a store
	Store         *StoreStats     `json:"store,omitempty"` // with one
	Envoy         *EnvoyStats     `json:"envoy,omitempty"` // with its service
	Reloads       int64           `json:"reloads"`
	ReloadError   string          `json:"reload_error,omitempty"` // why the last one failed
}

// UpstreamStats are the figures of an upstream.
type UpstreamStats struct {
	Address  string `json:"address"`
	Ready    bool   `json:"ready"`
	InFlight int64  `json:"in_flight"`
	Requests int64  `json:"requests"`
	Failures int64  `json:"failures"` // no connection, or no answer
}

// PolicyStats are the decisions of a policy, as guard.PolicyStats has them.
type PolicyStats struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	Shadow        bool   `json:"shadow"`
	Allowed       int64  `json:"allowed"`
	Refused       int64  `json:"refused"`
	ShadowRefused int64  `json:"shadow_refused"`
	Warned        int64  `json:"warned"`
	Failed        int64  `json:"failed"`
}

// EnvoyStats are the figures of Envoy's rate limit service.
type EnvoyStats struct {
	Policies []EnvoyPolicyStats `json:"policies"`        // those with a descriptor, in the order of the file
	Keys     *KeyStats          `json:"keys,omitempty"`  // without a store
	Store    *StoreStats        `json:"store,omitempty"` // with one
}

// EnvoyPolicyStats are the hits of a descriptor, as rls.PolicyStats has them.
type EnvoyPolicyStats struct {
	Name   string `json:"name"`
	Total  int64  `json:"hits"`
	Over   int64  `json:"over_limit"`
	Shadow int64  `json:"shadow_over_limit"`
}

// KeyStats are the limiters in this process, as enforce.Stats has them.
type KeyStats struct {
	Now     int   `json:"now"`
	Most    int   `json:"most"`
	Evicted int64 `json:"evicted"`
	Spilled int64 `json:"spilled"`
}

// StoreStats say how the store does, as enforce.SharedStats does.
type StoreStats struct {
	Gates     int    `json:"gates"`
	Decisions int64  `json:"decisions"`
	Errors    int64  `json:"errors"`
	Timeouts  int64  `json:"timeouts"`
	Leased    int64  `json:"by_lease"`
	Local     int64  `json:"by_local"`
	Open      int64  `json:"by_open"`
	Closed    int64  `json:"by_closed"`
	LastError string `json:"last_error,omitempty"`
}

// Stats returns the figures. Under traffic they may differ by the requests in
// progress.
func (g *Gate) Stats() Stats {
	s := Stats{Started: g.started.UTC(), Ready: g.unready() == "", InFlight: g.metrics.inFlight.Load(), Upstreams: []UpstreamStats{}}
	of := g.guard.Stats()
	for _, p := range of.Policies {
		s.Policies = append(s.Policies, PolicyStats(p))
	}
	s.Keys, s.Store = keyStats(of.Table), storeStats(of.Shared)
	s.StoreDegraded = of.Shared != nil && of.Shared.Degraded
	if g.o.Envoy != nil {
		of := g.o.Envoy.Stats()
		s.Envoy = &EnvoyStats{Policies: []EnvoyPolicyStats{}, Keys: keyStats(of.Guard.Table), Store: storeStats(of.Guard.Shared)}
		for _, p := range of.Policies {
			s.Envoy.Policies = append(s.Envoy.Policies, EnvoyPolicyStats(p))
		}
		s.StoreDegraded = s.StoreDegraded || of.Guard.Shared != nil && of.Guard.Shared.Degraded
	}
	if ns := g.degraded.Load(); ns != 0 {
		at := time.Unix(0, ns).UTC()
		s.LastDegraded = &at
	}
	for _, u := range g.pool.list {
		s.Upstreams = append(s.Upstreams, UpstreamStats{u.name, u.ready(time.Now()), u.busy.Load(), u.requests.Load(), u.failures.Load()})
	}
	s.Reloads, _, s.ReloadError = g.reloads.read()
	return s
}

func keyStats(t *enforce.Stats) *KeyStats {
	if t == nil {
		return nil
	}
	return &KeyStats{Now: t.Keys, Most: t.MaxKeys, Evicted: t.Evicted, Spilled: t.Spilled}
}

func storeStats(t *enforce.SharedStats) *StoreStats {
	if t == nil {
		return nil
	}
	return &StoreStats{t.Gates, t.Decisions, t.Errors, t.Timeouts, t.Leased, t.Local, t.Open, t.Closed, t.LastError}
}
