package convert

import "testing"

const petYAML = `openapi: 3.0.3
info: {title: Pets, version: "1"}
servers:
  - url: https://{region}.pets.test/v1
    variables:
      region: {default: eu}
  - url: https://us.pets.test/v1
security:
  - key: []
paths:
  /pets:
    parameters:
      - {name: limit, in: query, schema: {type: integer, default: 20}}
    get:
      operationId: listPets
      summary: All pets
      tags: [pets]
      parameters:
        - {name: tags, in: query, schema: {type: array, items: {type: string, example: cat}}}
        - {name: unused, in: query, schema: {type: string}}
        - {name: X-Trace, in: header, required: true, schema: {type: string, format: uuid}}
      responses: {"200": {description: ok}}
    post:
      operationId: createPet
      security:
        - login: []
      requestBody:
        content:
          application/json:
            schema: {$ref: "#/components/schemas/Pet"}
  /pets/{petId}:
    parameters:
      - $ref: "#/components/parameters/petId"
    delete:
      security: []
    put:
      security:
        - oauth: [write]
      requestBody:
        content:
          application/x-www-form-urlencoded:
            schema:
              type: object
              required: [name, password]
              properties:
                name: {type: string, example: "Tom & Co"}
                password: {type: string, example: string}
  /upload:
    post:
      security: []
      requestBody:
        content:
          multipart/form-data:
            schema:
              type: object
              required: [file]
              properties:
                file: {type: string, format: binary}
                title: {type: string, default: string}
components:
  parameters:
    petId: {name: petId, in: path, required: true, schema: {type: integer, minimum: 5}}
  securitySchemes:
    key: {type: apiKey, in: header, name: X-API-Key}
    login: {type: http, scheme: basic}
    oauth: {type: oauth2, flows: {}}
  schemas:
    Pet:
      allOf:
        - {type: object, required: [name], properties: {name: {type: string}, id: {type: integer, readOnly: true}}}
        - type: object
          required: [kind, born, owner]
          properties:
            kind: {type: string, enum: [cat, dog]}
            born: {type: string, format: date}
            weight: {type: number, example: 4.5}
            owner: {$ref: "#/components/schemas/Owner"}
    Owner:
      type: object
      required: [pets, email]
      properties:
        email: {type: string, format: email}
        pets: {type: array, items: {type: string, default: Tom}}
        friend: {$ref: "#/components/schemas/Owner"}
`

func TestOpenAPI(t *testing.T) {
	checkAll(t, []conversion{
		{
			name: "pets", src: petYAML, options: Options{Name: "pets.yaml"},
			env:    map[string]string{"KEY": "k", "LOGIN_USER": "u", "LOGIN_PASSWORD": "p", "OAUTH": "t", "PASSWORD": "pw"},
			random: true,
			sends: []string{
				"GET https://eu.pets.test/v1/pets?tags=cat&limit=20\nX-API-Key: k\nX-Trace: 00000000-0000-4000-8000-000000000001",
				"POST https://eu.pets.test/v1/pets?limit=20\nAuthorization: Basic dTpw\nContent-Type: application/json\n\n{\"name\":\"name\",\"kind\":\"cat\",\"born\":\"2026-01-31\",\"weight\":4.5,\"owner\":{\"email\":\"user@example.com\",\"pets\":[\"Tom\"]}}",
				"DELETE https://eu.pets.test/v1/pets/5",
				"PUT https://eu.pets.test/v1/pets/5\nAuthorization: Bearer t\nContent-Type: application/x-www-form-urlencoded\n\nname=Tom+%26+Co&password=pw",
				"POST https://eu.pets.test/v1/upload\nContent-Type: multipart/form-data; boundary=B\n\n--B\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nstring\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\nContent-Type: application/octet-stream\r\n\r\ncontent\r\n--B--\r",
			},
			notes: []string{"1 other servers", "made up is X-Trace", "made up is name, born, email", "getting a token (oauth2)", "made up is petId", "made up is petId", "the content of the file file", "made up is file"},
			star:  []string{`host = env("HOST", "https://eu.pets.test/v1")`, `task(list_pets, tags = ["pets"])`, "# All pets", `name = "/pets/{petId}"`, `"title": "string"`},
			hides: []string{`"password": "string"`},
		},
		{
			name: "JSON, OpenAPI 3.1, no server, other ways of parameters",
			src: `{"openapi": "3.1.0", "paths": {"/a/{x}/b": {"get": {"parameters": [
				{"name": "x", "in": "path", "required": true, "example": "a/b c"},
				{"name": "f", "in": "query", "style": "deepObject", "example": {"k": "v", "l": 2}},
				{"name": "csv", "in": "query", "explode": false, "examples": {"one": {"value": [1, 2]}}},
				{"name": "lang", "in": "cookie", "required": true, "schema": {"type": ["null", "string"], "enum": ["ja"]}},
				{"name": "n", "in": "query", "required": true, "schema": {"anyOf": [{"$ref": "#/nowhere"}, {"type": "boolean"}]}}]},
				"post": {"requestBody": {"content": {"text/plain": {"example": "hello"}}}, "parameters": [{"name": "x", "in": "path", "schema": {"const": "c"}}]}}}}`,
			random: true, env: map[string]string{"LANG": "de"},
			sends: []string{"GET http://127.0.0.1:8000/a/a%2Fb%20c/b?f%5Bk%5D=v&f%5Bl%5D=2&csv=1%2C2&n=true\nCookie: lang=de", "POST http://127.0.0.1:8000/a/c/b\nContent-Type: text/plain\n\nhello"},
			notes: []string{"the address of the service", "$ref to nowhere", "made up is n"},
		},
	}, 2)
}

func TestFieldsThatAreFiles(t *testing.T) {
	cases := []struct {
		schema string
		want   bool
	}{
		{`{"type": "string", "format": "binary"}`, true},
		{`{"type": "string", "format": "byte"}`, true},
		{`{"type": "string", "contentMediaType": "application/octet-stream"}`, true}, // as FastAPI writes it
		{`{"type": "string", "contentMediaType": "image/png"}`, true},
		{`{"type": "string", "contentMediaType": "application/json"}`, false},
		{`{"type": "string", "contentMediaType": "text/plain"}`, false},
		{`{"type": "string", "format": "uuid"}`, false},
		{`{"type": "string"}`, false},
	}
	for _, c := range cases {
		n, err := parseJSON("schema", []byte(c.schema))
		if err != nil {
			t.Fatal(err)
		}
		if got := holdsFile(n); got != c.want {
			t.Errorf("%s: file %v, want %v", c.schema, got, c.want)
		}
	}
}
