// Command sms is examples/sms.star in Go: log in, register a customer, make a
// token and a template, send the message, read the history. Two kinds of users
// share it 8 : 2.
//
//	export SMS_PASSWORD=password123
//	go run ./examples/sms --users 10 --spawn-rate 2 --run-time 1h --host https://staging.example.com
package main

import (
	"cmp"
	"fmt"
	"os"
	"time"

	"github.com/weir-dev/weir"
)

// admin is what a user remembers: here, only who it is.
type admin struct {
	*weir.User
	password string
}

func (a *admin) login() error {
	r := a.Post("/api/auth/login", weir.JSON(struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}{"admin", a.password}))
	if !r.Check(r.Status == 200, "login refused") {
		return fmt.Errorf("no login: %d", r.Status)
	}

	// Django wants its cookie back as a header, and a Referer it trusts.
	a.SetHeader("X-CSRFToken", a.Cookie("csrftoken"))
	a.SetHeader("Referer", a.Host())
	return nil
}

func (a *admin) sendSMS() error {
	var customer, template struct{ ID int }
	var made struct{ Token string }

	r := a.Post("/api/customers", weir.JSON(map[string]string{"phone_number": "09012345678"}))
	r.Check(r.Status == 201, "customer not created")
	if err := r.JSON(&customer); err != nil {
		return err
	}

	r = a.Post("/api/tokens", weir.JSON(map[string]int{"customer_id": customer.ID}))
	r.Check(r.Status == 201, "token not created")
	if err := r.JSON(&made); err != nil {
		return err
	}

	r = a.Post(fmt.Sprintf("/api/customers/%d/templates", customer.ID),
		weir.Name("/api/customers/[id]/templates"),
		weir.JSON(struct {
			Name    string `json:"name"`
			Content string `json:"content"`
		}{"welcome_message", "ご登録ありがとうございます。"}))
	r.Check(r.Status == 201, "template not created")
	if err := r.JSON(&template); err != nil {
		return err
	}

	r = a.Post("/api/sms/send", weir.JSON(struct {
		PhoneNumber string `json:"phone_number"`
		Token       string `json:"token"`
		CustomerID  int    `json:"customer_id"`
		TemplateID  int    `json:"template_id"`
	}{"09012345678", made.Token, customer.ID, template.ID}))
	r.Check(r.OK(), "not sent")

	a.Sleep(2*time.Second + time.Duration(a.Rand().Float64()*float64(3*time.Second)))
	return a.history()
}

func (a *admin) history() error {
	a.Get("/api/sms/history")
	return nil
}

// classes are the users. They are a function of their settings, so that a test
// can run them, too.
func classes(host, password string) []weir.Declaration {
	hire := func(u *weir.User) *admin { return &admin{User: u, password: password} }
	return []weir.Declaration{
		weir.Class[admin]{
			Name: "NormalUser", Host: host, Weight: 8, Wait: weir.Between(2*time.Second, 5*time.Second),
			New: hire, OnStart: (*admin).login,
			Tasks: []weir.Task[admin]{{Name: "send_sms", Do: (*admin).sendSMS}},
		},
		weir.Class[admin]{
			Name: "HeavyUser", Host: host, Weight: 2, Wait: weir.Between(time.Second, 2*time.Second),
			New: hire, OnStart: (*admin).login,
			Tasks: []weir.Task[admin]{
				{Name: "send_sms", Do: (*admin).sendSMS, Weight: 1},
				{Name: "history", Do: (*admin).history, Weight: 3},
			},
		},
	}
}

func main() {
	password := os.Getenv("SMS_PASSWORD")
	if password == "" {
		fmt.Fprintln(os.Stderr, "sms: set SMS_PASSWORD, the password of admin")
		os.Exit(2)
	}
	weir.Main(classes(cmp.Or(os.Getenv("HOST"), "http://127.0.0.1:8000"), password)...)
}
