package forecast

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/retry"
)

// Row is what one change makes of it.
type Row struct {
	Change   string `json:"change"`
	Kind     string `json:"kind"` // planned arrivals calls retry cache instance limit
	Sentence string `json:"sentence"`
	Flows
	CallsPerFlow float64 `json:"calls_sent_per_flow"` // with every attempt
}

// change makes a model that differs in one thing from the planned one.
type change struct {
	name, kind string
	study      func(*Study) // nil: as planned
	model      func(*Model)
}

// defaultTTL is for how long a token is kept where the plan does not say.
const defaultTTL = time.Hour

// changes are what is worth asking of this study.
func (e *examiner) changes() []change {
	out := []change{{name: "as planned", kind: "planned"}}
	for _, c := range []struct {
		name  string
		times int64
	}{{"arrivals −50 %", 50}, {"arrivals −10 %", 90}, {"arrivals +10 %", 110}, {"arrivals +50 %", 150}} {
		out = append(out, change{name: c.name, kind: "arrivals", study: func(s *Study) { s.Times, s.Per = c.times, 100 }})
	}
	out = append(out, change{name: "one more call a flow", kind: "calls", model: func(m *Model) {
		for i := range m.Flows {
			calls := m.Flows[i].Calls
			for j := len(calls) - 1; j >= 0; j-- {
				if len(calls[j].Asks) > 0 && calls[j].Cache.TTL == 0 {
					m.Flows[i].Calls = slices.Insert(calls, j, Call{Name: calls[j].Name, Asks: calls[j].Asks})
					break
				}
			}
		}
	}})
	for _, p := range retry.Presets() {
		if slices.Contains([]string{"none", "retry-after", "exponential", "immediate"}, p.Name) && p.Rule != e.m.Retry {
			out = append(out, change{name: "retry: " + p.Name, kind: "retry", model: func(m *Model) { m.Retry = p.Rule }})
		}
	}
	out = append(out, e.caches()...)
	if i := e.bottleneck(); i >= 0 {
		name := e.m.Limits[i].Name
		out = append(out, change{name: "limit " + name + " ×2", kind: "limit", model: func(m *Model) {
			m.Limits[i].Policy.Limit *= 2
			m.Limits[i].Policy.Burst *= 2
		}})
	}
	return out
}

// caches are changes of what is kept, and of how many keep it.
func (e *examiner) caches() (out []change) {
	cached, fetches := false, false
	for i := range e.m.Flows {
		for _, c := range e.m.Flows[i].Calls {
			if c.Cache.TTL > 0 {
				cached = true
			} else if cacheable(e.s, i, c.Name) {
				fetches = true
			}
		}
	}
	if cached {
		out = append(out, change{name: "no cache", kind: "cache", model: func(m *Model) {
			for i := range m.Flows {
				for j := range m.Flows[i].Calls {
					m.Flows[i].Calls[j].Cache = Cache{}
				}
			}
		}})
		out = append(out, change{name: "one more instance", kind: "instance", model: func(m *Model) {
			for i := range m.Flows {
				for j := range m.Flows[i].Calls {
					if c := &m.Flows[i].Calls[j].Cache; c.TTL > 0 {
						c.Holders = max(1, c.Holders) + 1
					}
				}
			}
		}})
	}
	if fetches {
		out = append(out, change{name: "tokens kept for 1 h", kind: "cache", model: func(m *Model) {
			for i := range m.Flows {
				for j := range m.Flows[i].Calls {
					if c := &m.Flows[i].Calls[j]; c.Cache.TTL == 0 && cacheable(e.s, i, c.Name) {
						c.Cache = Cache{TTL: defaultTTL, Holders: max(1, m.Flows[i].Clients)}
					}
				}
			}
		}})
	}
	if slices.ContainsFunc(e.m.Flows, func(f Flow) bool { return f.Clients > 0 }) {
		out = append(out, change{name: "one more client, with its share of arrivals", kind: "instance", study: func(s *Study) {
			most := 0
			for i := range s.Works {
				if c := s.Works[i].Clients; c > 0 {
					most = max(most, c)
					s.Works[i].Clients++
				}
			}
			s.Times, s.Per = int64(most)+1, int64(most)
		}})
	}
	return out
}

// cacheable tells whether a call of a flow fetches something that serves others for
// a while. The code that a person brings to a token endpoint does not.
func cacheable(s *Study, flow int, call string) bool {
	w := &s.Works[flow%len(s.Works)]
	i := slices.IndexFunc(w.Calls, func(c Step) bool { return c.Request == call && c.Cacheable })
	token := strings.HasSuffix(call, "/oauth/token") || strings.HasSuffix(call, "/oauth2/token")
	return i >= 0 && w.Calls[i].Cacheable || w.Source == "" && token
}

// bottleneck is the limit that refuses most, else the one that binds.
func (e *examiner) bottleneck() int {
	if i := worst(e.res); i >= 0 {
		return i
	}
	needs := e.needs()
	best := -1
	for i := range e.m.Limits {
		if needs[i].clients > 0 && (best < 0 || sustained(&e.m.Limits[i], needs[i]) < sustained(&e.m.Limits[best], needs[best])) {
			best = i
		}
	}
	return best
}

// sensitivity plays every change, several at a time.
func (e *examiner) sensitivity() ([]Row, error) {
	all := e.changes()
	rows := make([]Row, len(all))
	errs := make([]error, len(all))
	var group sync.WaitGroup
	var mu sync.Mutex // guards done
	done := 0
	turns := make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))
	for i, c := range all {
		s := *e.s
		s.Works, s.Notes = slices.Clone(s.Works), slices.Clone(s.Notes)
		if c.study != nil {
			c.study(&s)
		}
		m, err := s.Model()
		if err != nil {
			return nil, err
		}
		m = cut(m, e.from, e.to)
		m.Column = m.For // no series is wanted
		if c.model != nil {
			c.model(m)
		}
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			res, err := Run(m, Options{})
			if errs[i] = err; err != nil {
				return
			}
			f := flows(res, res.Flows...)
			rows[i] = Row{Change: c.name, Kind: c.kind, Flows: f, CallsPerFlow: ratio(f.Calls, f.Arrived)}
			mu.Lock()
			defer mu.Unlock()
			done++
			e.o.Progress("what changes", float64(done)/float64(len(all)))
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	for i := range rows {
		rows[i].Sentence = rowSentence(&rows[0], &rows[i])
	}
	return rows, nil
}
