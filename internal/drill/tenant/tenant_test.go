package tenant_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/drill"
	"github.com/weir-dev/weir/internal/drill/tenant"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tenantlog"
	"github.com/weir-dev/weir/limit"
)

// world is a tenant with a limit and a log that is read late.
type world struct {
	mu      sync.Mutex // guards all below
	limiter limit.Limiter
	log     *tenantlog.Log
	read    int
	late    time.Duration
	mute    []string // types that are not written
	other   bool     // the log is of another tenant
	err     error
}

func newWorld(t *testing.T) *world {
	l, err := limit.Policy{Algorithm: limit.TokenBucket, Limit: 10, Window: time.Second, Burst: 10, WarnAt: 0.8}.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &world{limiter: l, log: tenantlog.New(tenantlog.Options{}), late: 5 * time.Second}
}

func (w *world) Send(context.Context, int) drill.Answer {
	a := drill.Answer{Sent: time.Now(), Status: 200}
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.limiter.Take(time.Now(), 1)
	if !w.other {
		w.log.Decided(time.Now(), tenantlog.Bucket{ID: "b", Name: "Global"}, d, tenantlog.Request{Path: "/oauth/token"})
	}
	if !d.Allowed {
		a.Status, a.Outcome = 429, hit.Throttled
	}
	a.Done = time.Now()
	return a
}

// Read returns what is old enough to be seen.
func (w *world) Read(context.Context) ([]tenantlog.Entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	all := w.log.Read(tenantlog.Page{PerPage: 100, Ascending: true}).Logs
	var out []tenantlog.Entry
	for w.read < len(all) && time.Since(all[w.read].At()) >= w.late {
		if e := all[w.read]; !slices.Contains(w.mute, e.Type) {
			out = append(out, e)
		}
		w.read++
	}
	return out, nil
}

func TestDrill(t *testing.T) {
	for _, c := range []struct {
		name    string
		spoil   func(*world)
		verdict drill.Verdict
		want    string
	}{
		{"proved", func(*world) {}, drill.Passed, ""},
		{"late", func(w *world) { w.late = 2 * time.Minute }, drill.Failed, "no-log-entry no-warning"},
		{"another tenant", func(w *world) { w.other = true }, drill.Failed, "no-log-entry no-warning"},
		{"no warnings", func(w *world) { w.mute = []string{tenantlog.APILimitWarning} }, drill.Passed, "no-warning"},
		{"may not be read", func(w *world) { w.err = fmt.Errorf("%w: 403", tenant.ErrDenied) }, drill.NotRun, "no-permission"},
		{"logged a moment ago", func(w *world) {
			w.log.Decided(time.Now().Add(-10*time.Second), tenantlog.Bucket{ID: "b", Name: "Global"}, limit.Decision{}, tenantlog.Request{})
		}, drill.NotRun, "already-alarming"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.spoil(w)
				d := drill.New(drill.Options{Caps: drill.Caps{Requests: 500, Throttled: 20, Rate: 100, Time: 5 * time.Minute}},
					tenant.New(tenant.Options{Name: "log", Reader: w, Bound: time.Minute}), w)
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
				slices.Sort(names)
				if got := strings.Join(slices.Compact(names), " "); got != c.want || r.Verdict != c.verdict {
					t.Errorf("%s: %q, want %s: %q\n%+v", r.Verdict, got, c.verdict, c.want, r.Findings)
				}
				if r.Verdict == drill.Passed && (!r.Stage(tenant.Logged).Seen || r.Load.Throttled > 5) {
					t.Errorf("%+v, %+v", r.Stage(tenant.Logged), r.Load)
				}
			})
		})
	}
}

func TestUnreachable(t *testing.T) {
	w := newWorld(t)
	w.err = errors.New("no network")
	if _, err := tenant.New(tenant.Options{Reader: w}).Check(t.Context()); err == nil {
		t.Error("no error")
	}
}
