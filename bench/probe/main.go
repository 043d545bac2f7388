// Command probe measures internal/probe against random limits in virtual time:
// a generator with a fixed seed, networks from good to bad, and a score.
//
//	go run ./bench/probe -n 1040                  # a clean network
//	go run ./bench/probe -n 480 -foreign 0.1      # a tenth of what the limit allows goes to others
//	go run ./bench/probe -n 320 -family 13        # one family: replicas
//	go run ./bench/probe -n 1040 -naive           # what people do without a tool
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

type score struct {
	family            probe.Family
	named, sure       bool
	accused           bool // of lying, by the headers
	limitOK, windowOK bool
	timeOK            bool // of replicas, the window or rate of each within 10 %
	bracketed         bool // the figures are those of one limit, and have bounds
	limitIn, windowIn bool // the truth is within these
	requests, refused float64
	firstRight        float64 // requests from which on the likeliest kind was the right one, to the end
	windows           float64
	confidence        float64
	took              time.Duration
	got               probe.Family
	truth             float64 // what the truth itself leaves unexplained
	line              string
	spent             map[string]cost // by what the wave was for
	how               string          // of replicas
	routing           routing
	pairing           pairing
	paired            bool            // pairing is set
	kindsOK           bool            // of two limits
	cannot            bool            // be told from one limit: see truth.asOne
	alike             bool            // that it could not be told from replicas in turn was said
	pauses            []time.Duration // see thinker
}

var (
	most, second int
	quick        bool
)

func main() {
	n := flag.Int("n", 260, "how many policies")
	seed := flag.Uint64("seed", 1, "of everything")
	only := flag.Int("family", -1, "one family, by number; -1: the twelve and none")
	foreign := flag.Float64("foreign", 0, "share of what the limit allows that others use")
	burst := flag.Int("foreign-burst", 1, "how many of others come at a time")
	routed := flag.Int("routing", -1, "of replicas: 0 at random, 1 in turn, 2 least connections, 3 by connection; -1: any")
	pairs := flag.String("pairs", "", "wide: two limits of other kinds and sizes than the scored default has, and three")
	hasty := flag.Bool("hasty", false, "single limits that are easily taken for replicas: large rates, slow networks, lost answers, others")
	gap := flag.Duration("gap", 20*time.Microsecond, "between two requests, at least; 2.5ms is 400 a second, evenly")
	lossy := flag.Float64("lossy", 0, "share of answers that are lost")
	verbose := flag.Bool("v", false, "a line for each policy that was not named right")
	flag.IntVar(&most, "max-requests", 0, "bound on the requests to each limiter; zero: as weir probe has it")
	flag.IntVar(&second, "second-limit", 0, "up to how many times the first a second limit is looked for; zero: as weir probe has it; 1: it is not")
	flag.BoolVar(&quick, "quick", false, "end as soon as one explanation is likely")
	lines := flag.Bool("lines", false, "a line for each policy")
	one := flag.Int("one", -1, "only this policy, with every line")
	simple := flag.Bool("naive", false, "measure a binary search on the rate, and reading headers, instead")
	headers := flag.String("headers", "", "limit headers in answers: honest, lie, or none")
	ignore := flag.Bool("ignore-hints", false, "do not look at them")
	keys := flag.Bool("scope", false, "measure what the limit is counted by: -n random scopes")
	spentOn := flag.Bool("spent", false, "say what the requests, the refusals and the time went to")
	during := flag.Duration("for", 0, "start no policy after this long; zero: all")
	profile := flag.String("cpuprofile", "", "where to write a CPU profile")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer pprof.StopCPUProfile()
	}

	if *keys {
		scopes(*n, *seed, *verbose)
		return
	}
	families := []probe.Family{}
	for f := probe.None; f < probe.Replicas; f++ {
		families = append(families, f)
	}
	if *only >= 0 {
		families = []probe.Family{probe.Family(*only)}
	}
	scores := make([]score, *n)
	var wg sync.WaitGroup
	next := make(chan int)
	draw := func(i int) (truth, uint64) {
		f := families[i%len(families)]
		s := *seed<<32 + uint64(i)*64 + uint64(f)
		r := rand.New(rand.NewPCG(s, 1))
		tr := generate(f, r)
		tr.lossy, tr.headers = *lossy, *headers
		tr.route(*routed)
		if *pairs == "wide" {
			tr.pair(r)
		}
		tr.gap = *gap
		if *hasty {
			tr.hasten(r, i/len(families))
		}
		if *foreign > 0 {
			tr.others(*foreign)
			tr.burst = *burst
		}
		return tr, s
	}
	run := func(i int) score {
		tr, s := draw(i)
		return judge(tr, s, *one >= 0, *ignore)
	}
	if *simple {
		naive(*n, func(i int, headers string) *world {
			tr, s := draw(i)
			tr.headers = headers
			return newWorld(tr, s)
		})
		return
	}
	if *one >= 0 {
		fmt.Println(run(*one).line)
		return
	}
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				scores[i] = run(i)
				if s := scores[i]; *lines || *verbose && (!s.named || !s.sure || !s.limitOK || !s.windowOK || s.truth > 0 && *foreign == 0 || s.accused && *headers == "honest") {
					fmt.Println(i, s.line)
				}
			}
		})
	}
	began := time.Now()
	done := 0
	for i := range *n {
		if *during > 0 && time.Since(began) > *during {
			break
		}
		next <- i
		done++
	}
	close(next)
	wg.Wait()
	table(families, scores[:done])
	if *only != int(probe.Replicas) {
		alarms(scores[:done])
	}
	thinking(scores[:done])
	if *spentOn {
		spent(scores[:done])
	}
	if *headers != "" {
		n := 0
		for _, s := range scores[:done] {
			if s.accused {
				n++
			}
		}
		fmt.Printf("headers: %s; found to contradict in %d of %d\n", *headers, n, done)
	}
}

func judge(tr truth, seed uint64, trace, ignore bool) score {
	w := newWorld(tr, seed)
	began := time.Now()
	var seen []probe.Record
	t := &thinker{world: w}
	first := -1.0
	p := probe.New(t, w, probe.Options{
		MaxRequests: most, Second: second, Quick: quick, Seed: seed, IgnoreHints: ignore,
		Record: func(r probe.Record) { seen = append(seen, r) },
		Progress: func(b probe.Belief) {
			switch {
			case len(b.Shares) == 0 || b.Shares[0].Family != tr.family:
				first = -1
			case first < 0:
				first = float64(b.Requests)
			}
		},
	})
	if trace {
		p.Trace(func(format string, args ...any) { fmt.Printf(format+"\n", args...) })
	}
	v, err := p.Run(context.Background())
	if err != nil {
		panic(err)
	}
	if trace {
		for i, wv := range v.Waves {
			fmt.Printf("%4d %9.3f +%6.3f  %4d admitted %4d refused  %s\n", i, wv.Sent.Sub(v.Waves[0].Sent).Seconds(), wv.Done.Sub(wv.Sent).Seconds(), wv.Admitted, wv.Refused, wv.Why)
		}
	}
	went := costs(v.Waves, period(tr))
	findings := probe.CheckHeaders(v, seen)
	s := score{family: tr.family, routing: tr.routing, cannot: tr.family == probe.Replicas && tr.asOne(), pairing: tr.pairing, paired: tr.paired, accused: len(findings) > 0, got: v.Family, sure: v.Sure, confidence: v.Confidence, took: time.Since(began), spent: went}
	if tr.family != probe.Replicas && tr.family != probe.None && len(tr.policies) < 3 {
		s.truth = p.Explain(probe.Found{Family: tr.family, Policies: tr.policies, Ban: tr.ban})
	}
	s.named, s.pauses = v.Family == tr.family, t.pauses
	if tr.family == probe.Replicas && !s.named && (tr.routing == inTurn || tr.routing == leastBusy) && v.Alike > 0 {
		all := float64(tr.policies[0].Capacity()) * float64(tr.replicas)
		s.alike = near(all, float64(v.Policies[0].Capacity()), 0.1)
	}
	s.requests, s.refused, s.firstRight = float64(v.Requests), float64(v.Refused), float64(v.Requests)
	if first >= 0 {
		s.firstRight = first
	}
	if per := period(tr); per > 0 {
		s.windows = v.Elapsed.Seconds() / per
	}
	s.limitOK, s.windowOK, s.timeOK = s.named, s.named, s.named
	if s.named && tr.family == probe.Replicas {
		s.timeOK = near(per(tr.policies[0]), per(v.Policies[0]), 0.1)
		each, all := float64(tr.policies[0].Capacity()), float64(tr.policies[0].Capacity())*float64(tr.replicas)
		s.limitOK = near(each, float64(v.LimitLow+v.LimitHigh)/2, 0.1)
		s.windowOK = near(all, float64(v.LimitLow+v.LimitHigh)/2*float64(v.Replicas), 0.1) // the total, for replicas
	}
	if s.named && tr.family == probe.Stacked {
		s.limitOK, s.windowOK, s.kindsOK = tr.alike(v.Policies)
	} else if s.named && tr.family != probe.None && tr.family != probe.Replicas {
		p, q := tr.policies[0], v.Policies[0]
		s.bracketed = true
		s.limitIn = v.LimitLow <= p.Capacity() && p.Capacity() <= v.LimitHigh
		s.windowIn = p.Window == 0 || near(per(p), per(q), v.WindowOff+0.0005)
		for i, p := range tr.policies {
			q := v.Policies[i]
			if p.Capacity() != q.Capacity() {
				s.limitOK = false
			}
			if p.Window == 0 {
				continue
			}
			if !near(per(p), per(q), 0.01) {
				s.windowOK = false
			}
		}
		if tr.ban > 0 && !near(tr.ban.Seconds(), v.Ban.Seconds(), 0.01) {
			s.windowOK = false
		}
	}
	if tr.family == probe.Replicas {
		s.how = fmt.Sprintf("%d × %v, %s", tr.replicas, tr.policies[0], routingNames[tr.routing])
		s.line = s.how + " "
	}
	s.line += fmt.Sprintf("%v %v ban %v hold %v net %v -> %v %v ban %v (%.4f, sure %v, off %.4f) requests %d refused %d %.1fs first %.0f waves %d [%s] cpu %v TRUTH %.2f",
		tr.family, tr.policies, tr.ban, tr.hold, tr.network, v.Family, v.Policies, v.Ban, v.Confidence, v.Sure, v.WindowOff, v.Requests, v.Refused, v.Elapsed.Seconds(), s.firstRight, len(v.Waves), v.Stopped, s.took.Round(time.Millisecond), s.truth)
	if v.Family != probe.None && v.Family != probe.Replicas {
		s.line += fmt.Sprintf(" FOUND %.2f", p.Explain(v.Found))
	}
	for _, f := range findings {
		s.line += fmt.Sprintf("\n    %s: told %s, seen %s, %d times", f.Name, f.Told, f.Seen, f.Times)
	}
	for _, a := range v.Alternatives {
		s.line += fmt.Sprintf(" | %v %.3f", a.Family, a.Share)
	}
	if v.Others.High > 0 {
		s.line += fmt.Sprintf(" others %.3f (%.3f to %.3f)", v.Others.Share, v.Others.Low, v.Others.High)
	}
	if !v.Sure {
		s.line += fmt.Sprintf(" open %q", v.Settle+v.Open)
	}
	if v.Replicas > 0 {
		s.line += fmt.Sprintf(" replicas %d", v.Replicas)
	}
	s.line += fmt.Sprintf(" limit %d-%d spent", v.LimitLow, v.LimitHigh)
	for _, why := range slices.Sorted(maps.Keys(went)) {
		s.line += fmt.Sprintf(" [%s: %d, %d, %.2f]", why, went[why].requests, went[why].refused, went[why].windows)
	}
	return s
}

// per is the window, or of a bucket the time per unit.
func per(p limit.Policy) float64 {
	if p.Algorithm == limit.TokenBucket || p.Algorithm == limit.LeakyBucket || p.Algorithm == limit.RefillBucket {
		return p.Window.Seconds() / float64(p.Limit)
	}
	return p.Window.Seconds()
}

func period(tr truth) float64 {
	if len(tr.policies) == 0 || tr.family == probe.Concurrency {
		return 0
	}
	p := tr.policies[len(tr.policies)-1]
	switch {
	case tr.ban > 0:
		return tr.ban.Seconds()
	case p.Algorithm == limit.TokenBucket, p.Algorithm == limit.LeakyBucket, p.Algorithm == limit.RefillBucket:
		return per(p) * float64(p.Capacity())
	}
	return p.Window.Seconds()
}

func near(a, b, tol float64) bool { return math.Abs(a-b) <= tol*a }

func table(families []probe.Family, scores []score) {
	fmt.Println("| family | runs | named | sure | right when sure | and its figures | limit exact | window 1 % | requests first right / stop / p90 | refused median | windows median | seconds of this machine |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|---|")
	line := func(name string, of []score) {
		if len(of) == 0 {
			return
		}
		var named, sure, right, whole, lim, win int
		var first, req, ref, wins []float64
		var cpu time.Duration
		for _, s := range of {
			if s.named {
				named++
				first = append(first, s.firstRight)
				if s.limitOK {
					lim++
				}
				if s.windowOK {
					win++
				}
			}
			if s.sure {
				sure++
				if s.named || s.alike { // or said that these cannot be told apart
					right++
				}
				if s.limitOK && s.windowOK && s.timeOK || s.alike {
					whole++
				}
			}
			req, ref = append(req, s.requests), append(ref, s.refused)
			if s.windows > 0 {
				wins = append(wins, s.windows)
			}
			cpu += s.took
		}
		q := func(x []float64, q float64) float64 {
			if len(x) == 0 {
				return 0
			}
			slices.Sort(x)
			return x[int(float64(len(x)-1)*q)]
		}
		pc := func(a, b int) string {
			if b == 0 {
				return "–"
			}
			return fmt.Sprintf("%.1f", 100*float64(a)/float64(b))
		}
		fmt.Printf("| %s | %d | %s | %s | %s | %s | %s | %s | %.0f / %.0f / %.0f | %.0f | %.1f | %.2f |\n", name, len(of), pc(named, len(of)), pc(sure, len(of)), pc(right, sure), pc(whole, sure),
			pc(lim, named), pc(win, named), q(first, 0.5), q(req, 0.5), q(req, 0.9), q(ref, 0.5), q(wins, 0.5), cpu.Seconds()/float64(len(of)))
	}
	for _, f := range families {
		var of []score
		for _, s := range scores {
			if s.family == f {
				of = append(of, s)
			}
		}
		line(f.String(), of)
	}
	if len(families) == 1 && families[0] == probe.Replicas {
		told := func(s score) bool { return s.cannot }
		apart := slices.DeleteFunc(slices.Clone(scores), func(s score) bool { return !told(s) })
		scores = slices.DeleteFunc(slices.Clone(scores), told)
		said, named := 0, 0
		for _, s := range apart {
			said, named = said+boolInt(s.alike), named+boolInt(s.named)
		}
		fmt.Printf("| (of these cannot be told from one limit: %d; said so: %d; named as replicas: %d) |\n", len(apart), said, named)
		for how := range routings {
			line(routingNames[how], slices.DeleteFunc(slices.Clone(scores), func(s score) bool { return s.routing != how }))
		}
	}
	if len(families) == 1 && families[0] == probe.Stacked {
		for how := range pairingNames {
			line(pairingNames[how], slices.DeleteFunc(slices.Clone(scores), func(s score) bool { return !s.paired || s.pairing != pairing(how) }))
		}
	}
	line("all", scores)
	kinds(scores)
	brackets(scores)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
