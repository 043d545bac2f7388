package lab

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// The admin paths lie beside the stand-in's own and are not counted by it.
const (
	adminPrefix = "/__weir/"
	statsPath   = adminPrefix + "stats"

	// shownMinutes is how many minutes the stats have when nobody says.
	shownMinutes = 60
)

// handler is the stand-in with its admin paths and access log.
func (s *Server) handler() http.Handler {
	inner := http.Handler(s.service)
	if s.access != nil {
		inner = s.access.wrap(inner)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.busy.Add(1)
		defer s.busy.Done()
		if strings.HasPrefix(r.URL.Path, adminPrefix) {
			s.admin(w, r)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func (s *Server) admin(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != statsPath {
		http.Error(w, "the lab serves GET "+statsPath, http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
		return
	}
	last := shownMinutes
	if text := r.URL.Query().Get("minutes"); text != "" {
		var err error
		if last, err = strconv.Atoi(text); err != nil || last < 0 {
			http.Error(w, "minutes: want a number from 0 up", http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(s.Stats(last)) // a client that went away is the client's business
}
