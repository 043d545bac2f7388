package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldens are the outputs that are compared byte by byte. JSON and CSV are
// large, so only some stories have them.
func goldens(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for name, run := range stories() {
		s := build(t, run)
		put := func(ext string, f func(io.Writer) error) {
			var b bytes.Buffer
			if err := f(&b); err != nil {
				t.Fatalf("%s.%s: %v", name, ext, err)
			}
			out[name+"."+ext] = b.Bytes()
		}
		put("txt", func(w io.Writer) error { return s.WriteText(w, TextOptions{}) })
		put("md", s.WriteMarkdown)
		put("junit.xml", s.WriteJUnit)
		if name == "empty" || name == "hostile" {
			put("json", s.WriteJSON)
			for suffix, content := range csvFiles(t, run, CSVOptions{}) {
				out[name+suffix] = content
			}
		}
	}
	return out
}

func build(t *testing.T, run Run) *Summary {
	t.Helper()
	s, err := Build(run)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	return s
}

type memFile struct{ bytes.Buffer }

func (*memFile) Close() error { return nil }

func csvFiles(t *testing.T, run Run, o CSVOptions) map[string][]byte {
	t.Helper()
	files := map[string]*memFile{}
	err := WriteCSV(run, o, func(suffix string) (io.WriteCloser, error) {
		files[suffix] = &memFile{}
		return files[suffix], nil
	})
	if err != nil {
		t.Fatalf("WriteCSV: %v", err)
	}
	out := map[string][]byte{}
	for suffix, f := range files {
		out[suffix] = f.Bytes()
	}
	if len(out) != 5 {
		t.Fatalf("WriteCSV made %d files, want 5", len(out))
	}
	return out
}

func TestGolden(t *testing.T) {
	dir := filepath.Join("testdata", "golden")
	got := goldens(t)
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, b := range got {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := 10*3 + 2*6; len(entries) != want || len(got) != want {
		t.Fatalf("%d golden files and %d outputs, want %d", len(entries), len(got), want)
	}
	names := make([]string, 0, len(got))
	for name := range got {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v; go test -update makes it", err)
			continue
		}
		if !bytes.Equal(got[name], want) {
			t.Errorf("%s changed (go test -update accepts it): %s", name, firstDifference(got[name], want))
		}
	}
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return "line " + itoa(i+1) + "\n got: " + a + "\nwant: " + b
		}
	}
	return "lengths differ"
}
