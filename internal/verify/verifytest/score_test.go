package verifytest

import (
	"testing"
)

// TestFaithfulServersAreNotAccused and TestDeviationsAreFound are small versions
// of what bench/verify measures, with floors.
func TestFaithfulServersAreNotAccused(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 15
	}
	s, err := Faithful(n, 11)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d servers, %d requests, %d undecided", s.Servers, s.Requests, s.Undecided)
	if s.Violated > 0 {
		t.Errorf("%d of %d faithful servers were accused: %q", s.Violated, s.Servers, s.Worst)
	}
	if s.Undecided*10 > s.Servers {
		t.Errorf("%d of %d were undecided: too many for the rest to mean anything", s.Undecided, s.Servers)
	}
	if s.Requests > s.Servers*Options().Budget.Requests {
		t.Errorf("%d requests to %d servers: more than the budget", s.Requests, s.Servers)
	}
}

func TestDeviationsAreFound(t *testing.T) {
	n := 6
	if testing.Short() {
		n = 2
	}
	kinds := Deviations()
	if len(kinds) < 10 {
		t.Fatalf("there are only %d kinds", len(kinds))
	}
	servers, found, named := 0, 0, 0
	for i, d := range kinds {
		s, err := Deviating(d, n, 100+uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-16s %d of %d violated, %d named", s.Kind, s.Violated, s.Servers, s.Named)
		if s.Violated*2 < s.Servers {
			t.Errorf("%s: %d of %d found: %q", s.Kind, s.Violated, s.Servers, s.Worst)
		}
		servers, found, named = servers+s.Servers, found+s.Violated, named+s.Named
	}
	if found*10 < servers*9 || named*10 < servers*9 {
		t.Errorf("of %d deviations %d were found and %d named, want nine of ten", servers, found, named)
	}
}
