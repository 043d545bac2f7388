package locust

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/locust/book"
	"github.com/weir-dev/weir/internal/target"
)

// frame makes the bytes of a frame.
func frame(kind byte, id uint32, payload []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)+5))
	b = binary.LittleEndian.AppendUint32(append(b, kind), id)
	return append(b, payload...)
}

// FuzzFrames: whatever comes on the channel, nothing panics, and the channel ends.
func FuzzFrames(f *testing.F) {
	request := (&sent{user: 0, method: "GET", name: "n", url: "http://192.0.2.1/", header: ":cookies: a=b\r\n:ca: x\r\nA: b\r\nC\r\n", body: "x"}).payload()
	f.Add(frame(kindRequest, 1, request))
	f.Add(append(frame(kindRequest, 1, request), frame(kindVerdict, 1, make([]byte, 23))...))
	for _, kind := range []byte{kindHello, kindCookies, kindSample, kindProblem, kindCall, kindReply} {
		f.Add(frame(kind, 7, []byte(`{"op":"list","user":0,"session":1,"protocol":1}`)))
	}
	f.Add(frame(kindEnded, 0, []byte{0, 0, 0, 0, 1, 0, 0, 0, 0}))
	f.Add(frame(kindBody, 3, []byte{1, 2, 3}))
	f.Add(frame(kindDrop, 0, []byte{1, 0, 0, 0, 2}))
	f.Add([]byte{0xff, 0xff, 0xff, 0x3f, 'R'})
	targets, err := NewTargets(target.Options{Proxy: "none", ConnectTimeout: time.Millisecond,
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, os.ErrDeadlineExceeded }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		br := &Bridge{loaded: one(), opts: Config{Book: book.New(time.Now()), Notify: func(Event) {}}}
		br.Serve(targets)
		br.ctx, br.cancel = context.WithCancel(context.Background())
		defer br.cancel()
		br.crew.init()
		br.crew.classes = br.loaded.Classes
		c := newChild(br, 0)
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		c.conn, c.out = ours, newOutbox(ours)
		go func() { _ = c.out.run() }()
		main := c.enrol(0, 0).main
		go func() {
			mem := newMemory()
			fr := newFrames(bytes.NewReader(b))
			for {
				kind, id, payload, err := fr.next()
				if err == nil {
					err = c.dispatch(kind, id, payload, mem)
				}
				if err != nil {
					close(c.gone)
					return
				}
			}
		}()
		for over := false; !over; {
			select {
			case m := <-main.in: // nobody is there to send it
				if m.kind == kindRequest {
					main.g.idle(main, true)
				}
			case <-c.gone:
				over = true
			}
		}
		c.dismiss(0)
		for _, g := range c.groups {
			g.close()
		}
		theirs.Close()
		c.out.close()
	})
}

// A frame comes whole however the bytes come, and a length is not believed before
// the bytes are there.
func TestFrames(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 3*firstBuffer)
	var all []byte
	for i := range 50 {
		all = append(all, frame('a', uint32(i), big[:i*i*50])...)
	}
	all = append(all, frame('b', 99, big)...)
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(all), "halves": iotest.HalfReader(bytes.NewReader(all)), "with the end": iotest.DataErrReader(bytes.NewReader(all)),
	} {
		f := newFrames(r)
		for i := range 51 {
			kind, id, payload, err := f.next()
			if want := i * i * 50; i < 50 && (err != nil || kind != 'a' || id != uint32(i) || len(payload) != want) || i == 50 && (kind != 'b' || !bytes.Equal(payload, big)) {
				t.Fatalf("%s, frame %d: %c %d, %d bytes, %v", name, i, kind, id, len(payload), err)
			}
		}
		if _, _, _, err := f.next(); err != io.EOF {
			t.Errorf("%s: at the end %v", name, err)
		}
	}
	f := newFrames(bytes.NewReader([]byte{0, 0, 0, 0x3f, 'R', 0, 0, 0, 0, 1, 2}))
	if _, _, _, err := f.next(); err != io.ErrUnexpectedEOF || len(f.buf) > 2*firstBuffer {
		t.Errorf("a frame that says it has 1 GB: %v, %d bytes were made", err, len(f.buf))
	}
}

// What several say at the same time goes out in one write, in whole frames.
func TestOutbox(t *testing.T) {
	r, w := net.Pipe()
	o := newOutbox(w)
	done := make(chan error, 1)
	go func() { done <- o.run() }()
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() { o.send('x', uint32(i), bytes.Repeat([]byte{byte(i)}, i)) })
	}
	f := newFrames(r)
	seen := map[uint32]bool{}
	for range 100 {
		_, id, payload, err := f.next()
		if err != nil || len(payload) != int(id) || seen[id] || bytes.Count(payload, []byte{byte(id)}) != int(id) {
			t.Fatalf("frame %d: %q %v", id, payload, err)
		}
		seen[id] = true
	}
	all.Wait()
	o.close()
	o.send('x', 1, nil)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBodies(t *testing.T) {
	s := newBodies()
	a, b := s.put(1, 10, []byte("aaaa")), s.put(2, 10, []byte("bb"))
	c := s.put(3, 11, []byte("c"))
	if s.size != 7 || !s.kept(a) || !s.kept(b) || !s.kept(c) {
		t.Fatalf("%d bytes", s.size)
	}
	s.drop(2)
	s.drop(2)
	if got := s.appendPart(nil, 2, 0); got[0] != 2 || s.kept(b) || s.size != 5 {
		t.Errorf("dropped: %q, %d bytes", got, s.size)
	}
	if got := string(s.appendPart(nil, 1, 3)) + string(s.appendPart(nil, 1, 3)); got != "\x00aaa\x01a" {
		t.Errorf("parts %q", got)
	}
	s.put(1, 12, []byte("new"))
	if s.kept(a) || s.size != 4 {
		t.Errorf("replaced: %d bytes", s.size)
	}
	s.dropUser(11)
	if s.kept(c) || s.size != 3 || s.first != s.last || s.first.id != 1 {
		t.Errorf("after the user: %d bytes", s.size)
	}
}

func TestFields(t *testing.T) {
	s := parseFields([]byte(":redirects: 5\r\n:ca: /c a.pem\r\n:proxy: http://p:1\r\nUser-Agent: x: y\r\n:cookies: a=b; c=d\r\nEmpty:\r\nno colon\r\n"))
	want := []hit.Field{{Name: "User-Agent", Value: "x: y"}, {Name: "Cookie"}, {Name: "Empty"}}
	if !slices.Equal(s.fields, want) || s.cookies != "a=b; c=d" || s.most != 5 || s.way != (way{ca: "/c a.pem", proxy: "http://p:1"}) {
		t.Errorf("%+v", s)
	}
}

func TestTexts(t *testing.T) {
	for s, want := range map[string]string{
		"it": `'it'`, "it's": `"it's"`, `it's "x"`: `'it\'s "x"'`, "a\n\t\\\x01é\u00a0": `'a\n\t\\\x01é\xa0'`,
	} {
		if got := repr(s); got != want {
			t.Errorf("repr(%q) = %s, want %s", s, got, want)
		}
	}
	cases := 0
	for _, tt := range []struct {
		f      hit.Failure
		err    string
		status int
		usual  string
		quick  string
	}{
		{hit.ConnectRefused, "", 0, "ConnectionRefusedError(111, 'Connection refused')", "ConnectionRefusedError(111, 'Connection refused')"},
		{hit.DNSFailed, "no address", 0, "gaierror(-2, 'Name or service not known')", "gaierror(-2, 'Name or service not known')"},
		{hit.AnswerTimeout, "", 0, `ReadTimeout(ReadTimeoutError("HTTPSConnectionPool(host='h', port=443): Read timed out. (read timeout=0.3)"))`, "RetriesExceeded('https://h/asked', 0, original=timed out)"},
		{hit.ClosedEarly, "the server reset the connection before the answer began", 0, "ConnectionResetError(104, 'Connection reset by peer')", "HTTPConnectionClosed('connection closed.')"},
		{hit.ClosedEarly, "the server closed the connection before the answer began", 0, "RemoteDisconnected('Remote end closed connection without response')", "HTTPConnectionClosed('connection closed.')"},
		{hit.ClosedEarly, "the server closed the connection in the body", 200, "ChunkedEncodingError(ProtocolError('Response ended prematurely'))", "HTTPParseError('Incomplete response.')"},
		{hit.TooManyRedirects, "more than 5 redirects", 302, "TooManyRedirects('Exceeded 5 redirects.')", "RetriesExceeded('https://h/asked', 'Redirection limit reached (5)')"},
		{hit.BadAnswer, `a chunk size is malformed: "zz"`, 200, `ChunkedEncodingError(ProtocolError("Connection broken: InvalidChunkLength(got length b'zz\\r\\n', 0 bytes read)", InvalidChunkLength(got length b'zz\r\n', 0 bytes read)))`, "HTTPParseError('Invalid character in chunk size', 12)"},
		{hit.OtherFailure, "odd", 0, "ConnectionError('odd')", "ConnectionError('odd')"},
	} {
		if runtime.GOOS != "linux" && strings.Contains(tt.usual, "Error(1") {
			continue // other numbers
		}
		cases++
		ans := &hit.Answer{Failure: tt.f, Err: tt.err, Status: tt.status}
		for fast, want := range map[bool]string{false: tt.usual, true: tt.quick} {
			if got := explain(ans, "https://h/asked", "https://h/at", 300*time.Millisecond, fast).text; got != want {
				t.Errorf("%v, fast %v: %s\nwant %s", tt.f, fast, got, want)
			}
		}
	}
	if cases < 5 {
		t.Errorf("%d cases", cases)
	}
	for in, want := range map[string]string{"CatchResponseError('too slow')": "too slow", `CatchResponseError("it's")`: "it's", "ValueError('x')": "ValueError('x')", "CatchResponseError()": "CatchResponseError()"} {
		if got := plainText(in); got != want {
			t.Errorf("plainText(%s) = %q", in, got)
		}
	}
}

// Places are given out by weight, fixed ones first, and those of users who ended
// by themselves are not given again.
func TestRoster(t *testing.T) {
	r := &roster{classes: []Class{{Name: "A", Weight: 1}, {Name: "B", Weight: 2}, {Name: "C", FixedCount: 2}}}
	r.init()
	all := []int{0, 1, 2}
	var got []string
	for range 8 {
		got = append(got, r.classes[r.hire(all)].Name)
	}
	if want := "C C B A B B A B"; strings.Join(got, " ") != want {
		t.Errorf("hired %v, want %s", got, want)
	}
	b := &Bridge{opts: Config{Book: book.New(time.Now())}}
	r.full = true
	r.left(b, 1, false)
	r.left(b, 0, true)
	if c := r.classes[r.hire(all)].Name; c != "B" {
		t.Errorf("%s took the place of a B", c)
	}
	if by := r.byClass(); by["A"] != 1 || by["B"] != 4 || by["C"] != 2 {
		t.Errorf("there are %v", by)
	}
	r.allow([]string{"A"})
	if c := r.classes[r.hire(all)].Name; c != "A" {
		t.Errorf("%s, where only A is wanted", c)
	}
	r.allow(nil) // a stage of a shape that names no classes
	if c := r.classes[r.hire(all)].Name; c != "A" {
		t.Errorf("%s, where those before are to stay", c)
	}
}

// TestRosterTells: each change of how many users are wanted is followed by a word that
// they are there, also when they were there before it.
func TestRosterTells(t *testing.T) {
	var told []int
	b := &Bridge{opts: Config{Book: book.New(time.Now()), Notify: func(e Event) {
		if e.Kind == "spawned" {
			told = append(told, e.N)
		}
	}}}
	r := &b.crew
	r.init()
	r.classes = []Class{{Name: "A", Weight: 1}}
	hire := func(n int) {
		for range n {
			r.hire([]int{0})
			r.look(b)
		}
	}
	want := func(what string, n ...int) {
		t.Helper()
		if !slices.Equal(told, n) {
			t.Errorf("%s: told %v, want %v", what, told, n)
		}
		told = nil
	}
	r.aim(2, 1)
	r.look(b)
	hire(1)
	want("one of two")
	hire(1)
	want("two", 2)
	r.aim(2, 5)
	r.look(b)
	want("a stage with the same number", 2)
	b.Nudged(1)
	want("a key")
	hire(1)
	want("three", 3)
	b.Nudged(-2)
	r.left(b, 0, false)
	want("two are left")
	r.left(b, 0, false)
	want("one is left", 1)
	b.Nudged(-10)
	if r.target != 0 {
		t.Errorf("%d wanted", r.target)
	}
}

// The order in which Locust 2.47.0 was seen to give out classes by their weights:
// with 8, 1 and 1 a run of six users has all three.
func TestRosterOrder(t *testing.T) {
	for _, c := range []struct {
		classes []Class
		want    string
	}{
		{[]Class{{Name: "A", Weight: 5}, {Name: "B", Weight: 1}}, "AABAAAAABAAAAA"},
		{[]Class{{Name: "A", Weight: 1}, {Name: "B", Weight: 8}, {Name: "C", Weight: 1}}, "BBBBACBBBBBBBB"},
		{[]Class{{Name: "C", Weight: 1}, {Name: "B", Weight: 1}, {Name: "A", Weight: 1}}, "ABCABCABCABCAB"},
		{[]Class{{Name: "A", Weight: 10}, {Name: "B", Weight: 3}, {Name: "C", Weight: 1}}, "AABAACABAAABAA"},
		{[]Class{{Name: "A", Weight: 0.5}, {Name: "B", Weight: 2}}, "BBABBBBABBBBAB"},
		{[]Class{{Name: "A", Weight: 0}, {Name: "B", Weight: 1}}, "BBBBBBBBBBBBBB"},
		{[]Class{{Name: "A", FixedCount: 3}, {Name: "B", FixedCount: 1}, {Name: "C", Weight: 1}}, "ABAACCCCCCCCCC"},
	} {
		r := &roster{classes: c.classes}
		r.init()
		among := make([]int, len(c.classes))
		for i := range among {
			among[i] = i
		}
		got := ""
		for range len(c.want) {
			got += r.classes[r.hire(among)].Name
		}
		if got != c.want {
			t.Errorf("%+v: hired %s, want %s", c.classes, got, c.want)
		}
	}
}

func TestTick(t *testing.T) {
	for raw, want := range map[string]string{
		`null`: "end", `[10, 2.5]`: "10 2.5 []", `[10.6, 1, ["A"]]`: "11 1 [A]", `[1, 1, null]`: "1 1 []",
		`[1]`: "error", `[-1, 1]`: "error", `[1, 0]`: "error", `"x"`: "error", `{"error":{"text":"ZeroDivisionError","file":"/x/s.py","line":3}}`: "error",
	} {
		s, err := parseTick(json.RawMessage(raw))
		got := "end"
		if err != nil {
			got = "error"
		} else if s != nil {
			got = fmt.Sprint(s.users, " ", s.rate, " ", s.classes)
		}
		if got != want {
			t.Errorf("%s: %s (%v), want %s", raw, got, err, want)
		}
	}
}

func TestRamp(t *testing.T) {
	var led []int
	r := ramp{lead: func(n int) { led = append(led, n) }}
	begun := time.Now()
	r.step(begun)
	r.begin(&stage{users: 10, rate: 4, set: true}, begun)
	for i := range 8 {
		r.step(begun.Add(time.Duration(i) * 500 * time.Millisecond))
	}
	at := begun.Add(time.Minute)
	r.begin(&stage{users: 7, rate: 1, set: true}, at)
	for i := range 4 {
		r.step(at.Add(time.Duration(i) * 999 * time.Millisecond))
	}
	if want := []int{1, 3, 5, 7, 9, 10, 9, 8, 7}; !slices.Equal(led, want) {
		t.Errorf("led to %v, want %v", led, want)
	}
}

// The Python side is unpacked once, repaired when it is damaged, and goes to a
// temporary folder when there is no place for it.
func TestUnpack(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the cache folder is chosen by XDG_CACHE_HOME on Linux")
	}
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	first, temporary, err := unpack()
	if err != nil || temporary || !strings.HasPrefix(first, cache) {
		t.Fatal(first, err)
	}
	n := 0
	_ = eachFile(func(name string, _ []byte) error {
		n++
		if strings.HasPrefix(name, "tests/") || !strings.HasSuffix(name, ".py") {
			t.Errorf("%s is unpacked", name)
		}
		return nil
	})
	if n < 20 {
		t.Errorf("%d files", n)
	}
	boot := filepath.Join(first, "boot.py")
	if err := os.WriteFile(boot, []byte("import os"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, _, err := unpack()
	if text, _ := os.ReadFile(boot); err != nil || second != first || string(text) == "import os" {
		t.Errorf("damaged: %s %v %q", second, err, text)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "weir", "*")); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(boot, "no"))
	t.Setenv("TMPDIR", t.TempDir())
	if third, temporary, err := unpack(); err != nil || !temporary || !intact(third) || !strings.HasPrefix(third, os.Getenv("TMPDIR")) {
		t.Errorf("without a cache: %s %v", third, err)
	}
}

// What is wrong with an interpreter is said before anything is sent.
func TestFindPython(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-ins are shell scripts")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, odd, broken, good := write("old", "echo 3.8.18"), write("odd", "echo hi"), write("broken", "echo no libs >&2; exit 1"), write("venv/bin/python", "echo 3.13.1")
	for python, want := range map[string]string{
		old: "is Python 3.8.18, and locustfiles need 3.9 or newer", odd: "does not tell its version", broken: "no libs", filepath.Join(dir, "none"): "no such file",
	} {
		if _, err := findPython(t.Context(), &Config{Python: python}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", python, err, want)
		}
	}
	getenv := func(name string) string {
		if name == "VIRTUAL_ENV" {
			return filepath.Join(dir, "venv")
		}
		return ""
	}
	if got, err := findPython(t.Context(), &Config{Getenv: getenv}); err != nil || got != good {
		t.Errorf("in a virtual environment: %s %v", got, err)
	}
	t.Setenv("PATH", dir)
	if _, err := findPython(t.Context(), &Config{Getenv: func(string) string { return "" }}); err == nil || !strings.Contains(err.Error(), "there is no python3 in PATH") {
		t.Errorf("without any: %v", err)
	}
}

// Whole lines are passed on; a flood is cut and confessed.
func TestPrinter(t *testing.T) {
	var out bytes.Buffer
	var said []string
	p := &printer{to: &out, lock: new(sync.Mutex), note: func(s string) { said = append(said, s) }}
	p.run(iotest.OneByteReader(strings.NewReader("one\ntwo\nrest")))
	if out.String() != "one\ntwo\nrest" || string(p.tail) != "one\ntwo\nrest" || said != nil {
		t.Errorf("%q, tail %q, %q", out.String(), p.tail, said)
	}
	out.Reset()
	frozen := time.Now()
	p = &printer{to: &out, lock: new(sync.Mutex), note: func(s string) { said = append(said, s) }, now: func() time.Time { return frozen }}
	p.run(io.LimitReader(endless{}, printBurst+2<<20))
	if n := out.Len(); n < printBurst-lineRoom || n > printBurst || len(said) != 1 || len(p.tail) > 2*tailRoom {
		t.Errorf("%d bytes of a flood, %q", n, said)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte("flood\n"), len(p)/6+1))
	return len(p), nil
}

// The line at work is found in what faulthandler writes.
func TestBusiest(t *testing.T) {
	dump := `Thread 0x1 (most recent call first):
  File "/home/weir/locust/_weir/baton.py", line 40 in wait
  File "/srv/a/locustfile.py", line 7 in idle

Thread 0x2 (most recent call first):
  File "/usr/lib/python3.11/re/__init__.py", line 166 in match
  File "/srv/a/locustfile.py", line 11 in busy
  File "/home/weir/locust/user/task.py", line 285 in execute_task

Current thread 0x3 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait
`
	file, line, function := busiest(dump, []string{"/srv/a/locustfile.py"}, "/home/weir")
	if file != "/srv/a/locustfile.py" || line != 11 || function != "busy" {
		t.Errorf("%s:%d in %s", file, line, function)
	}
	if file, _, _ := busiest("nothing", nil, ""); file != "" {
		t.Errorf("found %s in nothing", file)
	}
}
