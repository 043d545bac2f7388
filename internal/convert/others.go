package convert

import "regexp"

// other says what a source is that is known, and is not converted: a person who
// comes from another load tester should learn it in one line.
func other(src []byte) string {
	for _, o := range others {
		if o.at.Match(src) {
			return "it is " + o.what + ", which is not converted: " + o.instead + "; docs/convert.md has its words and Weir's side by side"
		}
	}
	return ""
}

const record = "record its requests as HAR, with a browser or a proxy, and convert that, or write the scenario anew"

var others = []struct {
	at            *regexp.Regexp
	what, instead string
}{
	{regexp.MustCompile(`(?m)^\s*import\b.*['"]k6(/[a-z/]+)?['"]|\brequire\(\s*['"]k6`), "a k6 script", record},
	{regexp.MustCompile(`<jmeterTestPlan\b`), "a JMeter test plan", record},
	{regexp.MustCompile(`(?m)^["' ]*scenarios["']?\s*:`), "an Artillery script", record},
	{regexp.MustCompile(`(?m)^\s*import\s+io\.gatling\b|\bimport static io\.gatling\b`), "a Gatling simulation", record},
	{regexp.MustCompile(`(?m)^\s*(from locust\b|import locust\b)`), "a locustfile", "it runs as it is, by weir run or weir locust"},
}
