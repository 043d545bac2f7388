package apim

import (
	"strings"

	"github.com/weir-dev/weir/internal/expr"
)

// member is x.name. What the context has is listed on "Policy expressions",
// articles/api-management/api-management-policy-expressions.md, 2022-02-07.
func (t *translator) member(x value, n *node) value {
	switch x.is {
	case isText:
		if n.text == "Length" {
			if x.fixed {
				return number(int64(len([]rune(x.text))))
			}
			return value{is: isNumber, cel: "size(" + x.cel + ")", power: atom}
		}
	case isList:
		if n.text == "Length" || n.text == "Count" {
			return value{is: isNumber, cel: "size(" + x.cel + ")", power: atom}
		}
	case isTruth, isNumber:
		if n.text == "Value" {
			return x
		}
	case isThing:
		return t.thing(x, n)
	}
	t.fail(n.at, "%s of %s is not translated; write this key in CEL", n.text, x.kind())
	return value{}
}

// attr is a piece of what only a service knows.
func attr(name string) value { return text(`attr[` + quote(name) + `]`) }

// members are the names that a slip of the pen may have meant.
var members = map[string][]string{
	"context":      {"Api", "Deployment", "Operation", "Product", "Request", "RequestId", "Response", "Subscription", "User", "Variables"},
	"Api":          {"Id", "Name", "Path", "Revision", "Version"},
	"Operation":    {"Id", "Method", "Name", "UrlTemplate"},
	"Product":      {"Id", "Name"},
	"Request":      {"Body", "Certificate", "Headers", "IpAddress", "MatchedParameters", "Method", "OriginalUrl", "Url"},
	"Response":     {"Body", "Headers", "StatusCode"},
	"Subscription": {"Id", "Key", "Name"},
	"User":         {"Email", "Id"},
	"Url":          {"Host", "Path", "Query", "Scheme"},
}

func (t *translator) thing(x value, n *node) value {
	switch x.thing + "." + n.text {
	case "context.Api", "context.Operation", "context.Request", "context.Deployment", "context.Variables":
		return value{is: isThing, thing: n.text}
	case "context.Product", "context.Subscription", "context.User":
		return value{is: isThing, thing: n.text, there: strings.ToLower(n.text) + `.id != ""`}
	case "context.Response":
		return value{is: isThing, thing: n.text}
	case "context.RequestId":
		return attr("request.id")
	case "Api.Id", "Api.Name", "Operation.Id", "Operation.Name", "Product.Id", "Product.Name", "Subscription.Id", "Subscription.Name",
		"Subscription.Key", "User.Id":
		return text(strings.ToLower(x.thing + "." + n.text))
	case "Operation.Method":
		return text("request.method")
	case "Operation.UrlTemplate":
		return attr("operation.template")
	case "Api.Path":
		return attr("api.path")
	case "Api.Version":
		return attr("api.version")
	case "Api.Revision":
		return attr("api.revision")
	case "User.Email":
		return attr("user.email")
	case "Request.IpAddress":
		return text("request.ip")
	case "Request.Method":
		return text("request.method")
	case "Request.Headers", "Request.MatchedParameters":
		return value{is: isThing, thing: n.text}
	case "Request.Url", "Request.OriginalUrl":
		return value{is: isThing, thing: "Url"}
	case "Request.Certificate":
		return value{is: isThing, thing: n.text, there: `attr["certificate.thumbprint"] != ""`}
	case "Response.StatusCode":
		return value{is: isNumber, cel: "response.status", power: atom}
	case "Response.Headers":
		return value{is: isThing, thing: "Response.Headers"}
	case "Url.Path", "Uri.AbsolutePath":
		return text("request.path")
	case "Url.Host", "Uri.Host":
		return text("request.host")
	case "Url.Scheme", "Uri.Scheme":
		return text("request.scheme")
	case "Url.Query":
		return value{is: isThing, thing: "Query"}
	case "Certificate.Thumbprint", "Certificate.Subject", "Certificate.Issuer", "Certificate.SubjectName", "Certificate.SerialNumber":
		return attr("certificate." + strings.ToLower(n.text))
	case "Deployment.Region", "Deployment.ServiceName", "Deployment.GatewayId":
		return attr("deployment." + strings.ToLower(n.text))
	case "Jwt.Subject":
		return claim("sub")
	case "Jwt.Issuer":
		return claim("iss")
	case "Jwt.Id":
		return claim("jti")
	case "Jwt.Audiences":
		return value{is: isValues, cel: claim("aud").cel, power: atom}
	case "Jwt.Claims":
		return value{is: isThing, thing: "Claims"}
	case "BasicAuthCredentials.UserId":
		return text("request.basic_user")
	case "BasicAuthCredentials.Password":
		t.fail(n.at, "a password must not become a key: it would be kept with the counters")
	case "Request.Body", "Response.Body":
		t.fail(n.at, "the body is not read; put what to count by into a header, or write this key in CEL")
	case "context.Timestamp", "context.Elapsed":
		t.fail(n.at, "the time is not readable; limits have windows of their own")
	case "context.LastError":
		t.fail(n.at, "the last error is not known where limits are; conditions on it belong into on-error")
	}
	switch x.thing {
	case "context":
		if meant := expr.Nearest(n.text, members["context"]); meant != "" {
			t.fail(n.at, "context.%s is not known; did you mean %s?", n.text, meant)
		}
		t.fail(n.at, "context.%s is not known; Api, Operation, Product, Request, Response, Subscription, User, Variables and Deployment are", n.text)
	case "Variables", "Headers", "Query", "MatchedParameters", "Claims", "Response.Headers":
		t.fail(n.at, "%s of %s is not translated; GetValueOrDefault(\"name\", \"\"), [\"name\"] and ContainsKey(\"name\") are", n.text, x.thing)
	}
	if meant := expr.Nearest(n.text, members[x.thing]); meant != "" {
		t.fail(n.at, "%s.%s is not known; did you mean %s?", x.thing, n.text, meant)
	}
	t.fail(n.at, "%s.%s is not translated; write this key in CEL", x.thing, n.text)
	return value{}
}

// claim is a claim of the token in the Authorization header.
func claim(name string) value { return text(`string(request.jwt[` + quote(name) + `])`) }

// entry is an entry of one of the context's maps.
func (t *translator) entry(x value, name string, at int) value {
	switch x.thing {
	case "Headers":
		v := text("request.header[" + quote(name) + "]")
		v.auth = strings.EqualFold(name, "Authorization")
		return v
	case "Response.Headers":
		return text("response.header[" + quote(name) + "]")
	case "Query":
		return text("request.query[" + quote(name) + "]")
	case "MatchedParameters":
		return attr("param." + name)
	case "Claims":
		return claim(name)
	}
	t.fail(at, "%s is not a list of names; write this key in CEL", x.thing)
	return value{}
}

// has tells whether one of the context's maps has an entry.
func (t *translator) has(x value, name string, at int) value {
	switch x.thing {
	case "Headers":
		return truth(quote(name) + " in request.header")
	case "Response.Headers":
		return truth(quote(name) + " in response.header")
	case "Query":
		return truth(quote(name) + " in request.query")
	case "MatchedParameters":
		return truth(quote("param."+name) + " in attr")
	case "Claims":
		return truth(quote(name) + " in request.jwt")
	case "Variables":
		v, set := t.vars[name]
		if set && v.unknown != "" {
			t.fail(at, "whether the variable %s is set cannot be told: %s", name, v.unknown)
		}
		if !set {
			t.unset = append(t.unset, name)
		}
		return fixedTruth(set)
	}
	t.fail(at, "%s has no ContainsKey", x.thing)
	return value{}
}

// variable returns the value of a context variable.
func (t *translator) variable(name string, at int) (v value, set bool) {
	found, set := t.vars[name]
	if !set {
		return value{}, false
	}
	if found.unknown != "" {
		t.fail(at, "the variable %s cannot be told: %s", name, found.unknown)
	}
	return found.value, true
}

// index is x[i].
func (t *translator) index(x, i value, n *node) value {
	switch {
	case x.is == isThing && x.thing == "Variables":
		if !i.fixed || i.is != isText {
			t.fail(n.at, "the name of a variable must be a text in quotes")
		}
		v, set := t.variable(i.text, n.at)
		if !set {
			t.fail(n.at, "the variable %s is not set before this place; <set-variable name=%q> with a translatable value has to come first", i.text, i.text)
		}
		return v
	case x.is == isThing:
		if !i.fixed || i.is != isText {
			t.fail(n.at, "the name in the bracket must be a text in quotes")
		}
		v := t.entry(x, i.text, n.at)
		if x.thing == "Headers" || x.thing == "Response.Headers" || x.thing == "Claims" || x.thing == "Query" {
			v.is = isValues
		}
		return v
	case x.is == isValues && i.is == isNumber && i.fixed:
		if i.n != 0 {
			t.fail(n.at, "of several values only the first, [0], is known")
		}
		return x.plain()
	case x.is == isList && i.is == isNumber:
		return value{is: isText, cel: x.in(atom) + "[" + i.cel + "]", power: atom, auth: x.auth}
	}
	t.fail(n.at, "[ ] behind %s is not translated; write this key in CEL", x.kind())
	return value{}
}
