package convert

import "testing"

func TestCurl(t *testing.T) {
	checkAll(t, []conversion{
		{name: "get", src: `curl https://api.test/a?b=c`, sends: []string{"GET https://api.test/a?b=c"}, star: []string{`params = {"b": "c"}`, "allow_redirects = False"}},
		{name: "no scheme, no path, prompt", src: "$ curl -sSL api.test\n", sends: []string{"GET http://api.test/"}},
		{
			name: "form", src: `curl -L https://api.test/f -d a=1 -d 'b=x+y%21' --data-urlencode 'c=ä b&'`,
			sends: []string{"POST https://api.test/f\nContent-Type: application/x-www-form-urlencoded\n\na=1&b=x+y%21&c=%C3%A4+b%26"},
			star:  []string{`data = {"a": "1", "b": "x y!", "c": "ä b&"}`},
		},
		{
			name: "form that cannot be taken apart", src: `curl -L https://api.test/f -d 'a=%20b&c'`,
			sends: []string{"POST https://api.test/f\nContent-Type: application/x-www-form-urlencoded\n\na=%20b&c"},
		},
		{
			name: "json and headers over lines",
			src: "# a comment\ncurl 'https://api.test/v1/orders?x=%20y' \\\n  -X PUT \\\n  -H 'Accept: application/json' \\\n  -H 'content-type: application/json; charset=utf-8' \\\n" +
				"  --data-raw $'{\"name\": \"O\\'Neil\\u00e9\", \"n\": [1, 2.5, null, true]}' --compressed -k --frobnicate",
			sends: []string{"PUT https://api.test/v1/orders?x=%20y\nAccept: application/json\ncontent-type: application/json; charset=utf-8\n\n{\"name\":\"O'Neilé\",\"n\":[1,2.5,null,true]}"},
			notes: []string{"line 6: curl's flag --compressed: give weir run --compressed", "--insecure", "--frobnicate"},
			star:  []string{`"n": [1, 2.5, None, True]`},
		},
		{
			name: "json that Starlark would change", src: `curl -L api.test --json '{"a": 1e3, "a": 2}'`,
			sends: []string{"POST http://api.test/\nAccept: application/json\nContent-Type: application/json\n\n{\"a\": 1e3, \"a\": 2}"},
		},
		{
			name: "secrets", src: `curl -L -u admin:hunter22 -b 'sid=abcdef123; theme=dark1' -H 'X-Api-Key: K3Y-K3Y-K3Y' 'https://api.test/K3Y-K3Y-K3Y?access_token=tok+en1' -d password=hunter22 -d note=hunter22!`,
			sends: []string{"POST https://api.test/k?access_token=t+o\nAuthorization: Basic YWRtaW46cA==\nContent-Type: application/x-www-form-urlencoded\nCookie: sid=s; theme=d\nX-Api-Key: k\n\npassword=p&note=p!"},
			env:   map[string]string{"PASSWORD": "p", "SID": "s", "THEME": "d", "X_API_KEY": "k", "ACCESS_TOKEN": "t o"},
			hides: []string{"hunter22", "abcdef123", "dark1", "K3Y-K3Y", "tok+en1", "tok en1"},
		},
		{
			name: "bearer", src: `curl -L https://api.test/ -H "Authorization: Bearer abc.def"`,
			sends: []string{"GET https://api.test/\nAuthorization: Bearer x"}, env: map[string]string{"TOKEN": "x"}, hides: []string{"abc.def"},
		},
		{
			name: "basic header", src: `curl -L https://api.test/ -H "Authorization: Basic YWRtaW46aHVudGVyMjI="`,
			sends: []string{"GET https://api.test/\nAuthorization: Basic YWRtaW46cA=="}, env: map[string]string{"PASSWORD": "p"}, hides: []string{"hunter22", "YWRtaW46"},
		},
		{
			name: "password in the URL", src: `curl -L https://ann:hunter22@api.test/x`,
			sends: []string{"GET https://api.test/x\nAuthorization: Basic YW5uOnA="}, env: map[string]string{"PASSWORD": "p"}, hides: []string{"hunter22"},
		},
		{
			name: "shell variables", src: `curl -L "https://api.test/u/$USER_ID" -H "Authorization: Bearer ${API_TOKEN}" -d "{\"q\": \"$Q\"}" -H 'Content-Type: application/json'`,
			sends: []string{"POST https://api.test/u/7\nAuthorization: Bearer x\nContent-Type: application/json\n\n{\"q\":\"z\"}"},
			env:   map[string]string{"API_TOKEN": "x", "USER_ID": "7", "Q": "z"},
		},
		{
			name: "upload", src: `curl -L https://api.test/up -F name=x -F 'file=@photo.jpg;type=image/jpeg'`,
			sends: []string{"POST https://api.test/up\nContent-Type: multipart/form-data; boundary=B\n\n--B\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nx\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\nContent-Type: image/jpeg\r\n\r\nJPEG\r\n--B--\r"},
		},
		{name: "body of a file", src: `curl -L https://api.test/up -H 'Content-Type: image/jpeg' --data-binary @photo.jpg`, sends: []string{"POST https://api.test/up\nContent-Type: image/jpeg\n\nJPEG"}},
		{
			name: "-G -I -A -e and joined flags", src: `curl -GIL -Aagent/1 -e https://ref.test/ https://api.test/s -d q=1`,
			sends: []string{"HEAD https://api.test/s?q=1\nReferer: https://ref.test/\nUser-Agent: agent/1"},
		},
		{
			name: "several", src: "curl -L https://api.test/1 --url https://api.test/2 --next -L -X DELETE https://api.test/3\ncurl -L -X PROPFIND https://other.test/4 | jq .\n",
			sends: []string{"GET https://api.test/1", "GET https://api.test/2", "DELETE https://api.test/3", "PROPFIND https://other.test/4"},
			notes: []string{"line 2: the command jq"},
		},
		{name: "command output", src: "curl -L https://api.test/1 -H \"X-Id: $(uuidgen)\"", sends: []string{"GET https://api.test/1\nX-Id: v"}, env: map[string]string{"CURL_VALUE": "v"}, notes: []string{"the output of a command"}},
		{name: "bytes", src: `curl -L https://api.test/1 -H 'Content-Type: x/y' --data-binary $'a\xffb'`, sends: []string{"POST https://api.test/1\nContent-Type: x/y\n\na\xffb"}},
		{name: "xml with a password", src: `curl -L https://api.test/1 -H 'Content-Type: text/xml' -d '<l><password>hunter22</password></l>'`, sends: []string{"POST https://api.test/1\nContent-Type: text/xml\n\n<l><password>p</password></l>"}, env: map[string]string{"PASSWORD": "p"}, hides: []string{"hunter22"}},
	}, 18)
}
