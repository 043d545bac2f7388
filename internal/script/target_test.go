package script

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/target"
)

// TestOverTheNetwork runs the SMS example through the true sender against a
// true server.
func TestOverTheNetwork(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.Method+" "+r.URL.Path]++
		mu.Unlock()
		if r.URL.Path != "/api/auth/login" {
			c, err := r.Cookie("csrftoken")
			if s, serr := r.Cookie("sessionid"); err != nil || serr != nil || s.Value != "s" || r.Method == "POST" && r.Header.Get("X-CSRFToken") != c.Value {
				w.WriteHeader(403)
				fmt.Fprint(w, `{"detail": "CSRF Failed"}`)
				return
			}
		}
		anything(w, r)
	})}
	go func() { _ = srv.Serve(l) }()
	defer func() { _ = srv.Close() }()

	sc, err := Load(examples+"/sms.star", Options{Host: "http://" + l.Addr().String(), Getenv: func(n string) (string, bool) { return "password123", n == "SMS_PASSWORD" }})
	if err != nil {
		t.Fatal(err)
	}
	tgt, err := target.New(target.Options{Proxy: "none", KeepBody: func(int) bool { return true }, BodyLimit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tgt.Close() }()
	e, err := load.New(load.Plan{
		Scenario: sc, Users: pace.Users(10, pace.Rate{}), RunTime: 300 * time.Millisecond, StopTimeout: 0, Seed: 1,
		NewSender: sc.Senders(func(user int) (Sender, error) { return tgt.NewSender(user) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	var totals tally.Totals
	errs := map[string]int64{}
	if _, err := e.Run(t.Context(), func(k *tally.Tick) {
		totals.Add(k)
		for _, x := range k.Errors {
			errs[x.Text] += x.Count
		}
	}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(errs) > 0 || totals.Outcome(hit.Admitted).Count < 30 || seen["POST /api/auth/login"] != 10 || seen["POST /api/customers/17/templates"] < 5 {
		t.Errorf("errors %v, %d admitted, the server saw %v", errs, totals.Outcome(hit.Admitted).Count, seen)
	}
	for _, n := range totals.Names() {
		if n.Name == "/api/customers/17/templates" {
			t.Error("a name given with name= is not used")
		}
	}
}
