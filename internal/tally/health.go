package tally

import "time"

// HealthPeaks is the worst that the generator reported of itself. Zero means
// unknown.
type HealthPeaks struct {
	CPU         float64       // most cores used in a tick
	CPUShare    float64       // most of the cores it may use that were used in a tick, from 0 to 1
	MeanCPU     float64       // cores used, mean over the time for which they are known
	GCPause     time.Duration // stop-the-world time, total
	PeakGCPause time.Duration // most of it in one tick
	Goroutines  int
	Files       int     // most open file descriptors
	FileLimit   int     // the smallest limit reported
	FileShare   float64 // most of its file descriptors that were in use, from 0 to 1
	HeapBytes   uint64
	Lost        int64 // records that could not be kept, total

	cpuSeconds float64
	cpuTime    time.Duration
}

func (h *HealthPeaks) add(k *Tick) {
	n := &k.Health
	h.CPU = max(h.CPU, n.CPU)
	if n.Cores > 0 {
		h.CPUShare = max(h.CPUShare, n.CPU/float64(n.Cores))
	}
	if n.CPU > 0 && k.Length > 0 {
		h.cpuSeconds += n.CPU * k.Length.Seconds()
		h.cpuTime += k.Length
		h.MeanCPU = h.cpuSeconds / h.cpuTime.Seconds()
	}
	h.GCPause += n.GCPause
	h.PeakGCPause = max(h.PeakGCPause, n.GCPause)
	h.Goroutines = max(h.Goroutines, n.Goroutines)
	h.Files = max(h.Files, n.Files)
	if n.FileLimit > 0 {
		h.FileShare = max(h.FileShare, float64(n.Files)/float64(n.FileLimit))
		if h.FileLimit == 0 || n.FileLimit < h.FileLimit {
			h.FileLimit = n.FileLimit
		}
	}
	h.HeapBytes = max(h.HeapBytes, n.HeapBytes)
	h.Lost += n.Lost
}
