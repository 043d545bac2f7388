package target

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weir-dev/weir/internal/hit"
)

func TestKeepBody(t *testing.T) {
	long := strings.Repeat("0123456789", 10000) // more than the small buffer, and than the big one
	tests := []struct {
		name   string
		o      Options
		status int
		body   string
		want   int
	}{
		{"a success is dropped", Options{}, 200, "hello", 0},
		{"an error is kept", Options{}, 429, "slow down", 9},
		{"the beginning of a long error", Options{}, 500, long, DefaultBodyLimit},
		{"limit", Options{BodyLimit: 3}, 404, "hello", 3},
		{"asked for", Options{KeepBody: func(s int) bool { return s == 200 }, BodyLimit: 1 << 20}, 200, long, len(long)},
		{"not asked for", Options{KeepBody: func(s int) bool { return s == 200 }}, 429, "x", 0},
	}
	for _, tt := range tests {
		for _, framing := range []string{"length", "chunks", "close"} {
			t.Run(tt.name+" by "+framing, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					answer := fmt.Sprintf("HTTP/1.1 %d X\r\n", tt.status)
					switch framing {
					case "length":
						answer += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(tt.body), tt.body)
					case "chunks":
						answer += "Transfer-Encoding: chunked\r\n\r\n"
						for rest := tt.body; rest != ""; {
							n := min(len(rest), 30000)
							answer += fmt.Sprintf("%x\r\n%s\r\n", n, rest[:n])
							rest = rest[n:]
						}
						answer += "0\r\n\r\n"
					default:
						answer += "\r\n" + tt.body
					}
					c, _ := newClient(t, tt.o, reply(answer))
					a := get(c, pipeURL)
					if a.Failure != hit.NoFailure || string(a.Body) != tt.body[:tt.want] || a.BytesIn != int64(len(answer)) {
						t.Errorf("failure %v %q, kept %d bytes, want %d, BytesIn %d of %d", a.Failure, a.Err, len(a.Body), tt.want, a.BytesIn, len(answer))
					}
					if k := c.slots[0].idle; k != nil && len(k.buf) != smallBuffer {
						t.Errorf("an idle connection holds %d bytes", len(k.buf))
					}
				})
			})
		}
	}
}

func TestDecode(t *testing.T) {
	text := strings.Repeat("Rate exceeded. ", 40)
	packed := func(w func(io.Writer) io.WriteCloser) string {
		var b bytes.Buffer
		z := w(&b)
		_, _ = io.WriteString(z, text)
		_ = z.Close()
		return b.String()
	}
	zipped := packed(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	zlibbed := packed(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	raw := packed(func(w io.Writer) io.WriteCloser { z, _ := flate.NewWriter(w, 6); return z })
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 1<<20))
	_ = z.Close()

	tests := []struct {
		name, coding, body string
		limit              int
		want               string
		damaged            bool
	}{
		{"gzip", "gzip", zipped, 2000, text, false},
		{"x-gzip in capitals", "X-GZIP", zipped, 2000, text, false},
		{"deflate", "deflate", zlibbed, 2000, text, false},
		{"bare deflate", "Deflate", raw, 2000, text, false},
		{"identity", "identity", text, 2000, text, false},
		{"unknown", "br", "\x01\x02", 2000, "\x01\x02", false},
		{"broken", "gzip", "no gzip at all", 2000, "no gzip at all", true},
		{"cut: as much as there is", "gzip", zipped + "x", len(zipped) - 9, text[:len(zipped)-9], false},
		{"a bomb stays small", "gzip", bomb.String(), 1500, strings.Repeat("\x00", 1500), false},
		{"empty", "gzip", "", 2000, "", false},
		{"wrong checksum", "gzip", zipped[:len(zipped)-8] + "12345678", 2000, text, true},
		{"ends early", "gzip", zipped[:len(zipped)-9], 2000, text, true},
		{"more follows", "gzip", zipped + "0123456789", 2000, text, false},
		{"deflate with a wrong checksum", "deflate", zlibbed[:len(zlibbed)-4] + "1234", 2000, text, true},
		{"deflate that is none", "deflate", "\xff\xff\xff", 2000, "\xff\xff\xff", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := fmt.Sprintf("HTTP/1.1 429 X\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s", tt.coding, len(tt.body), tt.body)
				script := func(s *server) {
					for s.request() != nil {
						s.say(answer)
					}
				}
				asked, _ := newClient(t, Options{BodyLimit: tt.limit, Gzip: true}, script)
				a := get(asked, pipeURL)
				if damaged := a.Failure == hit.BadAnswer && strings.Contains(a.Err, "cannot be decoded"); damaged != tt.damaged || damaged != (a.Failure != hit.NoFailure) {
					t.Errorf("asked for: %v %q, want damaged %v", a.Failure, a.Err, tt.damaged)
				}
				c, _ := newClient(t, Options{BodyLimit: tt.limit}, script)
				for range 2 { // the second time with a used decoder
					a := get(c, pipeURL)
					if a.Failure != hit.NoFailure || string(a.Body) != tt.want || a.BytesIn != int64(len(answer)) {
						t.Errorf("failure %v %q, BytesIn %d of %d, Body\n%q, want\n%q", a.Failure, a.Err, a.BytesIn, len(answer), a.Body, tt.want)
					}
				}
			})
		})
	}
}
