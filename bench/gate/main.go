// Command gate is httputil.ReverseProxy and nothing else, for cpu_per_request.py.
//
//	gate LISTEN UPSTREAM
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	to, err := url.Parse(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	p := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() },
		// The default keeps two connections to a host, and makes one for each
		// request beyond.
		Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
	}
	log.Fatal(http.ListenAndServe(os.Args[1], p))
}
