package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// LogKeys says how the access log tells by which key a request was refused. A
// key may be a secret, such as an API key.
type LogKeys uint8

const (
	HashKeys  LogKeys = iota // the first 16 hexadecimal digits of its SHA-256; addresses as they are
	ClearKeys                // as it is
	NoKeys                   // not at all
)

// UnmarshalText reads hash, clear or none.
func (l *LogKeys) UnmarshalText(text []byte) error {
	switch string(text) {
	case "hash":
		*l = HashKeys
	case "clear":
		*l = ClearKeys
	case "none":
		*l = NoKeys
	default:
		return fmt.Errorf("%q is not a way to log keys: known are hash, clear and none", text)
	}
	return nil
}

// accessLog writes one JSON line a request. It has no query, no header field and
// no body: that is where secrets are.
type accessLog struct {
	keys LogKeys
	lost atomic.Int64 // lines that could not be written

	mu  sync.Mutex // guards enc
	enc *json.Encoder
}

func newAccessLog(w io.Writer, keys LogKeys) *accessLog {
	if w == nil {
		return nil
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &accessLog{keys: keys, enc: enc}
}

// line is one request. docs/gate.md lists the fields.
type line struct {
	Time     time.Time `json:"time"` // when it arrived, UTC
	Client   string    `json:"client"`
	Method   string    `json:"method"`
	Host     string    `json:"host"`
	Path     string    `json:"path"`
	Proto    string    `json:"proto"`
	Status   int       `json:"status"` // 0 when there was no answer
	Bytes    int64     `json:"bytes"`
	Millis   float64   `json:"ms"`
	Decided  float64   `json:"decided_ms"`
	Delayed  float64   `json:"delayed_ms,omitempty"`
	Outcome  string    `json:"outcome"`
	Policy   string    `json:"policy,omitempty"` // that refused
	Key      string    `json:"key,omitempty"`
	By       string    `json:"by,omitempty"` // who decided, when not the policies with their store
	Upstream string    `json:"upstream,omitempty"`
	Error    string    `json:"error,omitempty"`
}

func (a *accessLog) write(x *exchange) {
	if a == nil {
		return
	}
	l := line{
		Time: x.start.UTC(), Client: x.client, Method: cut(x.subject.Method), Host: cut(x.subject.Host), Path: cut(x.subject.Path),
		Proto: x.request.Proto, Status: x.rec.Status, Bytes: x.rec.Bytes, Millis: millis(time.Since(x.start)),
		Decided: millis(x.deciding), Delayed: millis(x.delayed), Outcome: x.outcome.String(), By: x.by(), Error: cut(x.fault),
	}
	if x.lastUp != nil {
		l.Upstream = x.lastUp.name
	}
	if r := x.refusedBy(); r != nil {
		l.Policy, l.Key = r.Policy.Name, a.key(r.Key)
	}
	a.mu.Lock()
	err := a.enc.Encode(&l)
	a.mu.Unlock()
	if err != nil {
		a.lost.Add(1)
	}
}

// key tells a key without giving away what is secret about it.
func (a *accessLog) key(key string) string {
	switch {
	case a.keys == NoKeys || key == "":
		return ""
	case a.keys == ClearKeys:
		return cut(key)
	}
	if _, err := netip.ParseAddr(key); err == nil {
		return key
	}
	if _, err := netip.ParsePrefix(key); err == nil {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:8])
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// cut bounds what a client can put into a line.
func cut(s string) string {
	const most = 512
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
