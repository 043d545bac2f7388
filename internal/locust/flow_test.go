package locust

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/target"
)

// heard is what a flow told the script.
type heard struct {
	b []byte
}

func (h *heard) Write(p []byte) (int, error) {
	h.b = append(h.b, p...)
	return len(p), nil
}

// said takes the frame that a flow has put into the outbox, if any.
func said(c *child) (state byte, body []byte, ok bool) {
	o := c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buf
	o.buf = nil
	if len(b) == 0 {
		return 0, nil, false
	}
	return b[headLength], append([]byte(nil), b[headLength+1:]...), true
}

// TestFlow: whatever comes in whichever pieces, and whatever is asked for, the
// script gets all of it in order, never more than it asked for, and never across
// the end of a chunk; and it waits only while what it wants has not come.
func TestFlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &child{out: newOutbox(&heard{})}
		f := newFlow(c, &message{id: 7}, func(*hit.Answer) {})
		var come, taken []byte
		ends := map[int]bool{} // of chunks, as offsets
		chunked, over, waiting, finished := rapid.Bool().Draw(t, "chunked"), false, false, false
		wanted := uint32(0)
		size := rapid.OneOf(rapid.Uint32Range(0, 20), rapid.Just(uint32(everything)))
		look := func() {
			state, body, ok := said(c)
			if !ok {
				return
			}
			if !waiting {
				t.Fatal("an answer that nobody asked for")
			}
			waiting = false
			if state == 1 {
				if !over || len(taken) != len(come) || len(body) > 0 {
					t.Fatalf("the end after %d of %d bytes, over %v", len(taken), len(come), over)
				}
				finished = true
				return
			}
			if state != 0 || len(body) == 0 {
				t.Fatalf("state %d with %q", state, body)
			}
			for i := len(taken) + 1; wanted != everything && i < len(taken)+len(body); i++ {
				if ends[i] {
					t.Fatalf("%q crosses the end of a chunk", body)
				}
			}
			if wanted != 0 && wanted != everything && len(body) > int(wanted) {
				t.Fatalf("%d bytes, %d wanted", len(body), wanted)
			}
			// Less than was wanted only where a chunk or the body ends.
			if at := len(taken) + len(body); !over && len(body) != int(wanted) && !ends[at] {
				t.Fatalf("%d bytes for %d, in the middle", len(body), wanted)
			}
			taken = append(taken, body...)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				if !over {
					b := rapid.SliceOfN(rapid.Byte(), 1, 12).Draw(t, "b")
					come = append(come, b...)
					f.Piece(b)
				}
			case 2:
				if !over && chunked {
					ends[len(come)] = true
					f.Cut()
				}
			case 3:
				if !waiting && !finished {
					waiting, wanted = true, size.Draw(t, "n")
					f.ask(wanted)
				}
			case 4:
				if !over && rapid.IntRange(0, 5).Draw(t, "end") == 0 {
					over = true
					f.finish()
				}
			}
			look()
		}
		if !over {
			over = true
			f.finish()
			look()
		}
		for !finished {
			waiting, wanted = true, size.Draw(t, "n")
			f.ask(wanted)
			look()
			if waiting {
				t.Fatal("no answer after the end")
			}
		}
		if !bytes.Equal(taken, come) {
			t.Fatalf("%q came, %q was taken", come, taken)
		}
	})
}

// TestFlowWaits: a server that sends faster than the script reads has to wait; and
// nobody waits for a script that wants no more, or whose run has ended.
func TestFlowWaits(t *testing.T) {
	for _, how := range []string{"read", "leave", "end"} {
		t.Run(how, func(t *testing.T) {
			c := &child{out: newOutbox(&heard{})}
			f := newFlow(c, &message{id: 7}, func(*hit.Answer) {})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			defer f.until(ctx)()
			f.Piece(make([]byte, aheadOf))
			done := make(chan bool)
			go func() {
				f.Piece([]byte("more"))
				done <- f.End()
			}()
			switch how {
			case "read":
				f.ask(everything)
				if _, b, ok := said(c); !ok || len(b) != aheadOf {
					t.Errorf("%d bytes", len(b))
				}
			case "leave":
				f.leave()
			case "end":
				cancel()
			}
			if aborted := <-done; aborted != (how != "read") {
				t.Errorf("aborted: %v", aborted)
			}
			if how == "read" {
				return
			}
			f.ask(1)
			if state, _, ok := said(c); ok != (how == "leave") || ok && state != 2 {
				t.Errorf("asked after it: state %d, %v", state, ok)
			}
		})
	}
}

// trickle answers in chunks, each when it is told to; a request that is broken off
// is told on gone.
func trickle(t *testing.T) (url string, next chan string, gone chan bool) {
	next, gone = make(chan string), make(chan bool, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/plain":
			_, _ = w.Write([]byte("plain"))
			return
		case "/busy":
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte("later"))
			return
		case "/cut":
			c, _, _ := w.(http.Hijacker).Hijack()
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour"))
			_ = c.(*net.TCPConn).Close()
			return
		case "/from":
			http.Redirect(w, r, "/to", http.StatusFound)
			return
		}
		w.Header().Set("Set-Cookie", "seen=1")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for {
			select {
			case text, ok := <-next:
				if !ok {
					return
				}
				_, _ = w.Write([]byte(text))
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				gone <- true
				return
			}
		}
	}))
	t.Cleanup(s.CloseClientConnections)
	t.Cleanup(s.Close)
	return s.URL, next, gone
}

func size(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

// TestStreams follows bodies from the server to the script, piece by piece.
func TestStreams(t *testing.T) {
	url, next, gone := trickle(t)
	p := newPeer(t, one(), func(p *peer, n uint32, _ uint16, _ <-chan struct{}) {
		get := func(path string, flags uint16) came {
			return p.send(sent{user: n, flags: flagStream | flags, method: "GET", name: path, url: url + path, header: ":cookies:\r\n"})
		}
		read := func(id, n uint32) string {
			b := p.call(kindBody, id, size(n))
			return fmt.Sprintf("%d%s", b[0], b[1:])
		}
		wanted := func(got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("read %q, want %q", got, want)
			}
		}
		a := get("/from", 0) // the answer is there before its body is; redirects are followed
		if a.status != 200 || a.flags != 2|4|8 || a.body != "" || a.tail["url"] != url+"/to" {
			t.Errorf("%+v", a)
		}
		next <- "one"
		wanted(read(a.id, 512), "0one")
		// Another request goes out meanwhile, with what the answer has set.
		if b := p.send(sent{user: n, method: "GET", name: "/plain", url: url + "/plain", header: ":cookies:\r\n"}); b.body != "plain" {
			t.Errorf("%+v", b)
		}
		next <- "a longer one"
		wanted(read(a.id, 8), "0a longer")
		wanted(read(a.id, 8), "0 one")
		next <- ""
		next <- "all"
		next <- " that is left"
		next2 := make(chan struct{})
		go func() { close(next); close(next2) }()
		wanted(read(a.id, everything), "0all that is left")
		wanted(read(a.id, 0), "1")
		<-next2
		p.out.send(kindDrop, 0, size(a.id))
		if b := get("/busy", 0); b.flags&8 != 0 || b.status != 429 || read(b.id, 100) != "1later" { // the whole answer, which may be retried
			t.Errorf("%+v", b)
		}
		b := get("/cut", 0)
		wanted(read(b.id, 9), "0four")
		if why := read(b.id, 9); !strings.HasPrefix(why, "2ChunkedEncodingError(") {
			t.Errorf("the end of a body that is cut: %q", why)
		}
		p.b.stop("enough")
		p.ended(n, 0)
	})
	o := p.run(nil)
	if a, f, th := o.totals.Outcome(hit.Admitted).Count, o.totals.Outcome(hit.Failed).Count, o.totals.Outcome(hit.Throttled).Count; o.err != nil || a != 2 || f != 1 || th != 1 {
		t.Errorf("%v: %d admitted, %d failed, %d throttled", o.err, a, f, th)
	}
	select {
	case <-gone:
		t.Error("the server saw a request broken off")
	default:
	}
	text := bookText(t, p.b)
	for _, want := range []string{"GET /from 1 0 0", "GET /cut 1 0 9", "GET /busy 1 1 5"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the book has no %q:\n%s", want, text)
		}
	}
}

// TestStreamEnds: bodies that would go on for ever end when the script wants no more,
// when its user is told to leave, and with the run.
func TestStreamEnds(t *testing.T) {
	for _, how := range []string{"drop", "verdict", "leave", "stop"} {
		t.Run(how, func(t *testing.T) {
			url, next, gone := trickle(t)
			l := one()
			left := make(chan struct{})
			p := newPeer(t, l, func(p *peer, n uint32, _ uint16, leave <-chan struct{}) {
				flags := uint16(flagStream)
				if how == "verdict" {
					flags |= flagVerdict
				}
				a := p.send(sent{user: n, flags: flags, method: "GET", name: "/x", url: url + "/x", header: ":cookies:\r\n"})
				next <- "one"
				if b := p.call(kindBody, a.id, size(512)); string(b) != "\x00one" {
					t.Errorf("read %q", b)
				}
				switch how {
				case "verdict":
					p.verdict(a.id, 1, "", notANumber, -1, "Exception('not that')")
					p.out.send(kindDrop, 0, size(a.id))
				case "drop":
					p.out.send(kindDrop, 0, size(a.id))
				case "leave", "stop":
					p.b.stop("enough")
					<-leave // which is told although the body goes on
					close(left)
					if how == "stop" {
						return // it never ends: the run does, hard
					}
				}
				if how != "stop" {
					p.ended(n, 1)
				}
			})
			o := p.run(func(plan *load.Plan) {
				if how == "stop" {
					plan.StopTimeout = 10 * time.Millisecond
				}
			})
			if !<-gone || o.err != nil {
				t.Errorf("%v", o.err)
			}
			if how == "leave" || how == "stop" {
				<-left
			}
			want := hit.Admitted
			if how == "verdict" {
				want = hit.Failed
			}
			if n := o.totals.Outcome(want).Count; n != 1 {
				t.Errorf("%d %v", n, want)
			}
		})
	}
}

var _ target.Pieces = (*flow)(nil)

// TestLimitsSaid: what an answer says about limits, as a script sees it.
func TestLimitsSaid(t *testing.T) {
	got := func(block string) string {
		var out []string
		for _, s := range limitsSaid(block, time.Unix(1_700_000_000, 0)) {
			text := s.Name
			for _, n := range []*int64{s.Limit, s.Remaining} {
				if text += " -"; n != nil {
					text = fmt.Sprintf("%s%d", text[:len(text)-1], *n)
				}
			}
			for _, x := range []*float64{s.Reset, s.RetryAfter} {
				if text += " -"; x != nil {
					text = fmt.Sprintf("%s%g", text[:len(text)-1], *x)
				}
			}
			out = append(out, text)
		}
		return strings.Join(out, "; ")
	}
	for block, want := range map[string]string{
		"":                             "",
		"Content-Type: text/plain\r\n": "",
		"Retry-After: 7\r\n":           " - - - 7",
		"X-RateLimit-Limit: 10\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 30\r\nRetry-After: 30\r\n":                      " 10 0 30 30",
		"RateLimit-Policy: \"a\";q=100;w=60, \"b\";q=5;w=1\r\nRateLimit: \"a\";r=90;t=30, \"b\";r=0;t=1\r\nX-Odd: caf\u00e9\r\n": "b 5 0 1 -; a 100 90 30 -",
	} {
		if text := got(block); text != want {
			t.Errorf("%q: %q, want %q", block, text, want)
		}
	}
}
