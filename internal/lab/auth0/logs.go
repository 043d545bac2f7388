package auth0

import (
	"net/http"

	"github.com/weir-dev/weir/internal/tenantlog"
)

// logs is GET /api/v2/logs: by page, or from a checkpoint on.
func (x *exchange) logs() {
	if !x.allowed("read:logs") {
		return
	}
	p, err := tenantlog.ParsePage(x.r.URL.Query())
	if err != nil {
		x.json(http.StatusBadRequest, apiError{400, "Bad Request", err.Error(), "invalid_query_string"})
		return
	}
	res := x.t.log.Read(p)
	if res.Next != "" {
		x.next(res.Next, x.r.URL.Query().Get("take"))
	}
	x.json(http.StatusOK, res)
}

// logEntry is GET /api/v2/logs/{id}.
func (x *exchange) logEntry() {
	if !x.allowed("read:logs") {
		return
	}
	id := x.r.PathValue("id")
	res := x.t.log.Read(tenantlog.Page{PerPage: 1, Search: []tenantlog.Term{{Field: "log_id", Value: id}}})
	if len(res.Logs) == 0 {
		x.json(http.StatusNotFound, apiError{404, "Not Found", "The log does not exist", "inexistent_log"})
		return
	}
	x.json(http.StatusOK, res.Logs[0])
}
