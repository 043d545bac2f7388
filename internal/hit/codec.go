package hit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends h as one JSON object without a line end. Instants are
// whole nanoseconds from the start of the run; status, failure and err are left
// out when zero. Names and meanings are stable. It neither reflects nor
// allocates beyond growing b. Bytes that are not UTF-8 become U+FFFD.
//
//	{"seq":0,"user":3,"method":"POST","name":"/token","intended_ns":0,"sent_ns":51200,
//	 "done_ns":2100000,"outcome":"throttled","status":429,"bytes_in":180,"bytes_out":240}
func (h *Hit) AppendJSON(b []byte) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendInt(b, h.Seq, 10)
	b = append(b, `,"user":`...)
	b = strconv.AppendInt(b, int64(h.User), 10)
	b = append(b, `,"method":`...)
	b = appendString(b, h.Method)
	b = append(b, `,"name":`...)
	b = appendString(b, h.Name)
	b = append(b, `,"intended_ns":`...)
	b = strconv.AppendInt(b, int64(h.Intended), 10)
	b = append(b, `,"sent_ns":`...)
	b = strconv.AppendInt(b, int64(h.Sent), 10)
	b = append(b, `,"done_ns":`...)
	b = strconv.AppendInt(b, int64(h.Done), 10)
	b = append(b, `,"outcome":`...)
	b = appendString(b, h.Outcome.String())
	if h.Status != 0 {
		b = append(b, `,"status":`...)
		b = strconv.AppendInt(b, int64(h.Status), 10)
	}
	if h.Failure != NoFailure {
		b = append(b, `,"failure":`...)
		b = appendString(b, h.Failure.String())
	}
	if h.Err != "" {
		b = append(b, `,"err":`...)
		b = appendString(b, h.Err)
	}
	b = append(b, `,"bytes_in":`...)
	b = strconv.AppendInt(b, h.BytesIn, 10)
	b = append(b, `,"bytes_out":`...)
	b = strconv.AppendInt(b, h.BytesOut, 10)
	return append(b, '}')
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(b, s[start:i]...)
				b = append(b, "\uFFFD"...)
				start = i + size
			}
			i += size
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// MaxLine is the longest line that a Decoder reads, in bytes.
const MaxLine = 1 << 20

// Decoder reads hits written by AppendJSON, one a line. Empty lines are
// skipped; members it does not know are ignored, so that files of later
// versions can be read. Not safe for concurrent use.
type Decoder struct {
	scan *bufio.Scanner
	line int
}

// NewDecoder returns a decoder that reads from r until its end.
func NewDecoder(r io.Reader) *Decoder {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4096), MaxLine)
	return &Decoder{scan: s}
}

// Line returns the number, from 1, of the line read last.
func (d *Decoder) Line() int { return d.line }

// wire is a hit as it is written. Pointers tell an absent member from a zero.
type wire struct {
	Seq      *int64  `json:"seq"`
	User     int     `json:"user"`
	Method   string  `json:"method"`
	Name     string  `json:"name"`
	Intended *int64  `json:"intended_ns"`
	Sent     *int64  `json:"sent_ns"`
	Done     *int64  `json:"done_ns"`
	Outcome  *string `json:"outcome"`
	Status   int     `json:"status"`
	Failure  string  `json:"failure"`
	Err      string  `json:"err"`
	BytesIn  int64   `json:"bytes_in"`
	BytesOut int64   `json:"bytes_out"`
}

// Decode reads the next hit into h. It returns io.EOF after the last one, and
// an error that names the line for what is no hit; h is then unchanged and the
// next call goes on with the next line, except after an error of the reader or
// a line longer than MaxLine, which end the stream.
func (d *Decoder) Decode(h *Hit) error {
	for d.scan.Scan() {
		d.line++
		text := trim(d.scan.Bytes())
		if len(text) == 0 {
			continue
		}
		got, err := decode(text)
		if err != nil {
			return fmt.Errorf("line %d: %w", d.line, err)
		}
		*h = got
		return nil
	}
	err := d.scan.Err()
	switch {
	case err == nil:
		return io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("line %d: longer than %d bytes: this is no file of hits, one JSON object a line", d.line+1, MaxLine)
	}
	return fmt.Errorf("line %d: %w", d.line+1, err)
}

func decode(text []byte) (Hit, error) {
	var w wire
	if err := json.Unmarshal(text, &w); err != nil {
		return Hit{}, explain(err)
	}
	for _, m := range []struct {
		name   string
		absent bool
	}{
		{"seq", w.Seq == nil},
		{"intended_ns", w.Intended == nil},
		{"sent_ns", w.Sent == nil},
		{"done_ns", w.Done == nil},
		{"outcome", w.Outcome == nil},
	} {
		if m.absent {
			return Hit{}, fmt.Errorf("the member %q is missing", m.name)
		}
	}
	outcome, ok := ParseOutcome(*w.Outcome)
	if !ok {
		return Hit{}, fmt.Errorf("outcome %q is none of admitted, throttled, failed, missed", *w.Outcome)
	}
	failure := NoFailure
	if w.Failure != "" {
		if failure, ok = ParseFailure(w.Failure); !ok {
			return Hit{}, fmt.Errorf("failure %q is not known", w.Failure)
		}
	}
	if w.Status < 0 || w.Status >= maxStatus {
		return Hit{}, fmt.Errorf("status %d is no HTTP status", w.Status)
	}
	if *w.Seq < 0 || w.User < 0 || w.BytesIn < 0 || w.BytesOut < 0 {
		return Hit{}, errors.New("seq, user, bytes_in and bytes_out cannot be negative")
	}
	return Hit{
		Seq: *w.Seq, User: w.User, Method: w.Method, Name: w.Name,
		Intended: time.Duration(*w.Intended), Sent: time.Duration(*w.Sent), Done: time.Duration(*w.Done),
		Outcome: outcome, Status: w.Status, Failure: failure, Err: w.Err,
		BytesIn: w.BytesIn, BytesOut: w.BytesOut,
	}, nil
}

// explain turns the JSON package's errors into the words of this format.
func explain(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("column %d: not a JSON object: %w", syntax.Offset, err)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		if kind.Field == "" {
			return fmt.Errorf("column %d: a JSON %s where the object of a hit was expected", kind.Offset, kind.Value)
		}
		return fmt.Errorf("column %d: the member %q cannot be %s", kind.Offset, kind.Field, kind.Value)
	}
	return err
}
