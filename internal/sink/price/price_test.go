package price

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func builtinTable(t testing.TB) *Table {
	t.Helper()
	table, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestBill: an hour of 40 metrics, one call each ten seconds, as on AWS's own page.
func TestBill(t *testing.T) {
	table := builtinTable(t)
	for _, c := range []struct {
		use  Use
		want float64
	}{
		{Use{}, 0},
		{Use{Puts: 360}, 0.0036},
		{Use{Metrics: 40, Hours: 1}, 40 * 0.30 / 730},
		{Use{Metrics: 20_000, Hours: 730}, 10_000*0.30 + 10_000*0.10},
		{Use{Metrics: 2_000_000, Hours: 730}, 10_000*0.30 + 240_000*0.10 + 750_000*0.05 + 1_000_000*0.02},
		{Use{LogBytes: 2e9}, 1},
		{Use{Asked: 30 * 60}, 0.018},
	} {
		b, ok := table.Bill("us-east-1", c.use)
		if !ok || math.Abs(b.Total-c.want) > 1e-9*max(c.want, 1) {
			t.Errorf("Bill(%+v) = %v, want %v", c.use, b.Total, c.want)
		}
		sum := 0.0
		for _, l := range b.Lines {
			sum += l.USD
		}
		if sum != b.Total {
			t.Errorf("the lines of %+v add up to %v, not %v", c.use, sum, b.Total)
		}
	}
	if b, ok := table.Bill("mars-1", Use{Puts: 1}); !ok || b.As != "us-east-1" {
		t.Errorf("an unknown region: %+v, %v, want us-east-1 to be named", b, ok)
	}
}

func TestFind(t *testing.T) {
	table := builtinTable(t)
	for _, c := range []struct{ url, body, want string }{
		{"https://p.auth.eu-west-1.amazoncognito.com/oauth2/token", "grant_type=client_credentials", "machine"},
		{"https://p.auth.eu-west-1.amazoncognito.com/oauth2/token", "grant_type=refresh_token", ""},
		{"https://sns.us-east-1.amazonaws.com/", "Action=Publish&PhoneNumber=%2B1", "text messages"},
		{"https://example.com/oauth2/token", "client_credentials", ""},
		{"http://127.0.0.1:1/", "PhoneNumber=", ""},
		{"%", "", ""},
	} {
		got := table.Find(c.url, c.body)
		if (got == nil) != (c.want == "") || got != nil && !strings.Contains(got.What, c.want) {
			t.Errorf("Find(%q, %q) = %+v, want %q", c.url, c.body, got, c.want)
		}
	}
}

func TestOwnTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.json")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"read":"2026-01-02","currency":"USD","sources":[],"regions":{},"load":[{"what":"SMS","host":"sms.example","path":"/send","body":"","usd":0.05}]}`)
	table, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if r := table.Find("https://sms.example/send/1", ""); r == nil || *r.USD != 0.05 {
		t.Errorf("the rule of the file: %+v", r)
	}
	if _, ok := table.Bill("us-east-1", Use{Puts: 1}); ok {
		t.Error("a table without regions gave a bill")
	}
	for _, bad := range []string{
		``, `{}`, `[]`, `{"read":"yesterday","currency":"USD"}`, `{"read":"2026-01-02","currency":"EUR"}`,
		`{"read":"2026-01-02","currency":"USD","regions":{"a":{"put_per_1000":-1,"metric_month":[{"from":0,"usd":1}]}}}`,
		`{"read":"2026-01-02","currency":"USD","regions":{"a":{"metric_month":[]}}}`,
		`{"read":"2026-01-02","currency":"USD","regions":{"a":{"metric_month":[{"from":0,"usd":1},{"from":9,"usd":1},{"from":5,"usd":1}]}}}`,
		`{"read":"2026-01-02","currency":"USD","load":[{"what":""}]}`, `{"read":"2026-01-02","currency":"USD","unknown":1}`,
	} {
		write(bad)
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "price table") {
			t.Errorf("Load of %s: %v", bad, err)
		}
	}
}

// TestRegions holds that a region is billed by its own prices and their day, and one
// that the table lacks by another's, which the bill says.
func TestRegions(t *testing.T) {
	table, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		region, as, instead, read string
		log                       float64
	}{
		{"us-east-1", "us-east-1", "", table.Read, 0.50}, {"eu-west-1", "eu-west-1", "", "2026-03-01", 0.57},
		{"ap-northeast-1", "ap-northeast-1", "", "2026-07-01", 0.76}, {"ap-northeast-2", "ap-northeast-2", "", table.Read, 0.76},
		{"sa-east-1", "us-east-1", "sa-east-1", table.Read, 0.50}, {"", "us-east-1", "", table.Read, 0.50},
	} {
		b, ok := table.Bill(c.region, Use{LogBytes: 1e9})
		if !ok || b.As != c.as || b.For != c.instead || b.Read != c.read || math.Abs(b.Total-c.log) > 1e-9 {
			t.Errorf("a gigabyte of logs in %q: %+v, want $%g of %s read %s, for %q", c.region, b, c.log, c.as, c.read, c.instead)
		}
	}
}

func TestDollars(t *testing.T) {
	for usd, want := range map[float64]string{0: "$0", 12.25: "$12.25", 0.0036: "$0.0036", 0.000001: "less than $0.0001"} {
		if got := Dollars(usd); got != want {
			t.Errorf("Dollars(%v) = %q, want %q", usd, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(builtin)
	f.Add([]byte(`{"read":"2026-01-02","currency":"USD"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Parse(data)
		if err != nil {
			return
		}
		b, _ := table.Bill("us-east-1", Use{Puts: 1000, Metrics: 20_000, Hours: 3, LogBytes: 1e9, Asked: 10})
		if b.Total < 0 || math.IsNaN(b.Total) {
			t.Errorf("Bill = %v", b.Total)
		}
	})
}
