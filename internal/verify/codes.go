package verify

// The codes of findings. They do not change their meaning.
const (
	CodeOverLimit     = "V001"
	CodeUnderLimit    = "V002"
	CodeShared        = "V003"
	CodeSplit         = "V004"
	CodeDenied        = "V005"
	CodeNotDenied     = "V006"
	CodeToldRemaining = "V007"
	CodeRetryEarly    = "V008"
	CodeRetryLate     = "V009"
	CodeAnswer        = "V010"
	CodeNoPolicy      = "V011"
	CodeWindow        = "V012"
	CodeAlign         = "V013"
	CodeKey           = "V014"
	CodeAlgorithm     = "V015"
	CodeToldLimit     = "V016"
	CodeToldReset     = "V017"
	CodeScope         = "V018"
	CodeCost          = "V019"
	CodeUnrested      = "V020"
	CodeBan           = "V021"
)

// Code is a kind of finding.
type Code struct{ Code, Name, Text string }

// Codes returns all kinds of findings.
func Codes() []Code {
	return []Code{
		{CodeOverLimit, "admitted-over-limit", "a request was admitted that the policy refuses"},
		{CodeUnderLimit, "refused-under-limit", "a request was refused that the policy admits"},
		{CodeShared, "counter-shared", "two policies or keys count together that should count apart"},
		{CodeSplit, "counter-split", "what should be one count is several"},
		{CodeDenied, "denied-counted", "refused requests are counted, and should not be"},
		{CodeNotDenied, "denied-not-counted", "refused requests are not counted, and should be"},
		{CodeToldRemaining, "header-remaining", "a header tells a remaining number that cannot be"},
		{CodeRetryEarly, "retry-after-early", "a client that waits as Retry-After says is refused again"},
		{CodeRetryLate, "retry-after-late", "Retry-After is longer than needed, by more than its rounding"},
		{CodeAnswer, "wrong-answer", "a refusal has another status than the policy says"},
		{CodeNoPolicy, "refused-without-policy", "a request was refused that no policy is for"},
		{CodeWindow, "window-differs", "the window is shorter or longer"},
		{CodeAlign, "alignment-differs", "windows begin at other instants"},
		{CodeKey, "key-differs", "requests are counted by another key"},
		{CodeAlgorithm, "algorithm-differs", "another algorithm counts"},
		{CodeToldLimit, "header-limit", "a header tells a limit or a window that is not the policy's"},
		{CodeToldReset, "header-reset", "a header tells a reset at which nothing has changed"},
		{CodeScope, "scope-differs", "the policy is for other requests"},
		{CodeCost, "cost-differs", "a request takes another number of units"},
		{CodeUnrested, "not-at-rest", "the count may have been in use before; never a violation"},
		{CodeBan, "ban-differs", "once it is exceeded everything is refused for a time that is longer or shorter, or for none"},
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

func codeText(code string) string {
	for _, c := range Codes() {
		if c.Code == code {
			return c.Text
		}
	}
	return ""
}
