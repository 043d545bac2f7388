// Package prometheus watches whatever a Prometheus server knows: a Source asks
// it PromQL questions and keeps the answers, as figures of the run.
//
// It speaks the HTTP API v1 only, so Thanos, Mimir, VictoriaMetrics and the like
// answer as well.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/watch"
)

const (
	// MaxQueries is how many questions a Source asks at each look.
	MaxQueries = 30
	// MaxSeries is how many series of one answer are kept: what one chart can show.
	MaxSeries = 12
)

// Query is one question, the chart it is drawn in, and the limit beside it.
type Query struct {
	Name  string // "CPU"; also the name of the chart
	Unit  string // "%", "bytes", …; may be ""
	Expr  string // PromQL that gives an instant vector or a scalar
	Limit string // PromQL for the value at which it is full, such as 100; "" = none
}

// ParseQuery reads NAME=PROMQL or NAME[UNIT]=PROMQL.
func ParseQuery(s string) (Query, error) {
	name, expr, ok := strings.Cut(s, "=")
	name, expr = strings.TrimSpace(name), strings.TrimSpace(expr)
	unit := ""
	if n, rest, has := strings.Cut(name, "["); has && strings.HasSuffix(rest, "]") {
		name, unit = strings.TrimSpace(n), strings.TrimSpace(strings.TrimSuffix(rest, "]"))
	}
	switch {
	case !ok || expr == "" || name == "":
		return Query{}, fmt.Errorf("%q is not of the form NAME=PROMQL, such as 'CPU[%%]=100*sum(rate(process_cpu_seconds_total[1m]))'", s)
	case strings.ContainsAny(name, "{}()[]\""):
		return Query{}, fmt.Errorf("%q has no name before its first =: write NAME=PROMQL", s)
	}
	return Query{Name: name, Unit: unit, Expr: expr}, nil
}

// Options say whom to ask what.
type Options struct {
	// URL is prometheus+http://host:9090 or prometheus+https://…, with a path when
	// the server is under one, and with user and password when it wants those.
	URL     string
	Token   string // sent as a bearer token; "" = none
	Name    string // what the source is called
	Queries []Query
}

// Source is one Prometheus server. New makes one.
type Source struct {
	name           string
	base           *url.URL // of the API, without user and password
	user, password string
	basic          bool
	token          string
	queries        []Query
	client         *http.Client

	told map[string]string // by question: the complaint that is standing
}

// Where says which server a URL means, without what is secret in it:
// "mon.example:9090".
func Where(rawURL string) (string, error) {
	u, err := parse(rawURL)
	if err != nil {
		return "", err
	}
	return u.Host, nil
}

func parse(rawURL string) (*url.URL, error) {
	const form = "write prometheus+http://host:9090"
	scheme, rest, _ := strings.Cut(rawURL, "+")
	u, err := url.Parse(rest)
	if err != nil || scheme != "prometheus" || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("not a URL of Prometheus: " + form) // what is in it may be secret
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the URL of Prometheus has more than host and path: " + form + "; questions are given apart")
	}
	return u, nil
}

// New checks the options; nothing is asked yet. Errors are one line and hold no secrets.
func New(o Options) (*Source, error) {
	u, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	switch {
	case len(o.Queries) == 0:
		return nil, errors.New("there is no question for Prometheus, which is to be watched")
	case len(o.Queries) > MaxQueries:
		return nil, fmt.Errorf("%d questions are too many for one Prometheus: at most %d", len(o.Queries), MaxQueries)
	case o.Token != "" && u.User != nil:
		return nil, errors.New("either a token or a user with a password is for Prometheus, not both")
	case strings.ContainsAny(o.Token, "\r\n\x00"):
		return nil, errors.New("the token for Prometheus has a line break in it")
	}
	seen := map[string]bool{}
	for _, q := range o.Queries {
		if seen[q.Name] {
			return nil, fmt.Errorf("two questions for Prometheus are called %q", q.Name)
		}
		seen[q.Name] = true
	}
	s := &Source{name: o.Name, token: o.Token, queries: o.Queries, told: map[string]string{}}
	if u.User != nil {
		s.basic, s.user = true, u.User.Username()
		s.password, _ = u.User.Password()
	}
	u.User = nil
	s.base = u.JoinPath("api", "v1", "query")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = MaxQueries
	s.client = &http.Client{Transport: transport}
	return s, nil
}

// Name is the name given in the options.
func (s *Source) Name() string { return s.name }

// Close ends the connections.
func (s *Source) Close() { s.client.CloseIdleConnections() }

// Check asks every question once, so that a wrong one is found before the run.
// No data is no error: it may come with the load.
func (s *Source) Check(ctx context.Context) error {
	for _, a := range s.askAll(ctx) {
		if a.err != nil {
			return fmt.Errorf("%s: question %q: %w", s.name, a.query.Name, a.err)
		}
		if a.limitErr != nil {
			return fmt.Errorf("%s: limit of %q: %w", s.name, a.query.Name, a.limitErr)
		}
	}
	return nil
}

// answer is what a question and its limit gave.
type answer struct {
	query         Query
	values, limit []sample
	err, limitErr error
}

// askAll asks everything at the same time, so that the figures are of one instant.
func (s *Source) askAll(ctx context.Context) []answer {
	out := make([]answer, len(s.queries))
	var all sync.WaitGroup
	for i, q := range s.queries {
		out[i].query = q
		all.Go(func() { out[i].values, out[i].err = s.ask(ctx, q.Expr) })
		if q.Limit != "" {
			all.Go(func() { out[i].limit, out[i].limitErr = s.ask(ctx, q.Limit) })
		}
	}
	all.Wait()
	return out
}

// Sample asks every question once. It fails only when all of them do; what
// single ones complain of is told when it changes.
func (s *Source) Sample(ctx context.Context) (watch.Sample, error) {
	var out watch.Sample
	answers := s.askAll(ctx)
	failed := 0
	for _, a := range answers {
		if a.err != nil {
			failed++
		}
	}
	if failed == len(answers) {
		return out, answers[0].err
	}
	for _, a := range answers {
		s.tell(&out, a.query.Name, a.err)
		s.tell(&out, "the limit of "+a.query.Name, a.limitErr)
		n := len(a.values)
		if n > MaxSeries {
			s.tell(&out, "the series of "+a.query.Name, fmt.Errorf("they are %d, and the first %d are kept: sum or topk makes them fewer", n, MaxSeries))
			n = MaxSeries
		}
		for _, v := range a.values[:n] {
			r := tally.Watched{Group: a.query.Name, Name: a.query.Name, Unit: a.query.Unit, Value: v.value}
			if v.labels != "" {
				r.Name = v.labels
			}
			if limit, ok := limitFor(v, a.limit); ok {
				r.Limit, r.LimitName = limit, "limit"
			}
			out.Readings = append(out.Readings, r)
		}
	}
	return out, nil
}

// limitFor picks the limit of a series: the only one there is, or the one with
// the same labels.
func limitFor(v sample, limits []sample) (float64, bool) {
	for _, l := range limits {
		if (len(limits) == 1 || l.labels == v.labels) && l.value > 0 {
			return l.value, true
		}
	}
	return 0, false
}

// tell reports what is wrong with a question when that changes.
func (s *Source) tell(out *watch.Sample, about string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && s.told[about] != text {
		out.Events = append(out.Events, about+": "+text)
	}
	if text != "" {
		s.told[about] = text
	}
}
