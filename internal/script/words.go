package script

import (
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/starlark"
)

// unknownNames says what to write for names that testers know from Python, Locust or
// k6 and that are not there.
var unknownNames = map[string]string{
	"open":     `write read_file("name"), or feed.csv("users.csv") for rows of data`,
	"os":       `write env("NAME", "default") for the environment`,
	"sys":      `write env("NAME") for settings, fail("why") to end a task`,
	"environ":  `write env("NAME", "default")`,
	"getenv":   `write env("NAME", "default")`,
	"__ENV":    `write env("NAME", "default")`,
	"logging":  `write log("text")`,
	"logger":   `write log("text")`,
	"console":  `write log("text")`,
	"datetime": `write time.now(), time.now().format("2006-01-02T15:04:05Z07:00") or time.time()`,
	"csv":      `write users = feed.csv("users.csv"), and users.next() in a task`,
	"requests": `write user.get("/path"), user.post("/path", json = {…}) in a task`,
	"client":   `write user.get("/path"): the first parameter of a task is its user`,
	"self":     `a task is a function with its user as parameter: def my_task(user):`,
	"http":     `write user.get("/path"), user.post("/path", json = {…}) in a task`,
	"User":     `write Visitor = HttpUser(wait_time = between(1, 2), tasks = [my_task])`,

	"FastHttpUser":  `HttpUser is the fast one`,
	"LoadTestShape": `write profile(shape = fn) with a function of the seconds since the start`,
	"events":        `there are no listeners: on_start and on_stop of HttpUser, --fail-if and --out are for what they do`,
	"Exception":     `there are no exceptions: end a task with fail("why")`,
	"isinstance":    `write type(x) == "string"`,
	"group":         `a name for the report is name = "…" of a request`,
	"map":           `write [fn(x) for x in list]`,
	"filter":        `write [x for x in list if …]`,
	"super":         `there are no classes: load("lib.star", "login") shares functions`,
	"pow":           `write math.pow(x, y)`,
	"secrets":       `write random.randbytes(n) or uuid.uuid4(); secret("NAME") reads one from the environment`,
	"string":        `write "abc".upper(), "abc"[0], random.choice("abcdef".elems())`,
	"quote":         `write url.quote(text)`,
	"urlencode":     `write url.encode({…})`,
	"strftime":      `write time.now().format("2006-01-02")`,
	"stop":          `write user.stop()`,
	"interrupt":     `write user.interrupt()`,
	"constant_rate": `write profile(rate = "10/s")`,
}

var undefined = regexp.MustCompile(`^undefined: (\w+)( \(did you mean .*\))?$`)

// undefinedHint says what to write for an undefined name: it may be in a module.
func undefinedHint(msg string, names starlark.StringDict) string {
	m := undefined.FindStringSubmatch(msg)
	if m == nil || m[2] != "" {
		return ""
	}
	name := m[1]
	if hint := unknownNames[name]; hint != "" {
		return ": " + hint
	}
	var in []string
	for module, v := range names {
		lib, ok := v.(library)
		if !ok {
			continue
		}
		if _, has := lib.Members[name]; has {
			in = append(in, module+"."+name)
		}
	}
	slices.Sort(in)
	if len(in) > 0 {
		return ": write " + strings.Join(in, " or ")
	}
	return suggest(name, append(names.Keys(), starlark.Universe.Keys()...))
}

// unknownMembers says what to write for a name that a module or a user has not.
var unknownMembers = map[string]string{
	"time.strftime":    `write time.now().format("2006-01-02")`,
	"time.monotonic":   `write time.time()`,
	"hmac.sha256":      `write hmac.new(key, message, "sha256").hexdigest()`,
	"hmac.sha1":        `write hmac.new(key, message, "sha1").hexdigest()`,
	"hmac.digest":      `write hmac.new(key, message, "sha256").digest()`,
	"jwt.encode":       `tokens are only read here; a signed one is made of base64.urlsafe_b64encode and hmac.new`,
	"hashlib.new":      `write hashlib.sha256(text).hexdigest()`,
	"html.csrf":        `write html.input_value(r.text, "csrfmiddlewaretoken") or html.meta(r.text, "csrf-token")`,
	"html.find":        `write html.input_value(r.text, "name"), html.inputs(r.text), or re.search('…(.+?)…', r.text).group(1)`,
	"re.compile":       `write re.search("…", text): expressions are compiled once`,
	"re.finditer":      `write re.findall("…", text)`,
	"re.split":         `write text.split("…")`,
	"user.environment": `--host is user.host, and env("NAME") reads a setting`,
	"user.wait":        `write time.sleep(seconds); between tasks it is wait_time of HttpUser`,
	"user.sleep":       `write time.sleep(seconds)`,
	"user.random":      `write random.random(), random.choice(list): each user has numbers of its own`,
	"user.log":         `write log("text")`,
	"user.parent":      `a task has its user alone; what it is to remember is put on the user`,
	"user.user":        `the parameter of a task is the user itself`,
	"r.request":        `r.url is where it went, r.name is its row in the report`,
	"r.body":           `r.text or r.content is the body, r.json() what is in it`,
	"r.code":           `r.status is the status`,
	"r.iter_lines":     `write r.text.splitlines(): answers are read to their end`,
	"r.close":          `leave it out: answers are read to their end`,
	"user.json":        `an answer has it: r = user.get("/path"), r.json()`,
	"user.rest":        `write user.get("/path"), and r.json() of what it returns`,
}

// memberHint is what is said about a name that is not there: a replacement that is
// known, or a name that is near.
func memberHint(of, name string, names []string) string {
	if hint := unknownMembers[of+"."+name]; hint != "" {
		return ": " + hint
	}
	return suggest(name, names)
}
