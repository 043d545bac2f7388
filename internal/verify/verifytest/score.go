package verifytest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/verify"
)

// Score is what came of one kind of server.
type Score struct {
	Kind      string
	Servers   int
	Violated  int // reported as violated
	Named     int // and with a code of this kind
	Undecided int
	Requests  int
	Worst     []string // what was wrong, for those who look
}

// Faithful tries n servers that keep their policies. Violated should be 0.
func Faithful(n int, seed uint64) (Score, error) {
	return play("faithful", n, seed, Deviation{})
}

// Deviating tries n servers that deviate in one way.
func Deviating(d Deviation, n int, seed uint64) (Score, error) { return play(d.Name, n, seed, d) }

func play(kind string, n int, seed uint64, d Deviation) (Score, error) {
	score := Score{Kind: kind}
	for i := uint64(0); score.Servers < n; i++ {
		r := rand.New(rand.NewPCG(seed, i))
		declared := File(r)
		kept := &policy.File{Policies: slices.Clone(declared.Policies), Chain: declared.Chain}
		var lie func(*hit.Field)
		if d.Plant != nil {
			var ok bool
			if lie, ok = d.Plant(r, kept); !ok {
				continue
			}
			if d.Name == "lying header" {
				for k := range declared.Policies {
					declared.Policies[k].Tell = kept.Policies[k].Tell
				}
			}
		}
		net, o, set := Network{Low: time.Millisecond, High: 100 * time.Millisecond, Lie: lie}, Options(), verify.Settings{Grain: time.Millisecond}
		o.Trip = 50 * time.Millisecond
		if i%2 == 1 { // on the same machine, with what weir verify takes for the grain
			net.Low, net.High, o.Trip, set.Grain = 200*time.Microsecond, 500*time.Microsecond, 350*time.Microsecond, 2*time.Millisecond
		}
		server, err := New(kept, net, seed+i)
		if err != nil {
			return score, err
		}
		rep, _, err := Try(declared, server, o, set)
		if err != nil {
			return score, err
		}
		score.Servers++
		score.Requests += rep.Requests
		named := false
		for _, f := range rep.Findings {
			if f.Verdict == verify.Violated {
				named = named || slices.Contains(d.Codes, f.Code)
			}
		}
		switch rep.Verdict {
		case verify.Violated:
			score.Violated++
			if named {
				score.Named++
			} else if len(rep.Findings) > 0 {
				text := Text(kept)
				for _, f := range rep.Findings {
					text += "; " + f.Code + " " + f.Text + ": expected " + f.Expected + ", seen " + f.Seen
				}
				score.Worst = append(score.Worst, text)
			}
		case verify.Undecided:
			score.Undecided++
		default:
			if d.Plant != nil {
				score.Worst = append(score.Worst, "not found: "+Text(kept))
			}
		}
	}
	return score, nil
}

// Text is a file in one line.
func Text(f *policy.File) string {
	var parts []string
	for i := range f.Policies {
		parts = append(parts, f.Policies[i].Policy.String()+" by "+f.Policies[i].Key.String())
	}
	return strings.Join(parts, " + ")
}
