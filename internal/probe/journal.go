package probe

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weir-dev/weir/internal/header"
)

// Record is one wave: everything that was seen, for a later session to go on from.
type Record struct {
	Why     string
	As      string // the client that sent it, where a search for keys asked as another one; "" for the request itself
	Answers []Answer
}

// Journal is what a probe that ended early leaves behind. It holds times, outcomes and
// what limit headers said, and nothing of the request but what its Head says.
type Journal struct {
	Head    JournalHead
	Records []Record
}

// JournalHead is the first line of a journal.
type JournalHead struct {
	Weir    string    `json:"weir"` // "probe journal 1"
	Started time.Time `json:"started"`
	Target  string    `json:"target"` // for people, without secrets
	Print   string    `json:"print"`  // of the request, so that a journal is not taken for that of another
	Args    []string  `json:"args,omitempty"`
}

// journalForm is what the first line of a journal says that it is.
const journalForm = "probe journal 1"

// The bounds of what is read of a journal.
const (
	maxJournalLine    = 8 << 20
	maxJournalAnswers = 1 << 20
)

// journalLine is a wave as it is written: instants as nanoseconds of the Unix clock.
type journalLine struct {
	Why     string          `json:"why"`
	As      string          `json:"as,omitempty"`
	Answers []journalAnswer `json:"answers"`
}

type journalAnswer struct {
	Sent    int64           `json:"sent"`
	Done    int64           `json:"done"`
	Outcome string          `json:"outcome"`
	Told    *header.Reading `json:"told,omitempty"`
	Conn    int             `json:"conn,omitempty"`
}

var outcomeNames = [...]string{Admitted: "admitted", Refused: "refused", Lost: "lost", Failed: "failed"}

// String returns the outcome as a word.
func (o Outcome) String() string {
	if int(o) >= len(outcomeNames) {
		return "unknown"
	}
	return outcomeNames[o]
}

// Line returns the head as the first line of a journal.
func (h JournalHead) Line() ([]byte, error) {
	h.Weir = journalForm
	b, err := json.Marshal(h)
	return append(b, '\n'), err
}

// Line returns a wave as a line of a journal.
func (r Record) Line() ([]byte, error) {
	l := journalLine{Why: r.Why, As: r.As, Answers: make([]journalAnswer, len(r.Answers))}
	for i, a := range r.Answers {
		l.Answers[i] = journalAnswer{a.Sent.UnixNano(), a.Done.UnixNano(), a.Outcome.String(), a.Told, a.Conn}
	}
	b, err := json.Marshal(l)
	return append(b, '\n'), err
}

// ReadJournal reads a journal. A last line that was cut short, as by a machine that
// lost its power, is left out. The error names the line.
func ReadJournal(r io.Reader) (*Journal, error) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 1<<16), maxJournalLine)
	j := &Journal{}
	n, total := 0, 0
	var broken error
	for s.Scan() {
		n++
		if broken != nil {
			return nil, broken
		}
		line := bytes.TrimSpace(s.Bytes())
		if len(line) == 0 {
			continue
		}
		if n == 1 {
			if err := json.Unmarshal(line, &j.Head); err != nil || j.Head.Weir != journalForm {
				return nil, errors.New("line 1: this is no journal of weir probe")
			}
			continue
		}
		rec, err := readRecord(line)
		if err != nil {
			broken = fmt.Errorf("line %d: %w", n, err)
			continue
		}
		if total += len(rec.Answers); total > maxJournalAnswers {
			return nil, fmt.Errorf("line %d: more than %d requests", n, maxJournalAnswers)
		}
		if k := len(j.Records); k > 0 && rec.Answers[0].Sent.Before(j.Records[k-1].Answers[0].Sent) {
			return nil, fmt.Errorf("line %d: it was sent before the line above", n)
		}
		j.Records = append(j.Records, rec)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	if j.Head.Weir == "" {
		return nil, errors.New("line 1: this is no journal of weir probe")
	}
	return j, nil
}

func readRecord(line []byte) (Record, error) {
	var l journalLine
	if err := json.Unmarshal(line, &l); err != nil {
		return Record{}, fmt.Errorf("not a wave: %w", err)
	}
	if len(l.Answers) == 0 {
		return Record{}, errors.New("a wave without requests")
	}
	rec := Record{Why: l.Why, As: l.As, Answers: make([]Answer, len(l.Answers))}
	for i, a := range l.Answers {
		out := Answer{Sent: time.Unix(0, a.Sent), Done: time.Unix(0, a.Done), Outcome: 255, Told: a.Told, Conn: max(0, a.Conn)}
		for o, name := range outcomeNames {
			if name == a.Outcome {
				out.Outcome = Outcome(o)
			}
		}
		if out.Outcome == 255 {
			return Record{}, fmt.Errorf("request %d: outcome %q is none of admitted, refused, lost, failed", i+1, a.Outcome)
		}
		if a.Done < a.Sent || a.Sent < 0 {
			return Record{}, fmt.Errorf("request %d: answered before it was sent", i+1)
		}
		rec.Answers[i] = out
	}
	return rec, nil
}
