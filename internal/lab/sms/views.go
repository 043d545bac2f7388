package sms

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"time"
)

type customer struct {
	ID          int64
	Phone, Name string
	Created     time.Time
}

func (c *customer) render() []byte {
	return newObject().number("id", c.ID).text("phone_number", c.Phone).text("name", c.Name).instant("created_at", c.Created).done()
}

type template struct {
	ID, Customer  int64
	Name, Content string
	Created       time.Time
}

func (t *template) render() []byte {
	return newObject().number("id", t.ID).number("customer_id", t.Customer).text("name", t.Name).text("content", t.Content).instant("created_at", t.Created).done()
}

type message struct {
	ID, Customer, Template int64
	Phone, Content         string
	Status, MessageID      string
	Sent                   time.Time
}

func (m *message) render() []byte {
	return newObject().number("id", m.ID).number("customer_id", m.Customer).number("template_id", m.Template).text("phone_number", m.Phone).
		text("content", m.Content).text("status", m.Status).text("message_id", m.MessageID).instant("sent_at", m.Sent).done()
}

// now is the instant that is stored: to the microsecond, as both databases keep it.
func (x *exchange) now() time.Time { return x.app.stand.Now().UTC().Truncate(time.Microsecond) }

// form reads the body as a serializer's input.
func (x *exchange) form() (*form, *refusal) {
	v, refused := x.data()
	if refused != nil {
		return nil, refused
	}
	return newForm(v)
}

func listCustomers(x *exchange, _ string) (int, []byte, *refusal) {
	return listed(x, func(limit, offset int64) ([]customer, error) {
		return x.lease.customers(x.r.Context(), x.user.ID, limit, offset)
	}, func() (int64, error) { return x.lease.countCustomers(x.r.Context(), x.user.ID) }, (*customer).render)
}

func addCustomer(x *exchange, _ string) (int, []byte, *refusal) {
	f, refused := x.form()
	if refused != nil {
		return 0, nil, refused
	}
	c := customer{Phone: f.text(field{name: "phone_number", max: 20, check: phoneError})}
	c.Name = f.text(field{name: "name", max: 100, optional: true, allowBlank: true})
	if refused := f.refusal(); refused != nil {
		return 0, nil, refused
	}
	c.Created = x.now()
	var err error
	if c.ID, err = x.lease.addCustomer(x.r.Context(), c, x.user.ID); err != nil {
		return 0, nil, broken()
	}
	return http.StatusCreated, c.render(), nil
}

// customer is the user's own of an id in the path.
func (x *exchange) customer(id string) (*customer, *refusal) {
	c, err := x.lease.customer(x.r.Context(), clamp(id), x.user.ID)
	switch {
	case err != nil:
		return nil, broken()
	case c == nil:
		return nil, detail(http.StatusNotFound, "No Customer matches the given query.")
	}
	return c, nil
}

func showCustomer(x *exchange, id string) (int, []byte, *refusal) {
	c, refused := x.customer(id)
	if refused != nil {
		return 0, nil, refused
	}
	return http.StatusOK, c.render(), nil
}

func listTemplates(x *exchange, id string) (int, []byte, *refusal) {
	c, refused := x.customer(id)
	if refused != nil {
		return 0, nil, refused
	}
	return listed(x, func(limit, offset int64) ([]template, error) {
		return x.lease.templates(x.r.Context(), c.ID, limit, offset)
	}, func() (int64, error) { return x.lease.countTemplates(x.r.Context(), c.ID) }, (*template).render)
}

func addTemplate(x *exchange, id string) (int, []byte, *refusal) {
	v, refused := x.data()
	if refused != nil {
		return 0, nil, refused
	}
	c, refused := x.customer(id)
	if refused != nil {
		return 0, nil, refused
	}
	f, refused := newForm(v)
	if refused != nil {
		return 0, nil, refused
	}
	t := template{Customer: c.ID, Name: f.text(field{name: "name", max: 50}), Content: f.text(field{name: "content", max: 670}), Created: x.now()}
	if refused := f.refusal(); refused != nil {
		return 0, nil, refused
	}
	taken, err := x.lease.templateExists(x.r.Context(), c.ID, t.Name)
	if err != nil {
		return 0, nil, broken()
	}
	if taken {
		f.wrong(nonField, "The fields customer, name must make a unique set.")
		return 0, nil, f.refusal()
	}
	// Subtle: two requests at once can both come here; the database then refuses
	// one, which is a server error in Django too.
	if t.ID, err = x.lease.addTemplate(x.r.Context(), t); err != nil {
		return 0, nil, broken()
	}
	return http.StatusCreated, t.render(), nil
}

// customerField reads customer_id, which must be one of the user's own.
func (x *exchange) customerField(f *form) (*customer, *refusal) {
	const name = "customer_id"
	id, shown, refused := f.key(name)
	if refused != nil || shown == "" {
		return nil, refused
	}
	c, err := x.lease.customer(x.r.Context(), id, x.user.ID)
	if err != nil {
		return nil, broken()
	}
	if c == nil {
		f.noSuchKey(name, shown)
	}
	return c, nil
}

func addToken(x *exchange, _ string) (int, []byte, *refusal) {
	f, refused := x.form()
	if refused != nil {
		return 0, nil, refused
	}
	c, refused := x.customerField(f)
	if refused == nil {
		refused = f.refusal()
	}
	if refused != nil {
		return 0, nil, refused
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	text, expires := base64.RawURLEncoding.EncodeToString(b[:]), x.now().Add(x.app.cfg.TokenLife)
	id, err := x.lease.addToken(x.r.Context(), c.ID, text, expires)
	if err != nil {
		return 0, nil, broken()
	}
	return http.StatusCreated, newObject().number("id", id).text("token", text).number("customer_id", c.ID).instant("expires_at", expires).done(), nil
}

func sendMessage(x *exchange, _ string) (int, []byte, *refusal) {
	f, refused := x.form()
	if refused != nil {
		return 0, nil, refused
	}
	phone := f.text(field{name: "phone_number", max: 20, check: phoneError})
	token := f.text(field{name: "token", max: 64})
	c, refused := x.customerField(f)
	if refused != nil {
		return 0, nil, refused
	}
	t, refused := x.templateField(f)
	if refused == nil {
		refused = f.refusal()
	}
	if refused != nil {
		return 0, nil, refused
	}
	switch {
	case t.Customer != c.ID:
		f.wrong("template_id", "This template belongs to another customer.")
	case international(phone) != international(c.Phone):
		f.wrong("phone_number", "This is not the customer's phone number.")
	}
	if refused := f.refusal(); refused != nil {
		return 0, nil, refused
	}
	m := message{Customer: c.ID, Template: t.ID, Phone: phone, Content: t.Content, Status: "sent"}
	err := x.lease.send(x, &m, token)
	var bad tokenError
	var gate *gatewayError
	switch {
	case errors.As(err, &bad):
		f.wrong("token", string(bad))
		return 0, nil, f.refusal()
	case errors.As(err, &gate):
		return 0, nil, detail(http.StatusBadGateway, gate.Error())
	case err != nil:
		return 0, nil, broken()
	}
	return http.StatusCreated, m.render(), nil
}

// templateField reads template_id, which must be of a customer of the user's.
func (x *exchange) templateField(f *form) (*template, *refusal) {
	const name = "template_id"
	id, shown, refused := f.key(name)
	if refused != nil || shown == "" {
		return nil, refused
	}
	t, err := x.lease.template(x.r.Context(), id, x.user.ID)
	if err != nil {
		return nil, broken()
	}
	if t == nil {
		f.noSuchKey(name, shown)
	}
	return t, nil
}

func listMessages(x *exchange, _ string) (int, []byte, *refusal) {
	return listed(x, func(limit, offset int64) ([]message, error) {
		return x.lease.messages(x.r.Context(), x.user.ID, limit, offset)
	}, func() (int64, error) { return x.lease.countMessages(x.r.Context(), x.user.ID) }, (*message).render)
}
