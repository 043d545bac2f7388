package verify_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/forecast"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/internal/lab/twin"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/verify"
	"github.com/weir-dev/weir/limit"
	"github.com/weir-dev/weir/limit/limittest"
)

// The model is used in three ways that share no code above it: the forecast plays
// it in virtual time, the lab enforces it over HTTP, and verify follows what comes
// back. TestThreeUsesAgree puts the same requests to all three.

var agreeStart = time.Date(2026, 11, 21, 9, 59, 58, 250e6, time.UTC)

// asked is one request of the common schedule.
type asked struct {
	at   time.Duration
	cost int64
}

// catalogue is every policy that limittest has: its list, and those of its scripts.
func catalogue(t *testing.T) (out []limit.Policy) {
	t.Helper()
	scripts, err := limittest.Load(limittest.Scripts())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	add := func(p limit.Policy) {
		p.Name, p.WarnAt = "", 0
		if p.Algorithm == limit.Quota && p.Period == limit.NoPeriod && p.Start.IsZero() {
			p.Start = agreeStart.Add(-time.Minute) // else each use counts from an origin of its own
		}
		if text := fmt.Sprintf("%+v", p); !seen[text] {
			seen[text] = true
			out = append(out, p)
		}
	}
	for _, p := range limittest.Policies() {
		add(p)
	}
	for _, s := range scripts {
		for _, r := range s.Setup.Rules {
			add(r.Policy)
		}
	}
	return out
}

// requests goes to the limit, and to each edge that it has: a millisecond before a
// unit comes back, and the instant at which it does.
func requests(t *testing.T, p limit.Policy) (out []asked) {
	t.Helper()
	l, err := p.New(agreeStart.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Duration(0)
	ask := func(cost int64) limit.Decision {
		out = append(out, asked{at, cost})
		d := l.Take(agreeStart.Add(at), cost)
		at += 2 * time.Millisecond
		return d
	}
	cost := int64(1)
	if c := p.Capacity(); c > 60 {
		ask(c - 20)
	}
	edges := 0
	for len(out) < 120 && edges < 8 {
		d := ask(cost)
		if d.Allowed {
			continue
		}
		if d.RetryAfter < 0 || d.RetryAfter == limit.Never {
			return out
		}
		edges++
		refused := at - 2*time.Millisecond
		if edges%2 == 1 && d.RetryAfter > 4*time.Millisecond {
			at = refused + d.RetryAfter - time.Millisecond
			d = ask(cost)
			refused = at - 2*time.Millisecond
		}
		if !d.Allowed && d.RetryAfter >= 0 && d.RetryAfter != limit.Never {
			at = max(refused+d.RetryAfter, refused+1)
		}
	}
	return out
}

// byForecast, byLab and byVerify say which of the requests are admitted.
func byForecast(p limit.Policy, list []asked) ([]bool, error) {
	m := &forecast.Model{Limits: []forecast.Limit{{Policy: p}}, Start: agreeStart, For: list[len(list)-1].at + time.Second, Column: list[len(list)-1].at/100 + time.Second}
	for _, r := range list {
		m.Flows = append(m.Flows, forecast.Flow{Name: "one", Arrivals: once(r.at), Calls: []forecast.Call{{Asks: []forecast.Ask{{Cost: r.cost}}}}})
	}
	res, err := forecast.Run(m, forecast.Options{})
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(list))
	for i := range out {
		out[i] = res.Flows[i].Sent == 1 && res.Flows[i].Refused == 0
	}
	return out, nil
}

// once is a pacer of one arrival.
type once time.Duration

func (o once) Due(n int64) (time.Duration, bool) { return time.Duration(o), n == 0 }

func file(p limit.Policy) (*policy.File, error) {
	c := expr.Compiler{}
	e, err := c.Compile(`int(request.header["X-Cost"])`, expr.Int)
	return &policy.File{Policies: []policy.Policy{{Policy: p, Cost: policy.Cost{Expr: e}}}}, err
}

func byLab(p limit.Policy, list []asked) ([]bool, error) {
	f, err := file(p)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	now := agreeStart
	s, err := twin.New(twin.Config{File: f, Clock: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	server := httptest.NewServer(s)
	defer server.Close()
	out := make([]bool, len(list))
	for i, r := range list {
		mu.Lock()
		now = agreeStart.Add(r.at)
		mu.Unlock()
		req, err := http.NewRequest("GET", server.URL+"/", nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("X-Cost", strconv.FormatInt(r.cost, 10))
		// What a leaky bucket delays would be waited for: the verdict is known before.
		res, err := server.Client().Do(req)
		if err != nil {
			return nil, err
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		out[i] = res.StatusCode == http.StatusOK
	}
	return out, nil
}

// byVerify judges the answers that the lab gave, as if there were no delay. Where
// one does not fit, the verdict is that no policy of this kind gives it.
func byVerify(p limit.Policy, list []asked, answers []bool) ([]bool, error) {
	f, err := file(p)
	if err != nil {
		return nil, err
	}
	rec := &verify.Recording{Form: 1, Start: agreeStart, Local: true, Experiments: []verify.Made{{Name: "all", Policies: []int{0}, Rested: true, Whole: true}}}
	calls := map[int64]int{}
	for i, r := range list {
		c, known := calls[r.cost]
		if !known {
			c = len(rec.Calls)
			calls[r.cost] = c
			rec.Calls = append(rec.Calls, verify.Call{Name: "GET /", Method: "GET", Path: "/", Header: []hit.Field{{Name: "X-Cost", Value: strconv.FormatInt(r.cost, 10)}}})
		}
		seen := verify.Seen{Sent: r.at, Done: r.at, Outcome: verify.Refused}
		if answers[i] {
			seen.Outcome = verify.Admitted
		}
		rec.Waves = append(rec.Waves, verify.Wave{Call: c, Answers: []verify.Seen{seen}})
	}
	rep, err := verify.Judge(f, rec, verify.Settings{})
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(list))
	for i, row := range rep.Timelines[0].Rows {
		switch {
		case !row.Judged:
			return nil, fmt.Errorf("request %d: %s", i+1, row.Why)
		case row.Least != row.Most:
			// Bounds of a bucket are rounded outward by a nanosecond: at the very
			// instant both are possible, and what came back decides.
			out[i] = answers[i]
		default:
			out[i] = row.Least == 1
		}
		if out[i] != answers[i] {
			return out[:i+1], nil // nothing is followed beyond a divergence
		}
	}
	return out, nil
}

// agree compares the three, each with a policy of its own.
func agree(list []asked, foreseen, enforced, declared limit.Policy) error {
	a, err := byForecast(foreseen, list)
	if err != nil {
		return err
	}
	b, err := byLab(enforced, list)
	if err != nil {
		return err
	}
	c, err := byVerify(declared, list, b)
	if err != nil {
		return err
	}
	for i := range list {
		if a[i] != b[i] || i < len(c) && c[i] != b[i] {
			verified := "nothing"
			if i < len(c) {
				verified = fmt.Sprint(c[i])
			}
			return fmt.Errorf("request %d, at %v for %d: forecast %v, lab %v, verify %s", i+1, list[i].at, list[i].cost, a[i], b[i], verified)
		}
	}
	return nil
}

// TestThreeUsesAgree holds that forecast, lab and verify are one model, and that
// the comparison would notice a token or a millisecond in any of them.
func TestThreeUsesAgree(t *testing.T) {
	all := catalogue(t)
	if len(all) < 25 {
		t.Fatalf("found only %d policies", len(all))
	}
	if testing.Short() {
		t.Skip("short: nothing in it is concurrent but the stand-ins, which have tests of their own")
	}
	compared, refused, tokens, millis, held := 0, 0, 0, 0, 0
	for _, p := range all {
		if p.Algorithm == limit.Concurrency {
			held++
			synctest.Test(t, func(t *testing.T) { concurrently(t, p) })
			continue
		}
		if p.Algorithm == limit.LeakyBucket && p.Undelayed < p.Burst {
			p.Undelayed = p.Burst // what is delayed is admitted all the same, and the test need not wait
			if p.MaxDelay > 0 {
				continue // the delay decides: held by the scripts of limittest
			}
		}
		list := requests(t, p)
		if err := agree(list, p, p, p); err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		seen, err := byForecast(p, list)
		if err != nil {
			t.Fatal(err)
		}
		compared += len(list)
		for _, ok := range seen {
			if !ok {
				refused++
			}
		}
		more := p
		if more.Limit++; p.Burst > 0 {
			more.Burst++
			if p.Algorithm == limit.LeakyBucket {
				more.Undelayed = more.Burst
			}
		}
		if agree(list, more, p, p) == nil || agree(list, p, more, p) == nil || agree(list, p, p, more) == nil {
			t.Errorf("%s: a token more in one of the three is not noticed", p)
		} else {
			tokens++
		}
		longer := p
		if p.Window == 0 {
			continue // a calendar cannot be longer
		}
		if longer.Window += time.Millisecond; p.Ban > 0 {
			longer.Window, longer.Ban = p.Window, p.Ban+time.Millisecond
		}
		if p.Algorithm == limit.TokenBucket || p.Algorithm == limit.LeakyBucket || p.Algorithm == limit.SlidingWindow {
			longer.Window += time.Duration(p.Limit) * time.Millisecond // a millisecond for each unit
		}
		if agree(list, longer, p, p) == nil || agree(list, p, longer, p) == nil || agree(list, p, p, longer) == nil {
			t.Errorf("%s: a millisecond more in one of the three is not noticed", p)
		} else {
			millis++
		}
	}
	t.Logf("%d policies, %d requests to each of the three, %d of them refused; a token more noticed in %d, a millisecond more in %d; %d concurrency limits", len(all), compared, refused, tokens, millis, held)
	if refused < 50 || tokens < 20 || millis < 15 || held == 0 {
		t.Error("that is too little to show anything")
	}
}

// concurrently compares how many of a crowd get in.
func concurrently(t *testing.T, p limit.Policy) {
	const stay = 150 * time.Millisecond
	n := int(p.Limit) + 3
	m := &forecast.Model{Limits: []forecast.Limit{{Policy: p}}, Start: agreeStart, For: time.Second}
	for range n {
		m.Flows = append(m.Flows, forecast.Flow{Name: "one", Arrivals: once(0), Calls: []forecast.Call{{Lasts: stay, Asks: []forecast.Ask{{Cost: 1}}}}})
	}
	res, err := forecast.Run(m, forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	foreseen := 0
	for _, f := range res.Flows {
		if f.Refused == 0 {
			foreseen++
		}
	}
	f := &policy.File{Policies: []policy.Policy{{Policy: p}}}
	s, err := twin.New(twin.Config{File: f, Latency: stand.Latency{Base: stay}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wave := verify.Wave{Answers: make([]verify.Seen, n)}
	began := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			seen := verify.Seen{Sent: time.Since(began), Outcome: verify.Refused}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Code == http.StatusOK {
				seen.Outcome = verify.Admitted
			}
			seen.Done = time.Since(began)
			wave.Answers[i] = seen
		})
	}
	wg.Wait()
	enforced := 0
	for _, a := range wave.Answers {
		if a.Outcome == verify.Admitted {
			enforced++
		}
	}
	if foreseen != int(p.Limit) || enforced != int(p.Limit) {
		t.Errorf("%s: of %d at once the forecast admits %d and the lab %d", p, n, foreseen, enforced)
	}
	rec := &verify.Recording{
		Form: 1, Start: began, Local: true, Waves: []verify.Wave{wave}, Calls: []verify.Call{{Name: "GET /", Method: "GET", Path: "/"}},
		Experiments: []verify.Made{{Name: "all", Policies: []int{0}, Rested: true, Whole: true}},
	}
	rep, err := verify.Judge(f, rec, verify.Settings{Hold: stay})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Verdict == verify.Violated {
		t.Errorf("%s: verify accuses the lab: %+v", p, rep.Findings)
	}
	less := *f
	less.Policies = []policy.Policy{{Policy: p}}
	if less.Policies[0].Limit--; less.Policies[0].Limit > 0 {
		rep, err := verify.Judge(&less, rec, verify.Settings{Hold: stay})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Verdict != verify.Violated {
			t.Errorf("%s: verify does not notice a unit less", p)
		}
	}
}
