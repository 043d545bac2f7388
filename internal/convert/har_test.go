package convert

import "testing"

const shopHAR = `{"log": {"version": "1.2",
 "pages": [{"id": "p1", "title": "Sign in"}, {"id": "p2", "title": "Orders"}],
 "entries": [
  {"pageref": "p1", "startedDateTime": "2026-03-01T10:00:00.000Z", "time": 100,
   "request": {"method": "GET", "url": "https://shop.test/login", "cookies": [{"name": "_ga", "value": "GA1.2.3"}],
    "headers": [{"name": ":authority", "value": "shop.test"}, {"name": "Host", "value": "shop.test"}, {"name": "Cookie", "value": "_ga=GA1.2.3"}, {"name": "Accept-Language", "value": "ja"}, {"name": "Sec-Fetch-Mode", "value": "navigate"}]},
   "response": {"status": 200, "headers": [{"name": "Set-Cookie", "value": "csrftoken=csrf0000000001; Path=/"}],
    "content": {"mimeType": "text/html", "text": "<form><input type='hidden' name='nonce' value='nonce-77889900'></form>"}}},
  {"pageref": "p1", "startedDateTime": "2026-03-01T10:00:00.200Z", "time": 5,
   "request": {"method": "GET", "url": "https://shop.test/app.css", "headers": []}, "response": {"status": 200, "content": {"mimeType": "text/css"}}},
  {"pageref": "p1", "startedDateTime": "2026-03-01T10:00:04.100Z", "time": 100,
   "request": {"method": "POST", "url": "https://shop.test/login", "cookies": [{"name": "csrftoken", "value": "csrf0000000001"}],
    "headers": [{"name": "Accept-Language", "value": "ja"}, {"name": "X-CSRFToken", "value": "csrf0000000001"}, {"name": "Referer", "value": "https://shop.test/login"}, {"name": "Content-Type", "value": "application/x-www-form-urlencoded"}],
    "postData": {"mimeType": "application/x-www-form-urlencoded", "text": "user=ann&password=hunter22&nonce=nonce-77889900"}},
   "response": {"status": 302, "redirectURL": "/home", "headers": [{"name": "Location", "value": "/home"}, {"name": "Set-Cookie", "value": "sid=sessionvalue1; Path=/"}]}},
  {"pageref": "p1", "startedDateTime": "2026-03-01T10:00:04.200Z", "time": 50,
   "request": {"method": "GET", "url": "https://shop.test/home", "headers": [{"name": "Accept-Language", "value": "ja"}]},
   "response": {"status": 200, "content": {"mimeType": "application/json", "text": "{\"user\": {\"access_token\": \"tok_aaaabbbb1111\"}, \"cart\": 123456, \"shop_id\": 7}"}}},
  {"pageref": "p2", "startedDateTime": "2026-03-01T10:00:10.250Z", "time": 50, "_resourceType": "xhr",
   "request": {"method": "POST", "url": "https://shop.test/api/carts/123456/items?q=a+b", "headers": [{"name": "Accept-Language", "value": "ja"}, {"name": "Authorization", "value": "Bearer tok_aaaabbbb1111"}, {"name": "Content-Type", "value": "application/json"}],
    "postData": {"mimeType": "application/json", "text": "{\"cart\": 123456, \"shop\": \"tok_aaaabbbb1111\"}"}},
   "response": {"status": 201, "content": {"mimeType": "application/json", "text": "{}"}}},
  {"pageref": "p2", "startedDateTime": "2026-03-01T10:00:10.300Z", "time": 50,
   "request": {"method": "GET", "url": "https://cdn.test/shops/7", "headers": [{"name": "Accept-Language", "value": "ja"}]}, "response": {"status": 200}},
  {"pageref": "p2", "startedDateTime": "2026-03-01T10:00:10.400Z", "time": 50,
   "request": {"method": "OPTIONS", "url": "https://cdn.test/shops/7", "headers": [{"name": "Access-Control-Request-Method", "value": "GET"}]}, "response": {"status": 204}},
  {"startedDateTime": "2026-03-01T10:00:10.500Z", "request": {"method": "GET", "url": "wss://shop.test/live"}, "response": {"status": 101}},
  {"startedDateTime": "2026-03-01T10:00:10.600Z", "request": {"method": "GET", "url": "data:image/png;base64,AAAA"}, "response": {"status": 200}}
 ]}}`

func TestHAR(t *testing.T) {
	checkAll(t, []conversion{
		{
			name: "shop", src: shopHAR, options: Options{Name: "shop.har"},
			env: map[string]string{"PASSWORD": "p"},
			answers: map[string]string{
				"GET /login":  "200\nSet-Cookie: csrftoken=NEWCSRF; Path=/\n\n<input name=\"nonce\" value=\"N2\">",
				"POST /login": "302\nLocation: /home\nSet-Cookie: sid=NEWSID; Path=/\n\n",
				"GET /home":   "200\n\n{\"user\": {\"access_token\": \"TOK\"}, \"cart\": 99}",
			},
			sends: []string{
				"GET https://shop.test/login\nAccept-Language: ja",
				"POST https://shop.test/login\nAccept-Language: ja\nContent-Type: application/x-www-form-urlencoded\nCookie: csrftoken=NEWCSRF\nReferer: https://shop.test/login\nX-CSRFToken: NEWCSRF\n\nuser=ann&password=p&nonce=N2",
				"GET https://shop.test/home\nAccept-Language: ja\nContent-Type: application/x-www-form-urlencoded\nCookie: csrftoken=NEWCSRF; sid=NEWSID\nReferer: https://shop.test/login\nX-CSRFToken: NEWCSRF",
				"POST https://shop.test/api/carts/99/items?q=a+b\nAccept-Language: ja\nAuthorization: Bearer TOK\nContent-Type: application/json\nCookie: csrftoken=NEWCSRF; sid=NEWSID\n\n{\"cart\":99,\"shop\":\"TOK\"}",
				"GET https://cdn.test/shops/7\nAccept-Language: ja",
			},
			notes: []string{"the WebSocket /live", "did not go over HTTP", "preflight", "scripts (--static keeps them): 1", "the cookie _ga", "7 in /shops/7 may be shop_id"},
			star:  []string{"def sign_in(user):", "def orders(user):", "def recording(user):", "time.sleep(4)", "time.sleep(6)", `user.headers["Accept-Language"] = "ja"`, `name = "/api/carts/[cart]/items"`, "# The redirect is followed."},
			hides: []string{"hunter22", "tok_aaaabbbb1111", "GA1.2.3", "csrf0000000001", "sessionvalue1", "nonce-77889900"},
		},
		{
			name: "static kept, redirect not recorded", options: Options{Static: true},
			src: `{"log": {"entries": [
				{"request": {"method": "GET", "url": "https://a.test/x.css"}, "response": {"status": 200}},
				{"request": {"method": "GET", "url": "https://a.test/old"}, "response": {"status": 301, "redirectURL": "https://a.test/new"}}]}}`,
			answers: map[string]string{"GET /old": "301\nLocation: /new\n\n"},
			sends:   []string{"GET https://a.test/x.css", "GET https://a.test/old"},
			star:    []string{"allow_redirects = False"},
		},
		{
			name: "a multipart body and params",
			src: `{"log": {"entries": [
				{"request": {"method": "POST", "url": "https://a.test/up", "headers": [{"name": "Content-Type", "value": "multipart/form-data; boundary=xyz"}],
				 "postData": {"mimeType": "multipart/form-data", "params": [{"name": "a", "value": "1"}, {"name": "f", "fileName": "n.txt", "contentType": "text/plain", "value": "hello"}]}}},
				{"request": {"method": "POST", "url": "https://a.test/form", "postData": {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "a", "value": "1"}, {"name": "a", "value": "ü"}]}}}]}}`,
			sends: []string{
				"POST https://a.test/up\nContent-Type: multipart/form-data; boundary=B\n\n--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--B--\r",
				"POST https://a.test/form\nContent-Type: application/x-www-form-urlencoded\n\na=1&a=%C3%BC",
			},
		},
	}, 3)
}
