package target

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// TestAllocations: a request over a kept connection costs no memory.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ca := newAuthority(t)
	ca.sign("server", false, time.Now().Add(time.Hour), []string{"127.0.0.1"})
	plain := cannedServer(t, nil, smallAnswer)
	secure := cannedServer(t, &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}}, smallAnswer)
	throttled := cannedServer(t, nil, "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n{\"error\":\"Rate exceeded.\"}\r\n0\r\n\r\n")
	fields := []hit.Field{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, {Name: "Authorization", Value: "Basic abcdef"}}
	form := []byte("grant_type=client_credentials")
	tests := []struct {
		name string
		o    Options
		req  hit.Request
		most float64
	}{
		{"GET", Options{}, hit.Request{Method: "GET", URL: plain}, 0},
		{"POST", Options{}, hit.Request{Method: "POST", URL: plain, Header: fields, Body: form}, 0},
		{"throttled POST", Options{}, hit.Request{Method: "POST", URL: throttled, Header: fields, Body: form}, 0},
		{"10 KB POST", Options{}, hit.Request{Method: "POST", URL: plain, Body: make([]byte, 10<<10)}, 0},
		{"shared connections", Options{Connections: Shared, MaxShared: 2}, hit.Request{Method: "GET", URL: plain}, 0},
		{"TLS", Options{TLS: TLS{CAFile: ca.file}}, hit.Request{Method: "POST", URL: secure, Header: fields, Body: form}, 2}, // the server's included
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Proxy = "none"
			c := userOf(t, tt.o)
			var a hit.Answer
			a.OnSent = func(time.Time) {}
			for range 3 {
				c.Send(t.Context(), &tt.req, &a)
			}
			ctx := t.Context()
			got := testing.AllocsPerRun(300, func() { c.Send(ctx, &tt.req, &a) })
			if a.Failure != hit.NoFailure || a.Opened != 0 {
				t.Fatalf("%v %q, opened %d", a.Failure, a.Err, a.Opened)
			}
			if got > tt.most {
				t.Errorf("%v allocations per request, want at most %v", got, tt.most)
			}
		})
	}
	t.Run("two URLs in turn, looking at an idle connection", func(t *testing.T) {
		c := userOf(t, Options{Proxy: "none"})
		one, two := &hit.Request{URL: plain}, &hit.Request{URL: plain + "b?c=d"}
		var a hit.Answer
		ctx := t.Context()
		c.Send(ctx, one, &a)
		got := testing.AllocsPerRun(300, func() {
			k := c.slots[0].idle
			k.lastUse = k.lastUse.Add(-time.Second)
			c.Send(ctx, one, &a)
			c.Send(ctx, two, &a)
		})
		if got > 0 || a.Failure != hit.NoFailure {
			t.Errorf("%v allocations, failure %v %q", got, a.Failure, a.Err)
		}
	})
}

// cannedServer answers whatever it reads with the same bytes, without allocating.
func cannedServer(t testing.TB, c *tls.Config, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	scheme := "http://"
	if c != nil {
		l, scheme = tls.NewListener(l, c), "https://"
	}
	bytes := []byte(answer)
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = nc.Close() }()
				buf := make([]byte, 32<<10)
				for got := 0; ; {
					n, err := nc.Read(buf)
					if err != nil {
						return
					}
					// A 10 KB body may come in pieces: its last byte is the 0 it is made of.
					if got += n; got > 1000 && got < 10<<10 {
						continue
					}
					got = 0
					if _, err := nc.Write(bytes); err != nil {
						return
					}
				}
			}()
		}
	}()
	return scheme + l.Addr().String() + "/"
}

// TestMemoryPerUser: what an idle user with an open connection holds.
func TestMemoryPerUser(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector needs memory of its own")
	}
	const users = 300
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })}
	url := listen(t, s)
	tgt, err := New(Options{Proxy: "none"})
	if err != nil {
		t.Fatal(err)
	}
	clients := make([]*Client, users)
	answers := make([]hit.Answer, users)
	req := &hit.Request{URL: url}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	open := func() {
		for i := range clients {
			clients[i], _ = tgt.NewSender(i)
			clients[i].Send(t.Context(), req, &answers[i])
			if answers[i].Failure != hit.NoFailure {
				t.Fatal(answers[i].Err)
			}
		}
	}
	// The server lives in this process too: what it takes is measured by
	// connections of which our side is thrown away.
	open()
	with := heap()
	kept := make([]net.Conn, users)
	for i, c := range clients {
		kept[i] = c.slots[0].idle.nc
		c.slots[0].idle.unwatch()
		clients[i], answers[i] = nil, hit.Answer{}
	}
	without := heap()
	per := float64(with-without) / users
	t.Logf("%.0f bytes of heap per idle user, apart from the socket", per)
	if per > 8<<10 {
		t.Errorf("%.0f bytes of heap per idle user, want less than 8 KiB", per)
	}
	for _, nc := range kept {
		_ = nc.Close()
	}
	_ = tgt.Close()
}
