package httpfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const sample = `# Variables stand anywhere
@host = http://127.0.0.1:8080
@base = {{host}}/v1

### List the items
// @no-cookie-jar
GET {{base}}/items
    ?page=2
    &size={{size}} HTTP/1.1
Accept: application/json
# a comment between
X-Key: {{key}}

### a name that is replaced
# @name send one
POST {{base}}/messages HTTP/1.1
Content-Type: application/json
Authorization: Basic ann:secret word

{
  "to": "{{to}}",
  "at": {{$timestamp}}
}

> {%
  client.test("ok", function() {});
%}

###
POST /upload
Host: 127.0.0.1:9000
Content-Type: application/x-www-form-urlencoded

a={{key}}
&b=2
###
PUT http://h/file
Content-Type: text/plain

< ./body.txt
tail
### filled
PUT http://h/file

<@ ./body.txt
>> answer.json
###
http://h/{{ none }}
`

func env() Env {
	return Env{
		Vars: map[string]string{"size": "7"}, Profile: map[string]string{"key": "k-{{to}}", "to": "+39"},
		Now:    time.Unix(1_700_000_000, 0),
		Getenv: func(n string) string { return map[string]string{"HOME": "there"}[n] },
		ReadFile: func(p string) ([]byte, error) {
			if p == "body.txt" {
				return []byte("of {{to}}"), nil
			}
			return nil, errors.New("no such file")
		},
	}
}

func TestRequests(t *testing.T) {
	f, err := Parse("calls.http", sample)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct{ name, request string }{
		{"List the items", "GET http://127.0.0.1:8080/v1/items?page=2&size=7 Accept=application/json X-Key=k-+39 "},
		{"send one", "POST http://127.0.0.1:8080/v1/messages Content-Type=application/json Authorization=Basic YW5uOnNlY3JldCB3b3Jk {\n  \"to\": \"+39\",\n  \"at\": 1700000000\n}"},
		{"POST /upload", "POST http://127.0.0.1:9000/upload Host=127.0.0.1:9000 Content-Type=application/x-www-form-urlencoded a=k-+39&b=2"},
		{"PUT http://h/file", "PUT http://h/file Content-Type=text/plain of {{to}}\ntail"},
		{"filled", "PUT http://h/file of +39"},
	}
	ran := 0
	for _, w := range want {
		r, err := f.Find(w.name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Build(env())
		if err != nil {
			t.Fatal(err)
		}
		s := got.Method + " " + got.URL + " "
		for _, h := range got.Header {
			s += h.Name + "=" + h.Value + " "
		}
		if s += string(got.Body); s != w.request {
			t.Errorf("%s:\n got %q\nwant %q", w.name, s, w.request)
		}
		ran++
	}
	if ran != 5 || len(f.Requests) != 6 {
		t.Errorf("%d requests of %d", ran, len(f.Requests))
	}
	if r, _ := f.Find("send one"); len(r.Notes()) != 1 {
		t.Errorf("notes %q", r.Notes())
	}
	r, err := f.Find("GET http://h/{{ none }}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Build(env()); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("calls.http:%d: the variable none has no value", strings.Count(sample, "\n"))) {
		t.Errorf("a variable without a value: %v", err)
	}
	if _, err := f.Find("nope"); err == nil || !strings.Contains(err.Error(), `"send one" (line 16)`) {
		t.Errorf("an unknown name: %v", err)
	}
	if _, err := f.Find(""); err == nil || !strings.Contains(err.Error(), "there are 6 requests") {
		t.Errorf("no name: %v", err)
	}
}

func TestErrors(t *testing.T) {
	ran := 0
	for _, c := range []struct{ src, want string }{
		{"", "there is no request"},
		{"# only a comment\n@a = b\n", "there is no request"},
		{"GET http://h/\nnot a header\n", "x.http:2: not a header line"},
		{"@9 = 1\nGET http://h/\n", "x.http:1: write a variable"},
		{"GET http://h/{{x}}\n", "x.http:1: the variable x has no value"},
		{"@x = {{y}}\n@y = {{x}}\nGET http://h/{{x}}\n", "stands for itself"},
		{"GET /path\n", "x.http:1: the URL is a path only"},
		{"GET ftp://h/\n", "no http or https URL"},
		{"GET http://h/{{$nonsense}}\n", "{{$nonsense}} is not known"},
		{"GET http://h/\nA: {{login.response.body.token}}\n", "another request's answer"},
		{"GET http://h/{{$processEnv TOKEN}}\n", "environment variable TOKEN is not set"},
		{"POST http://h/\n\n< ./none\n", "x.http:3: the file of the body cannot be read"},
		{"GET http://h/\nA: {{v}}\n", "control character"},
		{"GET http://h/\n\xff", "not UTF-8"},
	} {
		ran++
		f, err := Parse("x.http", c.src)
		if err == nil {
			e := env()
			e.Vars = map[string]string{"v": "a\nb"}
			_, err = f.Requests[0].Build(e)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.src, err, c.want)
		}
	}
	if ran < 14 {
		t.Fatalf("%d cases ran", ran)
	}
}

func TestDynamic(t *testing.T) {
	ran := 0
	for expr, want := range map[string]string{
		"$timestamp": "1700000000", "$timestamp -1 d": "1699913600", "$isoTimestamp": "2023-11-14T22:13:20.000Z",
		"$datetime rfc1123": "Tue, 14 Nov 2023 22:13:20 UTC", "$datetime iso8601 1 h": "2023-11-14T23:13:20.000Z",
		"$processEnv HOME": "there", "$env.HOME": "there", "$randomInt 5 6": "5",
	} {
		ran++
		f, err := Parse("x.http", "GET http://h/\n\n{{"+expr+"}}")
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Requests[0].Build(env())
		if err != nil || string(got.Body) != want {
			t.Errorf("%s is %+v, %v, want %q", expr, got, err, want)
		}
	}
	if ran != 8 {
		t.Fatalf("%d ran", ran)
	}
}

func TestProfile(t *testing.T) {
	got, err := Profile("http-client.env.json", []byte(`{"$shared":{"a":"1","b":2},"dev":{"a":"3","c":true,"d":{}}}`), "dev")
	if err != nil || fmt.Sprint(got) != "map[a:3 b:2 c:true]" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Profile("x", []byte("[]"), "dev"); err == nil {
		t.Error("an array is a profile")
	}
	if _, err := Profile("x", []byte("{}"), "dev"); err == nil {
		t.Error("no environment is one")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("GET http://h/{{a}}\n\n< {{b}}")
	f.Add("@a={{a}}\n###\n< {%\n%}\nPOST h\nA: Basic x\n\n> {%")
	f.Fuzz(func(t *testing.T, src string) {
		file, err := Parse("x.http", src)
		if err != nil {
			return
		}
		for _, r := range file.Requests {
			req, err := r.Build(env())
			if err == nil && (req.URL == "" || req.Method == "") {
				t.Fatalf("%q made %+v", src, req)
			}
		}
	})
}
