package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weir-dev/weir/limit"
)

// Marshal writes a file that Parse reads back as f. Fields with their default
// are left out. The error tells which policy cannot be written: one that Parse
// would refuse.
func Marshal(f *File) ([]byte, error) {
	var w printer
	for _, n := range f.Notes {
		w.note(n)
	}
	if f.Chain {
		w.line(0, "chain: true # asked in this order; the first refusal ends it")
	}
	w.line(0, "policies:")
	for i := range f.Policies {
		w.policy(&f.Policies[i])
	}
	text := []byte(w.String())
	// Parse is the judge of what a valid file is; asking it keeps one set of rules.
	if _, err := Parse("policies", text); err != nil {
		return nil, fmt.Errorf("these policies make no valid file: %w", err)
	}
	return text, nil
}

type printer struct{ strings.Builder }

func (w *printer) line(indent int, text string) {
	w.WriteString(strings.Repeat(" ", indent) + text + "\n")
}

func (w *printer) policy(p *Policy) {
	dash := "  - "
	put := func(name, value string) {
		if value[0] != '\n' { // else a mapping of its own lines
			value = " " + value
		}
		w.WriteString(dash + name + ":" + value + "\n")
		dash = "    "
	}
	for _, field := range policyFields() {
		switch field {
		case "name":
			if p.Name != "" {
				put(field, scalar(p.Name))
			}
		case "match":
			switch len(p.Match) {
			case 0:
			case 1:
				put(field, scalar(p.Match[0].String()))
			default:
				w.WriteString(dash + "match:\n")
				dash = "    "
				for _, m := range p.Match {
					w.line(6, "- "+scalar(m.String()))
				}
			}
		case "answer":
			if !p.Answer.IsZero() {
				w.answer(dash, &p.Answer)
				dash = "    "
			}
		case "key":
			if p.Key != (Key{}) {
				put(field, scalar(p.Key.String()))
			}
		case "algorithm":
			put(field, p.Algorithm.String())
		case "limit":
			put(field, strconv.FormatInt(p.Limit, 10))
		case "window":
			if p.Window != 0 {
				put(field, duration(p.Window))
			}
		case "period":
			if p.Period != limit.NoPeriod {
				put(field, p.Period.String())
			}
		case "location":
			if p.Location != nil {
				put(field, scalar(p.Location.String()))
			}
		case "start":
			if !p.Start.IsZero() {
				put(field, scalar(p.Start.UTC().Format(time.RFC3339Nano)))
			}
		case "burst":
			if p.Burst != 0 {
				put(field, strconv.FormatInt(p.Burst, 10))
			}
		case "undelayed":
			if p.Undelayed != 0 {
				put(field, strconv.FormatInt(p.Undelayed, 10))
			}
		case "max-delay":
			if p.MaxDelay != 0 {
				put(field, duration(p.MaxDelay))
			}
		case "align":
			if p.Align != limit.AlignClock {
				put(field, p.Align.String())
			}
		case "phase":
			if p.Phase != 0 {
				put(field, duration(p.Phase))
			}
		case "phase-within":
			if p.PhaseWithin != 0 {
				put(field, duration(p.PhaseWithin))
			}
		case "ban":
			if p.Ban != 0 {
				put(field, duration(p.Ban))
			}
		case "count-denied":
			if p.CountDenied {
				put(field, "true")
			}
		case "warn-at":
			if p.WarnAt != 0 {
				put(field, share(p.WarnAt))
			}
		case "cost":
			switch {
			case p.Cost.Expr != nil:
				put(field, quoted(p.Cost.String()))
			case p.Cost.Fixed > 1:
				put(field, p.Cost.String())
			}
		default:
			if text := serviceText(p, field); text != "" {
				put(field, text)
			}
		}
	}
}

// note writes what an importer left out.
func (w *printer) note(n Note) {
	text := n.Text
	if n.Line > 0 {
		text = fmt.Sprintf("line %d: %s", n.Line, text)
	}
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029 {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\ufffd"))
	w.line(0, "# not carried over: "+text)
}

func (w *printer) answer(dash string, a *Answer) {
	if a.Name != "" {
		w.WriteString(dash + "answer: " + scalar(a.Name) + "\n")
		return
	}
	w.WriteString(dash + "answer:\n")
	w.line(6, "status: "+strconv.Itoa(a.Status))
	if a.Dialect != "" {
		w.line(6, "fields: "+scalar(string(a.Dialect)))
	}
	if len(a.Headers) > 0 {
		w.line(6, "headers:")
		for _, h := range a.Headers {
			w.line(8, scalar(h.Name)+": "+scalar(h.Value))
		}
	}
	if a.Body != "" {
		w.line(6, "body: "+scalar(a.Body))
	}
}

// duration writes d without the zero parts that Duration.String keeps.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// share writes 80% where that reads back as the same number, else 0.8.
func share(f float64) string {
	percent := strconv.FormatFloat(f*100, 'f', -1, 64)
	if back, err := strconv.ParseFloat(percent+"e-2", 64); err == nil && back == f {
		return percent + "%"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// scalar writes text as YAML: plain where nothing in it can be taken for
// anything else, in double quotes otherwise.
func scalar(s string) string {
	if plain(s) {
		return s
	}
	return quoted(s)
}

// quoted writes text in double quotes.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		s = s[size:]
	}
	b.WriteByte('"')
	return b.String()
}

// plain tells whether s needs no quotes: it starts with a letter or a slash, has
// harmless characters only, and is none of YAML's words.
func plain(s string) bool {
	switch strings.ToLower(s) {
	case "", "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf":
		return false
	}
	if c := s[0]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '/' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(" _./-*{}[]\"'", c) < 0 {
			return false
		}
	}
	return s[len(s)-1] != ' '
}
