package convert

import "testing"

const shopPostman = `{"info": {"name": "Shop API", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
 "variable": [{"key": "baseUrl", "value": "https://shop.test/v1"}, {"key": "apiToken", "value": "tok-11112222"}, {"key": "size", "value": "5"}],
 "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}"}]},
 "item": [
  {"name": "Auth", "item": [
   {"name": "Log in", "event": [{"listen": "test", "script": {"exec": [
      "const data = pm.response.json();",
      "pm.test(\"ok\", function () { pm.response.to.have.status(200); });",
      "pm.environment.set(\"token\", data.access.token);",
      "pm.collectionVariables.set('userId', pm.response.json().ids[0]);",
      "console.log(data);"]}}],
    "request": {"method": "POST", "auth": {"type": "noauth"}, "header": [{"key": "X-Off", "value": "1", "disabled": true}],
     "url": {"raw": "{{baseUrl}}/login", "host": ["{{baseUrl}}"], "path": ["login"]},
     "body": {"mode": "raw", "raw": "{\"user\": \"ann\", \"password\": \"hunter22\", \"key\": \"{{apiToken}}\"}", "options": {"raw": {"language": "json"}}}}}]},
  {"name": "Users", "item": [
   {"name": "One user", "request": {"method": "GET", "header": [{"key": "Accept", "value": "application/json"}],
     "url": {"raw": "{{baseUrl}}/users/:id?size={{size}}&off=1&q=a b", "host": ["{{baseUrl}}"], "path": ["users", ":id"],
      "query": [{"key": "size", "value": "{{size}}"}, {"key": "off", "value": "1", "disabled": true}, {"key": "q", "value": "a b"}],
      "variable": [{"key": "id", "value": "{{userId}}"}]}}},
   {"name": "Inner", "item": [{"name": "Form", "request": {"method": "PATCH", "auth": {"type": "basic", "basic": [{"key": "username", "value": "ann"}, {"key": "password", "value": "hunter22"}]},
     "url": "https://other.test/form", "body": {"mode": "urlencoded", "urlencoded": [{"key": "a", "value": "{{size}}+"}, {"key": "b", "value": "2", "disabled": true}]}}}]}]},
  {"name": "Search", "request": {"method": "POST", "url": "{{baseUrl}}/graphql", "auth": {"type": "apikey", "apikey": [{"key": "key", "value": "X-Key"}, {"key": "value", "value": "kkk-12345"}]},
     "body": {"mode": "graphql", "graphql": {"query": "{ a }", "variables": "{\"n\": 1}"}}}},
  {"name": "Raw", "request": {"method": "POST", "url": "{{baseUrl}}/raw", "auth": {"type": "hawk"}, "body": {"mode": "raw", "raw": "{\"id\": {{userId}}}", "options": {"raw": {"language": "json"}}}}}
 ]}`

func TestPostman(t *testing.T) {
	checkAll(t, []conversion{
		{
			name: "shop", src: shopPostman, options: Options{Name: "shop.json", Out: "shop.star"},
			env:     map[string]string{"PASSWORD": "p", "API_TOKEN": "at", "API_KEY": "ak"},
			answers: map[string]string{"POST /v1/login": "200\n\n{\"access\": {\"token\": \"T\"}, \"ids\": [42]}"},
			sends: []string{
				"POST https://shop.test/v1/login\nContent-Type: application/json\n\n{\"user\":\"ann\",\"password\":\"p\",\"key\":\"at\"}",
				"GET https://shop.test/v1/users/42?size=5&q=a%20b\nAccept: application/json\nAuthorization: Bearer T",
				"PATCH https://other.test/form\nAuthorization: Basic YW5uOnA=\nContent-Type: application/x-www-form-urlencoded\n\na=5%2B",
				"POST https://shop.test/v1/graphql\nContent-Type: application/json\nX-Key: ak\n\n{\"query\":\"{ a }\",\"variables\":{\"n\":1}}",
				"POST https://shop.test/v1/raw\nContent-Type: application/json\n\n{\"id\": 42}",
			},
			notes: []string{"of the script of Log in: console.log(data);", "the authentication hawk"},
			star:  []string{`check(r, r.status == 200`, `user.token = r.json()["access"]["token"]`, "user.interrupt()", `name = "/users/:id"`, "ShopAPI = SequentialTaskSet(", "weir run shop.star"},
			hides: []string{"hunter22", "tok-11112222", "kkk-12345"},
		},
		{
			name: "one request, format 2.0, dynamic values",
			src: `{"info": {"name": "x", "schema": "https://schema.getpostman.com/json/collection/v2.0.0/collection.json"}, "item": [{"name": "U", "request":
				{"method": "PUT", "url": {"host": ["api", "test"], "path": ["a", "b"], "protocol": "https"}, "header": [{"key": "X-Host", "value": "{{unknown}}"}],
				 "auth": {"type": "basic", "basic": {"username": "u", "password": "{{pw_secret}}"}},
				 "body": {"mode": "formdata", "formdata": [{"key": "t", "value": "1"}, {"key": "f", "type": "file", "src": "photo.jpg"}]}}}]}`,
			env:   map[string]string{"UNKNOWN": "w", "PW_SECRET": "p"},
			sends: []string{"PUT https://api.test/a/b\nAuthorization: Basic dTpw\nContent-Type: multipart/form-data; boundary=B\nX-Host: w\n\n--B\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"photo.jpg\"\r\nContent-Type: application/octet-stream\r\n\r\nJPEG\r\n--B--\r"},
			notes: []string{"the file photo.jpg has to be beside"},
		},
	}, 2)
}
