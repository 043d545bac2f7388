// Package tenant connects a guard with a tenant log: Feed writes entries from
// the guard's decisions, Handler serves them as Auth0's Management API does, and
// a Stream sends them to a webhook.
package tenant

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/tenantlog"
)

// Feed returns what to give a guard as Options.Observe, so that refusals and
// warnings get into the log, each policy and key as a bucket of its own. next,
// when not nil, is called for every event too. Keys do not get into the log.
func Feed(l *tenantlog.Log, next func(*guard.Event)) func(*guard.Event) {
	return func(e *guard.Event) {
		if next != nil {
			next(e)
		}
		d := e.Decision
		switch e.Kind {
		case guard.Refused:
			d.Allowed, d.Warn = false, false // a warning is an event of its own
		case guard.Warned:
			d.Allowed, d.Warn = true, true
		default:
			return
		}
		b := tenantlog.Bucket{ID: strconv.Itoa(e.Index) + " " + e.Key, Name: e.Policy.Name}
		if b.Name == "" {
			b.Name = "policy " + strconv.Itoa(e.Index+1)
		}
		var r tenantlog.Request
		if s := e.Subject; s != nil {
			r = tenantlog.Request{Method: s.Method, Path: s.Path, UserID: s.User.ID, IP: s.IP, UserAgent: first(s.Header["User-Agent"])}
		}
		l.Decided(e.At, b, d, r)
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// Handler serves GET /api/v2/logs, by page or from a checkpoint on, and GET
// /api/v2/logs/{id}. It asks for no token: it belongs behind a door of the
// caller's.
func Handler(l *tenantlog.Log) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v2/logs", func(w http.ResponseWriter, r *http.Request) {
		p, err := tenantlog.ParsePage(r.URL.Query())
		if err != nil {
			answer(w, http.StatusBadRequest, failure{400, "Bad Request", err.Error(), "invalid_query_string"})
			return
		}
		res := l.Read(p)
		if res.Next != "" {
			q := r.URL.Query()
			q.Set("from", res.Next)
			w.Header().Set("Link", "<"+r.URL.Path+"?"+q.Encode()+">; rel=\"next\"")
		}
		answer(w, http.StatusOK, res)
	})
	mux.HandleFunc("GET /api/v2/logs/{id}", func(w http.ResponseWriter, r *http.Request) {
		res := l.Read(tenantlog.Page{PerPage: 1, Search: []tenantlog.Term{{Field: "log_id", Value: r.PathValue("id")}}})
		if len(res.Logs) == 0 {
			answer(w, http.StatusNotFound, failure{404, "Not Found", "The log does not exist", "inexistent_log"})
			return
		}
		answer(w, http.StatusOK, res.Logs[0])
	})
	return mux
}

// failure is the Management API's form of an error.
type failure struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
	Code       string `json:"errorCode"`
}

func answer(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(text)
}
