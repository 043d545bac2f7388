package target

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/weir-dev/weir/internal/hit"
)

// frames is an HTTP/2 server without TLS that plays one script per connection.
func frames(t *testing.T, script func(f *http2.Framer) error) (url string, opened *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opened = new(atomic.Int32)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			opened.Add(1)
			wg.Go(func() {
				defer func() { _ = nc.Close() }()
				if _, err := io.ReadFull(nc, make([]byte, len(http2.ClientPreface))); err != nil {
					return
				}
				f := http2.NewFramer(nc, nc)
				if f.WriteSettings() != nil {
					return
				}
				_ = script(f)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return "http://" + l.Addr().String() + "/", opened
}

// status200 is the header block ":status: 200", RFC 7541 appendix A.
var status200 = []byte{0x88}

// eachRequest calls do with the stream of every request that is complete.
func eachRequest(f *http2.Framer, do func(stream uint32) error) error {
	for {
		fr, err := f.ReadFrame()
		if err != nil {
			return err
		}
		switch fr := fr.(type) {
		case *http2.SettingsFrame:
			if !fr.IsAck() {
				err = f.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			if fr.StreamEnded() {
				err = do(fr.StreamID)
			}
		case *http2.DataFrame:
			if fr.StreamEnded() {
				err = do(fr.StreamID)
			}
		}
		if err != nil {
			return err
		}
	}
}

func answer200(f *http2.Framer, stream uint32) error {
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: status200, EndHeaders: true, EndStream: true})
}

// TestHTTP2GoAway: what the server says it did not do is done elsewhere, whatever the method.
func TestHTTP2GoAway(t *testing.T) {
	const perConn, users, each = 20, 30, 10
	for _, connections := range []Connections{PerUser, Shared} {
		t.Run(fmt.Sprint(connections), func(t *testing.T) {
			var done atomic.Int32
			url, _ := frames(t, func(f *http2.Framer) error {
				n, last := 0, uint32(0)
				return eachRequest(f, func(stream uint32) error {
					if n >= perConn && stream > last {
						return nil // came too late
					}
					done.Add(1)
					last = max(last, stream)
					if n++; n == perConn {
						if err := f.WriteGoAway(last, http2.ErrCodeNo, nil); err != nil {
							return err
						}
					}
					return answer200(f, stream)
				})
			})
			tgt, err := New(Options{HTTP: H2C, Connections: connections, Proxy: "none"})
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for u := range users {
				wg.Go(func() {
					c, _ := tgt.NewSender(u)
					for range each {
						if a := send(c, &hit.Request{Method: "POST", URL: url, Body: []byte("x")}); a.Failure != hit.NoFailure || a.Status != 200 {
							t.Errorf("%v %q, status %d", a.Failure, a.Err, a.Status)
						}
					}
					_ = c.Close()
				})
			}
			wg.Wait()
			if n := done.Load(); n != users*each {
				t.Errorf("%d requests were done, want %d", n, users*each)
			}
			_ = tgt.Close()
		})
	}
}

// TestHTTP2RefusedAgain: sending again ends, and leaves no request done twice.
func TestHTTP2RefusedAgain(t *testing.T) {
	stop := errors.New("stop")
	tests := []struct {
		name    string
		refuse  func(f *http2.Framer, stream uint32) error
		text    string
		asked   int32
		retried bool
	}{
		{"refused streams", func(f *http2.Framer, stream uint32) error {
			return f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
		}, "REFUSED_STREAM", maxRefused + 1, true},
		{"going away", func(f *http2.Framer, _ uint32) error {
			return f.WriteGoAway(0, http2.ErrCodeNo, nil)
		}, "GOAWAY", maxGone + 1, true},
		{"going away in anger", func(f *http2.Framer, _ uint32) error {
			return f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil)
		}, "GOAWAY, ENHANCE_YOUR_CALM", 1, false},
		{"gone after it took the request", func(f *http2.Framer, stream uint32) error {
			_ = f.WriteGoAway(stream, http2.ErrCodeNo, nil)
			return stop
		}, "GOAWAY", 1, false},
	}
	for _, tt := range tests {
		for _, connections := range []Connections{PerUser, Shared, PerRequest} {
			t.Run(fmt.Sprint(tt.name, " ", connections), func(t *testing.T) {
				var asked atomic.Int32
				url, _ := frames(t, func(f *http2.Framer) error {
					return eachRequest(f, func(stream uint32) error {
						asked.Add(1)
						return tt.refuse(f, stream)
					})
				})
				c := userOf(t, Options{HTTP: H2C, Connections: connections, Proxy: "none"})
				a := send(c, &hit.Request{Method: "POST", URL: url, Body: bytes.Repeat([]byte("x"), 100)})
				if a.Failure != hit.ClosedEarly || !strings.Contains(a.Err, tt.text) || a.Retried != tt.retried || asked.Load() != tt.asked {
					t.Errorf("%v %q, retried %v, asked %d times; want %q, %v, %d", a.Failure, a.Err, a.Retried, asked.Load(), tt.text, tt.retried, tt.asked)
				}
			})
		}
	}
}

// TestHTTP2ShortBody: a body shorter than announced ends its stream, not the others'.
func TestHTTP2ShortBody(t *testing.T) {
	url, opened := frames(t, func(f *http2.Framer) error {
		return eachRequest(f, func(stream uint32) error {
			block := append([]byte{0x88, 0x0f, 0x0d, 1}, '9') // content-length: 9
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true}); err != nil {
				return err
			}
			return f.WriteData(stream, true, []byte("hello"))
		})
	})
	for _, connections := range []Connections{PerUser, Shared} {
		opened.Store(0)
		c := userOf(t, Options{HTTP: H2C, Connections: connections, Proxy: "none"})
		for range 3 {
			if a := get(c, url); a.Failure != hit.BadAnswer || !strings.Contains(a.Err, "shorter than its Content-Length") || a.Status != 200 {
				t.Errorf("%v %q, status %d", a.Failure, a.Err, a.Status)
			}
		}
		if n := opened.Load(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	}
}
