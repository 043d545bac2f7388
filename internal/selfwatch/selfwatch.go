// Package selfwatch lets the generator report on itself: a Sampler tells what
// this process has used since it was last asked.
package selfwatch

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// Sampler measures this process between calls of Sample. Not safe for
// concurrent use; New makes one.
type Sampler struct {
	at    time.Time
	cpu   time.Duration
	pause time.Duration
	gc    debug.GCStats
	heap  [1]metrics.Sample
	sched []uint64 // how often goroutines had waited how long, when New was called
}

// New starts measuring.
func New() *Sampler {
	s := &Sampler{}
	s.heap[0].Name = "/memory/classes/heap/objects:bytes"
	s.Sample()
	if h := schedLatencies(); h != nil {
		s.sched = slices.Clone(h.Counts)
	}
	return s
}

// Waiting tells how long goroutines of this process waited for a processor
// since New: the share q of them waited less. It is 0 when none did, or when it
// is not known.
func (s *Sampler) Waiting(q float64) time.Duration {
	h := schedLatencies()
	if h == nil || len(h.Counts) != len(s.sched) {
		return 0
	}
	var total uint64
	for i, n := range h.Counts {
		total += n - s.sched[i]
	}
	need := uint64(q * float64(total))
	var seen uint64
	for i, n := range h.Counts {
		seen += n - s.sched[i]
		if seen > need {
			// The lower edge: what they waited at least. The first one is -Inf or 0.
			return time.Duration(max(h.Buckets[i], 0) * float64(time.Second))
		}
	}
	return 0
}

// schedLatencies is the runtime's own histogram since the start of the program.
func schedLatencies() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return sample[0].Value.Float64Histogram()
}

// Sample tells what was used since the last call, or since New. What the system
// does not tell is zero. Lost is not known here.
func (s *Sampler) Sample() tally.Health {
	now, cpu := time.Now(), cpuTime()
	debug.ReadGCStats(&s.gc)
	metrics.Read(s.heap[:])
	h := tally.Health{
		Cores:      runtime.GOMAXPROCS(0),
		GCPause:    s.gc.PauseTotal - s.pause,
		Goroutines: runtime.NumGoroutine(),
	}
	if wall := now.Sub(s.at); !s.at.IsZero() && wall > 0 {
		h.CPU = (cpu - s.cpu).Seconds() / wall.Seconds()
	}
	if v := s.heap[0].Value; v.Kind() == metrics.KindUint64 {
		h.HeapBytes = v.Uint64()
	}
	h.Files, h.FileLimit = Files()
	s.at, s.cpu, s.pause = now, cpu, s.gc.PauseTotal
	return h
}
