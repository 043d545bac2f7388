package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/lab/cognito"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// client is one whose connections the test can be sure to have closed.
func client(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// fetch returns status and body.
func fetch(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestCatalogue(t *testing.T) {
	all := Catalogue()
	if len(all) == 0 {
		t.Fatal("the catalogue is empty")
	}
	seen := map[string]bool{}
	for _, s := range all {
		if s.Name == "" || s.Summary == "" || strings.HasSuffix(s.Summary, ".") || seen[s.Name] {
			t.Errorf("entry %q: %q", s.Name, s.Summary)
		}
		seen[s.Name] = true
		// Each can be started, answers its own first command's kind of request, and counts it.
		srv := start(t, Config{Standin: s.Name})
		lines := srv.Commands()
		if len(lines) == 0 || !strings.HasPrefix(lines[0][1], "curl ") || !strings.Contains(lines[0][1], srv.URL()) {
			t.Errorf("%s: first command %q", s.Name, lines)
		}
		fetch(t, client(t), srv.URL()+"/")
		if st := srv.Stats(0); st.Requests != 1 || st.Standin != s.Name {
			t.Errorf("%s: stats %+v", s.Name, st)
		}
	}
	if _, err := Find("nope"); err == nil || !strings.Contains(err.Error(), "cognito, plain") {
		t.Errorf("Find(nope): %v", err)
	}
}

// TestCognitoEndToEnd asks for a token over a socket and finds it counted in
// the admin answer, the Go value and the access log alike.
func TestCognitoEndToEnd(t *testing.T) {
	var log lockedBuffer
	s := start(t, Config{Standin: "cognito", AccessLog: &log, Options: Options{Quota: 2, Latency: &stand.Latency{}}})
	c := client(t)
	var codes []int
	for range 3 {
		req, err := http.NewRequest("POST", s.URL()+cognito.TokenPath+"?note=s3cret", strings.NewReader("grant_type=client_credentials"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(cognito.MachineClientID, cognito.MachineSecret)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		codes = append(codes, resp.StatusCode)
		if resp.StatusCode == 200 && !bytes.Contains(b, []byte(`"access_token":"ey`)) {
			t.Errorf("answer %s", b)
		}
	}
	if fmt.Sprint(codes) != "[200 200 429]" {
		t.Errorf("answers %v, want two tokens and a refusal", codes)
	}
	status, body := fetch(t, c, s.StatsURL()+"?minutes=5")
	var st stand.Stats
	if err := json.Unmarshal([]byte(body), &st); err != nil || status != 200 {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for name, st := range map[string]stand.Stats{"admin": st, "value": s.Stats(-1)} {
		k := st.Categories[0]
		if st.Requests != 3 || st.Answers["200"] != 2 || st.Answers["429"] != 1 || k.CallCount != 3 || k.ThrottleCount != 1 || k.Limit != 2 || len(k.Minutes) == 0 {
			t.Errorf("%s: %+v", name, st)
		}
	}
	got := log.lines(t)
	if len(got) != 3 || got[0].Status != 200 || got[2].Status != 429 || got[2].Bytes != 25 || got[0].Path != "/oauth2/token" || got[0].Method != "POST" {
		t.Errorf("access log %+v", got)
	}
	if text := log.String(); strings.Contains(text, cognito.MachineSecret) || strings.Contains(text, "s3cret") || strings.Contains(text, "Basic") {
		t.Errorf("the access log shows secrets: %s", text)
	}
}

// lockedBuffer is a writer that is read while the server may still write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *lockedBuffer) lines(t *testing.T) (out []line) {
	t.Helper()
	sc := bufio.NewScanner(strings.NewReader(b.String()))
	for sc.Scan() {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", sc.Bytes(), err)
		}
		out = append(out, l)
	}
	return out
}

func TestAddresses(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	_, port, _ := net.SplitHostPort(busy.Addr().String())

	good := []string{"", "0", ":0", "127.0.0.1:0", "localhost:0", "127.0.0.2:", "[::ffff:127.0.0.1]:0"}
	for _, addr := range good {
		s, err := Start(t.Context(), Config{Standin: "plain", Addr: addr})
		if err != nil {
			t.Errorf("Start on %q: %v", addr, err)
			continue
		}
		if !strings.HasPrefix(s.URL(), "http://127.0.0.") {
			t.Errorf("Start on %q: reached at %s", addr, s.URL())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	bad := []struct{ addr, want string }{
		{port, "is in use by another program: choose another port, or 0"},
		{"127.0.0.1:" + port, "port " + port + " of 127.0.0.1 is in use"},
		{"0.0.0.0:0", "other machines"},
		{"[::]:0", "other machines"},
		{"192.0.2.1:0", "other machines"},
		{"example.com:0", "other machines"},
		{"127.0.0.1", "want HOST:PORT"},
		{"127.0.0.1:http", "must be a number"},
		{"127.0.0.1:70000", "must be a number"},
		{"127.0.0.1:-1", "must be a number"},
		{"99999", "must be a number"},
	}
	for _, c := range bad {
		if s, err := Start(t.Context(), Config{Standin: "plain", Addr: c.addr}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Start on %q: %v, want an error with %q", c.addr, err, c.want)
			if s != nil {
				_ = s.Close()
			}
		}
	}
	// An address of the documentation's (RFC 5737) is nobody's: asked for
	// explicitly, it is refused for that and not for being remote.
	if _, err := Start(t.Context(), Config{Standin: "plain", Addr: "192.0.2.1:0", AllowRemote: true}); err == nil || !strings.Contains(err.Error(), "not an address of this machine") {
		t.Errorf("192.0.2.1 with AllowRemote: %v", err)
	}
	s, err := Start(t.Context(), Config{Standin: "plain", Addr: "0.0.0.0:0", AllowRemote: true})
	if err != nil {
		t.Fatalf("0.0.0.0 with AllowRemote: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestStartRefuses(t *testing.T) {
	cases := []struct {
		cfg  Config
		want string
	}{
		{Config{Standin: "nope"}, "no stand-in"},
		{Config{Standin: "cognito", Options: Options{Quota: -1}}, "quota -1"},
		{Config{Standin: "plain", Options: Options{Quota: -1}}, "quota -1"},
		{Config{Standin: "plain", Options: Options{Faults: stand.Faults{ErrorRate: 3}}}, "error rate"},
		{Config{Standin: "cognito", Options: Options{Latency: &stand.Latency{Base: -1}}}, "latency"},
	}
	for _, c := range cases {
		if s, err := Start(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Start(%+v): %v, want %q", c.cfg, err, c.want)
			if s != nil {
				_ = s.Close()
			}
		}
		ln := newPipeListener()
		c.cfg.Listener = ln
		if s, err := Start(t.Context(), c.cfg); err == nil {
			_ = s.Close()
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Start(%+v) failed and left the listener open", c.cfg)
		}
	}
}

// TestCloseCutsWhatHangs holds that Close ends within its grace although a
// request would hang for ever, and that the client is told by its connection.
func TestCloseCutsWhatHangs(t *testing.T) {
	s := start(t, Config{Standin: "plain", Options: Options{Faults: stand.Faults{HangRate: 1}}})
	result := make(chan error, 1)
	go func() {
		resp, err := client(t).Get(s.URL())
		if err == nil {
			_ = resp.Body.Close()
		}
		result <- err
	}()
	for s.Stats(0).Aborted == 0 { // counted when the hang begins
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; err == nil {
		t.Error("the hanging request got an answer")
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// TestCloseIsGraceful holds that a request in progress still gets its answer.
func TestCloseIsGraceful(t *testing.T) {
	s := start(t, Config{Standin: "plain"})
	status := make(chan int, 1)
	go func() {
		resp, err := client(t).Get(s.URL() + "/delay/200ms")
		if err != nil {
			status <- 0
			return
		}
		_ = resp.Body.Close()
		status <- resp.StatusCode
	}()
	for s.Stats(0).Requests == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := <-status; got != 200 {
		t.Errorf("status %d, want 200", got)
	}
	if _, err := client(t).Get(s.URL()); err == nil {
		t.Error("it still answers after Close")
	}
}

func TestContextCloses(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Config{Standin: "plain"})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-s.Done()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	// One that has ended already: whether Start notices or not, nothing is left.
	if s, err = Start(ctx, Config{Standin: "plain", Listener: newPipeListener()}); err == nil {
		<-s.Done()
	}
}

// pipeListener hands out in-memory connections, so that a whole server runs
// inside a synctest bubble.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (l *pipeListener) dial() net.Conn {
	here, there := net.Pipe()
	l.conns <- there
	return here
}

// TestListenerIsAValue runs server and clock in virtual time: a day of counts
// in a moment.
func TestListenerIsAValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		s, err := Start(context.Background(), Config{Standin: "plain", Listener: ln, Options: Options{Quota: 1}})
		if err != nil {
			t.Fatal(err)
		}
		conn := ln.dial()
		read := bufio.NewReader(conn)
		admitted := 0
		for range 24 {
			for range 2 {
				if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(read, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode == 200 {
					admitted++
				}
			}
			time.Sleep(time.Hour)
		}
		_ = conn.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if k := s.Stats(-1).Categories[0]; admitted != 24 || k.CallCount != 48 || k.ThrottleCount != 24 || len(k.Minutes) != 24 {
			t.Errorf("admitted %d, counted %+v", admitted, k)
		}
	})
}

func TestAdmin(t *testing.T) {
	s := start(t, Config{Standin: "plain"})
	c := client(t)
	cases := []struct {
		path   string
		status int
	}{
		{"/__weir/stats", 200}, {"/__weir/stats?minutes=0", 200}, {"/__weir/stats?minutes=99999999", 200},
		{"/__weir/stats?minutes=-1", 400}, {"/__weir/stats?minutes=x", 400}, {"/__weir/", 404}, {"/__weir/x", 404},
	}
	for _, k := range cases {
		if status, body := fetch(t, c, s.URL()+k.path); status != k.status {
			t.Errorf("%s: %d %s, want %d", k.path, status, body, k.status)
		}
	}
	resp, err := c.Post(s.StatsURL(), "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 405 {
		t.Errorf("POST: %d", resp.StatusCode)
	}
	if n := s.Stats(0).Requests; n != 0 {
		t.Errorf("the admin's own requests are counted: %d", n)
	}
}

// TestAccessLogOfFaults holds that a cut connection is logged too, and that
// faults reach the wire through the log's wrapper.
func TestAccessLogOfFaults(t *testing.T) {
	var log lockedBuffer
	s := start(t, Config{Standin: "plain", AccessLog: &log, Options: Options{Faults: stand.Faults{
		Script: []stand.Fault{stand.Reset, stand.Slow, stand.Hang}, SlowFor: time.Millisecond, HangFor: time.Millisecond,
	}}})
	c := client(t)
	post := func(path string) (*http.Response, error) {
		return c.Post(s.URL()+path, "text/plain", strings.NewReader("x"))
	}
	if resp, err := post("/"); !errors.Is(err, syscall.ECONNRESET) {
		if err == nil {
			_ = resp.Body.Close()
		}
		t.Errorf("reset: %v, want a connection reset", err)
	}
	resp, err := post("/bytes/100")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || len(b) != 100 {
		t.Errorf("slow: %d bytes, %v", len(b), err)
	}
	if resp, err := post("/"); err == nil {
		_ = resp.Body.Close()
		t.Errorf("hang: status %d", resp.StatusCode)
	}
	odd := "/\"<\x01\n" + strings.Repeat("é", maxLogged)
	if status, _ := fetch(t, c, s.URL()+(&url.URL{Path: odd}).EscapedPath()); status != 400 {
		t.Errorf("an odd path: %d", status)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	// A cut connection is logged when its handler ends, which may be after the
	// client has gone on: Close waits for it, and the order is not promised.
	got := log.lines(t)
	aborted := 0
	for _, l := range got {
		switch {
		case l.Aborted && l.Status == 0 && l.Bytes == 0:
			aborted++
		case l.Status == 200 && l.Bytes == 100 && !l.Aborted:
		case l.Status == 400 && strings.HasPrefix(l.Path, odd[:5]) && len(l.Path) <= maxLogged+3:
		default:
			t.Errorf("unexpected line %+v", l)
		}
	}
	if len(got) != 4 || aborted != 2 {
		t.Errorf("%d lines, %d of them aborted; want 4 and 2", len(got), aborted)
	}
	if st := s.Stats(0); st.Requests != 4 || st.Aborted != 2 || st.Answers["200"] != 1 {
		t.Errorf("stats %+v", st)
	}
}

// stuck is a log that blocks until it is released.
type stuck chan struct{}

func (s stuck) Write(b []byte) (int, error) { <-s; return len(b), nil }

// TestCloseWaitsForHandlers holds that Close does not return while a handler is
// still at work, whether net/http knows its connection (a plain answer) or has
// let go of it (a cut one).
func TestCloseWaitsForHandlers(t *testing.T) {
	for _, fault := range []stand.Fault{stand.None, stand.Reset} {
		synctest.Test(t, func(t *testing.T) {
			ln, log := newPipeListener(), make(stuck)
			s, err := Start(context.Background(), Config{Standin: "plain", Listener: ln, AccessLog: log,
				Options: Options{Faults: stand.Faults{Script: []stand.Fault{fault}}}})
			if err != nil {
				t.Fatal(err)
			}
			conn := ln.dial()
			defer func() { _ = conn.Close() }()
			if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the handler stands in the log
			go func() { _ = s.Close() }()
			time.Sleep(time.Minute)
			select {
			case <-s.Done():
				t.Errorf("%v: closed while a handler is at work", fault)
			default:
			}
			close(log)
			<-s.Done()
		})
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAccessLogThatCannotBeWritten(t *testing.T) {
	s := start(t, Config{Standin: "plain", AccessLog: fullDisk{}})
	c := client(t)
	for range 2 {
		if status, _ := fetch(t, c, s.URL()); status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "2 lines could not be written: no space left") {
		t.Errorf("Close: %v", err)
	}
}

// TestManyClients holds server, stats and log to the same counts under
// concurrency.
func TestManyClients(t *testing.T) {
	var log lockedBuffer
	s := start(t, Config{Standin: "plain", AccessLog: &log, Options: Options{Quota: 100}})
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	for range 8 {
		wg.Go(func() {
			c := client(t)
			for range 50 {
				resp, err := c.Get(s.URL())
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				mu.Lock()
				seen[resp.StatusCode]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	st := s.Stats(-1)
	if seen[200]+seen[429] != 400 || uint64(seen[200]) != st.Answers["200"] || uint64(seen[429]) != st.Categories[0].ThrottleCount || st.Requests != 400 {
		t.Errorf("clients saw %v, the server counted %+v", seen, st)
	}
	logged := map[int]int{}
	for _, l := range log.lines(t) {
		logged[l.Status]++
	}
	if logged[200] != seen[200] || logged[429] != seen[429] {
		t.Errorf("logged %v, clients saw %v", logged, seen)
	}
}
