package drill

// The codes of findings. They do not change their meaning.
const (
	CodeAlarmMissing   = "D001"
	CodeNoPermission   = "D002"
	CodeAlready        = "D003"
	CodeActionsOff     = "D004"
	CodeMuted          = "D005"
	CodeDimensions     = "D006"
	CodeThreshold      = "D007"
	CodePeriod         = "D008"
	CodeQuota          = "D009"
	CodeNoAction       = "D010"
	CodeNoSubscription = "D011"
	CodeUnconfirmed    = "D012"
	CodeInsufficient   = "D013"
	CodeRegion         = "D014"
	CodeDirection      = "D015"
	CodeTopic          = "D016"
	CodeOthers         = "D017"
	CodeLatePoint      = "D018"
	CodeNotThrottled   = "D020"
	CodeNoDatapoint    = "D021"
	CodeNoAlarm        = "D022"
	CodeNoNotification = "D023"
	CodeNotAgain       = "D024"
	CodeNoAgainNotice  = "D025"
	CodeCap            = "D026"
	CodeRequestFails   = "D027"
	CodeNoLogEntry     = "D030"
	CodeNoWarning      = "D031"
	CodeRuleMissing    = "D032"
	CodeRuleBroken     = "D033"
	CodeNotPending     = "D034"
	CodeNotFiring      = "D035"
	CodeNotReceived    = "D036"
	CodeLeftBehind     = "D040"
	CodeUnreadable     = "D041"
	CodeBroken         = "D042"
)

// Code is a kind of finding.
type Code struct{ Code, Name, Text string }

// Codes returns all kinds of findings.
func Codes() []Code {
	return []Code{
		{CodeAlarmMissing, "alarm-missing", "there is no such alarm in this account and region"},
		{CodeNoPermission, "no-permission", "these credentials may not do what the drill needs"},
		{CodeAlready, "already-alarming", "it is alarming before the drill: only a change of state notifies"},
		{CodeActionsOff, "actions-disabled", "the alarm's actions are switched off"},
		{CodeMuted, "muted", "a mute rule or a silence keeps it quiet"},
		{CodeDimensions, "wrong-dimensions", "it watches a metric, or dimensions, that this load does not move"},
		{CodeThreshold, "threshold-unreachable", "the threshold is higher than the allowed load can reach"},
		{CodePeriod, "period-too-long", "the periods that it needs do not fit into the allowed time"},
		{CodeQuota, "quota-above-cap", "the quota is higher than the load that is allowed"},
		{CodeNoAction, "no-action", "nothing happens when it alarms"},
		{CodeNoSubscription, "no-subscription", "nobody has subscribed to the topic"},
		{CodeUnconfirmed, "subscription-unconfirmed", "a subscription waits for its confirmation"},
		{CodeInsufficient, "insufficient-data", "without points the alarm has no state"},
		{CodeRegion, "wrong-region", "the target is in another region or account than the alarm"},
		{CodeDirection, "wrong-direction", "refusals cannot raise this alarm"},
		{CodeTopic, "topic-unusable", "the alarm cannot publish to its topic"},
		{CodeOthers, "others-use-it", "others use a large part of the quota now"},
		{CodeLatePoint, "late-datapoint", "the point came so late that the alarm did not look at its period any more"},
		{CodeNotThrottled, "not-throttled", "the load met no limit"},
		{CodeNoDatapoint, "no-datapoint", "the refusals did not become a point of the metric in time"},
		{CodeNoAlarm, "no-alarm", "the alarm did not ring in time"},
		{CodeNoNotification, "no-notification", "it alarmed, and the notification did not come in time"},
		{CodeNotAgain, "not-ok-again", "it did not go back to OK in time"},
		{CodeNoAgainNotice, "no-ok-notification", "it went back to OK, and that was not notified in time"},
		{CodeCap, "cap-reached", "a bound was reached before it was proved"},
		{CodeRequestFails, "request-fails", "the target answers with errors that are no refusals"},
		{CodeNoLogEntry, "no-log-entry", "the refusal did not appear in the log in time"},
		{CodeNoWarning, "no-warning", "the log did not warn before the limit was met"},
		{CodeRuleMissing, "rule-missing", "Prometheus has no such alerting rule"},
		{CodeRuleBroken, "rule-broken", "the alerting rule cannot be evaluated"},
		{CodeNotPending, "not-pending", "the rule's expression did not become true in time"},
		{CodeNotFiring, "not-firing", "the alert did not fire in time"},
		{CodeNotReceived, "not-received", "the alert fired and did not reach Alertmanager in time"},
		{CodeLeftBehind, "left-behind", "something that the drill made could not be removed"},
		{CodeUnreadable, "not-readable", "the state could not be read"},
		{CodeBroken, "broken-off", "the drill could not be carried out"},
	}
}

// Name returns the name of a code, or the code itself.
func Name(code string) string {
	for _, c := range Codes() {
		if c.Code == code {
			return c.Name
		}
	}
	return code
}
