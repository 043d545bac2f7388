package sink

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/runfile"
)

// TestDrainLosesPatience holds that sending what is left ends by itself when nothing is
// delivered, without a bound of its user's: a script would wait for ever.
func TestDrainLosesPatience(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	w, err := runfile.Create(path, runfile.Meta{ID: "r", Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	o, err := runfile.OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if err := o.Post(0, []string{"x"}, []runfile.Parcel{{Lane: "x", Items: 1, Body: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	a := &answers{}
	for range 10_000 {
		a.list = append(a.list, reply(runfile.Returned, "500"))
	}
	s := NewSet(func(string) {}, Sink{Name: "x", Lanes: []Lane{{Name: "x", Deliverer: a}}})
	s.patience = 0
	n, err := s.Drain(t.Context(), o, 0, nil) // for ever, if it did not
	if err != nil || n != 0 {
		t.Errorf("Drain = %d, %v", n, err)
	}
	list, err := o.Deliveries()
	if err != nil || len(list) != 1 || list[0].Waiting != 1 {
		t.Errorf("left are %+v, %v; want one that waits", list, err)
	}
}
