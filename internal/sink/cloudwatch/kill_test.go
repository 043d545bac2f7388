package cloudwatch

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/sink"
	"github.com/weir-dev/weir/internal/tally"
)

// childRuns names a run file: the test binary then is a run, until it is killed.
const (
	childRuns = "WEIR_TEST_RUN"
	childURL  = "WEIR_TEST_CLOUDWATCH"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childRuns); path != "" {
		if err := runForEver(path, os.Getenv(childURL)); err != nil {
			fmt.Println("error", err)
		}
		os.Exit(1)
	}
	for k, v := range environment {
		os.Setenv(k, v)
	}
	os.Exit(m.Run())
}

// runForEver records seconds of a run, a few hundred of them in one, and sends them live.
func runForEver(path, url string) error {
	set := mini(url)
	raw, err := json.Marshal(set)
	if err != nil {
		return err
	}
	w, err := runfile.Create(path, runfile.Meta{ID: "run1", Started: started, Sinks: map[string]json.RawMessage{Name: raw}})
	if err != nil {
		return err
	}
	o, err := w.Outbox()
	if err != nil {
		return err
	}
	client, err := Open(context.Background(), set)
	if err != nil {
		return err
	}
	sinks := sink.NewSet(func(string) {}, client.Sink(set, "run1", started))
	sinks.Start(o)
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range 100_000 {
		k := tickOf(rng, i, 20, "/login")
		carried, parcels := sinks.Add(k)
		if err := w.AppendWith(k, carried, parcels); err != nil {
			return err
		}
		sinks.Wake()
		fmt.Println("stored", i)
		time.Sleep(time.Duration(rng.IntN(4)) * time.Millisecond)
	}
	return nil
}

// TestKilledTwentyTimes kills a run at a random moment, twenty times, while the
// service throttles, fails and cuts connections at random; then it sends what is
// left. Nothing is lost and nothing counts twice, but what is reported as doubtful.
func TestKilledTwentyTimes(t *testing.T) {
	t.Parallel() // it mostly waits
	kills := 20
	if testing.Short() {
		kills = 2
	}
	var doubtful, waited, uncarried, done atomic.Int64
	t.Run("kills", func(t *testing.T) {
		for i := range kills {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				d, w, u := killOnce(t, uint64(i))
				doubtful.Add(int64(d))
				waited.Add(int64(w))
				uncarried.Add(int64(u))
				done.Add(1)
			})
		}
	})
	t.Logf("%d kills: %d parcels waited, %d ticks were in no parcel yet, %d parcels were doubtful", done.Load(), waited.Load(), uncarried.Load(), doubtful.Load())
	if !t.Failed() && (int(done.Load()) != kills || !testing.Short() && (waited.Load() == 0 || uncarried.Load() == 0 || doubtful.Load() == 0)) {
		t.Error("the kills did not come at telling moments")
	}
}

func killOnce(t *testing.T, seed uint64) (doubtful, waited, uncarried int) {
	rng := rand.New(rand.NewPCG(seed, 7))
	f := newFake(t)
	faults := rand.New(rand.NewPCG(seed, 8)) // under the lock of the fake
	f.script(func(string) fault {
		switch n := faults.IntN(100); {
		case n < 10:
			return throttle
		case n < 15:
			return broken
		case n < 18:
			return cutBefore
		case n < 23:
			return cutAfter
		case n < 25:
			return badGateway
		}
		return fine
	})
	path := filepath.Join(t.TempDir(), "r.weir")
	killAfter(t, path, f.URL, 3+rng.IntN(18), time.Duration(rng.IntN(20_000))*time.Microsecond)
	doubtful, waited, uncarried = sendTheRest(t, f, path)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, text := range f.wrong {
		t.Error(text)
	}
	return doubtful, waited, uncarried
}

// killAfter starts a run and kills it some time after it stored so many ticks.
func killAfter(t *testing.T, path, url string, ticks int, later time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRuns+"="+path, childURL+"="+url)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; n < ticks && lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "error") {
			t.Fatal(lines.Text())
		}
	}
	time.Sleep(later) // the moment is to be random; nothing depends on its length
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// sendTheRest is what "weir report RUN --send" does, first without and then with
// sending again what may have arrived, and compares after each.
func sendTheRest(t *testing.T, f *fake, path string) (doubtful, waited, uncarried int) {
	t.Helper()
	run, err := runfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	var ticks []*tally.Tick
	for k, err := range run.Ticks() {
		if err != nil {
			t.Fatal(err)
		}
		ticks = append(ticks, k)
	}
	o, err := runfile.OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	before, err := o.Deliveries()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range before {
		waited += int(d.Waiting)
	}
	through, err := o.Carried(Name)
	if err != nil {
		t.Fatal(err)
	}
	uncarried = len(ticks) - 1 - through
	for _, resend := range []bool{false, true} {
		var set Settings
		if err := json.Unmarshal(run.Meta.Sinks[Name], &set); err != nil {
			t.Fatal(err)
		}
		set.Resend = resend
		client, err := Open(t.Context(), set)
		if err != nil {
			t.Fatal(err)
		}
		sinks := sink.NewSet(func(string) {}, client.Sink(set, run.Meta.ID, run.Meta.Started))
		if err := sinks.CatchUp(o, run.Ticks()); err != nil {
			t.Fatal(err)
		}
		if _, err := sinks.Drain(t.Context(), o, 0, nil); err != nil {
			t.Fatal(err)
		}
		list, err := o.Deliveries()
		if err != nil {
			t.Fatal(err)
		}
		doubtful += checkOnce(t, f, ticks, list, resend)
	}
	return doubtful, waited, uncarried
}

// checkOnce: every datum of every tick is in CloudWatch once, and every event; but
// those of doubtful parcels may be missing, and those sent again may be there twice.
func checkOnce(t *testing.T, f *fake, ticks []*tally.Tick, list []runfile.Delivery, resent bool) (doubtful int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	allowed := map[string]int64{} // items that may be missing or doubled
	again := map[string]int64{}   // parcels
	for _, d := range list {
		if d.Waiting > 0 || d.Refused > 0 || resent && d.Doubtful > 0 {
			t.Errorf("after sending: %+v", d)
		}
		doubtful += int(d.Doubtful)
		allowed[d.Lane], again[d.Lane] = d.DoubtfulItems, d.Resent
	}
	missing, doubled := 0, 0
	twin := NewEncoder(mini("http://127.0.0.1:1"), "run1", started)
	var data []datum
	for _, k := range ticks {
		for _, p := range twin.Add(k) {
			data = append(data, unpack(t, p)...)
		}
	}
	for _, p := range twin.Flush(nil) {
		data = append(data, unpack(t, p)...)
	}
	want := map[string]map[int64]int{}
	for _, d := range data {
		key := d.key()
		if want[key] == nil {
			want[key] = map[int64]int{}
		}
		want[key][d.At]++
	}
	if len(want) < 5 {
		t.Fatalf("only %d metrics are compared", len(want))
	}
	for key, seconds := range want {
		for at, n := range seconds {
			switch got := len(f.applied[key][at]); {
			case got < n:
				missing += n - got
			case got > n:
				doubled += got - n
			}
		}
	}
	if !resent && (doubled > 0 || int64(missing) > allowed[Metrics]) {
		t.Errorf("%d data are missing and %d are there twice; %d are doubtful", missing, doubled, allowed[Metrics])
	}
	if resent && (missing > 0 || doubled > 0 && again[Metrics] == 0) {
		t.Errorf("%d data are missing and %d are there twice, with %d parcels sent again", missing, doubled, again[Metrics])
	}
	missing, doubled = 0, 0
	for i := range ticks {
		n := 0
		for text, times := range f.logged {
			if strings.Contains(text, fmt.Sprintf(`"stage %d"`, i)) {
				n += times
			}
		}
		missing += max(1-n, 0)
		doubled += max(n-1, 0)
	}
	if !resent && (doubled > 0 || int64(missing) > allowed[Logs]) {
		t.Errorf("%d log events are missing and %d are there twice; %d are doubtful", missing, doubled, allowed[Logs])
	}
	if resent && (missing > 0 || doubled > 0 && again[Logs] == 0) {
		t.Errorf("%d log events are missing and %d are there twice, with %d parcels sent again", missing, doubled, again[Logs])
	}
	return doubtful
}

func unpack(t *testing.T, p runfile.Parcel) []datum {
	if p.Lane != Metrics {
		return nil
	}
	var b batch
	if err := unzip(p.Body, &b); err != nil {
		t.Fatal(err)
	}
	return b.Data
}
