package report

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/threshold"
)

// simulation makes the ticks of a run that never happened: a service that
// admits up to limit a second, under a load that ramps up. Everything follows
// from the seed.
type simulation struct {
	seconds int
	rate    func(t float64) float64 // requests per second wanted at t
	users   func(t float64) int
	limit   float64 // admitted per second; 0 = no limit
	burst   float64
	names   []string
	failing float64                 // part of the requests that fail
	stall   [2]float64              // answers are held back from, to
	missing func(t float64) float64 // part of what is due that is missed
	open    bool                    // count what is due
	failure func(i int) (hit.Failure, int, string)
}

func (s simulation) ticks() []*tally.Tick {
	rng := rand.New(rand.NewPCG(7, 120))
	ticks := make([]*tally.Tick, s.seconds)
	for i := range ticks {
		t := float64(i + 1)
		ticks[i] = &tally.Tick{
			Index: i, Start: time.Duration(i) * time.Second, Length: time.Second,
			Sends: make([]uint32, 100), SendLag: &hist.Hist{}, WakeLag: &hist.Hist{}, Connect: &hist.Hist{},
			Health: tally.Health{CPU: 0.2 + s.rate(t)/900, Cores: 2, GCPause: time.Duration(rng.IntN(400)) * time.Microsecond,
				Goroutines: 20 + 2*s.users(t), Files: 12 + s.users(t), FileLimit: 65536, HeapBytes: 24 << 20},
		}
		ticks[i].Users = s.users(t)
	}
	names := s.names
	if len(names) == 0 {
		names = []string{"/oauth2/token"}
	}
	tokens, last := s.burst, 0.0
	at, n := 0.0, 0
	for {
		r := s.rate(at)
		if r <= 0 {
			at += 0.05
		} else {
			at += rng.ExpFloat64() * 0.35 / r
			at += 0.65 / r
		}
		if at >= float64(s.seconds) {
			break
		}
		n++
		due := time.Duration(at * 1e9)
		name := names[n%len(names)]
		tick := ticks[int(at)]
		if s.open {
			tick.Due++
		}
		if s.missing != nil && rng.Float64() < s.missing(at) {
			s.count(tick, "POST", name, hit.Missed, 0, due, due, due)
			continue
		}
		lag := time.Duration(40+rng.ExpFloat64()*60) * time.Microsecond
		sent := due + lag
		if s.stall[1] > 0 && at > s.stall[0] && at < s.stall[1] && s.open {
			sent = time.Duration(s.stall[1]*1e9) + lag
		}
		if int(sent/time.Second) >= s.seconds {
			continue
		}
		sending := ticks[int(sent/time.Second)]
		sending.Sends[int(sent%time.Second/tally.BinWidth)]++
		sending.SendLag.Record(sent - due)
		sending.WakeLag.Record(lag)
		if n%97 == 1 {
			sending.Connect.Record(time.Duration(900+rng.IntN(900)) * time.Microsecond)
		}
		outcome, status := hit.Admitted, 200
		service := time.Duration(4.2e6 * math.Exp(rng.NormFloat64()*0.32))
		now := sent.Seconds()
		if s.limit > 0 {
			tokens = min(s.burst, tokens+(now-last)*s.limit)
			last = max(last, now)
			if tokens < 1 {
				outcome, status = hit.Throttled, 429
				service = time.Duration(0.9e6 * math.Exp(rng.NormFloat64()*0.2))
			} else {
				tokens--
			}
		}
		if outcome == hit.Admitted && rng.Float64() < s.failing {
			outcome, status = hit.Failed, 500
			f, code, text := hit.NoFailure, 500, "500 Internal Server Error"
			if s.failure != nil {
				f, code, text = s.failure(n)
				status = code
			} else if n%3 == 0 {
				f, code, text = hit.ClosedEarly, 0, "closed-early: the connection ended after 0 bytes of the answer"
				status = 0
			}
			s.fail(ticks[min(int((sent+service)/time.Second), s.seconds-1)], "POST", name, f, code, text, sent)
		}
		if s.stall[1] > 0 && now > s.stall[0] && now < s.stall[1] && !s.open {
			service += time.Duration((s.stall[1] - now) * 1e9)
		}
		done := sent + service
		i := min(int(done/time.Second), s.seconds-1)
		s.count(ticks[i], "POST", name, outcome, status, due, sent, done)
	}
	for _, k := range ticks {
		slices.SortFunc(k.Series, func(a, b tally.Series) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Outcome, b.Outcome))
		})
		k.InFlight = int(s.rate(k.Start.Seconds()) * 0.005)
	}
	return ticks
}

func (s simulation) count(k *tally.Tick, method, name string, o hit.Outcome, status int, due, sent, done time.Duration) {
	i := slices.IndexFunc(k.Series, func(r tally.Series) bool { return r.Name == name && r.Method == method && r.Outcome == o })
	if i < 0 {
		k.Series = append(k.Series, tally.Series{Method: method, Name: name, Outcome: o, First: sent, Last: sent})
		i = len(k.Series) - 1
	}
	r := &k.Series[i]
	r.Count++
	r.First, r.Last = min(r.First, sent), max(r.Last, sent)
	if o == hit.Missed {
		return
	}
	if r.Response == nil {
		r.Response, r.Service = &hist.Hist{}, &hist.Hist{}
	}
	r.Response.Record(done - due)
	r.Service.Record(done - sent)
	r.BytesIn += 812
	r.BytesOut += 301
	j := slices.IndexFunc(r.Codes, func(c tally.Code) bool { return c.Status == status })
	if j < 0 {
		r.Codes = append(r.Codes, tally.Code{Status: status})
		slices.SortFunc(r.Codes, func(a, b tally.Code) int { return a.Status - b.Status })
		j = slices.IndexFunc(r.Codes, func(c tally.Code) bool { return c.Status == status })
	}
	r.Codes[j].Count++
}

func (s simulation) fail(k *tally.Tick, method, name string, f hit.Failure, status int, text string, at time.Duration) {
	i := slices.IndexFunc(k.Errors, func(e tally.Error) bool {
		return e.Name == name && e.Failure == f && e.Status == status && e.Text == text
	})
	if i < 0 {
		k.Errors = append(k.Errors, tally.Error{Method: method, Name: name, Failure: f, Status: status, Text: text, First: at, Last: at})
		i = len(k.Errors) - 1
	}
	e := &k.Errors[i]
	e.Count++
	e.First, e.Last = min(e.First, at), max(e.Last, at)
}

func each1(ticks []*tally.Tick) iter.Seq2[*tally.Tick, error] {
	return func(yield func(*tally.Tick, error) bool) {
		for _, k := range ticks {
			if !yield(k, nil) {
				return
			}
		}
	}
}

var testStart = time.Date(2026, 11, 21, 20, 15, 3, 0, time.UTC)

func testMeta() Meta {
	return Meta{
		ID: "r-20261121-201503-8f3a", Started: testStart, Target: "POST https://idp.example/oauth2/token",
		Model: "closed", Plan: "300 users, 100 more each second", Length: time.Minute, Version: "0.1.0",
		Args: []string{"weir", "run", "https://idp.example/oauth2/token", "-X", "POST", "--basic-auth-env", "CLIENT", "--data", "grant_type=client_credentials", "-u", "300", "-t", "1m"},
		Host: "build-7", OS: "linux/amd64, 2 CPUs", Details: []Detail{{"Connections", "one per user, kept alive"}, {"Seed", "42"}},
	}
}

func testEnd() *End {
	return &End{
		Ended: testStart.Add(time.Minute), Reason: "The planned time was over.", Verdict: Failed, ExitCode: 1,
		Checks: []threshold.Check{
			{Expr: "admitted.p95 > 500ms", Verdict: threshold.Pass, Value: "7.2 ms"},
			{Expr: "throttled.ratio > 1%", Verdict: threshold.Fail, Value: "31 %", At: 24 * time.Second},
			{Expr: `failed.count{name="/refresh"} > 0`, Verdict: threshold.NoData, Value: "no such request"},
		},
	}
}

// rampRun is the story of the first user: a ramp through a limit of 120/s.
func rampRun() Run {
	s := simulation{
		seconds: 60, limit: 120, burst: 15, failing: 0.004,
		rate:  func(t float64) float64 { return min(10+t*6.1, 240) },
		users: func(t float64) int { return int(min(t*8, 300)) },
	}
	ticks := s.ticks()
	ticks[0].Events = []tally.Event{{At: 0, Kind: "start", Text: "The run began."}}
	ticks[38].Events = []tally.Event{{At: 38*time.Second + 410*time.Millisecond, Kind: "stage", Text: "All 300 users are there."}}
	ticks[44].Events = []tally.Event{{At: 44*time.Second + 90*time.Millisecond, Kind: "warning", Text: "2 connections were closed by the server while idle."}}
	ticks[44].Retried = 2
	m := testMeta()
	m.Details = slices.Clone(m.Details)
	return Run{Meta: m, End: testEnd(), Ticks: each1(ticks)}
}

// stallRun is an open-model run against a server that froze for five seconds.
func stallRun() Run {
	s := simulation{
		seconds: 60, open: true, stall: [2]float64{20, 25},
		rate: func(float64) float64 { return 100 }, users: func(float64) int { return 64 },
		missing: func(t float64) float64 {
			if t > 24 && t < 25 {
				return 0.3
			}
			return 0
		},
		names: []string{"/login", "/messages/{id}", "/トークン/更新"},
	}
	m := testMeta()
	m.Model, m.Plan, m.Planned, m.Target = "open", "100/s for 60 s", 6000, "https://api.example"
	return Run{Meta: m, Ticks: each1(s.ticks()), End: &End{
		Ended: testStart.Add(time.Minute), Reason: "The planned time was over.", Verdict: Passed}}
}

// stories are the runs that every output is rendered from.
func stories() map[string]Run {
	ramp := rampRun()
	partial := rampRun()
	partial.End = nil
	interrupted := rampRun()
	interrupted.End = &End{Ended: testStart.Add(time.Minute), Reason: "Ctrl-C", Verdict: Interrupted, ExitCode: 130, Unfinished: 3}
	invalid := rampRun()
	invalid.End = &End{Ended: testStart.Add(time.Minute), Reason: "The planned time was over.", Verdict: Invalid, ExitCode: 4,
		Notes: []string{"the generator's clock woke it 212 ms late at p99, more than the 10 ms allowed"}}
	empty := Run{Meta: testMeta(), End: &End{Ended: testStart, Reason: "Nothing was sent.", Verdict: Failed, ExitCode: 1}, Ticks: each1(nil)}
	missedOnly := simulation{seconds: 10, open: true, rate: func(float64) float64 { return 50 }, users: func(float64) int { return 1 },
		missing: func(float64) float64 { return 1 }}
	missed := Run{Meta: testMeta(), End: &End{Ended: testStart, Reason: "The planned time was over.", Verdict: Failed, ExitCode: 1}, Ticks: each1(missedOnly.ticks())}
	calm := simulation{seconds: 20, rate: func(float64) float64 { return 40 }, users: func(float64) int { return 4 }}
	free := Run{Meta: testMeta(), End: &End{Ended: testStart.Add(20 * time.Second), Reason: "The planned time was over.", Verdict: Passed}, Ticks: each1(calm.ticks())}
	return map[string]Run{
		"ramp": ramp, "stall": stallRun(), "partial": partial, "interrupted": interrupted, "invalid": invalid,
		"empty": empty, "missed": missed, "free": free, "hostile": hostileRun(), "watched": watchedRun(),
	}
}

// watchedRun is a run whose database has no connection left from 31 s on.
func watchedRun() Run {
	s := simulation{seconds: 60, rate: func(t float64) float64 { return min(2*t, 80) }, users: func(t float64) int { return int(min(2*t, 80)) }}
	ticks := s.ticks()
	for i, k := range ticks {
		at := k.Start + 400*time.Millisecond
		put := func(source, group, name, unit string, value, limit float64, refused bool) {
			w := tally.Watched{At: at, Source: source, Group: group, Name: name, Unit: unit, Value: value, Limit: limit, Refused: refused}
			if limit > 0 && source == "PostgreSQL" {
				w.LimitName = "max_connections 100 less 3 reserved"
			}
			k.Watched = append(k.Watched, w)
		}
		if i%5 == 0 {
			put("Prometheus", "CPU", "instance=web-1", "%", min(4*float64(i), 88), 100, false)
			put("Prometheus", "CPU", "instance=web-2", "%", min(3*float64(i), 60), 100, false)
			put("Prometheus", "free memory", "free memory", "bytes", 2e9-1e7*float64(i), 0, false)
		}
		switch {
		case i >= 40 && i < 43: // could not be read
		case i >= 52 && i < 55:
			put("PostgreSQL", "connections", "connections", "", 97, 97, true)
		default:
			n := min(5+3*float64(i), 97)
			put("PostgreSQL", "connections", "connections", "", n, 97, false)
			put("PostgreSQL", "connections", "active", "", math.Floor(n*0.3), 0, false)
			put("PostgreSQL", "connections", "idle", "", math.Floor(n*0.6), 0, false)
			put("PostgreSQL", "locks", "deadlocks since the start", "", math.Floor(float64(i)/25), 0, false)
			put("PostgreSQL", "longest", "transaction", "s", n/40, 0, false)
			put("PostgreSQL", "temporary files", "written", "bytes/s", 0, 0, false)
			put("PostgreSQL", "transactions", "committed", "/s", n*11, 0, false)
		}
		tally.SortWatched(k.Watched)
	}
	ticks[40].Events = []tally.Event{{At: 40*time.Second + 5*time.Millisecond, Kind: "watch", Text: "PostgreSQL could not be read: it did not answer in time"}}
	return Run{Meta: testMeta(), Ticks: each1(ticks), End: &End{
		Ended: testStart.Add(time.Minute), Reason: "The planned time was over.", Verdict: Passed,
		Statements: []tally.Statement{
			{Source: "PostgreSQL", ID: "-7012883", Text: "SELECT * FROM sms_history WHERE customer_id = $1 ORDER BY sent_at DESC", Calls: 812, Time: 97 * time.Second, Rows: 40600},
			{Source: "PostgreSQL", ID: "55", Text: "UPDATE account SET balance = balance - $1 WHERE id = $2", Calls: 812, Time: 3 * time.Second, Rows: 812},
		},
	}}
}

const attack = `</script><img src=x onerror=alert(1)>"'&<b>|` + "`" + `@all` + "\x1b[31m\r\n\u202e"

// hostileRun has the target's and the user's text everywhere such text can come from.
func hostileRun() Run {
	s := simulation{
		seconds: 8, limit: 20, burst: 2, failing: 0.3,
		rate: func(float64) float64 { return 40 }, users: func(float64) int { return 4 },
		names: []string{attack, "/トークン/" + attack, "/" + fmt.Sprintf("%0300d", 7)},
		failure: func(i int) (hit.Failure, int, string) {
			return hit.CheckFailed, 200, fmt.Sprintf("check: body was %s #%d", attack, i%3)
		},
	}
	ticks := s.ticks()
	ticks[2].Events = []tally.Event{{At: 2 * time.Second, Kind: "warning", Text: attack}, {At: 2 * time.Second, Kind: "sample", Text: attack, Data: attack}}
	ticks[3].Watched = []tally.Watched{{At: 3 * time.Second, Source: attack, Group: attack, Name: attack, Unit: attack, Value: 7, Limit: 7, LimitName: attack}}
	m := testMeta()
	m.ID, m.Target, m.Plan, m.Version, m.Host, m.OS = attack, attack, attack, attack, attack, attack
	m.Args = []string{"weir", attack}
	m.Details = []Detail{{attack, attack}}
	return Run{Meta: m, Ticks: each1(ticks), End: &End{
		Ended: testStart.Add(8 * time.Second), Reason: attack, Verdict: Failed, ExitCode: 1, Notes: []string{attack},
		Statements: []tally.Statement{{Source: attack, ID: attack, Text: attack, Calls: 1, Time: 1}},
		Checks:     []threshold.Check{{Expr: attack, Verdict: threshold.Fail, Value: attack}},
	}}
}
