package convert

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	setCall    = regexp.MustCompile(`^(?:pm\.(?:environment|collectionVariables|globals|variables)\.set|postman\.set(?:Environment|Global)Variable)\(\s*["']([^"']+)["']\s*,\s*(.+?)\s*\);?$`)
	jsonVar    = regexp.MustCompile(`^(?:var|let|const)\s+(\w+)\s*=\s*(?:pm\.response\.json\(\)|JSON\.parse\(responseBody\));?$`)
	memberPath = regexp.MustCompile(`^(pm\.response\.json\(\)|\w+)((?:\.\w+|\[\d+\]|\[["'][^"'\]]+["']\])+)$`)
	member     = regexp.MustCompile(`\.(\w+)|\[(\d+)\]|\[["']([^"'\]]+)["']\]`)
	headerGet  = regexp.MustCompile(`^pm\.response\.headers\.get\(["']([^"']+)["']\)$`)
	statusTest = regexp.MustCompile(`^pm\.response\.to\.have\.status\((\d{3})\);?$|^pm\.expect\(pm\.response\.code\)\.to\.(?:eql|equal|be\.equal)\((\d{3})\);?$`)
	testBegin  = regexp.MustCompile(`^pm\.test\(\s*(?:"[^"]*"|'[^']*')\s*,\s*(?:function\s*\(\)|\(\)\s*=>)\s*\{\s*`)
	testEnd    = regexp.MustCompile(`\s*\}\s*\);?$`)
	frame      = regexp.MustCompile(`^(?:\}\s*;?|//.*)?$`)
)

// pmScript is what is understood of the scripts of a request.
type pmScript struct {
	sets   []pmSet
	status string
	rest   []string // lines that are not
}

// pmSet is a variable that is taken out of an answer.
type pmSet struct{ name, expr string }

// readScript reads the few lines that most scripts consist of: taking a field
// of the answer into a variable, and looking at the status.
func readScript(events *node) pmScript {
	var s pmScript
	vars := map[string]bool{"pm.response.json()": true}
	for _, line := range scriptLines(events, "test") {
		line = testEnd.ReplaceAllString(testBegin.ReplaceAllString(line, ""), "")
		if m := jsonVar.FindStringSubmatch(line); m != nil {
			vars[m[1]] = true
			continue
		}
		if m := setCall.FindStringSubmatch(line); m != nil {
			if h := headerGet.FindStringSubmatch(m[2]); h != nil {
				s.sets = append(s.sets, pmSet{m[1], fmt.Sprintf("r.headers.get(%s, \"\")", quoted(h[1]))})
				continue
			}
			if p := memberPath.FindStringSubmatch(m[2]); p != nil && vars[p[1]] {
				expr := "r.json()"
				for _, f := range member.FindAllStringSubmatch(p[2], -1) {
					if f[2] != "" {
						expr += "[" + f[2] + "]"
					} else {
						expr += "[" + quoted(f[1]+f[3]) + "]"
					}
				}
				s.sets = append(s.sets, pmSet{m[1], expr})
				continue
			}
		}
		if m := statusTest.FindStringSubmatch(line); m != nil && s.status == "" {
			s.status = m[1] + m[2]
			continue
		}
		if !frame.MatchString(line) {
			s.rest = append(s.rest, line)
		}
	}
	s.rest = append(s.rest, scriptLines(events, "prerequest")...)
	return s
}

// scriptLines returns the lines of the scripts that listen to an event; all of
// them for "".
func scriptLines(events *node, listen string) []string {
	var out []string
	for _, e := range events.list() {
		if listen != "" && e.get("listen").str() != listen {
			continue
		}
		exec := e.get("script").get("exec")
		text := exec.str()
		for _, line := range exec.list() {
			text += line.str() + "\n"
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, line)
			}
		}
	}
	return out
}
