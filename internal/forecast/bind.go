package forecast

import (
	"encoding/base64"
	"fmt"
	"net/textproto"
	"strings"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
)

// place is one count of a study: of a tenant, a policy and a value of its key.
type place struct {
	tenant, policy int
	key            string
}

// binder finds which limits a call meets.
type binder struct {
	s      *Study
	m      *Model
	places map[place]int
	notes  []string
}

func (b *binder) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// asks are the limits of a call, each with what it takes.
func (b *binder) asks(tenant int, w *Work, step *Step) (asks []Ask, err error) {
	for i := range b.s.Policies {
		p := &b.s.Policies[i]
		first, second := subject(step, 0), subject(step, 1)
		concerns, err := p.For(first)
		if err != nil {
			return nil, fmt.Errorf("limit %s: when: %w", title(p), err)
		}
		if !concerns {
			continue
		}
		if p.Late() {
			b.note("limit %s reads the answer: counted as for one of status 200", title(p))
			first.Response = &expr.Response{Status: 200}
		}
		if p.CountIf != nil {
			counts, err := p.CountIf.Bool(first)
			if err != nil {
				return nil, fmt.Errorf("limit %s: count-if: %w", title(p), err)
			}
			if !counts {
				continue
			}
		}
		cost, err := p.Cost.Of(first)
		if err != nil {
			return nil, fmt.Errorf("limit %s: cost: %w", title(p), err)
		}
		if cost == 0 {
			continue
		}
		key, other, err := keys(p, first, second)
		if err != nil {
			return nil, fmt.Errorf("limit %s: key: %w", title(p), err)
		}
		perClient := key != other
		if perClient && w.Each {
			b.note("limit %s counts by %s, and every arrival of %s is somebody else: it is left out there", title(p), p.Key, w.Name)
			continue
		}
		if perClient && w.Clients == 0 {
			b.note("limit %s counts by %s: %s is taken for one client; say clients: N, or clients: each", title(p), p.Key, w.Name)
		}
		if perClient {
			key = ""
		}
		asks = append(asks, Ask{Limit: b.limit(place{tenant, i, key}, p, perClient), Cost: cost})
	}
	return asks, nil
}

// limit returns the index of a count, which is made when it is new.
func (b *binder) limit(at place, p *policy.Policy, perClient bool) int {
	if i, ok := b.places[at]; ok {
		return i
	}
	l := Limit{Policy: p.Policy, PerClient: perClient}
	l.Name = title(p)
	if at.key != "" {
		l.Name += " [" + at.key + "]"
	}
	if len(b.s.Tenants) > 0 {
		l.Name = b.s.Tenants[at.tenant].Name + ": " + l.Name
	}
	b.m.Limits = append(b.m.Limits, l)
	b.places[at] = len(b.m.Limits) - 1
	return len(b.m.Limits) - 1
}

// keys are the values of a key for two clients.
func keys(p *policy.Policy, first, second *expr.Subject) (one, two string, err error) {
	if one, err = p.Key.Of(first); err != nil {
		return "", "", err
	}
	if two, err = p.Key.Of(second); err != nil {
		return "", "", err
	}
	// A header or a parameter that the step does not give is each client's own.
	if one == "" && two == "" && (p.Key.Kind == policy.Header || p.Key.Kind == policy.Query) {
		return "client-0", "client-1", nil
	}
	return one, two, nil
}

// subject is a request of a client.
func subject(step *Step, client int) *expr.Subject {
	method, path, _ := strings.Cut(step.Request, " ")
	name := fmt.Sprintf("client-%d", client)
	s := &expr.Subject{
		Method: method, Scheme: "https", Host: "service.invalid", Path: path, Header: expr.Fields{},
		IP:           fmt.Sprintf("192.0.2.%d", client+1),
		Subscription: expr.Named{ID: name, Name: name, Key: name},
		User:         expr.Named{ID: name, Name: name},
	}
	s.Header["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"))}
	for field, value := range step.Headers {
		s.Header[textproto.CanonicalMIMEHeaderKey(field)] = []string{strings.ReplaceAll(value, "{client}", name)}
	}
	return s
}
