// Command real tries weir probe on limiters that other people wrote, at
// wall-clock speed, and prints what it said beside what is true.
//
//	make build
//	cd bench/probe/real && go run .
//
// What the servers need is installed into a cache folder: pinned versions, from
// npm, PyPI, Maven Central, crates.io and Debian. What cannot be installed is
// told and skipped. nginx, node, python3, java with mvn, cargo and redis-server
// are looked for on the path. It is a module of its own, so that Weir needs none
// of the limiters.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

func main() {
	weir := flag.String("weir", "../../../bin/weir", "the binary that is tried")
	cache := flag.String("cache", "../../../.cache/probe-real", "folder for what is installed")
	only := flag.String("only", "", "regular expression: these limiters alone")
	side := flag.Int("parallel", 2, "how many are tried side by side")
	budget := flag.Duration("max-time", time.Minute, "--max-time of each, where the limit does not ask for another")
	keep := flag.String("keep", "", "folder for the verdict of each as JSON, its policy file and its output")
	verify := flag.Bool("verify", false, "run weir verify with each file that was found, against the limiter that it was found from")
	list := flag.Bool("list", false, "print the limiters, and try none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *weir, *cache, *only, *keep, *side, *budget, *list, *verify); err != nil {
		fmt.Fprintln(os.Stderr, "bench/probe/real:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, weir, cache, only, keep string, side int, budget time.Duration, list, verify bool) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	var chosen []trial
	for _, t := range trials() {
		if pattern.MatchString(t.name()) {
			chosen = append(chosen, t)
		}
	}
	if list {
		for _, t := range chosen {
			fmt.Printf("%s: %s\n", t.name(), t.truth)
		}
		return nil
	}
	if keep == "" {
		if keep, err = os.MkdirTemp("", "weir-probe-real"); err != nil {
			return err
		}
		defer os.RemoveAll(keep)
	}
	for _, p := range []*string{&weir, &cache, &keep} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if _, err := os.Stat(weir); err != nil {
		return fmt.Errorf("no weir to try: %w (make build, or -weir FILE)", err)
	}
	if err := os.MkdirAll(keep, 0o755); err != nil {
		return err
	}
	h := &house{weir: weir, cache: cache, keep: keep, budget: budget, verify: verify}
	h.install(ctx, chosen)

	began := time.Now()
	results := make([]result, len(chosen))
	for i, t := range chosen {
		results[i] = result{trial: t, judged: untried}
	}
	next := make(chan int)
	var wg sync.WaitGroup
	for range max(1, side) {
		wg.Go(func() {
			for i := range next {
				results[i] = h.try(ctx, chosen[i])
				fmt.Fprintf(os.Stderr, "%s %3d/%d %s\n", time.Now().Format("15:04:05"), i+1, len(chosen), results[i].row())
			}
		})
	}
	for i := range chosen {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return tell(results, time.Since(began))
}

// tell prints the table, and fails when something was said that is not so.
func tell(results []result, took time.Duration) error {
	fmt.Println("| limiter | truth | weir probe says | judged | requests / refused / seconds |")
	fmt.Println("|---|---|---|---|---|")
	count := map[judgement]int{}
	for _, r := range results {
		fmt.Println(r.row())
		count[r.judged]++
	}
	tried := len(results) - count[skipped] - count[untried]
	fmt.Printf("\n%d tried in %.0f s, %d skipped.", tried, took.Seconds(), count[skipped])
	for _, j := range judgements {
		if n := count[j]; n > 0 && j != skipped && j != untried {
			fmt.Printf(" %s: %d.", j, n)
		}
	}
	fmt.Println()
	if n := count[wrong]; n > 0 {
		return fmt.Errorf("%d of %d were said with certainty and are not so", n, tried)
	}
	if tried == 0 {
		return fmt.Errorf("nothing was tried")
	}
	return nil
}

// result is what became of one trial.
type result struct {
	trial            trial
	said             string
	judged           judgement
	requests, denied int
	seconds          float64
}

func (r result) row() string {
	figures := ""
	if r.requests > 0 {
		figures = fmt.Sprintf("%d / %d / %.0f", r.requests, r.denied, r.seconds)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |", r.trial.name(), r.trial.truth, r.said, r.judged, figures)
}
