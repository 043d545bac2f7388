package sms

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// This file is django.contrib.auth.hashers with its default hasher,
// "pbkdf2_sha256$ITERATIONS$SALT$HASH".

const (
	passwordAlgorithm = "pbkdf2_sha256"

	// maxIterations bounds what a fixture can make a login cost: about a second.
	maxIterations = 5_000_000
)

// encodePassword hashes a plain password, and checks and keeps a hashed one.
func encodePassword(password string, iterations int) (string, error) {
	switch {
	case password == "" || password[0] == '!':
		return password, nil // cannot log in
	case strings.HasPrefix(password, passwordAlgorithm+"$"):
		if _, _, _, ok := splitPassword(password); !ok {
			return "", errors.New("field password: a pbkdf2_sha256 hash is pbkdf2_sha256$ITERATIONS$SALT$HASH")
		}
		return password, nil
	}
	return hashPassword(password, randomWord(csrfLetters, 22), iterations), nil
}

func hashPassword(password, salt string, iterations int) string {
	key, err := pbkdf2.Key(sha256.New, password, []byte(salt), iterations, sha256.Size)
	if err != nil {
		return "!" // never: only an absurd key length fails
	}
	return passwordAlgorithm + "$" + strconv.Itoa(iterations) + "$" + salt + "$" + base64.StdEncoding.EncodeToString(key)
}

func splitPassword(encoded string) (iterations int, salt, hash string, ok bool) {
	parts := strings.Split(encoded, "$")
	if len(parts) != 4 || parts[0] != passwordAlgorithm || parts[2] == "" || parts[3] == "" {
		return 0, "", "", false
	}
	n, err := strconv.Atoi(parts[1])
	return n, parts[2], parts[3], err == nil && n >= 1 && n <= maxIterations
}

// checkPassword compares. Without anything to compare with it costs a hash of
// these iterations all the same.
func checkPassword(password, encoded string, iterations int) bool {
	n, salt, _, ok := splitPassword(encoded)
	if !ok {
		hashPassword(password, "none", iterations)
		return false
	}
	return subtle.ConstantTimeCompare([]byte(hashPassword(password, salt, n)), []byte(encoded)) == 1
}
