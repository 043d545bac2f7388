package guard

import (
	"net/textproto"
	"slices"
	"strings"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
)

// Known says what is known of every request beside the request itself: which
// service it is for, and where its subscription's key is. The zero value knows
// nothing.
type Known struct {
	API, Product string // ids, and names too; "" when unknown

	// The key of a subscription is the value of KeyHeader, else of the query
	// parameter KeyQuery; "" for neither. It is not checked: the subscription is
	// who says so.
	KeyHeader, KeyQuery string
}

// Where API Management looks for the key of a subscription when an API says
// nothing else: learn.microsoft.com/azure/api-management/api-management-subscriptions,
// read 2026-11-21.
const (
	KeyHeader = "Ocp-Apim-Subscription-Key"
	KeyQuery  = "subscription-key"
)

// Fill sets the API, the product and the subscription of a subject.
func (k Known) Fill(s *expr.Subject) {
	s.API = expr.Named{ID: k.API, Name: k.API}
	s.Product = expr.Named{ID: k.Product, Name: k.Product}
	key := ""
	if k.KeyHeader != "" {
		key = s.Header.Get(textproto.CanonicalMIMEHeaderKey(k.KeyHeader))
	}
	if key == "" && k.KeyQuery != "" {
		key = s.Query(k.KeyQuery)
	}
	s.Subscription = expr.Named{ID: key, Key: key}
}

// Unknown is a policy that asks for what is not known of any request.
type Unknown struct {
	Policy *policy.Policy
	What   []string // such as api.id or attr, sorted: each is always ""
	Never  bool     // so that it is never for a request
}

// Unknown returns the policies of a file that ask for what Fill leaves empty.
func (k Known) Unknown(f *policy.File) (list []Unknown) {
	for i := range f.Policies {
		p := &f.Policies[i]
		if p.Descriptor != nil {
			continue
		}
		u := Unknown{Policy: p}
		for _, name := range p.Reads() {
			if !k.knows(name) {
				u.What = append(u.What, name)
			}
		}
		for _, s := range []struct {
			name string
			ids  []string
		}{{"api.id", p.Scope.API}, {"operation.id", p.Scope.Operation}, {"product.id", p.Scope.Product}} {
			if len(s.ids) == 0 {
				continue
			}
			if k.knows(s.name) && slices.Contains(s.ids, k.id(s.name)) {
				continue
			}
			u.Never = true
			if !slices.Contains(u.What, s.name) {
				u.What = append(u.What, s.name)
			}
		}
		if p.When != nil && len(u.What) > 0 {
			// What holds for nobody here holds for no request, unless it also asks
			// about the request.
			s := &expr.Subject{}
			k.Fill(s)
			s.Subscription = expr.Named{ID: "x", Key: "x"}
			if yes, err := p.When.Bool(s); err == nil && !yes && !readsRequest(p.When) {
				u.Never = true
			}
		}
		if len(u.What) > 0 {
			slices.Sort(u.What)
			list = append(list, u)
		}
	}
	return list
}

func readsRequest(e *expr.Expr) bool {
	return slices.ContainsFunc(e.Reads(), func(name string) bool { return strings.HasPrefix(name, "request.") })
}

func (k Known) id(name string) string {
	if name == "api.id" {
		return k.API
	}
	return k.Product
}

// knows tells whether a name of an expression has a value.
func (k Known) knows(name string) bool {
	switch what, _, _ := strings.Cut(name, "."); what {
	case "api":
		return k.API != ""
	case "product":
		return k.Product != ""
	case "subscription":
		return name != "subscription.name" && (k.KeyHeader != "" || k.KeyQuery != "")
	case "request", "response":
		return true
	}
	return false
}
