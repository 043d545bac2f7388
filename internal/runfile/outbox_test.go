package runfile

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parcels(lane string, n int) []Parcel {
	var out []Parcel
	for i := range n {
		out = append(out, Parcel{Lane: lane, Tick: i, Items: int64(10 + i), Body: []byte{byte(i), 1, 2}})
	}
	return out
}

func deliveriesOf(t *testing.T, o *Outbox) []Delivery {
	t.Helper()
	list, err := o.Deliveries()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func take(t *testing.T, o *Outbox, lane string, doubtful bool) *Parcel {
	t.Helper()
	p, err := o.Take(lane, doubtful)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func settle(t *testing.T, o *Outbox, p *Parcel, s Settlement) {
	t.Helper()
	if err := o.Settle(p, s); err != nil {
		t.Fatal(err)
	}
}

func TestOutboxFromTickToDelivery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	w := newWriter(t, path)
	o, err := w.Outbox()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AppendWith(busyTick(0, 1), []string{"a"}, append(parcels("a", 3), parcels("a/logs", 1)...)); err != nil {
		t.Fatal(err)
	}
	first := take(t, o, "a", false)
	if diff := cmp.Diff(&Parcel{ID: 1, Lane: "a", Items: 10, Body: []byte{0, 1, 2}}, first); diff != "" {
		t.Errorf("the first parcel (-want +got):\n%s", diff)
	}
	settle(t, o, first, Settlement{Fate: Returned, Throttled: true, Reason: "limit"})
	again := take(t, o, "a", false)
	if again == nil || again.ID != first.ID || again.Attempts != 1 {
		t.Fatalf("after a throttled call: %+v, want the same parcel again", again)
	}
	settle(t, o, again, Settlement{Fate: Delivered, Wire: 99, Took: time.Second})
	second := take(t, o, "a", false)
	settle(t, o, second, Settlement{Fate: Doubtful, Reason: "no answer"})
	third := take(t, o, "a", false)
	if third == nil || third.ID == second.ID {
		t.Fatalf("a doubtful parcel was taken again: %+v", third)
	}
	settle(t, o, third, Settlement{Fate: Refused, Reason: "bad"})
	if p := take(t, o, "a", false); p != nil {
		t.Errorf("nothing is to be sent, and %+v was taken", p)
	}
	want := []Delivery{
		{
			Lane: "a", Doubtful: 1, DoubtfulItems: 11, DoubtfulBytes: 3, Refused: 1, RefusedItems: 12, Error: "no answer",
			Calls: 4, Sent: 1, Items: 10, Wire: 99, Throttled: 1, Ambiguous: 1, Failed: 1, Took: time.Second,
		},
		{Lane: "a/logs", Waiting: 1, WaitingItems: 10, WaitingBytes: 3},
	}
	if diff := cmp.Diff(want, deliveriesOf(t, o)); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(testEnd); err != nil {
		t.Fatal(err)
	}
	r, _ := readAll(t, path)
	list, err := r.Deliveries()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("deliveries of the finished file (-want +got):\n%s", diff)
	}
	o, err = OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if p := take(t, o, "a", true); p == nil || !p.Doubtful {
		t.Errorf("asked for doubtful parcels: %+v", p)
	}
	if err := o.Discard(); err != nil {
		t.Fatal(err)
	}
	for _, d := range deliveriesOf(t, o) {
		if d.Left() != 0 || d.Discarded == 0 {
			t.Errorf("after Discard: %+v", d)
		}
	}
}

func TestOutboxAfterACut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	w := newWriter(t, path)
	o, err := w.Outbox()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AppendWith(busyTick(4, 1), []string{"a"}, parcels("a", 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOutbox(path); !errors.Is(err, ErrInUse) {
		t.Errorf("OpenOutbox beside a run that sends: %v, want ErrInUse", err)
	}
	take(t, o, "a", false) // and then the process ends
	if err := errors.Join(o.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	o, err = OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	d := deliveriesOf(t, o)
	if len(d) != 1 || d[0].Doubtful != 1 || d[0].Waiting != 1 || d[0].Ambiguous != 1 || d[0].Calls != 1 {
		t.Errorf("after the cut: %+v, want one doubtful and one waiting", d)
	}
	for sink, want := range map[string]int{"a": 4, "b": -1} {
		if got, err := o.Carried(sink); got != want || err != nil {
			t.Errorf("Carried(%s) = %d, %v, want %d", sink, got, err, want)
		}
	}
	if err := o.Post(3, []string{"a", "b"}, nil); err != nil {
		t.Fatal(err)
	}
	for sink, want := range map[string]int{"a": 4, "b": 3} {
		if got, err := o.Carried(sink); got != want || err != nil {
			t.Errorf("Carried(%s) = %d, %v, want %d: it never goes back", sink, got, err, want)
		}
	}
	if _, err := OpenOutbox(path); !errors.Is(err, ErrInUse) {
		t.Errorf("a second OpenOutbox: %v, want ErrInUse", err)
	}
}

func TestParcelsGoWithTheirTick(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.weir")
	w := newWriter(t, path)
	appendAll(t, w, busyTick(0, 1))
	// The same tick again cannot be stored; then its parcels are not either.
	if err := w.AppendWith(busyTick(0, 1), []string{"a"}, parcels("a", 2)); err == nil {
		t.Fatal("a tick was stored twice")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	o, err := OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if d := deliveriesOf(t, o); len(d) != 0 {
		t.Errorf("deliveries = %+v, want none", d)
	}
	if n, _ := o.Carried("a"); n != -1 {
		t.Errorf("Carried = %d, want -1", n)
	}
}

func TestOutboxOfOlderFiles(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("testdata", "*.weir"))
	path := filepath.Join(t.TempDir(), "old.weir")
	if len(files) > 0 {
		if err := copyFile(path, files[0]); err != nil {
			t.Fatal(err)
		}
	} else {
		w := newWriter(t, path)
		for _, table := range []string{"delivery", "carried"} {
			if _, err := w.conn.ExecContext(t.Context(), "DROP TABLE "+table); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Finish(testEnd); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if list, err := r.Deliveries(); list != nil || err != nil {
		t.Errorf("Deliveries of an older file: %v, %v", list, err)
	}
	if _, err := OpenOutbox(path); err == nil || !strings.Contains(err.Error(), "no telemetry") {
		t.Errorf("OpenOutbox of an older file: %v", err)
	}
}
