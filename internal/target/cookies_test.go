package target

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
)

// steps redirects /1 to /2 to /3, sets a cookie at each, and says which came.
func steps(w http.ResponseWriter, r *http.Request) {
	var n int
	_, _ = fmt.Sscanf(r.URL.Path, "/%d", &n)
	http.SetCookie(w, &http.Cookie{Name: fmt.Sprintf("c%d", n), Value: "v"})
	if n > 0 && n < 3 {
		http.Redirect(w, r, fmt.Sprintf("/%d?x=1", n+1), http.StatusFound)
		return
	}
	fmt.Fprint(w, strings.Join(r.Header["Cookie"], "|"))
}

func keepAll(int) bool { return true }

func TestCookiesOnEveryHop(t *testing.T) {
	ca := newAuthority(t)
	ca.sign("server", false, time.Now().Add(time.Hour), []string{"127.0.0.1"})
	h2, _ := h2Server(t, ca, &http.Server{Handler: http.HandlerFunc(steps)}, "h2")
	for _, s := range []struct {
		name, url string
		o         Options
	}{
		{"http/1.1", listen(t, &http.Server{Handler: http.HandlerFunc(steps)}), Options{Proxy: "none"}},
		{"http/2", h2, Options{HTTP: HTTP2, TLS: TLS{CAFile: ca.file}, Proxy: "none"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			s.o.KeepBody, s.url = keepAll, strings.TrimSuffix(s.url, "/")
			c := userOf(t, s.o)
			var jar cookie.Jar
			c.SetJar(&jar)
			a := get(c, s.url+"/1")
			if a.Status != 200 || string(a.Body) != "c1=v; c2=v" || a.Redirects != 2 {
				t.Errorf("status %d, %s, the third hop had %q, want the cookies of the first two", a.Status, a.Err, a.Body)
			}
			if got := c.URL(); got != s.url+"/3?x=1" {
				t.Errorf("URL() = %q, want %s/3?x=1", got, s.url)
			}
			if a = get(c, s.url+"/9"); string(a.Body) != "c1=v; c2=v; c3=v" {
				t.Errorf("the next request had %q", a.Body)
			}
			a = send(c, &hit.Request{URL: s.url + "/9", Header: []hit.Field{{Name: "cookie", Value: "own=1"}}})
			if string(a.Body) != "own=1" {
				t.Errorf("a request with a Cookie field had %q, want that field only", a.Body)
			}
			jar.Extra("127.0.0.1", []cookie.Pair{{Name: "c1", Value: "mine"}})
			if a = get(c, s.url+"/9"); !strings.Contains(string(a.Body), "c1=mine") || strings.Contains(string(a.Body), "c1=v") {
				t.Errorf("a request with a cookie of its own had %q", a.Body)
			}
			c.SetJar(nil)
			if a = get(c, s.url+"/9"); string(a.Body) != "" {
				t.Errorf("without a jar there was %q", a.Body)
			}
		})
	}
}

// TestCookiesOfTwoHosts holds that cookies stay where they belong when a
// redirect leads elsewhere and back.
func TestCookiesOfTwoHosts(t *testing.T) {
	var there string
	other := listen(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		there = r.Header.Get("Cookie")
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
	})})
	other = strings.Replace(other, "127.0.0.1", "localhost", 1)
	here := listen(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		http.Redirect(w, r, other, http.StatusTemporaryRedirect)
	})})
	c := userOf(t, Options{IPVersion: 4, Proxy: "none"})
	var jar cookie.Jar
	c.SetJar(&jar)
	jar.Put("localhost", "mine", "0")
	if a := send(c, &hit.Request{URL: here, Header: []hit.Field{{Name: "Cookie", Value: "secret=1"}}}); a.Status != 200 || there != "mine=0" {
		t.Errorf("status %d %s, the other host got %q, want its own cookie", a.Status, a.Err, there)
	}
	if v, _ := jar.Get("localhost", "b", time.Now()); v != "2" {
		t.Errorf("b = %q, want 2", v)
	}
	if v, ok := jar.Get("localhost", "a", time.Now()); ok {
		t.Errorf("the other host has a = %q", v)
	}
}

func TestTuneHoldsOnce(t *testing.T) {
	url := listen(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		steps(w, r)
	})})
	url = strings.TrimSuffix(url, "/")
	c := userOf(t, Options{Proxy: "none"})
	c.Tune(0, true)
	if a := get(c, url+"/1"); a.Status != 302 || a.Redirects != 0 {
		t.Errorf("status %d after %d redirects, want the 302", a.Status, a.Redirects)
	}
	if a := get(c, url+"/1"); a.Status != 200 {
		t.Errorf("status %d: Tune holds for one Send only", a.Status)
	}
	c.Tune(0, true)
	if a := get(c, "no URL"); a.Failure != hit.OtherFailure {
		t.Errorf("%v, want another failure", a.Failure)
	}
	if a := get(c, url+"/1"); a.Status != 200 {
		t.Errorf("status %d: Tune held on after a Send that failed", a.Status)
	}
	c.Tune(20*time.Millisecond, false)
	if a := get(c, url+"/slow"); a.Failure != hit.AnswerTimeout || !strings.Contains(a.Err, "20ms") {
		t.Errorf("%v %q, want a time-out after 20ms", a.Failure, a.Err)
	}
}
