package target

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// answerServer answers every request with the same bytes, as cheaply as can be.
func answerServer(tb testing.TB, answer string) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = nc.Close() }()
				buf := make([]byte, 64<<10)
				for {
					if _, err := nc.Read(buf); err != nil {
						return
					}
					if _, err := nc.Write([]byte(answer)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/"
}

const smallAnswer = "HTTP/1.1 200 OK\r\nServer: test\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"

// BenchmarkSend drives 64 users without a pause. WEIR_BENCH_URL names another
// server, to be measured beside other load generators; with WEIR_BENCH_FOR the
// benchmark's own count is ignored and it runs for that long.
func BenchmarkSend(b *testing.B) {
	url := os.Getenv("WEIR_BENCH_URL")
	if url == "" {
		url = answerServer(b, smallAnswer)
	}
	t, err := New(Options{Proxy: "none"})
	if err != nil {
		b.Fatal(err)
	}
	const users = 64
	var left atomic.Int64
	left.Store(int64(b.N))
	end := time.Time{}
	if d, err := time.ParseDuration(os.Getenv("WEIR_BENCH_FOR")); err == nil {
		end = time.Now().Add(d)
		left.Store(1 << 40)
	}
	var sent, failed atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() {
			c, err := t.NewSender(u)
			if err != nil {
				b.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			req := &hit.Request{Method: "GET", URL: url}
			var ans hit.Answer
			n := int64(0)
			for left.Add(-1) >= 0 {
				c.Send(ctx, req, &ans)
				n++
				if ans.Failure != hit.NoFailure {
					failed.Add(1)
				}
				if !end.IsZero() && ans.Done.After(end) {
					break
				}
			}
			sent.Add(n)
		})
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		b.Errorf("%d of %d requests failed", n, sent.Load())
	}
	b.ReportMetric(float64(sent.Load()), "requests")
}
