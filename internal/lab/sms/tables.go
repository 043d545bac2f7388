package sms

import (
	"context"
	"time"

	"github.com/weir-dev/weir/internal/lab/stand"
)

const userColumns = `SELECT u.id, u.username, u.email, u.password, u.is_active, COALESCE(p.employee_id, ''), COALESCE(p.full_name, '')`

const userTables = ` FROM accounts_user u LEFT JOIN accounts_profile p ON p.user_id = u.id`

func (u *user) into() []any {
	return []any{&u.ID, &u.Username, &u.Email, &u.password, &u.active, &u.EmployeeID, &u.Name}
}

// sessionUser is the user of a session and when the session ends; nil when there is
// none.
func (l *lease) sessionUser(ctx context.Context, key string) (*user, time.Time, error) {
	var u user
	var expires time.Time
	found, err := l.row(ctx, userColumns+`, s.expire_date`+userTables+` JOIN django_session s ON s.user_id = u.id WHERE s.session_key = ? AND u.is_active`,
		[]any{key}, append(u.into(), &expires)...)
	if !found {
		return nil, expires, err
	}
	return &u, expires, nil
}

func (l *lease) userByName(ctx context.Context, name string) (*user, error) {
	var u user
	found, err := l.row(ctx, userColumns+userTables+` WHERE u.username = ?`, []any{name}, u.into()...)
	if !found {
		return nil, err
	}
	return &u, nil
}

// users are all there are, by id.
func (s *store) users(ctx context.Context) ([]user, error) {
	return all(ctx, &lease{s: s, q: s.db}, userColumns+userTables+` ORDER BY u.id`, nil, (*user).into)
}

// startSession makes a session and ends the one before, if any.
func (l *lease) startSession(ctx context.Context, before, key string, user int64, now, expires time.Time) error {
	if before != "" {
		if err := l.endSession(ctx, before); err != nil {
			return err
		}
	}
	if _, err := l.exec(ctx, `UPDATE accounts_user SET last_login = ? WHERE id = ?`, now.UTC(), user); err != nil {
		return err
	}
	_, err := l.exec(ctx, `INSERT INTO django_session (session_key, user_id, expire_date) VALUES (?, ?, ?)`, key, user, expires.UTC())
	return err
}

func (l *lease) endSession(ctx context.Context, key string) error {
	_, err := l.exec(ctx, `DELETE FROM django_session WHERE session_key = ?`, key)
	return err
}

func (l *lease) count(ctx context.Context, statement string, id int64) (n int64, err error) {
	_, err = l.row(ctx, statement, []any{id}, &n)
	return n, err
}

const customerColumns = `SELECT id, phone_number, name, created_at FROM sms_customer`

func (c *customer) into() []any { return []any{&c.ID, &c.Phone, &c.Name, &c.Created} }

func (l *lease) customer(ctx context.Context, id, owner int64) (*customer, error) {
	var c customer
	found, err := l.row(ctx, customerColumns+` WHERE id = ? AND created_by_id = ?`, []any{id, owner}, c.into()...)
	if !found {
		return nil, err
	}
	return &c, nil
}

func (l *lease) customers(ctx context.Context, owner, limit, offset int64) ([]customer, error) {
	return all(ctx, l, customerColumns+` WHERE created_by_id = ? ORDER BY id LIMIT ? OFFSET ?`, []any{owner, limit, offset}, (*customer).into)
}

func (l *lease) countCustomers(ctx context.Context, owner int64) (int64, error) {
	return l.count(ctx, `SELECT COUNT(*) FROM sms_customer WHERE created_by_id = ?`, owner)
}

func (l *lease) addCustomer(ctx context.Context, c customer, owner int64) (int64, error) {
	return l.insert(ctx, `INSERT INTO sms_customer (phone_number, name, created_by_id, created_at) VALUES (?, ?, ?, ?)`, c.Phone, c.Name, owner, c.Created)
}

const templateColumns = `SELECT t.id, t.customer_id, t.name, t.content, t.created_at FROM sms_template t`

func (t *template) into() []any { return []any{&t.ID, &t.Customer, &t.Name, &t.Content, &t.Created} }

func (l *lease) template(ctx context.Context, id, owner int64) (*template, error) {
	var t template
	found, err := l.row(ctx, templateColumns+` JOIN sms_customer c ON c.id = t.customer_id WHERE t.id = ? AND c.created_by_id = ?`, []any{id, owner}, t.into()...)
	if !found {
		return nil, err
	}
	return &t, nil
}

func (l *lease) templates(ctx context.Context, customer, limit, offset int64) ([]template, error) {
	return all(ctx, l, templateColumns+` WHERE t.customer_id = ? ORDER BY t.id LIMIT ? OFFSET ?`, []any{customer, limit, offset}, (*template).into)
}

func (l *lease) countTemplates(ctx context.Context, customer int64) (int64, error) {
	return l.count(ctx, `SELECT COUNT(*) FROM sms_template WHERE customer_id = ?`, customer)
}

func (l *lease) templateExists(ctx context.Context, customer int64, name string) (bool, error) {
	var id int64
	return l.row(ctx, `SELECT id FROM sms_template WHERE customer_id = ? AND name = ?`, []any{customer, name}, &id)
}

func (l *lease) addTemplate(ctx context.Context, t template) (int64, error) {
	return l.insert(ctx, `INSERT INTO sms_template (customer_id, name, content, created_at) VALUES (?, ?, ?, ?)`, t.Customer, t.Name, t.Content, t.Created)
}

func (l *lease) addToken(ctx context.Context, customer int64, token string, expires time.Time) (int64, error) {
	return l.insert(ctx, `INSERT INTO sms_token (customer_id, token, expires_at) VALUES (?, ?, ?)`, customer, token, expires)
}

const messageColumns = `SELECT id, customer_id, template_id, phone_number, content, status, message_id, sent_at FROM sms_message`

func (m *message) into() []any {
	return []any{&m.ID, &m.Customer, &m.Template, &m.Phone, &m.Content, &m.Status, &m.MessageID, &m.Sent}
}

// messages are the latest first. This is the query that SlowQuery slows down.
func (l *lease) messages(ctx context.Context, sender, limit, offset int64) ([]message, error) {
	slow, args := "", []any{sender, limit, offset}
	switch {
	case l.s.slow == 0:
	case l.s.postgres:
		// Asked for once, before the rows: it depends on none of them.
		slow, args = ` AND (SELECT pg_sleep(?)) IS NOT NULL`, []any{sender, l.s.slow.Seconds(), limit, offset}
	case !stand.Wait(ctx, l.s.slow):
		return nil, ctx.Err()
	}
	return all(ctx, l, messageColumns+` WHERE sent_by_id = ?`+slow+` ORDER BY id DESC LIMIT ? OFFSET ?`, args, (*message).into)
}

func (l *lease) countMessages(ctx context.Context, sender int64) (int64, error) {
	return l.count(ctx, `SELECT COUNT(*) FROM sms_message WHERE sent_by_id = ?`, sender)
}
