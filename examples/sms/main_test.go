package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-dev/weir"
	"github.com/weir-dev/weir/internal/cli"
	"github.com/weir-dev/weir/internal/lab/sms"
	"github.com/weir-dev/weir/internal/report"
)

// TestAgainstTheLab runs the scenario against the stand-in of the system, which
// refuses what Django would refuse.
func TestAgainstTheLab(t *testing.T) {
	app, err := sms.New(t.Context(), sms.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.Close() })
	var mu sync.Mutex
	var refused []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		app.ServeHTTP(rec, r)
		if rec.Code == 403 || bytes.Contains(rec.Body.Bytes(), []byte("CSRF")) {
			mu.Lock()
			refused = append(refused, r.Method+" "+r.URL.Path+": "+rec.Body.String())
			mu.Unlock()
		}
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(server.Close)

	// The normal users have sent their message and think; what is under way at
	// the end is cut, and counts as nothing.
	r := weir.Test(t, weir.Options{Users: 8, RunTime: 5 * time.Second, FailIf: []string{"failed.count > 0", "throttled.count > 0"},
		Args: []string{"--stop-timeout", "1ms", "--max-send-lag", "20s"}}, classes(server.URL, sms.DefaultPassword)...)
	by := map[string]int64{}
	for _, n := range r.Names {
		by[n.Method+" "+n.Name] = n.Admitted
	}
	if by["POST /api/auth/login"] != 8 || by["POST /api/sms/send"] < 6 || by["POST /api/customers/[id]/templates"] < by["POST /api/sms/send"] {
		t.Errorf("admitted by name: %v", by)
	}
	if len(refused) > 0 || len(r.Errors) > 0 {
		t.Errorf("refused: %v; errors: %v", refused, r.Errors)
	}
}

// recorder is a server that keeps the bytes that arrive on each connection. It
// answers every user alike, so that equal users have equal reasons.
type recorder struct {
	net.Listener
	mu    sync.Mutex
	conns []*bytes.Buffer
}

type tap struct {
	net.Conn
	r   *recorder
	buf *bytes.Buffer
}

func (r *recorder) Accept() (net.Conn, error) {
	c, err := r.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := &tap{c, r, new(bytes.Buffer)}
	r.mu.Lock()
	r.conns = append(r.conns, t.buf)
	r.mu.Unlock()
	return t, nil
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.r.mu.Lock()
	t.buf.Write(p[:n])
	t.r.mu.Unlock()
	return n, err
}

func record(t *testing.T) (*recorder, string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Listener: l}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case r.URL.Path == "/api/auth/login":
			http.SetCookie(w, &http.Cookie{Name: "csrftoken", Value: "sesame", Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "sessionid", Value: "s1", Path: "/", HttpOnly: true})
		case r.Method == "POST":
			w.WriteHeader(201)
			fmt.Fprint(w, `{"id": 17, "token": "abc"}`)
		default:
			fmt.Fprint(w, `{"results": []}`)
		}
	})}
	go func() { _ = srv.Serve(r) }()
	t.Cleanup(func() { _ = srv.Close() })
	return r, l.Addr().String()
}

// firsts returns the first n requests of each connection, byte for byte, with
// the address of the server left out. The target's connection test sends nothing.
func (r *recorder) firsts(t *testing.T, n int, addr string) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.conns {
		if b.Len() == 0 {
			continue
		}
		text := strings.ReplaceAll(b.String(), addr, "ADDR")
		var starts []int
		for _, verb := range []string{"POST /api/", "GET /api/"} {
			for i := 0; ; {
				j := strings.Index(text[i:], verb)
				if j < 0 {
					break
				}
				starts = append(starts, i+j)
				i += j + 1
			}
		}
		slices.Sort(starts)
		if len(starts) < n {
			t.Fatalf("a user sent %d requests, want %d or more:\n%s", len(starts), n, text)
		}
		end := len(text)
		if len(starts) > n {
			end = starts[n]
		}
		out = append(out, text[:end])
	}
	slices.Sort(out)
	return out
}

// TestSameBytesAsStarlark holds that this scenario and examples/sms.star put the
// same bytes on the wire: request lines, headers, cookies and bodies, in the same
// order for each user, from the login to the history.
func TestSameBytesAsStarlark(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds of think times and runs without -short")
	}
	// A history is the sixth request of a normal user, 5 s after the fifth at the latest.
	const users, requests = 8, 6
	flags := []string{"--users", "8", "--run-time", "14s", "--stop-timeout", "1ms", "--seed", "5", "--max-send-lag", "20s"}
	t.Setenv("SMS_PASSWORD", "password123")
	goServer, goAddr := record(t)
	starServer, starAddr := record(t)
	summary := filepath.Join(t.TempDir(), "summary.json")

	var both sync.WaitGroup
	var inGo weir.Result
	both.Go(func() {
		inGo = weir.Test(t, weir.Options{Args: flags}, classes("http://"+goAddr, "password123")...)
	})
	both.Go(func() {
		var stderr bytes.Buffer
		args := []string{"run", "../sms.star", "--host", "http://" + starAddr, "--json", summary, "--quiet", "--out", "none"}
		if code := cli.Main(slices.Concat(args, flags), strings.NewReader(""), io.Discard, &stderr); code != 0 {
			t.Errorf("in Starlark: exit code %d: %s", code, &stderr)
		}
	})
	both.Wait()

	a, b := goServer.firsts(t, requests, goAddr), starServer.firsts(t, requests, starAddr)
	if len(a) != users || len(b) != users {
		t.Fatalf("%d users in Go, %d in Starlark, want %d", len(a), len(b), users)
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("a user in Go sent\n%s\nin Starlark\n%s", a[i], b[i])
		}
	}
	for _, part := range []string{"POST /api/customers/17/templates HTTP/1.1", "X-CSRFToken: sesame", "Referer: http://ADDR", "csrftoken=sesame; sessionid=s1", `"token":"abc","customer_id":17,"template_id":17}`} {
		if !strings.Contains(a[users-1], part) {
			t.Errorf("%q is not in\n%s", part, a[users-1])
		}
	}

	var sum report.Summary
	text, err := os.ReadFile(summary)
	if err == nil {
		err = json.Unmarshal(text, &sum)
	}
	if err != nil {
		t.Fatal(err)
	}
	if inGo.Failed+inGo.Throttled+sum.Outcomes.Failed.Count+sum.Outcomes.Throttled.Count != 0 || len(inGo.Names) != len(sum.Names) {
		t.Fatalf("in Go %+v, in Starlark %+v", inGo.Counts, sum.Outcomes)
	}
	for i, n := range sum.Names {
		if g := inGo.Names[i]; g.Method != n.Method || g.Name != n.Name {
			t.Errorf("row %d: %s %s in Go, %s %s in Starlark", i, g.Method, g.Name, n.Method, n.Name)
		}
	}
}
