package gate_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/gate"
	"github.com/weir-dev/weir/limit"
)

// slowStore answers when it is released.
type slowStore struct{ asked, release chan struct{} }

func (s slowStore) Prepare(enforce.Set) (enforce.Decider, error) { return s, nil }
func (slowStore) Gates(context.Context) (int, error)             { return 1, nil }

func (s slowStore) Take(ctx context.Context, asks []enforce.Ask) (limit.Decision, error) {
	s.asked <- struct{}{}
	select {
	case <-s.release:
	case <-ctx.Done():
		return limit.Decision{}, ctx.Err()
	}
	d := limit.Decision{Allowed: true, Limit: 10, Remaining: 9}
	for i := range asks {
		asks[i].Decision = d
	}
	return d, nil
}

func (slowStore) Release(context.Context, []enforce.Ask) error { return nil }

// TestGoneWhileAsking holds that a client which goes while the store is asked
// does not make it look as if the store had failed.
func TestGoneWhileAsking(t *testing.T) {
	store := slowStore{make(chan struct{}), make(chan struct{})}
	o := gate.Options{File: parse(t, generous)}
	o.Guard.Store, o.Guard.Shared.Budget = store, time.Minute
	g, err := gate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ctx, gone := context.WithCancel(context.Background())
	ended := make(chan any)
	go func() {
		defer func() { ended <- recover() }()
		r := httptest.NewRequest("GET", "/check/x", nil).WithContext(ctx)
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		g.Check().ServeHTTP(httptest.NewRecorder(), r)
	}()
	<-store.asked
	gone()
	close(store.release)
	if r := <-ended; r != nil && r != http.ErrAbortHandler {
		t.Errorf("recovered %v", r)
	}
	if s := g.Stats(); s.Store.Local != 0 || s.Store.Errors != 0 || s.LastDegraded != nil || s.Policies[0].Allowed != 1 {
		t.Errorf("%+v, %+v", s.Store, s.Policies[0])
	}
}
