package queues

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
)

// several is a text or a list of texts, as policies have both.
type several []string

func (l *several) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = several{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// allows says whether a queue's policy lets SNS send from a topic (SNS developer
// guide, "Subscribing an Amazon SQS queue to a topic", read 2026-11). It reads what
// such policies have: Effect, Principal, Action, Resource, and aws:SourceArn as the
// only condition; a statement with another condition does not apply.
func allows(policy, queueARN, topicARN string) bool {
	var document struct {
		Statement []struct {
			Effect           string
			Principal        json.RawMessage
			Action, Resource several
			Condition        map[string]map[string]several
		}
	}
	if json.Unmarshal([]byte(policy), &document) != nil {
		return false
	}
	allowed := false
	for _, st := range document.Statement {
		match := func(patterns several, what string) bool {
			return slices.ContainsFunc(patterns, func(p string) bool {
				ok, _ := path.Match(strings.ToLower(p), strings.ToLower(what)) // a broken pattern matches nothing
				return ok || p == "*"
			})
		}
		if !match(st.Action, "sqs:SendMessage") || !match(st.Resource, queueARN) || !sns(st.Principal) || !source(st.Condition, topicARN) {
			continue
		}
		if st.Effect == "Deny" {
			return false
		}
		allowed = allowed || st.Effect == "Allow"
	}
	return allowed
}

// sns says whether a principal includes the service.
func sns(raw json.RawMessage) bool {
	var all string
	if json.Unmarshal(raw, &all) == nil {
		return all == "*"
	}
	var by map[string]several
	if json.Unmarshal(raw, &by) != nil {
		return false
	}
	return slices.Contains(by["Service"], "sns.amazonaws.com") || slices.Contains(by["AWS"], "*")
}

func source(conditions map[string]map[string]several, topicARN string) bool {
	for operator, keys := range conditions {
		for key, values := range keys {
			if !strings.EqualFold(key, "aws:SourceArn") {
				return false
			}
			holds := slices.ContainsFunc(values, func(v string) bool {
				if operator == "ArnLike" || operator == "StringLike" {
					ok, _ := path.Match(v, topicARN)
					return ok || v == "*"
				}
				return (operator == "ArnEquals" || operator == "StringEquals") && v == topicARN
			})
			if !holds {
				return false
			}
		}
	}
	return true
}
