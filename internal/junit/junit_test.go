package junit

import (
	"bytes"
	"encoding/xml"
	"testing"
	"time"
)

func TestWrite(t *testing.T) {
	s := New("weir \x00<&>", time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), 1.5)
	s.Add("c", "passes", Passed, 0.25, "not shown", "")
	s.Add("c", "fails\x1b[31m", Failed, -1, "why", "long\ufffe\xff")
	s.Add("c", "skipped", Skipped, 0, "not reached", "")
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	var got Suite
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, &b)
	}
	if got.Name != "weir <&>" || got.Tests != 3 || got.Failures != 1 || got.Skipped != 1 || got.Time != "1.500" || got.Timestamp != "2026-11-22T10:00:00" {
		t.Errorf("%+v", got)
	}
	if c := got.Cases; c[0].Failure != nil || c[0].Skipped != nil || c[1].Failure.Text != "long?" || c[1].Name != "fails[31m" || c[1].Time != "0.000" || c[2].Skipped.Message != "not reached" {
		t.Errorf("%s", &b)
	}
}
