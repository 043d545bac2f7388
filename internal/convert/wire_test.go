package convert

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/script"
	"github.com/weir-dev/weir/internal/tally"
)

// wire is a sender that writes down what it is to send, and answers from a table.
type wire struct {
	mu      *sync.Mutex
	log     *[]string
	answers map[string]string // "GET /path" → "200\nHeader: x\n\nbody"
	jar     *cookie.Jar
	still   bool
	last    string
}

func (w *wire) SetJar(j *cookie.Jar)             { w.jar = j }
func (w *wire) Tune(_ time.Duration, still bool) { w.still = still }
func (w *wire) URL() string                      { return w.last }

func (w *wire) Send(ctx context.Context, req *hit.Request, ans *hit.Answer) {
	still := w.still
	w.still = false
	if ctx.Err() != nil {
		ans.Failure, ans.Done = hit.Interrupted, time.Now()
		return
	}
	ans.Sent = time.Now()
	if ans.OnSent != nil {
		ans.OnSent(ans.Sent)
	}
	at, method, body := req.URL, req.Method, req.Body
	for range 5 {
		u, err := url.Parse(at)
		if err != nil {
			ans.Failure, ans.Err, ans.Done = hit.OtherFailure, "bad URL", time.Now()
			return
		}
		var head []string
		for _, h := range req.Header {
			head = append(head, h.Name+": "+h.Value)
		}
		where := cookie.Place{Host: u.Hostname(), Path: u.Path, HTTPS: u.Scheme == "https"}
		if w.jar != nil {
			if c := w.jar.Append(nil, where, time.Now()); len(c) > 0 {
				head = append(head, "Cookie: "+string(c))
			}
		}
		slices.Sort(head)
		w.mu.Lock()
		*w.log = append(*w.log, strings.TrimRight(method+" "+at+"\n"+strings.Join(head, "\n")+"\n\n"+string(body), "\n"))
		w.mu.Unlock()
		answer := w.answers[method+" "+u.Path]
		if answer == "" {
			answer = "200\n\n{}"
		}
		top, text, _ := strings.Cut(answer, "\n\n")
		ans.Status, ans.Fields, ans.Body = 0, ans.Fields[:0], append(ans.Body[:0], text...)
		for i, line := range strings.Split(top, "\n") {
			if i == 0 {
				fmt.Sscan(line, &ans.Status)
				continue
			}
			name, value, _ := strings.Cut(line, ": ")
			ans.Fields = ans.Fields.Append(name, value)
		}
		if w.jar != nil {
			w.jar.Receive(where, ans.Fields, time.Now())
		}
		w.last = at
		to := ans.Fields.Get("Location")
		if still || to == "" {
			break
		}
		next, _ := u.Parse(to)
		at, method, body = next.String(), "GET", nil
	}
	ans.Done = time.Now()
}

// play converts, loads and runs a source until it has sent n requests, and
// returns what was sent and any errors of the run.
func play(t *testing.T, r *Result, n int, answers map[string]string, environment map[string]string) (log []string, failed map[string]int64) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "made.star")
	if err := os.WriteFile(path, r.Star, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "photo.jpg"), []byte("JPEG"), 0o644); err != nil {
		t.Fatal(err)
	}
	sc, err := script.Load(path, script.Options{Getenv: func(name string) (string, bool) { v, ok := environment[name]; return v, ok }})
	if err != nil {
		t.Fatalf("Load: %v\n%s", err, r.Star)
	}
	failed = map[string]int64{}
	var mu sync.Mutex
	synctest.Test(t, func(t *testing.T) {
		level, err := pace.ParseLevel("1:10h")
		if err != nil {
			t.Fatal(err)
		}
		e, err := load.New(load.Plan{
			Scenario: sc, RunTime: 10 * time.Hour, StopTimeout: time.Minute, MaxRequests: int64(n), Users: level, Seed: 1,
			NewSender: sc.Senders(func(int) (script.Sender, error) { return &wire{mu: &mu, log: &log, answers: answers}, nil }),
		})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		if _, err := e.Run(t.Context(), func(k *tally.Tick) {
			for _, x := range k.Errors {
				failed[x.Text] += x.Count
			}
		}); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return log, failed
}

// boundary is random in each request.
var boundary = regexp.MustCompile(`weir-[a-z0-9]{15,}`)

var badStyle = regexp.MustCompile(`(?m)[ \t]+$|\t|\n\n\n\n|[(,]\s*\w+=\S`)

// conversion is one row of the tables of sources.
type conversion struct {
	name    string
	src     string
	options Options
	env     map[string]string
	answers map[string]string
	sends   []string // the requests on the wire, in order
	random  bool     // they come in no order
	notes   []string // a part of each note, in order
	star    []string // parts of the file
	hides   []string // secrets of the source
}

// check runs one conversion and compares what went over the wire with what the source says.
func (c conversion) check(t *testing.T) {
	t.Helper()
	r, err := Convert([]byte(c.src), c.options)
	if err != nil {
		t.Fatalf("Convert: %v", err)
	}
	star := string(r.Star)
	if testing.Verbose() {
		t.Log("\n" + star)
	}
	for _, part := range c.star {
		if !strings.Contains(star, part) {
			t.Errorf("the file has no %q", part)
		}
	}
	for _, s := range c.hides {
		if strings.Contains(star, s) || strings.Contains(strings.Join(r.Notes, "\n"), s) {
			t.Errorf("the secret %q is in the file or a note", s)
		}
	}
	_, code, _ := strings.Cut(star, "\n\n")
	if m := badStyle.FindString(regexp.MustCompile(`"(?:[^"\\]|\\.)*"`).ReplaceAllString(code, `""`)); m != "" {
		t.Errorf("style: %q", m)
	}
	if len(r.Notes) != len(c.notes) {
		t.Errorf("%d notes, want %d: %q", len(r.Notes), len(c.notes), r.Notes)
	}
	for i := range min(len(r.Notes), len(c.notes)) {
		if !strings.Contains(r.Notes[i], c.notes[i]) {
			t.Errorf("note %d is %q, want %q in it", i, r.Notes[i], c.notes[i])
		}
	}
	for _, v := range append(slices.Clone(r.Secrets), r.Env...) {
		if _, ok := c.env[v]; !ok {
			t.Errorf("the variable %s is asked for", v)
		}
		if !strings.Contains(star, "#   export "+v+"=") {
			t.Errorf("the file does not say to set %s", v)
		}
	}
	count := r.Steps
	if c.random {
		count *= 12 // so that each comes at least once, with this seed
	}
	got, failed := play(t, r, count, c.answers, c.env)
	if c.random {
		for i := range got {
			got[i] = boundary.ReplaceAllString(got[i], "B")
		}
		slices.Sort(got)
		got = slices.Compact(got)
		slices.Sort(c.sends)
		if len(got) != len(c.sends) {
			t.Errorf("%d different requests were sent, want %d: %q", len(got), len(c.sends), got)
		}
	}
	if len(failed) > 0 {
		t.Errorf("errors of the run: %v", failed)
	}
	if len(got) < len(c.sends) {
		t.Errorf("%d requests were sent, want %d", len(got), len(c.sends))
	}
	if len(c.sends) == 0 {
		t.Error("the row says no requests")
	}
	for i := range min(len(got), len(c.sends)) {
		got[i] = boundary.ReplaceAllString(got[i], "B")
		if got[i] != c.sends[i] {
			t.Errorf("request %d\n--- got\n%s\n--- want\n%s", i+1, got[i], c.sends[i])
		}
	}
	if t.Failed() {
		t.Log("\n" + star)
	}
}

func checkAll(t *testing.T, rows []conversion, least int) {
	t.Helper()
	if len(rows) < least {
		t.Fatalf("only %d rows, want %d", len(rows), least)
	}
	for _, c := range rows {
		t.Run(c.name, c.check)
	}
}
