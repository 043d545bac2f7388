package weir_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/weir-dev/weir"
)

// A limit of ten requests is met by one user who sends twelve.
func ExampleRun() {
	left := 10
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if left--; left < 0 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()

	result, err := weir.Run(weir.Options{Requests: 12}, weir.Class[weir.User]{
		Name: "Visitor",
		Host: server.URL,
		Tasks: []weir.Task[weir.User]{
			{Name: "index", Do: func(u *weir.User) error { u.Get("/"); return nil }},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("admitted", result.Admitted, "throttled", result.Throttled, "failed", result.Failed)
	// Output: admitted 10 throttled 2 failed 0
}

// shopper is what a user remembers between its tasks.
type shopper struct {
	*weir.User
	cart int
}

func (s *shopper) login() error {
	r := s.Post("/login", weir.JSON(map[string]string{"user": "anna"}))
	if !r.Check(r.Status == http.StatusOK, "login refused") {
		return fmt.Errorf("no login: %d", r.Status)
	}
	return r.JSON(&struct{ Cart *int }{&s.cart})
}

func (s *shopper) add() error {
	s.Post(fmt.Sprintf("/carts/%d", s.cart), weir.Name("/carts/[id]"), weir.Form("product", "7"))
	return nil
}

// Users with a login and something to remember.
func ExampleClass() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			fmt.Fprint(w, `{"cart": 42}`)
		}
	}))
	defer server.Close()

	result, err := weir.Run(weir.Options{Users: 1, Requests: 5}, weir.Class[shopper]{
		Name:    "Shopper",
		Host:    server.URL,
		Wait:    weir.Between(time.Millisecond, 2*time.Millisecond),
		New:     func(u *weir.User) *shopper { return &shopper{User: u} },
		OnStart: (*shopper).login,
		Tasks:   []weir.Task[shopper]{{Name: "add", Do: (*shopper).add}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range result.Names {
		fmt.Println(n.Method, n.Name, n.Admitted)
	}
	// Output:
	// POST /carts/[id] 4
	// POST /login 1
}

// In go test, a run that does not pass fails the test.
func ExampleTest() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	visitor := weir.Class[weir.User]{
		Name:  "Visitor",
		Host:  server.URL,
		Tasks: []weir.Task[weir.User]{{Name: "index", Do: func(u *weir.User) error { u.Get("/"); return nil }}},
	}

	testIndex := func(t *testing.T) {
		weir.Test(t, weir.Options{Users: 2, Requests: 20, FailIf: []string{"failed.count > 0"}}, visitor)
	}
	_ = testIndex // func TestIndex(t *testing.T) { … }
}

// Tasks in their order, until one of them leaves the set.
func ExampleTaskSet() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fmt.Println(r.URL.Path) }))
	defer server.Close()
	get := func(path string, err error) func(*weir.User) error {
		return func(u *weir.User) error { u.Get(path); return err }
	}

	_, err := weir.Run(weir.Options{Requests: 4}, weir.Class[weir.User]{
		Name: "Buyer", Host: server.URL,
		Tasks: []weir.Task[weir.User]{{Set: &weir.TaskSet[weir.User]{
			Name: "buying", InOrder: true,
			Tasks: []weir.Task[weir.User]{
				{Name: "cart", Do: get("/cart", nil)},
				{Name: "pay", Do: get("/pay", weir.ErrInterrupt)},
			},
		}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// /cart
	// /pay
	// /cart
	// /pay
}

// Readers all the time, and admins at an hourly rate, half a second later.
func ExampleProfile() {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	visit := func(path string) []weir.Task[weir.User] {
		return []weir.Task[weir.User]{{Name: path, Do: func(u *weir.User) error { u.Get(path); return nil }}}
	}
	reader := weir.Class[weir.User]{Name: "Reader", Host: server.URL, Wait: weir.Constant(time.Second), Tasks: visit("/page")}
	admin := weir.Class[weir.User]{Name: "Admin", Host: server.URL, Tasks: visit("/admin")}

	result, err := weir.Run(weir.Options{}, reader, admin,
		weir.Profile{Classes: []string{"Reader"}, Users: 10, Requests: 10},
		weir.Profile{Classes: []string{"Admin"}, Rate: "7200/h", Start: time.Second / 2, Requests: 2},
	)
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range result.Names {
		fmt.Println(n.Name, n.Admitted)
	}
	// Output:
	// /admin 2
	// /page 10
}
