package gate

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weir-dev/weir/internal/enforce"
)

// metrics are the gate's figures for Prometheus. Labels have few values and none
// of a client's making: policies by name, upstreams by address, never a key.
type metrics struct {
	registry *prometheus.Registry
	gate     *Gate
	inFlight atomic.Int64
	requests [len(outcomes)][6]prometheus.Counter // by the first digit of the status; 0 for no answer
	checks   [len(outcomes)]prometheus.Counter
	took     [len(outcomes)]prometheus.Observer
	deciding prometheus.Histogram
	delayed  prometheus.Counter
}

func newMetrics(g *Gate) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), gate: g}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_gate_requests_total", Help: "Requests to the proxy, by outcome and class of the answer's status."}, []string{"outcome", "class"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "weir_gate_request_seconds", Help: "Time from a request's header fields to the end of its answer.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"outcome"})
	checks := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_gate_checks_total", Help: "Questions to the forward-auth endpoint, by outcome."}, []string{"outcome"})
	m.deciding = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "weir_gate_decision_seconds", Help: "Time that a decision took, without the delay that a policy asks for.",
		Buckets: []float64{1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1},
	})
	m.delayed = prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_gate_delay_seconds_total", Help: "Time that policies made requests wait."})
	for o, name := range outcomes {
		for c := range m.requests[o] {
			class := "none"
			if c > 0 {
				class = strconv.Itoa(c) + "xx"
			}
			m.requests[o][c] = requests.WithLabelValues(name, class)
		}
		m.took[o], m.checks[o] = took.WithLabelValues(name), checks.WithLabelValues(name)
	}
	m.registry.MustRegister(requests, took, checks, m.deciding, m.delayed, (*figures)(m),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// done counts a request that has ended.
func (m *metrics) done(x *exchange) {
	class := x.rec.Status / 100
	if class >= len(m.requests[0]) {
		class = 0
	}
	m.requests[x.outcome][class].Inc()
	m.took[x.outcome].Observe(time.Since(x.start).Seconds())
	m.decided(x)
}

func (m *metrics) decided(x *exchange) {
	if x.verdict != nil {
		m.deciding.Observe(x.deciding.Seconds())
	}
	if x.delayed > 0 {
		m.delayed.Add(x.delayed.Seconds())
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// figures are those of others, read when somebody asks. It is a
// prometheus.Collector.
type figures metrics

// Describe sends nothing: which policies there are changes with the file.
func (*figures) Describe(chan<- *prometheus.Desc) {}

// Collect sends the figures of the guard, the upstreams and the reloads.
func (f *figures) Collect(ch chan<- prometheus.Metric) {
	send := func(kind prometheus.ValueType, name, help string, value float64, labels ...string) {
		var names, values []string
		for i := 0; i < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		m, err := prometheus.NewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, value, values...)
		if err != nil {
			m = prometheus.NewInvalidMetric(prometheus.NewDesc(name, help, names, nil), err)
		}
		ch <- m
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	g := f.gate
	st := g.guard.Stats()
	var names []string
	sum := map[string]*[5]int64{} // several policies may have one name
	for _, p := range st.Policies {
		s := sum[p.Name]
		if s == nil {
			s = new([5]int64)
			sum[p.Name] = s
			names = append(names, p.Name)
		}
		for i, n := range []int64{p.Allowed, p.Refused, p.ShadowRefused, p.Warned, p.Failed} {
			s[i] += n
		}
	}
	for _, name := range names {
		for i, result := range []string{"allowed", "refused", "shadow-refused", "warned", "failed"} {
			send(counter, "weir_policy_decisions_total", "What each policy said of requests. A warning comes beside a decision.", float64(sum[name][i]), "policy", name, "result", result)
		}
	}
	send(gauge, "weir_gate_in_flight", "Requests under way.", float64(f.inFlight.Load()))
	if g.o.Envoy != nil {
		envoy := g.o.Envoy.Stats()
		for _, p := range envoy.Policies { // a file gives each a name of its own
			for _, r := range []struct {
				name string
				n    int64
			}{{"ok", p.Total - p.Over - p.Shadow}, {"over-limit", p.Over}, {"shadow-over-limit", p.Shadow}} {
				send(counter, "weir_rls_hits_total", "Hits that Envoy's rate limit service decided.", float64(r.n), "policy", p.Name, "result", r.name)
			}
		}
		if t := envoy.Guard.Table; t != nil {
			send(gauge, "weir_rls_keys", "Counts in memory of Envoy's rate limit service.", float64(t.Keys))
			send(counter, "weir_rls_keys_spilled_total", "Its decisions about a new key for which there was no room.", float64(t.Spilled))
		}
		if s := envoy.Guard.Shared; s != nil {
			addShared(st.Shared, s)
		}
	}
	if t := st.Table; t != nil {
		send(gauge, "weir_keys", "Limiters in memory.", float64(t.Keys))
		send(gauge, "weir_keys_max", "The most that are kept.", float64(t.MaxKeys))
		send(counter, "weir_keys_evicted_total", "Limiters dropped because they were as good as new.", float64(t.Evicted))
		send(counter, "weir_keys_spilled_total", "Decisions about a new key for which there was no room.", float64(t.Spilled))
	}
	if s := st.Shared; s != nil {
		send(gauge, "weir_store_degraded", "1 while the store is left alone because it fails.", truth(s.Degraded))
		send(gauge, "weir_store_gates", "Processes that share the store.", float64(s.Gates))
		send(counter, "weir_store_decisions_total", "Decisions asked for with a store.", float64(s.Decisions))
		send(counter, "weir_store_errors_total", "Times that the store failed.", float64(s.Errors))
		send(counter, "weir_store_timeouts_total", "Those of them that took too long.", float64(s.Timeouts))
		for _, by := range []struct {
			name string
			n    int64
		}{{"local", s.Local}, {"open", s.Open}, {"closed", s.Closed}, {"lease", s.Leased}} {
			send(counter, "weir_store_without_total", "Decisions made without asking the store, by what decided.", float64(by.n), "by", by.name)
		}
	}
	for _, u := range g.pool.list {
		send(gauge, "weir_upstream_ready", "1 while requests are sent to the upstream.", truth(u.ready(time.Now())), "upstream", u.name)
		send(gauge, "weir_upstream_in_flight", "Requests under way to the upstream.", float64(u.busy.Load()), "upstream", u.name)
		send(counter, "weir_upstream_requests_total", "Requests sent to the upstream.", float64(u.requests.Load()), "upstream", u.name)
		send(counter, "weir_upstream_failures_total", "Those of them that got no answer.", float64(u.failures.Load()), "upstream", u.name)
	}
	ok, bad, _ := g.reloads.read()
	send(counter, "weir_gate_reloads_total", "Times that the policies were read again.", float64(ok), "result", "ok")
	send(counter, "weir_gate_reloads_total", "Times that the policies were read again.", float64(bad), "result", "failed")
	if g.access != nil {
		send(counter, "weir_gate_access_log_lost_total", "Lines of the access log that could not be written.", float64(g.access.lost.Load()))
	}
}

// addShared adds the figures of another that asks the same store.
func addShared(sum, s *enforce.SharedStats) {
	sum.Degraded = sum.Degraded || s.Degraded
	sum.Gates = max(sum.Gates, s.Gates)
	sum.Decisions += s.Decisions
	sum.Errors += s.Errors
	sum.Timeouts += s.Timeouts
	sum.Leased += s.Leased
	sum.Local += s.Local
	sum.Open += s.Open
	sum.Closed += s.Closed
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// reloads counts how the policies were replaced.
type reloads struct {
	mu      sync.Mutex // guards the following
	ok, bad int64
	last    string // why the last one failed; "" when it did not
}

func (r *reloads) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.ok++
		r.last = ""
		return
	}
	r.bad++
	r.last = err.Error()
}

func (r *reloads) read() (ok, bad int64, last string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ok, r.bad, r.last
}
