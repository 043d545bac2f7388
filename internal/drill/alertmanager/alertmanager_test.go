package alertmanager_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/drill"
	"github.com/weir-dev/weir/internal/drill/alertmanager"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/limit"
)

// world is a target behind a limit, a Prometheus that counts its refusals and an
// Alertmanager, all in the bubble's time.
type world struct {
	mu      sync.Mutex // guards all below
	limiter limit.Limiter
	refused []time.Time

	hold       time.Duration // of the rule
	window     time.Duration // its expression looks back so far
	health     string
	silence    string // a label's value that is silenced
	suppressed bool
	noTargets  bool
	deaf       bool // Alertmanager gets nothing
	blind      bool // nothing is scraped
	broken     bool
}

func newWorld(t *testing.T) *world {
	l, err := limit.Policy{Algorithm: limit.SlidingLog, Limit: 20, Window: time.Second}.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &world{limiter: l, hold: 30 * time.Second, window: time.Minute, health: "ok"}
}

func (w *world) Send(context.Context, int) drill.Answer {
	a := drill.Answer{Sent: time.Now(), Status: 200}
	w.mu.Lock()
	if !w.limiter.Take(time.Now(), 1).Allowed {
		a.Status, a.Outcome = 429, hit.Throttled
		w.refused = append(w.refused, time.Now())
	}
	w.mu.Unlock()
	time.Sleep(2 * time.Millisecond)
	a.Done = time.Now()
	return a
}

const interval = 15 * time.Second

// state is what the rule is in, evaluated each interval.
func (w *world) state() (state string, since time.Time) {
	if w.blind {
		return "inactive", since
	}
	for at := time.Now().Truncate(interval); ; at = at.Add(-interval) {
		n := 0
		for _, r := range w.refused {
			if !r.After(at) && at.Sub(r) < w.window {
				n++
			}
		}
		if n == 0 {
			break
		}
		since = at
	}
	switch {
	case since.IsZero():
		return "inactive", since
	case time.Now().Truncate(interval).Sub(since) >= w.hold:
		return "firing", since
	}
	return "pending", since
}

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rec := httptest.NewRecorder()
	state, since := w.state()
	prom := func(v any) { _ = json.NewEncoder(rec).Encode(map[string]any{"status": "success", "data": v}) }
	list := func(n bool) []any {
		if n {
			return []any{map[string]any{"labels": map[string]string{"alertname": "Throttled", "severity": "page"}, "state": state, "activeAt": since, "value": "3e+00"}}
		}
		return []any{}
	}
	switch path := r.URL.Host + r.URL.Path; {
	case w.broken:
		rec.WriteHeader(http.StatusBadGateway)
	case path == "prom/api/v1/rules":
		prom(map[string]any{"groups": []any{map[string]any{"interval": interval.Seconds(), "rules": []any{map[string]any{
			"name": "Throttled", "type": "alerting", "state": state, "query": "rate(refused[1m]) > 0", "duration": w.hold.Seconds(), "health": w.health,
			"lastError": "many-to-many", "labels": map[string]string{"severity": "page"},
		}}}}})
	case path == "prom/api/v1/alerts":
		prom(map[string]any{"alerts": list(state != "inactive")})
	case path == "prom/api/v1/query":
		prom(map[string]any{"result": list(state != "inactive")})
	case path == "prom/api/v1/alertmanagers":
		active := []any{map[string]string{"url": "http://am/api/v2/alerts"}}
		if w.noTargets {
			active = nil
		}
		prom(map[string]any{"activeAlertmanagers": active})
	case path == "am/api/v2/silences":
		var out []any
		if w.silence != "" {
			name, value, _ := strings.Cut(w.silence, "=")
			out = append(out, map[string]any{"id": "s1", "comment": "night", "endsAt": time.Now().Add(time.Hour), "status": map[string]string{"state": "active"},
				"matchers": []any{map[string]any{"name": name, "value": value, "isRegex": true, "isEqual": true}}})
		}
		_ = json.NewEncoder(rec).Encode(out)
	case path == "am/api/v2/alerts":
		out := []any{}
		if state == "firing" && !w.deaf {
			status := map[string]any{"state": "active", "silencedBy": []string{}}
			if w.suppressed {
				status = map[string]any{"state": "suppressed", "inhibitedBy": []string{"a1"}}
			}
			out = append(out, map[string]any{"updatedAt": time.Now(), "status": status, "receivers": []any{map[string]string{"name": "pager"}}})
		}
		_ = json.NewEncoder(rec).Encode(out)
	default:
		rec.WriteHeader(http.StatusNotFound)
	}
	return rec.Result(), nil
}

// hook notifies group_wait after the alert fires.
type hook struct{ w *world }

func (h hook) First(string, time.Time) (time.Time, string, bool) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	if state, since := h.w.state(); state == "firing" && !h.w.deaf && !h.w.suppressed {
		return since.Add(h.w.hold + 10*time.Second), "pager", time.Since(since) >= h.w.hold+10*time.Second
	}
	return time.Time{}, "", false
}

func TestDrill(t *testing.T) {
	cases := []struct {
		name    string
		alert   string
		spoil   func(*world)
		verdict drill.Verdict
		want    string
	}{
		{"proved", "Throttled", func(*world) {}, drill.Passed, ""},
		{"at once", "Throttled", func(w *world) { w.hold = 0 }, drill.Passed, ""},
		{"no such rule", "Thottled", func(*world) {}, drill.NotRun, "rule-missing"},
		{"the rule is broken", "Throttled", func(w *world) { w.health = "err" }, drill.NotRun, "rule-broken"},
		{"firing before", "Throttled", func(w *world) { w.refused, w.hold = []time.Time{time.Now().Add(-20 * time.Second)}, 0 }, drill.NotRun, "already-alarming"},
		{"silenced by name", "Throttled", func(w *world) { w.silence = "alertname=Thr.*" }, drill.NotRun, "muted"},
		{"silenced by label", "Throttled", func(w *world) { w.silence = "severity=page|mail" }, drill.NotRun, "muted"},
		{"a silence for others", "Throttled", func(w *world) { w.silence = "severity=mail" }, drill.Passed, ""},
		{"a silence that may fit", "Throttled", func(w *world) { w.silence = "instance=a" }, drill.Passed, "muted"},
		{"no Alertmanager", "Throttled", func(w *world) { w.noTargets = true }, drill.NotRun, "no-action"},
		{"holds for too long", "Throttled", func(w *world) { w.hold = time.Hour }, drill.NotRun, "threshold-unreachable period-too-long"},
		{"not scraped", "Throttled", func(w *world) { w.blind = true }, drill.Failed, "not-pending wrong-dimensions"},
		{"does not arrive", "Throttled", func(w *world) { w.deaf = true }, drill.Failed, "not-received no-action"},
		{"suppressed", "Throttled", func(w *world) { w.suppressed = true }, drill.Failed, "not-received no-action"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Hour) // so that there is a past
				w := newWorld(t)
				c.spoil(w)
				side := alertmanager.New(alertmanager.Options{Alert: c.alert, Prometheus: "http://prom/", Alertmanager: "http://am", Webhook: hook{w}, Client: &http.Client{Transport: w}})
				d := drill.New(drill.Options{Caps: drill.Caps{Requests: 3000, Throttled: 200, Rate: 100, Time: 15 * time.Minute}}, side, w)
				plan, err := d.Prepare(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				r := d.Unrun()
				if !plan.Stopped() {
					r = d.Run(t.Context())
				}
				var names []string
				for _, f := range r.Findings {
					names = append(names, f.Name)
				}
				if got := strings.Join(names, " "); got != c.want || r.Verdict != c.verdict {
					t.Errorf("%s: %q, want %s: %q\n%+v", r.Verdict, got, c.verdict, c.want, r.Findings)
				}
				if c.want != "" {
					return
				}
				for _, s := range r.Stages {
					if !s.Seen || s.Gap > s.Bound {
						t.Errorf("%+v", s)
					}
				}
			})
		})
	}
	if len(cases) < 12 {
		t.Errorf("only %d cases", len(cases))
	}
}

func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.broken = true
		side := alertmanager.New(alertmanager.Options{Alert: "x", Prometheus: "http://user:secret@prom", Client: &http.Client{Transport: w}})
		if _, err := side.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "502") || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%v", err)
		}
	})
}
