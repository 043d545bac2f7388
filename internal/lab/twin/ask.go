package twin

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/weir-dev/weir/internal/policy"
)

// descriptors lets Envoy's service answer, and counts what it says.
func (s *Server) descriptors(w http.ResponseWriter, r *http.Request) {
	c := &counter{ResponseWriter: w, server: s}
	s.service.Handler().ServeHTTP(c, r)
}

// counter counts the status of an answer.
type counter struct {
	http.ResponseWriter
	server *Server
	done   bool
}

func (c *counter) WriteHeader(status int) {
	if !c.done {
		c.done = true
		c.server.stand.Count(status)
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(b []byte) (int, error) {
	if !c.done {
		c.WriteHeader(http.StatusOK)
	}
	return c.ResponseWriter.Write(b)
}

// descriptor is a request for a policy of Envoy's service, in JSON.
func descriptor(d *policy.Descriptor) string {
	type entry struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	type entries struct {
		Entries []entry `json:"entries"`
	}
	var list []entry
	for _, e := range d.Entries {
		v := e.Value
		if v == "" || e.Wildcard {
			v += "1"
		}
		list = append(list, entry{e.Key, v})
	}
	text, err := json.Marshal(struct {
		Domain      string    `json:"domain"`
		Descriptors []entries `json:"descriptors"`
	}{d.Domain, []entries{{list}}})
	if err != nil {
		return "{}" // cannot be: text always marshals
	}
	return strings.ReplaceAll(string(text), "'", `\u0027`)
}

// tried is a request that the first policy is for.
func (s *Server) tried() (method, path string) {
	for i := range s.file.Policies {
		p := &s.file.Policies[i]
		if p.Descriptor != nil {
			continue
		}
		method, path = "GET", "/"
		if len(p.Match) > 0 {
			m := p.Match[0]
			if len(m.Methods) > 0 {
				method = m.Methods[0]
			}
			if m.Path != "" {
				path = filled(m.Path)
			}
		}
		return method, path
	}
	return "GET", "/"
}

// filled is a path that the pattern stands for.
func filled(pattern string) string {
	segments := strings.Split(pattern, "/")
	for i, seg := range segments {
		if seg == "*" || seg == "**" || strings.HasPrefix(seg, "{") {
			segments[i] = "1"
		}
	}
	// Only what needs no quotes in a shell.
	plain := func(c rune) rune {
		if c < 0x80 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/-._~%", c)) {
			return c
		}
		return '-'
	}
	return strings.Map(plain, strings.Join(segments, "/"))
}
