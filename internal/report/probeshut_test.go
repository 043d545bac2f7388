package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

// TestProbeShut: where it did not open again, no form of the report has a window, and
// all begin with what every explanation shares.
func TestProbeShut(t *testing.T) {
	s := &probe.Shut{Passed: 50, For: 90100 * time.Millisecond, Opens: time.Unix(1_700_006_400, 0), After: 59 * time.Minute}
	found := func(f probe.Family, p limit.Policy, ban time.Duration) probe.Found {
		return probe.Found{Family: f, Policies: []limit.Policy{p}, LimitLow: 50, LimitHigh: 50, WindowOff: 1, Ban: ban, Shut: s}
	}
	v := &probe.Verdict{Found: found(probe.SlidingLog, limit.Policy{Algorithm: limit.SlidingLog, Limit: 50, Window: 14 * time.Hour}, 0), Confidence: 0.4, Requests: 68, Refused: 18}
	for _, f := range []probe.Found{
		found(probe.TokenBucket, limit.Policy{Limit: 2, Window: 14 * time.Hour, Burst: 50}, 0),
		found(probe.RefillBucket, limit.Policy{Algorithm: limit.RefillBucket, Limit: 12, Window: 14 * time.Hour, Burst: 50}, 0),
		found(probe.FixedClock, limit.Policy{Algorithm: limit.FixedWindow, Limit: 50, Window: 14 * time.Hour, Phase: 2 * time.Hour}, 0),
		found(probe.Ban, limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 50, Window: 14 * time.Hour}, 3*time.Minute),
	} {
		v.Alternatives = append(v.Alternatives, probe.Share{Family: f.Family, Found: f, Share: 0.15})
	}
	start := time.Unix(1_700_000_000, 0)
	v.Waves = []probe.Wave{{Sent: start, Done: start, Admitted: 50, Refused: 18}}
	p := NewProbe(v)
	p.Target = "GET http://127.0.0.1/"
	var text, html, data bytes.Buffer
	for _, err := range []error{p.WriteText(&text, false, 0), p.WriteHTML(&html), p.WriteJSON(&data)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const first = "Undecided. It lets 50 through, and did not open again within 90.1 s of the first refusal: how long its window is, is not known. The headers say that it opens again in 59 min, at 2023-11-15 00:00:00 UTC."
	if !strings.HasPrefix(text.String(), first+"\nWhich kind it is cannot be told before it opens: sliding log (40 %), token bucket (15 %)") || strings.Contains(text.String(), "To tell") {
		t.Errorf("text:\n%s", text.String())
	}
	if !strings.Contains(html.String(), first) || !strings.Contains(html.String(), "Which kind it is cannot be told") || strings.Contains(html.String(), "Nothing short would tell") {
		t.Error("the page does not say so")
	}
	for form, b := range map[string]string{"text": text.String(), "page": html.String(), "JSON": data.String()} {
		for _, made := range []string{"14h", "14 h", "50400", "3 min", "12 more", `"window_seconds"`, `"ban_seconds"`, `"phase_seconds"`, `"rate_per_second"`} {
			if strings.Contains(b, made) {
				t.Errorf("the %s has %s, which nobody has seen", form, made)
			}
		}
	}
	var out Probe
	if err := json.Unmarshal(data.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if out.Limits[0].WindowAtLeastSeconds != 90.1 || out.ShutSeconds != 90.1 || out.OpensToldSeconds != 3540 || out.Alternatives[0].Limits[0].Limit != 1 {
		t.Errorf("JSON: %s", data.String())
	}
}
