package limittest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

func TestSuiteModel(t *testing.T) { Suite{New: Model}.Run(t) }

func TestSuiteModelGrain(t *testing.T) { Suite{New: Model, Grain: time.Millisecond, Seed: 7}.Run(t) }

func TestSuiteTwins(t *testing.T) {
	Suite{New: Twins, Requests: 40}.Run(t)
}

// spoiled is a Subject that a test breaks in one way.
type spoiled struct {
	Subject
	take func(Subject, Request) (Answer, error)
}

func (s spoiled) Take(r Request) (Answer, error) { return s.take(s.Subject, r) }

func (s spoiled) Release(r Request) error { return s.Subject.(Releaser).Release(r) }

// TestSuiteFindsFaults breaks the model in ways in which limiters are broken,
// and expects that some check of some policy notices.
func TestSuiteFindsFaults(t *testing.T) {
	var latest time.Time
	faults := map[string]func(s Subject, r Request) (Answer, error){
		"ignores the cost": func(s Subject, r Request) (Answer, error) { r.Cost = min(r.Cost, 1); return s.Take(r) },
		"one key for all":  func(s Subject, r Request) (Answer, error) { r.Key = ""; return s.Take(r) },
		"a clock of 10 ms": func(s Subject, r Request) (Answer, error) {
			r.At = r.At.Truncate(10 * time.Millisecond)
			return s.Take(r)
		},
		"zero costs one": func(s Subject, r Request) (Answer, error) { r.Cost = max(r.Cost, 1); return s.Take(r) },
		"one too many": func(s Subject, r Request) (Answer, error) {
			a, err := s.Take(r)
			a.Allowed = a.Allowed || r.Cost == 1
			return a, err
		},
		"retry too early": func(s Subject, r Request) (Answer, error) {
			a, err := s.Take(r)
			if a.RetryAfter > 0 && a.RetryAfter != limit.Never {
				a.RetryAfter--
			}
			return a, err
		},
		"clock never steps back": func(s Subject, r Request) (Answer, error) {
			if r.At.Before(latest) {
				return Answer{Decision: limit.Decision{Allowed: true}}, nil
			}
			latest = r.At
			return s.Take(r)
		},
	}
	for name, take := range faults {
		found := 0
		for _, p := range Policies() {
			for _, c := range checks {
				latest = time.Time{}
				err := Suite{New: func(setup Setup) (Subject, error) {
					s, err := Model(setup)
					return spoiled{s, take}, err
				}}.check(c, p)
				if err != nil {
					found++
				}
			}
		}
		if found == 0 {
			t.Errorf("no check found the fault %q", name)
		}
	}
}

// TestRunFindsFaults does the same for the scripts.
func TestRunFindsFaults(t *testing.T) {
	scripts, err := Load(Scripts())
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range scripts {
		_, err := s.Play(func(setup Setup) (Subject, error) {
			m, err := Model(setup)
			return spoiled{m, func(s Subject, r Request) (Answer, error) {
				a, err := s.Take(r)
				a.Allowed = !a.Allowed
				return a, err
			}}, err
		})
		if err != nil && strings.Contains(err.Error(), ", want ") {
			found++
		}
	}
	if found != len(scripts) || found == 0 {
		t.Errorf("a subject that always lies failed %d of %d scripts", found, len(scripts))
	}
}

// TestFieldsNotSaid shows that a subject which only says allowed or denied can
// keep every script, and that one which lies in a field cannot.
func TestFieldsNotSaid(t *testing.T) {
	s, err := Parse("x", "policy 1/1s token-bucket\nat 0s take 1 allow remaining=0\nat 0s take 1 deny retry=1s\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, says := range []Fields{0, SaysRetry, SaysAll} {
		n, err := s.Play(func(setup Setup) (Subject, error) {
			m, err := Model(setup)
			return spoiled{m, func(s Subject, r Request) (Answer, error) {
				a, err := s.Take(r)
				a.Remaining, a.Says = 99, says
				return a, err
			}}, err
		})
		if wantErr := says&SaysRemaining != 0; (err != nil) != wantErr || n == 0 {
			t.Errorf("says %b: compared %d, error %v, want error %v", says, n, err, wantErr)
		}
	}
}

func TestUnsupportedIsPassedOn(t *testing.T) {
	s, err := Parse("x", "policy 1/1s token-bucket\nat 0s take 1 allow")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Play(func(Setup) (Subject, error) { return nil, errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Play = %v, want ErrUnsupported", err)
	}
}
