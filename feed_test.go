package weir_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-dev/weir"
)

// Accounts from a CSV file, one for each user; who comes too late stops.
func ExampleReadCSV() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		name, _, _ := r.BasicAuth()
		fmt.Println(name, r.URL.Path)
	}))
	defer server.Close()
	dir, err := os.MkdirTemp("", "weir-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "accounts.csv")
	if err := os.WriteFile(path, []byte("name,password\nanna,a1\nben,b2\n"), 0o600); err != nil {
		log.Fatal(err)
	}

	accounts, err := weir.ReadCSV(path, weir.FeedOptions{Order: weir.Unique, StopUsers: true})
	if err != nil {
		log.Fatal(err)
	}
	_, err = weir.Run(weir.Options{Users: 1, RunTime: time.Minute}, weir.Class[weir.User]{
		Name: "Customer",
		Host: server.URL,
		Tasks: []weir.Task[weir.User]{{Name: "login", Do: func(u *weir.User) error {
			a, err := accounts.Next(u)
			if err != nil {
				return err
			}
			u.Get("/login", weir.BasicAuth(a["name"], a["password"]))
			return nil
		}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// anna /login
	// ben /login
}

// Rows of one's own type, from a list or from one JSON value a line.
func ExampleReadJSON() {
	type phone struct{ Number string }
	f, err := os.CreateTemp("", "phones-*.jsonl")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(f.Name())
	fmt.Fprintln(f, `{"number": "09011112222"}`)
	fmt.Fprintln(f, `{"number": "09033334444"}`)
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}

	phones, err := weir.ReadJSON[phone](f.Name(), weir.FeedOptions{Order: weir.Random})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(phones.Len(), phones.Rows()[1].Number)
	// Output: 2 09033334444
}

// Rows that the program has already.
func ExampleNewFeed() {
	words, err := weir.NewFeed([]string{"red", "green"}, weir.FeedOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(words.Len(), words.Rows())
	// Output: 2 [red green]
}

// A file and a field, as a browser's form sends them.
func ExampleFile() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		file, header, err := r.FormFile("photo")
		if err != nil {
			fmt.Println(err)
			return
		}
		content, _ := io.ReadAll(file)
		fmt.Println(r.FormValue("title"), header.Filename, header.Header.Get("Content-Type"), string(content))
	}))
	defer server.Close()

	_, err := weir.Run(weir.Options{Requests: 1}, weir.Class[weir.User]{
		Name: "Uploader",
		Host: server.URL,
		Tasks: []weir.Task[weir.User]{{Name: "upload", Do: func(u *weir.User) error {
			u.Post("/photos", weir.Form("title", "cat"), weir.File("photo", "cat.png", "image/png", []byte("meow")))
			return nil
		}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: cat cat.png image/png meow
}

// play runs a task of one user and returns the paths that were asked for, and the errors.
func playTask(t *testing.T, requests int64, do func(u *weir.User) error) (paths []string, errs []string) {
	t.Helper()
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		paths = append(paths, strings.TrimPrefix(r.URL.Path, "/"))
		mu.Unlock()
	}))
	defer server.Close()
	result, err := weir.Run(weir.Options{Users: 1, Requests: requests, RunTime: 2 * time.Second}, weir.Class[weir.User]{
		Name: "U", Host: server.URL, Tasks: []weir.Task[weir.User]{{Name: "task", Do: do}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range result.Errors {
		errs = append(errs, e.Text)
	}
	return paths, errs
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const three = "name,age\nanna,1\nben,2\ncleo,3\n"

func TestFeedOrders(t *testing.T) {
	path := write(t, "p.csv", three)
	for _, c := range []struct {
		o    weir.FeedOptions
		want string
		errs string
	}{
		{weir.FeedOptions{}, "anna ben cleo anna ben", ""},
		{weir.FeedOptions{Order: weir.Unique, StopUsers: true}, "anna ben cleo", ""},
		{weir.FeedOptions{Order: weir.Unique}, "anna ben cleo x x", "is used up: it has 3 rows, and each is unique; add rows, use weir.Sequential, or set StopUsers"},
	} {
		f, err := weir.ReadCSV(path, c.o)
		if err != nil {
			t.Fatal(err)
		}
		paths, errs := playTask(t, 5, func(u *weir.User) error {
			row, err := f.Next(u)
			if err != nil {
				if c.errs != "" {
					u.Get("/x") // so that the run ends
				}
				return err
			}
			u.Get("/" + row["name"])
			return nil
		})
		if got := strings.Join(paths, " "); got != c.want {
			t.Errorf("%+v: %s, want %s", c.o, got, c.want)
		}
		if all := strings.Join(errs, "\n"); c.errs == "" && all != "" || !strings.Contains(all, c.errs) {
			t.Errorf("%+v: errors %q, want %q", c.o, errs, c.errs)
		}
	}
	random := func(seed uint64) string {
		f, err := weir.ReadCSV(path, weir.FeedOptions{Order: weir.Random})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(http.NotFoundHandler())
		defer server.Close()
		var got []string
		_, err = weir.Run(weir.Options{Users: 1, Requests: 40, Seed: seed}, weir.Class[weir.User]{
			Name: "U", Host: server.URL, Tasks: []weir.Task[weir.User]{{Name: "task", Do: func(u *weir.User) error {
				row, err := f.Next(u)
				got = append(got, row["name"])
				u.Get("/")
				return err
			}}},
		})
		if err != nil || len(got) < 40 {
			t.Fatalf("%d rows, %v", len(got), err)
		}
		return strings.Join(got[:40], " ")
	}
	if a, b, c := random(5), random(5), random(6); a != b || a == c {
		t.Errorf("random rows: the same seed gives the same ones, another one others\n%s\n%s\n%s", a, b, c)
	}
}

func TestFeedsThatAreWrong(t *testing.T) {
	csv, list, lines := write(t, "p.csv", three), write(t, "l.json", `[{"n": "a"}]`), write(t, "l.jsonl", "{\"n\": \"a\"}\n{\"n\": 7}\n")
	type row struct{ N string }
	json1 := func(path string) func() error {
		return func() error { _, err := weir.ReadJSON[row](path, weir.FeedOptions{}); return err }
	}
	csv1 := func(path string, o weir.FeedOptions) func() error {
		return func() error { _, err := weir.ReadCSV(path, o); return err }
	}
	cases := []struct {
		read func() error
		want string // "": none
	}{
		{csv1(csv, weir.FeedOptions{}), ""},
		{json1(list), ""},
		{csv1("nope.csv", weir.FeedOptions{}), "there is no file nope.csv"},
		{csv1(t.TempDir(), weir.FeedOptions{}), "is a folder"},
		{csv1(write(t, "e.csv", ""), weir.FeedOptions{}), "e.csv is empty"},
		{csv1(write(t, "h.csv", "a,b\n"), weir.FeedOptions{}), "h.csv has no rows"},
		{csv1(write(t, "b.csv", "a,b\n1\n"), weir.FeedOptions{}), "b.csv: record on line 2: wrong number of fields"},
		{csv1(csv, weir.FeedOptions{Comma: '\n'}), "want another character"},
		{csv1(csv, weir.FeedOptions{Order: "shuffled"}), "want weir.Sequential, weir.Random or weir.Unique"},
		{csv1(csv, weir.FeedOptions{StopUsers: true}), "belongs to the order Unique"},
		{json1(lines), "l.jsonl:2 has other JSON than was asked for"},
		{json1(write(t, "x.json", "[{")), "x.json:1 is not JSON: unexpected end"},
		{json1(write(t, "y.json", "{\"n\": \"a\"}\n{")), "y.json:2 is not JSON"},
		{json1(write(t, "o.json", "{\n\"n\": \"a\"}")), "holds one JSON value, want a list"},
		{json1(write(t, "t.json", `[{"n": 5}]`)), "t.json has other JSON than was asked for"},
		{json1(write(t, "n.json", `[]`)), "n.json has no rows"},
		{func() error { _, err := weir.NewFeed[int](nil, weir.FeedOptions{}); return err }, "the feed has no rows"},
	}
	for i, c := range cases {
		err := c.read()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%d: %v, want %q", i, err, c.want)
		}
	}
	if len(cases) < 15 {
		t.Fatal("cases are missing")
	}
}

func TestFilesStandAlone(t *testing.T) {
	file := weir.File("f", "f.txt", "", []byte("x"))
	paths, errs := playTask(t, 1, func(u *weir.User) error {
		if r := u.Post("/both", file, weir.JSON(1)); r.Err() == nil {
			t.Error("a file and JSON are sent together")
		}
		if r := u.Post("/both", file, weir.Body([]byte("y"))); r.Err() == nil {
			t.Error("a file and a body are sent together")
		}
		u.Post("/one", file, weir.Form("a", "b"))
		return nil
	})
	if len(paths) != 1 || paths[0] != "one" || !strings.Contains(strings.Join(errs, " "), "keep one") {
		t.Errorf("sent %q, errors %q", paths, errs)
	}
}
