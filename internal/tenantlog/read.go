package tenantlog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Reading is what Read made of a log: entries in the order of the log, and what
// could not be read.
type Reading struct {
	Entries  []Entry
	Problems []Problem // the first of them
	Bad      int       // entries with a problem, all of them
}

// Problem is one entry that could not be read.
type Problem struct {
	Line   int // from 1
	Reason string
}

// Error returns line and reason.
func (p Problem) Error() string { return fmt.Sprintf("line %d: %s", p.Line, p.Reason) }

// At returns when the entry was written: its date, the zero time when it has none
// that can be read.
func (e *Entry) At() time.Time {
	if e.at.IsZero() {
		at, _ := time.Parse(time.RFC3339Nano, e.Date)
		return at
	}
	return e.at
}

// Bounds of what Read takes.
const (
	maxLog      = 512 << 20
	maxProblems = 20
)

// Read reads a log: a JSON array of entries, an object with one under "logs" as
// include_totals gives, or entries one below the other. An entry may be wrapped as
// log streams do: {"log_id": …, "data": {…}}, also inside the envelopes of Amazon
// EventBridge and Azure Event Grid. The log may be compressed with gzip. Malformed
// entries become Problems, as far as the rest can be read after them. The error is one
// that ends the reading.
func Read(r io.Reader) (*Reading, error) {
	in := bufio.NewReader(r)
	r = in
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("begins as gzip does and is not: %w", err)
		}
		r = z
	}
	data, err := io.ReadAll(io.LimitReader(r, maxLog+1))
	if errors.Is(err, io.ErrUnexpectedEOF) && len(data) > 0 {
		// A compressed log that was cut off: what came before is worth reading.
		out, _ := read(data)
		return out, errors.New("the compressed log was cut off")
	}
	if err != nil {
		return nil, err
	}
	if len(data) > maxLog {
		return nil, fmt.Errorf("the log has more than %d MB; split it", maxLog>>20)
	}
	return read(data)
}

func read(data []byte) (*Reading, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	out := &Reading{Entries: []Entry{}}
	text := bytes.TrimLeft(data, " \t\r\n")
	skipped := bytes.Count(data[:len(data)-len(text)], []byte{'\n'})
	switch {
	case len(text) == 0:
		return out, nil
	case text[0] == '[':
		return out, out.array(text, skipped+1)
	case text[0] == '{' && totals(text):
		at := bytes.IndexByte(text, '[')
		return out, out.array(text[at:], skipped+1+bytes.Count(text[:at], []byte{'\n'}))
	}
	return out, out.lines(text, skipped)
}

// totals tells whether an object has its entries under "logs".
func totals(text []byte) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return false
		}
		if key == "logs" {
			return bytes.HasPrefix(bytes.TrimLeft(text[d.InputOffset():], " \t\r\n:"), []byte("["))
		}
		var skip json.RawMessage
		if d.Decode(&skip) != nil || len(skip) > 0 && (skip[0] == '{' || skip[0] == '[') {
			return false // so that no other list comes before it
		}
	}
	return false
}

func (r *Reading) array(text []byte, line int) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("line %d: not JSON: %w", line, err)
	}
	seen := d.InputOffset() // up to where line is the line
	for d.More() {
		rest := text[seen:]
		begin := seen + int64(len(rest)-len(bytes.TrimLeft(rest, ", \t\r\n")))
		line += bytes.Count(text[seen:begin], []byte{'\n'})
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return fmt.Errorf("line %d: not JSON: %w", line, cut(err))
		}
		r.entry(raw, line)
		seen = d.InputOffset()
		line += bytes.Count(text[begin:seen], []byte{'\n'})
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("line %d: the list is not closed: the log was cut off", line)
	}
	return nil
}

// cut makes an end that came too early plain.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("it ends in the middle of an entry")
	}
	return err
}

func (r *Reading) lines(text []byte, line int) error {
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Buffer(nil, 4<<20)
	cutOff := false
	for s.Scan() {
		line++
		if one := bytes.TrimSpace(s.Bytes()); len(one) > 0 {
			cutOff = r.entry(one, line)
		}
	}
	if s.Err() == nil && cutOff && !bytes.HasSuffix(text, []byte("\n")) {
		return fmt.Errorf("line %d: the log was cut off: it ends in the middle of an entry", line)
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("line %d: is longer than 4 MB; this is no log of one entry a line", line+1)
	}
	return nil
}

// unwrapped takes an entry out of what a stream, and a service behind it, have put
// around it: data, or detail with Amazon EventBridge.
func unwrapped(raw []byte) (one Entry, err error) {
	id := ""
	for range 4 {
		var e struct {
			Entry
			Data, Detail json.RawMessage
		}
		err = json.Unmarshal(raw, &e)
		one = e.Entry
		if id == "" {
			id = one.LogID
		}
		inner := e.Data
		if len(inner) == 0 {
			inner = e.Detail
		}
		if err != nil || one.Type != "" && one.Date != "" || len(inner) == 0 || inner[0] != '{' {
			break
		}
		raw = inner
	}
	if one.LogID == "" {
		one.LogID = id
	}
	return one, err
}

// entry reads one entry, and tells whether it ends too early.
func (r *Reading) entry(raw []byte, line int) (cutOff bool) {
	one, err := unwrapped(raw)
	var syntax *json.SyntaxError
	cutOff = errors.As(err, &syntax) && syntax.Offset >= int64(len(raw)) && strings.Contains(syntax.Error(), "unexpected end")
	why := ""
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		why = fmt.Sprintf("%s is %s, which an entry does not have there", strings.TrimPrefix(wrong.Field, "Entry."), wrong.Value)
	case err != nil:
		why = "not JSON: " + strings.TrimPrefix(cut(err).Error(), "json: ")
	case one.Type == "":
		why = "has no type"
	default:
		at, err := time.Parse(time.RFC3339Nano, one.Date)
		if err != nil {
			why = fmt.Sprintf("its date %q is not of the form 2026-11-21T12:00:00.000Z", short(one.Date))
		}
		one.at = at
	}
	if why == "" {
		r.Entries = append(r.Entries, one)
		return false
	}
	if r.Bad++; len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, Problem{Line: line, Reason: why})
	}
	return cutOff
}
