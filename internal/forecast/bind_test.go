package forecast

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/tally"
)

// bound is the model of a plan and a policy file.
func bound(t *testing.T, plan, limits string) (*Study, *Model) {
	t.Helper()
	p, err := Parse("f.yaml", []byte(plan))
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Bind(Sources{Limits: func(string) (*policy.File, error) { return policy.Parse("l.yaml", []byte(limits)) }})
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Model()
	if err != nil {
		t.Fatal(err)
	}
	return s, m
}

func TestBind(t *testing.T) {
	const limits = `
policies:
  - {name: all, limit: 1000, window: 1s}
  - {name: by-client, match: POST /oauth/token, key: request.ip, limit: 10, window: 1s}
  - {name: by-path, match: "/a/*", key: request.path, limit: 20, window: 1s, cost: 3}
  - {name: by-header, match: GET /h, key: 'request.header["X-Tier"]', limit: 5, window: 1s}
  - {name: never, match: DELETE /x, limit: 1, window: 1s}
  - {name: watcher, shadow: true, limit: 1, window: 1s}
`
	s, m := bound(t, `
limits: l.yaml
arrivals: {rate: 10/s}
flows:
  - {name: f, clients: 4, calls: [POST /oauth/token, GET /a/1, GET /a/2, {request: GET /h, headers: {X-Tier: gold}}]}
  - {name: people, clients: each, calls: [POST /oauth/token]}
  - {name: one, calls: [POST /oauth/token]}
`, limits)
	names := map[string]Limit{}
	for _, l := range m.Limits {
		names[l.Name] = l
	}
	for _, want := range []string{"all", "by-client", "by-path [/a/1]", "by-path [/a/2]", "by-header [gold]"} {
		if _, ok := names[want]; !ok {
			t.Errorf("there is no limit %q: %v", want, names)
		}
	}
	if len(names) != 5 {
		t.Errorf("%d limits, want 5: %v", len(names), names)
	}
	if !names["by-client"].PerClient || names["by-path [/a/1]"].PerClient {
		t.Error("by-client is not counted by client, or by-path is")
	}
	if asks := m.Flows[0].Calls[1].Asks; len(asks) != 2 || asks[1].Cost != 3 {
		t.Errorf("GET /a/1 asks %+v, want two limits, the second for 3", asks)
	}
	if asks := m.Flows[1].Calls[0].Asks; len(asks) != 1 {
		t.Errorf("people ask %+v, want one limit: each has a count of its own", asks)
	}
	notes := strings.Join(s.Notes, "\n")
	for _, want := range []string{"limit watcher is left out: it only watches", "every arrival of people is somebody else", "one is taken for one client"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note says %q:\n%s", want, notes)
		}
	}
}

// TestRecorded: what a run met is predicted from its sends, and set beside it.
func TestRecorded(t *testing.T) {
	var ticks []*tally.Tick
	for i := range 10 {
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second, Sends: make([]uint32, 100)}
		for b := range 100 {
			if b%5 == 0 {
				k.Sends[b] = 1 // 20 a second
			}
		}
		refused := int64(0)
		if i > 0 {
			refused = 5
		}
		k.Series = append(k.Series, tally.Series{Method: "GET", Name: "http://h/y", Outcome: hit.Admitted, Count: 5},
			tally.Series{Method: "POST", Name: "/x", Outcome: hit.Admitted, Count: 15 - refused})
		if refused > 0 {
			k.Series = append(k.Series, tally.Series{Method: "POST", Name: "/x", Outcome: hit.Throttled, Count: refused, First: k.Start + 500*time.Millisecond})
		}
		ticks = append(ticks, k)
	}
	rec, err := Record(start, func(yield func(*tally.Tick, error) bool) {
		for _, k := range ticks {
			if !yield(k, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Names) != 2 || rec.Names[0].Request != "GET /y" || len(rec.Names[0].At) != 50 || len(rec.Names[1].At) != 150 {
		t.Fatalf("%d names; %s sent %d, want GET /y 50 and POST /x 150", len(rec.Names), rec.Names[0].Request, len(rec.Names[0].At))
	}
	file, err := policy.Parse("l.yaml", []byte("policies: [{match: POST /x, limit: 10, window: 1s}]"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := rec.Study("run", file).Answer(AnswerOptions{Brief: true})
	if err != nil {
		t.Fatal(err)
	}
	m := rec.Compare(a)
	if !m.Agree || m.FirstError == nil || m.Throttled != 45 || m.Sent != 200 {
		t.Fatalf("%+v", m)
	}
	if m.RatioError < -0.03 || m.RatioError > 0.03 || *m.First != 1.5 {
		t.Errorf("predicted %v, measured %v, first %v", a.Totals.RefusedRatio, m.Ratio, *m.First)
	}
}
