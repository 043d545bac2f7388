package cli

import (
	"net/url"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/keyscope"
)

func TestVary(t *testing.T) {
	req := func() *hit.Request {
		return &hit.Request{Method: "POST", URL: "http://h/v1/a?x=1&k=z", Header: []hit.Field{{Name: "X-Key", Value: "old"}, {Name: "x-key", Value: "twice"}, {Name: "Cookie", Value: "a=1; sid=q; b=2"}, {Name: "Authorization", Value: basic("ann", "secret")}}}
	}
	ran := 0
	for _, c := range []struct {
		vary, kind, body string
		want             string // in what is sent as the second value
	}{
		{"header:X-Key=a,b", "", "", "X-Key=b Cookie=a=1; sid=q; b=2 Authorization=" + basic("ann", "secret")},
		{"header:X-New=a,b", "", "", "X-New=b"},
		{"cookie:sid=s1,s2", "", "", "Cookie=a=1; b=2; sid=s2"},
		{"basic-user=eve,bob", "", "", "Authorization=" + basic("bob", "secret")},
		{"basic-user=eve:1,bob:2", "", "", "Authorization=" + basic("bob", "2")},
		{"path=/v1/a,/v1/b%2Fc", "", "", "http://h/v1/b%2Fc?x=1&k=z"},
		{"path=/a?x=5,/b?x=6", "", "", "http://h/b?x=6"},
		{"query:k=a,b c", "", "", "http://h/v1/a?k=b+c&x=1"},
		{"body:client.id=1,2", "application/json", `{"client":{"id":7,"big":12345678901234567890},"x":[1]}`, `{"client":{"big":12345678901234567890,"id":2},"x":[1]}`},
		{"body:client.id=1,2", "application/json", `{"client":{"id":"7"}}`, `{"client":{"id":"2"}}`},
		{"body:new=1,2", "application/json", `{}`, `{"new":"2"}`},
		{"body:client_id=a,b", "application/x-www-form-urlencoded", "client_id=z&x=1", "client_id=b&x=1"},
	} {
		ran++
		v, err := parseVaried(c.vary)
		if err != nil {
			t.Errorf("%s: %v", c.vary, err)
			continue
		}
		r := req()
		if c.kind != "" {
			r.Header, r.Body = []hit.Field{{Name: "content-type", Value: c.kind + "; charset=utf-8"}}, []byte(c.body)
		}
		before := dump(r)
		got, err := variant(r, []*varied{v}, keyscope.Who{1})
		if err != nil || !strings.Contains(dump(got), c.want) {
			t.Errorf("%s: %v\n got %s\nwant %s in it", c.vary, err, dump(got), c.want)
		}
		if dump(r) != before {
			t.Errorf("%s changed the request itself", c.vary)
		}
	}
	if ran != 12 {
		t.Fatalf("%d cases ran", ran)
	}
}

func dump(r *hit.Request) string {
	s := r.URL + " "
	for _, h := range r.Header {
		s += h.Name + "=" + h.Value + " "
	}
	return s + string(r.Body)
}

func TestVaryErrors(t *testing.T) {
	ran := 0
	for text, want := range map[string]string{
		"nonsense=a,b": `nothing is called "nonsense"`, "header=a,b": "header has no name", "path:x=/a,/b": "path has no name", "header:a b=x,y": "no name of a header",
		"header:X=a": "needs two values", "header:X=a,a": "needs two values", "header:X=a,": "empty", "path=a,/b": "does not begin with /", "source-ip=x,y": "is no address", "": "nothing is called",
	} {
		ran++
		if _, err := parseVaried(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for body, want := range map[string]string{"": "neither a JSON object nor a form", "[1]": "neither", `{"a":5}`: `"a" is no object`} {
		ran++
		v, err := parseVaried("body:a.b=1,2")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := variant(&hit.Request{URL: "http://h/", Body: []byte(body)}, []*varied{v}, keyscope.Who{0}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("body %q: %v, want %q", body, err, want)
		}
	}
	if ran != 13 {
		t.Fatalf("%d cases ran", ran)
	}
	v, err := parseVaried("source-ip")
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse("http://127.0.0.1:1/")
	if err := v.addresses(u); err != nil || len(v.values) != 3 {
		t.Errorf("loopback: %v, %v", v.values, err)
	}
}

// Values of fields that hold credentials are not shown.
func TestVaryShowsNoSecret(t *testing.T) {
	for _, text := range []string{"header:X-Api-Key=hunter1,hunter2", "cookie:sid=hunter1,hunter2", "query:token=hunter1,hunter2", "basic-user=ann:hunter1,bob:hunter2"} {
		v, err := parseVaried(text)
		if err != nil {
			t.Fatal(err)
		}
		if s := asWords([]*varied{v}, []int{1}) + v.words() + v.String() + v.key(); strings.Contains(s, "hunter") {
			t.Errorf("%s shows %q", text, s)
		}
	}
}

// TestVaryPath: the first path is that of the request, or the plan says which one is asked.
func TestVaryPath(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1/v1/a": "", "http://127.0.0.1/": "", "http://127.0.0.1": "",
		"http://127.0.0.1/v1/other": "which has /v1/other and not /v1/a",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		c, req := &probeCmd{Vary: []string{"path=/v1/a,/v1/b"}}, &hit.Request{Method: "GET", URL: address}
		things, err := c.varied(u, req)
		if err == nil != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
		var plan strings.Builder
		if err == nil && (c.plan(&plan, req, things, &probeJournal{}) != nil || !strings.Contains(plan.String(), "GET http://127.0.0.1/v1/a\n")) {
			t.Errorf("%s: the plan says %s", address, plan.String())
		}
	}
}
