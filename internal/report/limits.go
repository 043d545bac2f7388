package report

import (
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// LimitStory is what the service told of its limits, how true that was, and how
// clients that try again or hold back fared. Numbers that were not told are null.
type LimitStory struct {
	Told       []LimitTold    `json:"told"`           // by request name and limit
	Refusals   []FirstRefusal `json:"first_refusals"` // by request name, the earliest first
	Clashes    []Clash        `json:"contradictions"` // most frequent first
	Waits      []Waits        `json:"retry_after"`    // by request name
	Work       []Work         `json:"work"`           // by request name; only with --retry or --respect-limits
	Recovery   *float64       `json:"recovery_seconds,omitempty"`
	MoreOfThem int64          `json:"rows_not_listed"`
}

// LimitTold is one limit of one request name, as the answers told it last.
type LimitTold struct {
	Method  string   `json:"method"`
	Name    string   `json:"name"`
	Limit   string   `json:"limit,omitempty"` // the limit's own name
	Dialect string   `json:"dialect"`
	Unit    string   `json:"unit,omitempty"`
	Quota   *int64   `json:"quota"`
	Left    *int64   `json:"remaining"`
	Least   *int64   `json:"least_remaining"`
	Window  *float64 `json:"window_seconds"`
	Reset   *float64 `json:"reset_at_seconds"` // an instant of the run
	At      float64  `json:"told_at_seconds"`
	Read    int64    `json:"answers_read"` // a sample of all
	Used    float64  `json:"used_per_second"`
	Peak    float64  `json:"most_used_per_second"`
	Binds   bool     `json:"binds"`
	Differs bool     `json:"differs_by_user"`
	// Forecast is the latest; Before the latest that was made before the first
	// refusal of this name.
	Forecast Forecast  `json:"forecast"`
	Before   *Forecast `json:"forecast_before_first_refusal,omitempty"`
}

// Forecast is when the first refusal was to be expected at the rate of then.
type Forecast struct {
	At      float64  `json:"at_seconds"`                // when it was made
	Verdict string   `json:"verdict"`                   // within, after, never or unknown
	Soonest *float64 `json:"soonest_seconds,omitempty"` // from then
	Latest  *float64 `json:"latest_seconds,omitempty"`  // absent: no upper bound
	Words   string   `json:"words"`
}

// FirstRefusal is when and where throttling came to one request name.
type FirstRefusal struct {
	Method    string  `json:"method"`
	Name      string  `json:"name"`
	At        float64 `json:"at_seconds"`
	Last      float64 `json:"last_seconds"`
	Throttled int64   `json:"throttled"`
	Ratio     float64 `json:"ratio"`
}

// Clash is a way in which what was told contradicts itself, or what was done.
type Clash struct {
	Method  string  `json:"method"`
	Name    string  `json:"name"`
	Kind    string  `json:"kind"`
	Count   int64   `json:"count"` // in the answers that were read
	First   float64 `json:"first_seconds"`
	Example string  `json:"example"`
}

// Waits says what came of the times that refused clients were told to wait, each
// judged by its own next request.
type Waits struct {
	Method       string  `json:"method"`
	Name         string  `json:"name"`
	Told         int64   `json:"told"` // of the refusals that were read
	Untold       int64   `json:"untold"`
	Longest      float64 `json:"longest_seconds"`
	KeptPassed   int64   `json:"waited_and_admitted"`
	KeptRefused  int64   `json:"waited_and_refused"`
	EarlyPassed  int64   `json:"early_and_admitted"`
	EarlyRefused int64   `json:"early_and_refused"`
}

// Work counts pieces of work, each of which may take several requests.
type Work struct {
	Method   string   `json:"method"`
	Name     string   `json:"name"`
	Done     int64    `json:"done"`
	GaveUp   int64    `json:"gave_up"`
	Failed   int64    `json:"failed"`
	Cut      int64    `json:"cut"`
	Requests int64    `json:"requests"`
	Again    int64    `json:"done_after_retries"`
	Goodput  float64  `json:"goodput_per_second"`
	Each     float64  `json:"requests_per_work"`
	Total    *Latency `json:"total,omitempty"` // of those done: from when the first request was due to the last answer
	Held     int64    `json:"held"`
	Unsent   int64    `json:"held_to_the_end"`
	HeldFor  *Latency `json:"held_for,omitempty"`
}

func limitStory(t *tally.Totals) *LimitStory {
	s := &LimitStory{
		Told: []LimitTold{}, Refusals: []FirstRefusal{}, Clashes: []Clash{}, Waits: []Waits{}, Work: []Work{}, MoreOfThem: t.LimitsDropped(),
	}
	byName := map[[2]string]*tally.NameTotals{}
	for _, n := range t.Names() {
		byName[[2]string{n.Method, n.Name}] = n
	}
	for _, r := range t.Told() {
		row := LimitTold{
			Method: r.Method, Name: r.Name, Limit: r.Limit, Dialect: r.Dialect, Unit: r.Unit,
			Quota: told(r.Quota), Left: told(r.Left), Least: told(r.Least), At: secs(r.At), Read: r.Read,
			Used: perSecond(r.Used), Peak: perSecond(r.Peak), Binds: r.Binds, Differs: r.Differs,
			Forecast: forecastOf(&r.Told, r.At),
		}
		if r.Window > 0 {
			row.Window = ptr(secs(r.Window))
		}
		if r.Reset >= 0 {
			row.Reset = ptr(secs(r.Reset))
		}
		if n := byName[[2]string{r.Method, r.Name}]; n != nil && n.Outcome(hit.Throttled).Count > 0 && r.Foretold.Forecast != "" {
			row.Before = ptr(forecastOf(&r.Foretold, r.ForetoldAt))
		}
		s.Told = append(s.Told, row)
	}
	for _, c := range t.Clashes() {
		s.Clashes = append(s.Clashes, Clash{Method: c.Method, Name: c.Name, Kind: c.Kind, Count: c.Count, First: secs(c.First), Example: c.Text})
	}
	for _, w := range t.Waits() {
		s.Waits = append(s.Waits, Waits{
			Method: w.Method, Name: w.Name, Told: w.Told, Untold: w.Untold, Longest: secs(w.Longest),
			KeptPassed: w.KeptPassed, KeptRefused: w.KeptRefused, EarlyPassed: w.EarlyPassed, EarlyRefused: w.EarlyRefused,
		})
	}
	for _, w := range t.Work() {
		row := Work{
			Method: w.Method, Name: w.Name, Done: w.Done, GaveUp: w.GaveUp, Failed: w.Failed, Cut: w.Cut, Requests: w.Requests, Again: w.Again,
			Goodput: perSecond(rate(w.Done, t.Length)), Held: w.Held, Unsent: w.Unsent,
		}
		if n := w.Done + w.GaveUp + w.Failed + w.Cut; n > 0 {
			row.Each = round(float64(w.Requests)/float64(n), 1e3)
		}
		if w.Total != nil {
			row.Total = latency(w.Total)
		}
		if w.HeldFor != nil {
			row.HeldFor = latency(w.HeldFor)
		}
		s.Work = append(s.Work, row)
	}
	if r := t.Recovery(); r > 0 {
		s.Recovery = ptr(secs(r))
	}
	if len(s.Told)+len(s.Clashes)+len(s.Waits)+len(s.Work) == 0 {
		return nil
	}
	for _, n := range t.Names() {
		if sum := n.Outcome(hit.Throttled); sum.Count > 0 {
			s.Refusals = append(s.Refusals, FirstRefusal{
				Method: n.Method, Name: n.Name, At: secs(sum.First), Last: secs(sum.Last), Throttled: sum.Count,
				Ratio: round(float64(sum.Count)/float64(max(n.Answers(), 1)), 1e6),
			})
		}
	}
	sortRefusals(s.Refusals)
	return s
}

func told(n int64) *int64 {
	if n == tally.NotTold {
		return nil
	}
	return &n
}

func ptr[T any](v T) *T { return &v }

func forecastOf(t *tally.Told, at time.Duration) Forecast {
	f := Forecast{At: secs(at), Verdict: t.Forecast, Words: forecastWords(t)}
	if t.Forecast == "within" || t.Forecast == "after" {
		f.Soonest = ptr(secs(t.Soonest))
		if t.Latest > 0 {
			f.Latest = ptr(secs(t.Latest))
		}
	}
	return f
}
