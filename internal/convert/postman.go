package convert

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// placeholder is a variable of Postman.
var placeholder = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)

// collection is a Postman collection being read (format 2.0 and 2.1).
type collection struct {
	*builder
	defaults map[string]*node  // collection variables
	state    map[string]string // variables that a script sets: user.NAME
	leave    bool
}

// postman reads a collection: folders become task sets, requests their tasks.
func (b *builder) postman(root *node) error {
	b.title = "a Postman collection"
	if inner := root.get("collection"); inner.get("item") != nil { // as Postman's API gives it
		root = inner
	}
	schema := root.get("info").get("schema").str()
	if schema != "" && !strings.Contains(schema, "v2.") {
		return root.get("info").get("schema").wrong(b.o.Name, "this is not version 2 of the format: export it as Collection v2.1")
	}
	if !root.get("item").is(isList) {
		return root.wrong(b.o.Name, "there is no list item in it")
	}
	c := &collection{builder: b, defaults: map[string]*node{}, state: map[string]string{}}
	for _, v := range root.get("variable").list() {
		name := v.get("key").str()
		if name == "" {
			name = v.get("id").str()
		}
		c.defaults[name] = v.get("value")
	}
	c.findState(root, 0)
	if events := root.get("event"); len(scriptLines(events, "")) > 0 {
		b.note(events, "the scripts of the collection")
	}
	tasks, err := c.folder(root, root.get("auth"), 0)
	if err != nil {
		return err
	}
	if b.host == "" {
		b.host = "http://127.0.0.1:8000"
	}
	if len(tasks) > 1 {
		// In the order of the collection, over and over, as its runner does.
		g := &group{name: b.camel(root.get("info").get("name").str()), title: root.get("info").get("name").str(), tasks: tasks}
		b.groups = append(b.groups, g)
		tasks = []entry{{fn: g.name}}
	}
	b.top = tasks
	return nil
}

// findState finds the variables that scripts take out of answers.
func (c *collection) findState(n *node, depth int) {
	if depth > maxDepth {
		return
	}
	for _, item := range n.get("item").list() {
		for _, s := range readScript(item.get("event")).sets {
			if c.state[s.name] == "" {
				name := c.identifier(s.name, "value")
				c.state[s.name] = "user." + name
				c.builder.state = append(c.builder.state, name)
			}
		}
		c.findState(item, depth+1)
	}
}

func (c *collection) folder(n, auth *node, depth int) ([]entry, error) {
	var tasks []entry
	for _, item := range n.get("item").list() {
		name := item.get("name").str()
		own := auth
		if a := item.get("auth"); a.has() {
			own = a
		}
		switch {
		case item.get("item").is(isList):
			if events := item.get("event"); len(scriptLines(events, "")) > 0 {
				c.note(events, "the scripts of the folder %s", short(name, 60))
			}
			inner, err := c.folder(item, own, depth+1)
			if err != nil {
				return nil, err
			}
			if len(inner) == 0 {
				continue
			}
			g := &group{name: c.camel(name), title: name}
			if !c.leave {
				c.leave = true
				c.functions = append(c.functions, &function{name: "leave", doc: "The last task of a folder goes on to what follows it.", leaves: true})
			}
			g.tasks = append(inner, entry{fn: "leave"})
			c.groups = append(c.groups, g)
			tasks = append(tasks, entry{fn: g.name})
		case item.get("request").has():
			f := &function{name: c.identifier(name, "request"), doc: name}
			s, err := c.request(item, own)
			if err != nil {
				return nil, err
			}
			c.functions = append(c.functions, f)
			if err := c.add(f, s); err != nil {
				return nil, err
			}
			tasks = append(tasks, entry{fn: f.name})
		default:
			return nil, item.wrong(c.o.Name, "this item is neither a folder nor a request")
		}
	}
	return tasks, nil
}

// text puts expressions in the place of variables.
func (c *collection) text(s string) string {
	return placeholder.ReplaceAllStringFunc(s, func(m string) string {
		name := placeholder.FindStringSubmatch(m)[1]
		switch name {
		case "$guid", "$randomUUID":
			return mark("uuid.uuid4()")
		case "$timestamp":
			return mark("str(int(time.time()))")
		case "$randomInt":
			return mark("str(random.randint(0, 1000))")
		}
		if strings.HasPrefix(name, "$") {
			c.note(nil, "Postman's random value %s: it has to be set", short(name, 40))
		}
		if expr := c.state[name]; expr != "" {
			return mark("str(" + expr + ")")
		}
		return c.variableOf(name)
	})
}

// variableOf is a variable of the collection or of an environment.
func (c *collection) variableOf(name string) string {
	env := strings.Trim(envLike(name), "_")
	if sensitive(name) {
		if v := c.defaults[name].str(); v != "" && !placeholder.MatchString(v) {
			if text := c.builder.secrets[v]; text == nil {
				text := c.envSecret(env)
				c.builder.secrets[v] = c.byEnv[env]
				return text
			}
			return c.secret(env, v)
		}
		return c.envSecret(env)
	}
	v := c.defaults[name]
	if v.str() == "" {
		return c.env(env, nil)
	}
	value := v.str()
	if placeholder.MatchString(value) {
		c.note(v, "the value of the variable %s, which is made of others: it has to be set", short(name, 40))
		return c.env(env, nil)
	}
	return c.env(env, &value)
}

func (c *collection) request(item, auth *node) (*step, error) {
	req := item.get("request")
	s := &step{where: req, method: "GET"}
	address := req
	if req.is(isMap) {
		address = req.get("url")
		if m := req.get("method").str(); m != "" {
			s.method = m
		}
	}
	if !goodName(s.method) || hasMark(s.method) {
		return nil, req.wrong(c.o.Name, "the method is no word")
	}
	if err := c.address(s, address); err != nil {
		return nil, err
	}
	for _, h := range req.get("header").list() {
		name, value := c.text(h.get("key").str()), c.text(h.get("value").str())
		switch low := strings.ToLower(name); {
		case h.get("disabled").yes() || name == "":
		case low == "content-length" || low == "host" || low == "connection" || low == "accept-encoding":
		case !goodName(name) || hasMark(name) || !goodValue(value):
			c.note(h, "a header that HTTP does not allow")
		default:
			s.headers = append(s.headers, pair{name, value})
		}
	}
	if a := req.get("auth"); a.has() {
		auth = a
	}
	c.auth(s, auth)
	c.body(s, req.get("body"))
	s.headers = c.mergeHeaders(req, s.headers)
	script := readScript(item.get("event"))
	for _, set := range script.sets {
		s.after = append(s.after, c.state[set.name]+" = "+set.expr)
	}
	s.check = script.status
	for _, line := range script.rest {
		c.note(item.get("event"), "of the script of %s: %s", short(item.get("name").str(), 60), short(line, 120))
	}
	return s, nil
}

// address reads a URL, which is a text or taken apart.
func (c *collection) address(s *step, u *node) error {
	raw := u.str()
	if u.is(isMap) {
		raw = u.get("raw").str()
		if raw == "" {
			raw = joined(u.get("host"), ".") + "/" + joined(u.get("path"), "/")
			if p := u.get("protocol").str(); p != "" {
				raw = p + "://" + raw
			}
		}
	}
	raw, _, _ = strings.Cut(raw, "#")
	base, query, _ := strings.Cut(strings.TrimSpace(raw), "?")
	if list := u.get("query"); list.is(isList) {
		var fields []string
		for _, q := range list.items {
			if !q.get("disabled").yes() {
				field := q.get("key").str()
				if v := q.get("value"); v.has() {
					field += "=" + v.text
				}
				fields = append(fields, field)
			}
		}
		query = strings.Join(fields, "&")
	}
	// Path variables: /users/:id.
	head, tail := base, ""
	if i := strings.Index(base, "://"); i >= 0 {
		if j := strings.IndexByte(base[i+3:], '/'); j >= 0 {
			head, tail = base[:i+3+j], base[i+3+j:]
		}
	} else if j := strings.IndexByte(base, '/'); j >= 0 {
		head, tail = base[:j], base[j:]
	}
	segments, named := strings.Split(tail, "/"), false
	for i, seg := range segments {
		for _, v := range u.get("variable").list() {
			if key := v.get("key").str(); key != "" && seg == ":"+key {
				named = true
				segments[i] = c.text(v.get("value").str())
				if segments[i] == "" {
					segments[i] = c.env(strings.Trim(envLike(key), "_"), nil)
				}
			}
		}
	}
	at := c.text(strings.Join(segments, "/"))
	if named {
		s.name = tail
		if placeholder.MatchString(tail) {
			s.name = placeholder.ReplaceAllString(tail, "[$1]")
		}
	}
	if head == "" {
		return u.wrong(c.o.Name, "this request has no URL")
	}
	origin := head
	if !strings.Contains(head, "://") {
		origin = "http://" + head // as Postman does
		if m := placeholder.FindStringSubmatch(head); m != nil && m[0] == head[:len(m[0])] {
			if v := c.defaults[m[1]].str(); v == "" || strings.Contains(v, "://") {
				origin = head
			}
		}
	}
	origin = strings.TrimRight(c.text(origin), "/")
	if !hasMark(origin) {
		if err := checkOrigin(origin); err != nil {
			return u.wrong(c.o.Name, "%v", err)
		}
	}
	if c.host == "" {
		c.host = origin
	}
	if at == "" {
		at = "/"
	}
	at = strings.ReplaceAll(at, " ", "%20")
	s.query = c.text(strings.ReplaceAll(query, " ", "%20"))
	s.url = at
	if origin != c.host {
		s.url = origin + at
	}
	return nil
}

func joined(n *node, sep string) string {
	if !n.is(isList) {
		return n.str()
	}
	var out []string
	for _, i := range n.items {
		if i.is(isMap) {
			i = i.get("value")
		}
		out = append(out, i.str())
	}
	return strings.Join(out, sep)
}

// auth adds the authentication of the request, its folder or the collection.
func (c *collection) auth(s *step, auth *node) {
	kind := auth.get("type").str()
	field := func(name string) string {
		list := auth.get(kind)
		if list.is(isMap) { // format 2.0
			return list.get(name).str()
		}
		for _, f := range list.list() {
			if f.get("key").str() == name {
				return f.get("value").str()
			}
		}
		return ""
	}
	hide := func(name, value string) string {
		if placeholder.MatchString(value) || value == "" {
			return c.text(value)
		}
		return c.secret(name, value)
	}
	switch kind {
	case "", "noauth":
	case "bearer":
		s.headers = append(s.headers, pair{"Authorization", "Bearer " + hide("token", field("token"))})
	case "basic":
		s.auth = &pair{c.text(field("username")), hide("password", field("password"))}
	case "apikey":
		name, value := c.text(field("key")), hide("api_key", field("value"))
		switch {
		case field("in") == "query":
			s.splitQuery()
			if s.query != "" {
				c.note(auth, "the API key of a query that is no list of names and values")
				return
			}
			s.params = append(s.params, pair{name, value})
		case goodName(name) && !hasMark(name):
			s.headers = append(s.headers, pair{name, value})
		}
	default:
		c.note(auth, "the authentication %s", short(kind, 40))
	}
}

func (c *collection) body(s *step, b *node) {
	if !b.has() || b.get("disabled").yes() {
		return
	}
	kind, typed := header(s.headers, "Content-Type")
	set := func(k string) {
		if !typed {
			kind = k
			s.headers = append(s.headers, pair{"Content-Type", k})
		}
	}
	switch mode := b.get("mode").str(); mode {
	case "raw":
		raw := b.get("raw").str()
		if raw == "" {
			return
		}
		if k := map[string]string{"json": "application/json", "xml": "application/xml", "html": "text/html", "javascript": "application/javascript"}[b.get("options").get("raw").get("language").str()]; k != "" {
			set(k)
		} else {
			set("text/plain")
		}
		s.body = c.bodyOf(kind, c.text(raw))
	case "graphql":
		set("application/json")
		n := &node{kind: isMap, keys: []string{"query"}, items: []*node{{kind: isText, text: c.text(b.get("graphql").get("query").str())}}}
		vars := b.get("graphql").get("variables")
		if vars.is(isText) {
			parsed, err := readJSON("", []byte(c.text(vars.text)), !strings.Contains(strings.ToLower(vars.text), `\ue0f`))
			if err != nil && strings.TrimSpace(vars.text) != "" {
				c.note(vars, "the variables of a GraphQL query, which are not JSON")
			}
			vars = parsed
		}
		if vars.is(isMap) && sameJSON(vars) {
			n.keys, n.items = append(n.keys, "variables"), append(n.items, vars)
		}
		s.body.json = n
	case "urlencoded":
		set("application/x-www-form-urlencoded")
		for _, p := range b.get(mode).list() {
			if !p.get("disabled").yes() {
				s.body.form = append(s.body.form, pair{c.text(p.get("key").str()), c.text(p.get("value").str())})
			}
		}
	case "formdata":
		c.formData(s, b.get(mode).list())
	case "file":
		if src := b.get("file").get("src").str(); src != "" {
			s.body.file = src
			c.note(b, "the file %s has to be beside the scenario", short(src, 80))
		} else {
			c.note(b, "the file that is the body")
		}
	default:
		c.note(b, "the body of the mode %s", short(mode, 40))
	}
}

func (c *collection) formData(s *step, fields []*node) {
	s.headers = slices.DeleteFunc(s.headers, func(h pair) bool { return strings.EqualFold(h.name, "Content-Type") })
	var parts []part
	files := false
	for _, f := range fields {
		if f.get("disabled").yes() {
			continue
		}
		p := part{name: c.text(f.get("key").str()), value: c.text(f.get("value").str())}
		if f.get("type").str() == "file" {
			files, p.isFile, p.value, p.kind = true, true, "", "application/octet-stream"
			if k := f.get("contentType").str(); k != "" {
				p.kind = k
			}
			src := f.get("src")
			if len(src.list()) > 0 {
				src = src.items[0]
			}
			p.path, p.filename = src.str(), path.Base(strings.ReplaceAll(src.str(), `\`, "/"))
			if p.path == "" {
				p.filename = p.name
				c.note(f, "the content of the file of the form field %s", short(p.name, 40))
			} else {
				c.note(f, "the file %s has to be beside the scenario", short(p.path, 80))
			}
		}
		parts = append(parts, p)
	}
	if files {
		s.body.parts = parts
		return
	}
	if len(parts) > 0 {
		c.note(nil, "multipart forms without a file: they are sent as ordinary forms")
	}
	for _, p := range parts {
		s.body.form = append(s.body.form, pair{p.name, p.value})
	}
}
