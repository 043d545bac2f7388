package sms

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// tokenError is what is wrong with a token, as the client is told.
type tokenError string

func (e tokenError) Error() string { return string(e) }

const (
	tokenInvalid = tokenError("Invalid token.")
	tokenUsed    = tokenError("This token has already been used.")
	tokenExpired = tokenError("This token has expired.")
)

// send uses up a token, publishes and stores the message, all or nothing: a token
// whose message was not taken stays good.
//
// In PostgreSQL that is one transaction, which stays open while the message is
// published: a classic way to run out of connections, kept on purpose.
func (l *lease) send(x *exchange, m *message, token string) error {
	ctx := x.r.Context()
	return l.transaction(ctx, func() (err error) {
		unlock, err := l.lockGateway(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		id, err := l.useToken(ctx, token, m.Customer, x.now())
		if err != nil {
			return err
		}
		defer func() {
			if err != nil && !l.s.postgres {
				_, undo := l.exec(ctx, `UPDATE sms_token SET used_at = NULL WHERE id = ?`, id)
				err = errors.Join(err, undo)
			}
		}()
		if m.MessageID, err = x.app.gateway.publish(ctx, international(m.Phone), m.Content); err != nil {
			return err
		}
		m.Sent = x.now()
		m.ID, err = l.insert(ctx, `INSERT INTO sms_message (customer_id, template_id, phone_number, content, status, message_id, sent_by_id, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			m.Customer, m.Template, m.Phone, m.Content, m.Status, m.MessageID, x.user.ID, m.Sent)
		return err
	})
}

// useToken marks a token as used. Of several requests with one token a single one
// succeeds.
func (l *lease) useToken(ctx context.Context, token string, customer int64, now time.Time) (id int64, err error) {
	var expires time.Time
	var used sql.NullTime
	found, err := l.row(ctx, `SELECT id, expires_at, used_at FROM sms_token WHERE token = ? AND customer_id = ? FOR UPDATE`, []any{token, customer}, &id, &expires, &used)
	switch {
	case err != nil:
		return 0, err
	case !found:
		return 0, tokenInvalid
	case used.Valid:
		return 0, tokenUsed
	case !expires.After(now):
		return 0, tokenExpired
	}
	n, err := l.exec(ctx, `UPDATE sms_token SET used_at = ? WHERE id = ? AND used_at IS NULL`, now, id)
	if err == nil && n == 0 {
		err = tokenUsed
	}
	return id, err
}
