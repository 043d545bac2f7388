package tenantlog

import "time"

// Entry is one line of the log. The fields and their names are those of the
// Management API's logs, as documented (auth0.com/docs/tenant-logs/system-
// notification/api-limit, read 2026-11-21) and as seen in auth0/auth0-deploy-cli
// issues 386 and 500.
type Entry struct {
	Date            string         `json:"date"`
	Type            string         `json:"type"`
	Description     string         `json:"description,omitempty"`
	ClientID        string         `json:"client_id,omitempty"`
	ClientName      string         `json:"client_name"`
	UserID          string         `json:"user_id,omitempty"`
	IP              string         `json:"ip,omitempty"`
	Hostname        string         `json:"hostname,omitempty"`
	UserAgent       string         `json:"user_agent,omitempty"`
	Details         map[string]any `json:"details,omitempty"`
	TenantName      string         `json:"tenant_name,omitempty"`
	EnvironmentName string         `json:"environment_name,omitempty"`
	LogID           string         `json:"log_id"`
	ID              string         `json:"_id"`
	IsMobile        bool           `json:"isMobile"`

	at time.Time
}

// Date writes an instant as entries do: in UTC, with milliseconds.
func Date(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// field returns what a search for a field sees; false for one that there is not.
func (e *Entry) field(name string) (string, bool) {
	switch name {
	case "date":
		return e.Date, true
	case "type":
		return e.Type, true
	case "description":
		return e.Description, true
	case "client_id":
		return e.ClientID, true
	case "client_name":
		return e.ClientName, true
	case "user_id":
		return e.UserID, true
	case "ip":
		return e.IP, true
	case "hostname":
		return e.Hostname, true
	case "user_agent":
		return e.UserAgent, true
	case "log_id", "_id":
		return e.LogID, true
	}
	return "", false
}
