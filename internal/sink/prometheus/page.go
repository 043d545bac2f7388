package prometheus

import (
	"errors"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/sink"
	"github.com/weir-dev/weir/internal/tally"
)

// Page is what Prometheus scrapes of a run that goes on. Serve makes one. Its
// methods are safe for concurrent use; nil does nothing.
type Page struct {
	server *http.Server
	addr   string

	mu    sync.Mutex
	total counts
}

// Serve begins to listen at addr, such as 127.0.0.1:9099. The page is /metrics.
func Serve(addr, test, runID string, requests int) (*Page, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	p := &Page{addr: l.Addr().String(), total: newCounts(requests)}
	registry := prometheus.NewRegistry()
	if err := prometheus.WrapRegistererWith(prometheus.Labels{"test": test, "run": runID}, registry).Register(p); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	go p.server.Serve(l)
	return p, nil
}

// Addr is where the page is.
func (p *Page) Addr() string { return p.addr }

// Add takes the next tick.
func (p *Page) Add(k *tally.Tick) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total.add(k)
}

// Close ends the page.
func (p *Page) Close() error {
	if p == nil {
		return nil
	}
	return p.server.Close()
}

// classic are the upper bounds, in seconds, of the buckets for those who do not know
// native histograms: most servers do not, unless they are told to.
var classic = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// both is a native histogram with classic buckets beside it. A server takes one of them.
type both struct {
	prometheus.Metric
	h *hist.Hist
}

// Write adds the classic buckets.
func (b both) Write(out *dto.Metric) error {
	if err := b.Metric.Write(out); err != nil {
		return err
	}
	for _, le := range classic {
		below := b.h.Count() - b.h.CountAbove(time.Duration(le*float64(time.Second)))
		out.Histogram.Bucket = append(out.Histogram.Bucket, &dto.Bucket{UpperBound: &le, CumulativeCount: &below})
	}
	return nil
}

// Describe says nothing: which request names there are is not known before.
func (p *Page) Describe(chan<- *prometheus.Desc) {}

// Collect gives the totals so far.
func (p *Page) Collect(out chan<- prometheus.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	labels := []string{"outcome", "request"}
	users := prometheus.NewDesc("weir_users", "Users alive.", nil, nil)
	inFlight := prometheus.NewDesc("weir_in_flight", "Requests under way.", nil, nil)
	sent := prometheus.NewDesc("weir_sent_total", "Requests that reached the wire.", nil, nil)
	requests := prometheus.NewDesc("weir_requests_total", "Requests by outcome: admitted, throttled, failed, missed.", labels, nil)
	times := prometheus.NewDesc("weir_response_seconds", "Time from the moment a request was due.", labels, nil)
	out <- prometheus.MustNewConstMetric(users, prometheus.GaugeValue, float64(p.total.users))
	out <- prometheus.MustNewConstMetric(inFlight, prometheus.GaugeValue, float64(p.total.inFlight))
	out <- prometheus.MustNewConstMetric(sent, prometheus.CounterValue, float64(p.total.sent))
	for _, id := range keys(p.total.requests) {
		out <- prometheus.MustNewConstMetric(requests, prometheus.CounterValue, float64(p.total.requests[id]), id.outcome.String(), id.name)
	}
	for _, id := range keys(p.total.times) {
		h := p.total.times[id]
		offset, list, zero := sink.Exponential(h)
		buckets := map[int]int64{}
		for i, n := range list {
			if n > 0 {
				buckets[offset+1+i] = int64(n)
			}
		}
		m, err := prometheus.NewConstNativeHistogram(times, h.Count(), h.Sum(), buckets, nil, zero, sink.Scale, math.Ldexp(1, -128), time.Time{}, id.outcome.String(), id.name)
		if err != nil {
			out <- prometheus.NewInvalidMetric(times, err)
			continue
		}
		out <- both{m, h}
	}
}
