//go:build unix

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/gate"
)

// TestGateReload holds that SIGHUP and a changed file put new policies in force,
// and that a file which cannot be read changes nothing and says why.
func TestGateReload(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "limits.yaml")
	policies := func(limit int) string {
		return fmt.Sprintf("policies:\n  - {name: p, limit: %d, window: 1m}\n", limit)
	}
	write(t, name, policies(1))
	f, err := readPolicies(name)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gate.New(gate.Options{File: f})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	logName := filepath.Join(dir, "access.json")
	log, err := openLog(logName, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var mu sync.Mutex
	var said []string
	tell := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(said, "\n")
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &gateReload{gate: g, log: log, policy: name, say: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, fmt.Sprintf(format, args...))
	}}
	// A hangup before run has asked for it must not end the test.
	spare := make(chan os.Signal, 1)
	signal.Notify(spare, syscall.SIGHUP)
	defer signal.Stop(spare)
	done := make(chan struct{})
	go func() { defer close(done); r.run(ctx, false) }()
	wait := func(what string, again func(), f func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !f(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within a minute; said %s", what, tell())
			}
			again()
		}
	}
	hangUp := func() { syscall.Kill(os.Getpid(), syscall.SIGHUP) }

	write(t, name, policies(2))
	os.Rename(logName, logName+".1")
	wait("the new limit", hangUp, func() bool { return g.File().Policies[0].Limit == 2 })
	fmt.Fprintln(log, "a line")
	if b, err := os.ReadFile(logName); err != nil || string(b) != "a line\n" {
		t.Errorf("the access log was not opened anew: %q, %v", b, err)
	}
	write(t, name, "policies:\n  - {name: p, limit: zero, window: 1m}\n")
	wait("the refusal", hangUp, func() bool { return strings.Contains(tell(), "the policies stay as they were") })
	if !strings.Contains(tell(), "limits.yaml:2:") || g.File().Policies[0].Limit != 2 || g.Stats().ReloadError == "" {
		t.Errorf("limit %d, said %s", g.File().Policies[0].Limit, tell())
	}
	cancel()
	<-done

	ctx, cancel = context.WithCancel(t.Context())
	done = make(chan struct{})
	go func() { defer close(done); r.run(ctx, true) }()
	// Written again and again, with another text each time: the first may come
	// before the file is looked at.
	n := 3
	wait("the change is seen", func() { n++; write(t, name, policies(n)) }, func() bool { return g.File().Policies[0].Limit > 2 })
	cancel()
	<-done
}

func TestParseRedis(t *testing.T) {
	good := map[string]string{
		"redis://h":                  "[h:6379] db=0 cluster=false tls=false user= password=",
		"redis://u:p%40x@h:1/3":      "[h:1] db=3 cluster=false tls=false user=u password=p@x",
		"rediss://:s@[::1]:6380":     "[[::1]:6380] db=0 cluster=false tls=true user= password=s",
		"valkey+cluster://a:1,b:2,c": "[a:1 b:2 c:6379] db=0 cluster=true tls=false user= password=",
		"rediss+cluster://a":         "[a:6379] db=0 cluster=true tls=true user= password=",
		"unix:///run/redis.sock":     "[/run/redis.sock] db=0 cluster=false tls=false user= password=",
	}
	for text, want := range good {
		o, err := parseRedis(text)
		got := fmt.Sprintf("%v db=%d cluster=%v tls=%v user=%s password=%s", o.Addresses, o.DB, o.Cluster, o.TLS != nil, o.Username, o.Password)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "h:6379", "http://h", "redis://", "redis://:hidden@", "redis://:hidden@h/x", "redis://:hidden@h/-1", "unix://", "redis://:hid%zz@h"} {
		if _, err := parseRedis(text); err == nil {
			t.Errorf("%q is accepted", text)
		} else if strings.Contains(err.Error(), "hid") {
			t.Errorf("%q: the error tells the password: %v", text, err)
		}
	}
	if len(good) < 5 {
		t.Fatal("cases are missing")
	}
}

// lateStore answers from the n-th question on.
type lateStore struct {
	enforce.Store
	asked, from int
}

func (s *lateStore) Gates(context.Context) (int, error) {
	if s.asked++; s.asked < s.from {
		return 0, errors.New("not connected yet")
	}
	return 1, nil
}

// TestAwaitStore holds that a gate gives its store a moment before it serves, and
// not for ever.
func TestAwaitStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if s := (&lateStore{from: 3}); awaitStore(s) != nil || s.asked != 3 || time.Since(start) > 100*time.Millisecond {
			t.Errorf("asked %d times in %v", s.asked, time.Since(start))
		}
		start = time.Now()
		if err := awaitStore(&lateStore{from: 1 << 30}); err == nil || err.Error() != "not connected yet" || time.Since(start) > 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
