package report

import (
	"os"
	"testing"
)

func TestLook(t *testing.T) {
	dir := os.Getenv("LOOK")
	if dir == "" {
		t.Skip()
	}
	for n, r := range stories() {
		s, err := Build(r)
		if err != nil {
			t.Fatal(err)
		}
		f, _ := os.Create(dir + "/" + n + ".html")
		if err := s.WriteHTML(f); err != nil {
			t.Error(err)
		}
		f.Close()
		f, _ = os.Create(dir + "/" + n + ".txt")
		s.WriteText(f, TextOptions{})
		f.Close()
		f, _ = os.Create(dir + "/" + n + ".md")
		s.WriteMarkdown(f)
		f.Close()
		f, _ = os.Create(dir + "/" + n + ".json")
		s.WriteJSON(f)
		f.Close()
		f, _ = os.Create(dir + "/" + n + ".xml")
		s.WriteJUnit(f)
		f.Close()
	}
}
