package locust

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/target"
)

// Flags of a request.
const (
	flagVerdict    = 1
	flagStill      = 2 // redirects are not followed
	flagInsecure   = 4
	flagUncounted  = 8
	flagChunked    = 16
	flagStream     = 32
	flagNoRedirect = 64
	flagFast       = 128 // the rules of FastHttpUser
)

// nobody is the user of a request that no user sends.
const nobody = 0xFFFFFFFF

// message is what a lane is told: a request to send, or the verdict on one.
type message struct {
	kind    byte // of the frame
	id      uint32
	user    uint32
	session uint32
	flags   uint16
	rested  time.Duration // that the user waited because it wanted to
	came    time.Time
	req     hit.Request
	method  string // as the script wrote it
	tune    target.Tuning
	way     way
	cookies string // that go with the jar's
	body    []byte // memory of req.Body

	// Of a verdict:
	verdict byte
	name    string
	took    float64 // milliseconds; NaN: as measured
	length  int64   // -1: as measured
	text    string

	// Of an end:
	why byte
}

// way is how a request travels when that is not as the run's flags say. The zero
// value is the run's own.
type way struct {
	insecure             bool
	ca, cert, key, proxy string
}

var errRequest = errors.New("a request of the script is malformed")

// wire is a request frame, in parts of its payload.
type wire struct {
	user, session     uint32
	flags             uint16
	rested            float64
	connect, read     uint32
	method, name, url []byte
	header, body      []byte
}

// parse takes a request frame apart.
func (w *wire) parse(payload []byte) error {
	c := cursor{b: payload}
	*w = wire{
		user: c.u32(), session: c.u32(), flags: c.u16(), rested: c.f64(), connect: c.u32(), read: c.u32(),
		method: c.short(), name: c.text(), url: c.long(), header: c.long(), body: c.long(),
	}
	if c.bad || len(c.b) > 0 {
		return errRequest
	}
	return nil
}

// fieldset is a header block as the sender wants it, with what it says to Weir.
type fieldset struct {
	fields  []hit.Field
	cookies string
	way     way
	most    int // redirects; 0: the usual
}

// parseFields reads lines "Name: value". Names that begin with a colon are for
// Weir and not for the wire.
func parseFields(block []byte) fieldset {
	var s fieldset
	for len(block) > 0 {
		line, rest, _ := bytes.Cut(block, []byte("\r\n"))
		block = rest
		if len(line) > 1 && line[0] == ':' {
			name, value, _ := strings.Cut(string(line[1:]), ":")
			value = strings.TrimSpace(value)
			switch name {
			case "cookies": // where the session's cookies go, and what goes with them
				s.cookies = value
				s.fields = append(s.fields, hit.Field{Name: "Cookie"})
			case "redirects":
				s.most, _ = strconv.Atoi(value)
			case "ca":
				s.way.ca = value
			case "cert":
				s.way.cert = value
			case "key":
				s.way.key = value
			case "proxy":
				s.way.proxy = value
			}
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		s.fields = append(s.fields, hit.Field{Name: string(name), Value: string(bytes.TrimLeft(value, " \t"))})
	}
	return s
}

// memory keeps what frames say over and over, so that it is made once. Only the
// reader of a channel uses it.
type memory struct {
	texts  map[string]string
	fields map[string]*fieldset
}

// maxMemory bounds each part of a memory, which then begins anew.
const maxMemory = 4096

func newMemory() *memory {
	return &memory{texts: map[string]string{}, fields: map[string]*fieldset{}}
}

func (m *memory) text(b []byte) string {
	if s, ok := m.texts[string(b)]; ok {
		return s
	}
	if len(m.texts) >= maxMemory {
		clear(m.texts)
	}
	s := string(b)
	if len(s) <= 1024 {
		m.texts[s] = s
	}
	return s
}

func (m *memory) block(b []byte) *fieldset {
	if s, ok := m.fields[string(b)]; ok {
		return s
	}
	if len(m.fields) >= maxMemory {
		clear(m.fields)
	}
	s := parseFields(b)
	if len(b) <= 4096 {
		m.fields[string(b)] = &s
	}
	return &s
}

// fill makes m the request of a frame.
func (m *message) fill(w *wire, id uint32, mem *memory) {
	f := mem.block(w.header)
	m.kind, m.id, m.user, m.session, m.flags = kindRequest, id, w.user, w.session, w.flags
	m.rested = time.Duration(min(max(w.rested, 0), 1e9) * float64(time.Second)) // NaN becomes 0
	m.body = append(m.body[:0], w.body...)
	m.method = mem.text(w.method)
	m.req = hit.Request{Name: mem.text(w.name), Method: strings.ToUpper(m.method), URL: mem.text(w.url), Header: f.fields, Body: m.body}
	if w.flags&flagChunked != 0 && !hasField(f.fields, "transfer-encoding") {
		m.req.Header = append(f.fields[:len(f.fields):len(f.fields)], hit.Field{Name: "Transfer-Encoding", Value: "chunked"})
	}
	m.cookies, m.way = f.cookies, f.way
	m.way.insecure = w.flags&flagInsecure != 0
	m.tune = target.Tuning{
		Connect: time.Duration(w.connect) * time.Millisecond, Read: time.Duration(w.read) * time.Millisecond,
		NoRedirects: w.flags&(flagStill|flagNoRedirect) != 0, MaxRedirects: f.most,
		Found: true, Moved: w.flags&flagFast != 0,
	}
}

func hasField(fields []hit.Field, name string) bool {
	for i := range fields {
		if strings.EqualFold(fields[i].Name, name) {
			return true
		}
	}
	return false
}

// fillVerdict makes m the verdict of a frame.
func (m *message) fillVerdict(payload []byte, id uint32, mem *memory) error {
	c := cursor{b: payload}
	m.kind, m.id = kindVerdict, id
	m.verdict, m.name, m.took, m.length, m.text = c.u8(), mem.text(c.text()), c.f64(), c.i64(), string(c.long())
	if c.bad {
		return errRequest
	}
	return nil
}
