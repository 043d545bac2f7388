// Command steps has the same user twice, in Go here and in Starlark in steps.star:
// bench/starlark_cpu.py compares what they cost. It takes the flags of weir run.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/weir-dev/weir"
)

type created struct {
	ID    int    `json:"id"`
	Phone string `json:"phone_number"`
}

// user is what both remember: the number of a customer, a header and a cookie.
type user struct {
	*weir.User
	customer int
}

func (u *user) start() error {
	u.Get("/login", weir.Name("/login"))
	u.SetHeader("X-CSRFToken", u.Cookie("csrftoken"))
	return nil
}

func (u *user) get() error {
	u.Get("/x")
	return nil
}

// post is a POST with JSON, its check, and the JSON of the answer.
func (u *user) post() error {
	r := u.Post("/customers", weir.JSON(created{u.customer, "09012345678"}))
	r.Check(r.Status == 200, "not created")
	var v created
	if err := r.JSON(&v); err != nil {
		return err
	}
	u.customer = v.ID
	return nil
}

func main() {
	tasks := map[string]func(*user) error{"get": (*user).get, "post": (*user).post, "idle": (*user).get}
	step := os.Getenv("STEP")
	do, ok := tasks[step]
	if !ok {
		fmt.Fprintln(os.Stderr, "steps: STEP is get, post or idle")
		os.Exit(2)
	}
	class := weir.Class[user]{
		Name: "U", Host: os.Getenv("TARGET"),
		New:     func(u *weir.User) *user { return &user{User: u} },
		OnStart: (*user).start,
		Tasks:   []weir.Task[user]{{Name: step, Do: do}},
	}
	if step == "idle" {
		class.Wait = weir.Constant(time.Hour)
	}
	weir.Main(class)
}
