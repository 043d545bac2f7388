package main

import "testing"

func TestJudge(t *testing.T) {
	said := func(family string, sure bool, p ...found) *verdict {
		return &verdict{Family: family, Sure: sure, Refused: 9, policies: p}
	}
	ten := found{Algorithm: "fixed-window", Limit: 10, Window: "4s"}
	ran := 0
	for _, c := range []struct {
		truth truth
		said  *verdict
		want  judgement
	}{
		{window(fromFirst, 10, 4), said(fromFirst, true, ten), right},
		{window(fromFirst, 10, 4), said(fromFirst, false, ten), guessed},
		{window(fromFirst, 10, 4), said(byClock, true, ten), wrong},
		{window(fromFirst, 11, 4), said(fromFirst, true, ten), wrong},
		{window(fromFirst, 10, 4.1), said(fromFirst, false, ten), figuresOf},
		{window(fromFirst, 10, 4).or(byClock), said(byClock, true, ten), right},
		{other("nothing known"), said(byClock, true, ten), wrong},
		{other("nothing known"), said(byClock, false, ten), undecided},
		{tokens(20, 5), said(bucket, true, found{Limit: 5, Window: "1s", Burst: 20}), right},
		{tokens(20, 5), said(bucket, true, found{Limit: 300, Window: "1m", Burst: 20}), right},
		{queued(12, 4, 5), said(queue, true, found{Algorithm: "leaky-bucket", Limit: 5, Window: "1s", Burst: 12, Undelayed: 4}), right},
		{queued(12, 4, 5), said(queue, true, found{Algorithm: "leaky-bucket", Limit: 5, Window: "1s", Burst: 12}), wrong},
		{banned(10, 4, 9), &verdict{Family: ban, Sure: true, BanSeconds: 9.05, policies: []found{ten}}, right},
		{banned(10, 4, 9), &verdict{Family: ban, Sure: true, BanSeconds: 8, policies: []found{ten}}, wrong},
		{bannedLog(10, 4, 9), &verdict{Family: ban, Sure: true, BanSeconds: 9, policies: []found{ten}}, wrong},
		{window(fromFirst, 10, 4).by("request.ip"), said(fromFirst, true, ten), wrong},
		{truth{paced: 20}, &verdict{Family: noLimit, PacedPerSecond: 20.1}, right},
	} {
		ran++
		if got := c.truth.judge(c.said); got != c.want {
			t.Errorf("%s, said %+v: %s, want %s", c.truth.words, c.said, got, c.want)
		}
	}
	if ran != 17 {
		t.Fatalf("%d cases ran", ran)
	}
}

// Two trials of one name would keep their journals in one file.
func TestTrialsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, t1 := range trials() {
		if seen[t1.name()] {
			t.Errorf("two trials are named %q", t1.name())
		}
		seen[t1.name()] = true
		if t1.truth.String() == "" || t1.start == nil {
			t.Errorf("%s: truth %q, start %v", t1.name(), t1.truth.String(), t1.start != nil)
		}
	}
	if len(seen) < 60 {
		t.Errorf("%d trials", len(seen))
	}
}
