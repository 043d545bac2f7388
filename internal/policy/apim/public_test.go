package apim

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPublic counts what testdata/public.tsv says of public policy documents,
// which docs/apim.md reports. With WEIR_APIM_DOCUMENTS naming a folder that has
// the documents, it reads them again and compares.
func TestPublic(t *testing.T) {
	data, err := os.ReadFile("testdata/public.tsv")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../../../docs/apim.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("WEIR_APIM_DOCUMENTS")
	documents, refused, limits := 0, 0, 0
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 5 || len(f[1]) != 40 {
			t.Fatalf("not a line of this file: %s", line)
		}
		documents++
		reason, isRefused := strings.CutPrefix(f[4], "refused: ")
		n := 0
		if isRefused {
			refused++
		} else if n, err = strconv.Atoi(f[4]); err != nil {
			t.Fatal(err)
		}
		limits += n
		if dir == "" {
			continue
		}
		xml, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f[3])))
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		d, err := Parse(f[3], xml)
		if err == nil {
			file, fault := d.File(Scope{})
			if err = fault; err == nil {
				got = len(file.Policies)
			}
		}
		switch {
		case isRefused && (err == nil || !strings.Contains(err.Error(), reason)):
			t.Errorf("%s: got %v, want %s", f[3], err, reason)
		case !isRefused && (err != nil || got != n):
			t.Errorf("%s: got %d limits and %v, want %d", f[3], got, err, n)
		}
	}
	if documents < 20 {
		t.Fatalf("only %d documents", documents)
	}
	want := strconv.Itoa(documents-refused) + " of " + strconv.Itoa(documents)
	if !strings.Contains(string(guide), want) || !strings.Contains(string(guide), strconv.Itoa(limits)+" limits") {
		t.Errorf("docs/apim.md does not report %s, with %d limits", want, limits)
	}
}
