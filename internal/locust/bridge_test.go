package locust

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
)

// service answers the requests of the tests.
func service(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("hello " + r.Method)) })
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte(r.URL.Query().Get("c")), 64<<10))
	})
	mux.HandleFunc("/zip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte(strings.Repeat("z", 20_000)))
		z.Close()
	})
	mux.HandleFunc("/br", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		_, _ = w.Write([]byte("as it was sent"))
	})
	mux.HandleFunc("/status/", func(w http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscanf(r.URL.Path, "/status/%d", &n)
		w.WriteHeader(n)
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "1", Secure: true, SameSite: http.SameSiteNoneMode})
		http.SetCookie(w, &http.Cookie{Name: "plain", Value: "2"})
		http.Redirect(w, r, "/echo", http.StatusFound)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s cookie=%q", r.Method, r.Header.Get("Cookie"))
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// TestRequests follows requests of one user from frame to frame, and into both
// statistics.
func TestRequests(t *testing.T) {
	host := service(t)
	p := newPeer(t, one(), func(p *peer, n uint32, _ uint16, leave <-chan struct{}) {
		get := func(path string, flags uint16) came {
			return p.send(sent{user: n, flags: flags, method: "GET", name: path, url: host + path, header: ":cookies:\r\nUser-Agent: test\r\n"})
		}
		a := get("/hello", 0)
		if a.status != 200 || a.body != "hello GET" || a.flags != 1 || a.total != 9 || a.reason != "OK" || !strings.Contains(a.header, "Content-Length: 9") {
			t.Errorf("hello: %+v", a)
		}
		if a.elapsed <= 0 || a.elapsed > 20 || a.ms <= 0 || time.Since(time.Unix(0, int64(a.at*1e9))) > time.Minute {
			t.Errorf("times: %+v", a)
		}
		for _, path := range []string{"/big?c=a", "/zip"} { // not inside the answer, and read twice
			a = get(path, 0)
			want := strings.Repeat("a", 64<<10)
			if path == "/zip" {
				want = strings.Repeat("z", 20_000)
			}
			if a.flags&1 != 0 || a.body != "" || int(a.total) != len(want) {
				t.Errorf("%s: flags %d, %d bytes, %d inside", path, a.flags, a.total, len(a.body))
			}
			get("/big?c=b", 0) // which must not overwrite it
			if b := p.call(kindBody, a.id, nil); string(b) != "\x01"+want {
				t.Errorf("%s: body of %d bytes", path, len(b))
			}
			p.out.send(kindDrop, 0, binary.LittleEndian.AppendUint32(nil, a.id))
			if b := p.call(kindBody, a.id, nil); b[0] != 2 {
				t.Errorf("%s: a body that was dropped is there", path)
			}
		}
		if a = get("/br", 0); a.flags != 1|16 || a.body != "as it was sent" { // the script's side may know the coding
			t.Errorf("br: %+v", a)
		}
		a = get("/big?c=s", flagStream)
		var parts []int
		for {
			b := p.call(kindBody, a.id, binary.LittleEndian.AppendUint32(nil, 30_000))
			parts = append(parts, len(b)-1)
			if b[0] != 0 {
				break
			}
		}
		if !slices.Equal(parts, []int{30_000, 30_000, 5536, 0}) {
			t.Errorf("stream: %v", parts)
		}
		a = get("/login", 0)
		history, _ := a.tail["history"].([]any)
		if a.status != 200 || a.flags&4 == 0 || len(history) != 1 || a.tail["url"] != host+"/echo" || a.body != `GET cookie="plain=2"` {
			t.Errorf("redirect: %+v", a)
		} else if h := history[0].(map[string]any); h["status"] != 302.0 || h["url"] != host+"/login" || !strings.Contains(h["headers"].(string), "Set-Cookie: sid=1") {
			t.Errorf("history: %v", history)
		}
		if a = get("/login", flagStill); a.status != 302 || a.tail != nil {
			t.Errorf("still: %+v", a)
		}
		get("/status/404", 0)
		get("/status/429", 0)
		get("/status/404", flagFast)
		p.b.stop("enough")
		p.ended(n, 0)
	})
	o := p.run(nil)
	if o.err != nil || o.result.Unfinished > 0 {
		t.Fatalf("%v, %+v", o.err, o.result)
	}
	if a, f, th := o.totals.Outcome(hit.Admitted).Count, o.totals.Outcome(hit.Failed).Count, o.totals.Outcome(hit.Throttled).Count; a != 9 || f != 2 || th != 1 {
		t.Errorf("%d admitted, %d failed, %d throttled", a, f, th)
	}
	text := bookText(t, p.b)
	for _, want := range []string{
		`GET /hello 1 0 9`, `GET /big?c=a 1 0 65536`, `GET /zip 1 0 20000`, `GET /status/404 2 2 0`, `GET /status/429 1 1 0`,
		`1 HTTPError('404 Client Error: Not Found for url: /status/404')`, `1 HTTPError('429 Client Error: Too Many Requests for url: /status/429')`, `1 LocustBadStatusCode(code=404)`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the book has no %q:\n%s", want, text)
		}
	}
}

// bookText writes a book's figures: method, name, requests, failures, bytes; and
// the failures.
func bookText(t *testing.T, b *Bridge) string {
	t.Helper()
	raw, err := json.Marshal(b.Book().Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Entries []struct {
			Name     string `json:"name"`
			Method   string `json:"method"`
			Requests int    `json:"num_requests"`
			Failures int    `json:"num_failures"`
			Length   int    `json:"total_content_length"`
		} `json:"entries"`
		Errors []struct {
			Error string `json:"error"`
			N     int    `json:"occurrences"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, e := range s.Entries {
		fmt.Fprintf(&out, "%s %s %d %d %d\n", e.Method, e.Name, e.Requests, e.Failures, e.Length)
	}
	for _, e := range s.Errors {
		fmt.Fprintf(&out, "%d %s\n", e.N, e.Error)
	}
	return out.String()
}

// TestVerdicts: what a script says about an answer, also when it has sent others since.
func TestVerdicts(t *testing.T) {
	host := service(t)
	p := newPeer(t, one(), func(p *peer, n uint32, _ uint16, _ <-chan struct{}) {
		get := func(path string) came {
			return p.send(sent{user: n, flags: flagVerdict, method: "GET", name: path, url: host + path, header: ":cookies:\r\n"})
		}
		a := get("/status/404")
		b := get("/hello") // inside the with block of a
		p.verdict(b.id, 1, "", notANumber, -1, "CatchResponseError('it\\'s wrong')")
		p.verdict(a.id, 0, "renamed", notANumber, -1, "")
		p.verdict(get("/hello").id, 0, "", 4321, 77, "")
		p.verdict(get("/status/500").id, 2, "", notANumber, -1, "")
		p.verdict(get("/status/429").id, 0, "", notANumber, -1, "")
		p.verdict(get("/status/401").id, 3, "", notANumber, -1, "")
		p.out.send(kindDrop, 0, binary.LittleEndian.AppendUint32(nil, get("/status/204").id))
		p.verdict(99999, 1, "", notANumber, -1, "to nothing")
		if s := p.json(kindCall, map[string]any{"op": "stats"}); s["total"].(map[string]any)["num_requests"] != 5.0 {
			t.Errorf("the script sees %v", s["total"])
		}
		get("/hello") // and no verdict on it before the end
		p.b.stop("enough")
		p.ended(n, 0)
	})
	o := p.run(nil)
	var got []string
	for _, n := range o.totals.Names() {
		for out := range hit.Missed {
			if c := n.Outcome(out); c.Count > 0 {
				got = append(got, fmt.Sprintf("%s %s %d", n.Name, out, c.Count))
			}
		}
	}
	want := []string{"/hello admitted 2", "/hello failed 1", "/status/204 admitted 1", "/status/429 throttled 1", "/status/500 failed 1", "renamed admitted 1"}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("counted %q\nwant    %q", got, want)
	}
	if rows := o.totals.Errors(); len(rows) != 2 || rows[0].Text != "check: it's wrong" && rows[1].Text != "check: it's wrong" {
		t.Errorf("errors: %+v", rows)
	}
	text := bookText(t, p.b)
	for _, want := range []string{"GET renamed 1 0 0", "GET /hello 2 1 86", "GET /status/429 1 0 0", "GET /status/500 1 1 0"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the book has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "/status/401") || strings.Contains(text, "/status/204") {
		t.Errorf("the book has what the script dropped:\n%s", text)
	}
	if n := o.totals.Sent; n != 8 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestTogether: requests of one session that are under way at the same time share
// its cookies; other sessions have their own; uncounted ones are counted nowhere.
func TestTogether(t *testing.T) {
	host := service(t)
	p := newPeer(t, one(), func(p *peer, n uint32, _ uint16, _ <-chan struct{}) {
		get := func(session uint32, path string, flags uint16) came {
			return p.send(sent{user: n, session: session, flags: flags, method: "GET", name: path, url: host + path, header: ":cookies: own=x\r\n"})
		}
		get(0, "/login", 0)
		begun := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if a := get(0, "/slow", 0); a.status != 200 {
					t.Errorf("slow: %+v", a)
				}
			})
		}
		all.Wait()
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("20 requests at once took %v", took)
		}
		if a := get(0, "/echo", 0); a.body != `GET cookie="plain=2; own=x"` {
			t.Errorf("own session: %s", a.body)
		}
		if a := get(7, "/echo", 0); a.body != `GET cookie="own=x"` {
			t.Errorf("other session: %s", a.body)
		}
		if a := get(8, "/echo", flagUncounted); a.status != 200 {
			t.Errorf("uncounted: %+v", a)
		}
		cookies := func(session uint32, more map[string]any) map[string]any {
			q := map[string]any{"user": n, "session": session}
			for k, v := range more {
				q[k] = v
			}
			return p.json(kindCookies, q)
		}
		if list := cookies(0, map[string]any{"op": "list"})["cookies"].([]any); len(list) != 2 {
			t.Errorf("cookies: %v", list)
		}
		cookies(7, map[string]any{"op": "set", "cookie": map[string]any{"name": "set", "value": "3", "domain": "127.0.0.1", "path": "/", "host_only": true}})
		if a := get(7, "/echo", 0); a.body != `GET cookie="set=3; own=x"` {
			t.Errorf("after set: %s", a.body)
		}
		cookies(7, map[string]any{"op": "clear"})
		p.out.send(kindCookies, 0, []byte(`{"op":"close","session":7}`))
		if a := cookies(0, map[string]any{"op": "dance"}); a["error"] == nil {
			t.Error("an operation that there is not")
		}
		p.b.stop("enough")
		p.ended(n, 0)
	})
	o := p.run(nil)
	if got := o.totals.Outcome(hit.Admitted).Count; got != 1+20+1+2 {
		t.Errorf("%d admitted, %+v", got, o.totals.Errors())
	}
	if text := bookText(t, p.b); !strings.Contains(text, "GET /echo 3 0") {
		t.Errorf("book:\n%s", text)
	}
}

// TestEnds: users who are asked to leave may send more, those who end by
// themselves are not replaced, and events come in their order.
func TestEnds(t *testing.T) {
	host := service(t)
	l := &Loaded{Classes: []Class{{Name: "Few", FixedCount: 1}, {Name: "Many", Weight: 3}}, Options: map[string]any{"host": host}}
	var began atomic.Int32
	p := newPeer(t, l, func(p *peer, n uint32, class uint16, leave <-chan struct{}) {
		began.Add(1)
		if class == 0 {
			p.ended(n, 1) // StopUser
			return
		}
		<-leave
		p.send(sent{user: n, method: "GET", name: "bye", url: host + "/hello"})
		p.ended(n, 0)
	})
	p.on = func(p *peer, event map[string]any) any {
		if event["event"] == "quitting" {
			return map[string]any{"exit_code": 7}
		}
		return nil
	}
	o := p.run(func(plan *load.Plan) {
		plan.Users, plan.RunTime = pace.Users(4, pace.Rate{}), 1200*time.Millisecond
	})
	if n := o.totals.Outcome(hit.Admitted).Count; n != 3 || began.Load() != 4 {
		t.Errorf("%d said good-bye, %d began", n, began.Load())
	}
	if code := p.b.Quitting(); code == nil || *code != 7 {
		t.Errorf("exit code %v", code)
	}
	p.mu.Lock()
	events := slices.DeleteFunc(slices.Clone(p.events), func(e string) bool { return e == "state" })
	p.mu.Unlock()
	if want := []string{"init", "test_start", "spawning_complete", "test_stopping", "test_stop", "quitting"}; !slices.Equal(events, want) {
		t.Errorf("events %q", events)
	}
	if by := p.b.crew.byClass(); by["Few"] != 0 || by["Many"] != 0 {
		t.Errorf("left: %v", by)
	}
}

// TestShape: the shape says how many users there are, and of which classes further
// ones are; those who are there stay.
func TestShape(t *testing.T) {
	l := &Loaded{Classes: []Class{{Name: "A", Weight: 1}, {Name: "B", Weight: 1}}, Shape: &Shape{Name: "S"}}
	var ticks atomic.Int32
	var mu sync.Mutex
	now := map[uint16]int{}
	var seen []string
	p := newPeer(t, l, func(p *peer, n uint32, class uint16, leave <-chan struct{}) {
		mu.Lock()
		now[class]++
		mu.Unlock()
		<-leave
		mu.Lock()
		now[class]--
		mu.Unlock()
		p.ended(n, 0)
	})
	p.on = func(p *peer, event map[string]any) any {
		if event["event"] != "tick" {
			return nil
		}
		mu.Lock()
		seen = append(seen, fmt.Sprintf("A%d B%d", now[0], now[1]))
		mu.Unlock()
		switch ticks.Add(1) {
		case 1:
			return []any{4, 100, nil}
		case 2:
			return []any{6, 100, []string{"B"}}
		case 3:
			return []any{1, 100}
		}
		return json.RawMessage("null")
	}
	o := p.run(func(plan *load.Plan) {
		sc := plan.Scenario
		plan.Users, plan.Parts = pace.Level{}, []load.Part{{Led: true, Scenario: sc}}
	})
	if o.result.Reason != "the shape ended the test" || o.result.PeakUsers < 6 {
		t.Errorf("%+v", o.result)
	}
	if want := []string{"A0 B0", "A2 B2", "A2 B4", "A1 B0"}; !slices.Equal(seen, want) {
		t.Errorf("users at each tick: %q, want %q", seen, want)
	}
}

// TestLost: what was recorded stays, and the run ends at once, whatever the
// script's side does to the channel.
func TestLost(t *testing.T) {
	host := service(t)
	for name, harm := range map[string]func(p *peer){
		"closed":       func(p *peer) { p.conn.Close() },
		"unknown kind": func(p *peer) { p.out.send('?', 0, nil) },
		"cut request":  func(p *peer) { p.out.send(kindRequest, 5, []byte{1, 2, 3}) },
		"huge frame":   func(p *peer) { _, _ = p.conn.Write([]byte{0xff, 0xff, 0xff, 0xff, 'R', 0, 0, 0, 0}) },
		"second hello": func(p *peer) { p.out.send(kindHello, 0, []byte(`{"protocol":1}`)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, one(), func(p *peer, n uint32, _ uint16, _ <-chan struct{}) {
				p.send(sent{user: n, method: "GET", name: "/hello", url: host + "/hello"})
				harm(p)
			})
			o := p.run(func(plan *load.Plan) { plan.RunTime = time.Minute })
			if o.totals.Outcome(hit.Admitted).Count != 1 || o.result.Elapsed > 30*time.Second || p.b.Err() == nil {
				t.Errorf("%+v, %v", o.result, p.b.Err())
			}
			if rows := o.totals.Errors(); len(rows) != 1 || rows[0].Name != load.ScenarioName {
				t.Errorf("errors: %+v", rows)
			}
		})
	}
}

// TestHardStop: a script that does not let its users go does not keep the run.
func TestHardStop(t *testing.T) {
	p := newPeer(t, one(), func(*peer, uint32, uint16, <-chan struct{}) {})
	o := p.run(func(plan *load.Plan) { plan.RunTime, plan.StopTimeout = 200*time.Millisecond, 300*time.Millisecond })
	if o.result.Abandoned != 0 || o.result.Elapsed > 5*time.Second {
		t.Errorf("%+v", o.result)
	}
}

// TestOwnClients: samples, problems and calls of a script.
func TestOwnClients(t *testing.T) {
	p := newPeer(t, one(), func(p *peer, n uint32, _ uint16, _ <-chan struct{}) {
		for _, s := range []string{
			`{"type":"grpc","name":"hello","ms":12.5,"length":7,"error":null}`,
			`{"type":"grpc","name":"hello","ms":null,"length":0,"error":"RpcError('x')"}`,
			`{"type":"sql","name":"q","ms":1,"length":0,"error":"busy","throttled":true}`, `nonsense`,
		} {
			p.out.send(kindSample, 0, []byte(s))
		}
		p.out.send(kindProblem, 0, []byte(`{"kind":"task","type":"KeyError","message":"'x'","traceback":"T","file":"/a/locustfile.py","line":12}`))
		p.json(kindCall, map[string]any{"op": "exit_code", "code": 3})
		if c := p.json(kindCall, map[string]any{"op": "counts"}); c["user_count"] != 1.0 || c["by_class"].(map[string]any)["U"] != 1.0 {
			t.Errorf("counts: %v", c)
		}
		if a := p.json(kindCall, map[string]any{"op": "start", "users": 3, "rate": 100}); a["error"] != nil {
			t.Errorf("start: %v", a)
		}
		if a := p.json(kindCall, map[string]any{"op": "fly"}); a["error"] == nil {
			t.Error("a call that there is not")
		}
		if n == 0 {
			for p.json(kindCall, map[string]any{"op": "counts"})["user_count"] != 3.0 {
				runtime.Gosched()
			}
			p.json(kindCall, map[string]any{"op": "quit"})
		}
		p.ended(n, 0)
	})
	first := p.user
	p.user = func(p *peer, n uint32, class uint16, leave <-chan struct{}) {
		if n == 0 {
			first(p, n, class, leave)
			return
		}
		<-leave
		p.ended(n, 0)
	}
	o := p.run(nil)
	if a, f, th := o.totals.Outcome(hit.Admitted).Count, o.totals.Outcome(hit.Failed).Count, o.totals.Outcome(hit.Throttled).Count; a != 1 || f != 1 || th != 1 {
		t.Errorf("%d admitted, %d failed, %d throttled", a, f, th)
	}
	if o.result.Reason != "the script called runner.quit()" || p.b.Book().Problems() != 1 {
		t.Errorf("%q, %d problems", o.result.Reason, p.b.Book().Problems())
	}
	if i := slices.IndexFunc(o.totals.Errors(), func(e tally.Error) bool { return e.Text == "locustfile.py:12: KeyError: 'x'" }); i < 0 {
		t.Errorf("errors: %+v", o.totals.Errors())
	}
	if code := p.b.Quitting(); code == nil || *code != 3 {
		t.Errorf("exit code %v", code)
	}
}
