package gateway

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// accepts reports whether the scanner accepts a text as one JSON value.
func accepts(text []byte) bool {
	s := scanner{text: text}
	s.skip()
	s.peek()
	return s.err == nil && s.at == len(text)
}

// checkReading reads a text as an event. Reading ends at a member of the wrong
// type, so invalid JSON after it is not detected.
func checkReading(t *testing.T, text []byte) {
	t.Helper()
	r := reader{scanner: scanner{text: text}, wanted: "x-real-ip"}
	err := r.read()
	switch valid := json.Valid(text); {
	case err == nil && !valid:
		t.Errorf("invalid JSON is accepted: %q", excerpt(text))
	case err != nil && err != errType && valid:
		t.Errorf("error %v for valid JSON: %q", err, excerpt(text))
	}
}

func excerpt(text []byte) []byte { return text[:min(len(text), 300)] }

var validTexts = []string{
	`{}`, `[]`, `""`, `null`, `true`, `false`, ` [ ] `, "\t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } }\n",
	`0`, `-0`, `10`, `-1.5`, `0.0`, `1e5`, `1E+5`, `1.25e-10`, `123456789012345678901234567890`,
	`"\"\\\/\b\f\n\r\t"`, `"\u0041\uD83D\uDE00"`, `"\ud800"`, `"\udc00x"`, `"\ud800\u0041"`, `"é𝄞\u00e9"`, "\"\xff\xfe\"", "\"\x7f\"",
	`{"a":1,"a":2}`, `{"":{"":[]}}`, `[[],[],{}]`, `[null,true,false,"",0]`,
}

var invalidTexts = []string{
	``, ` `, `{`, `}`, `[`, `]`, `"`, `:`, `,`, `{]`, `[}`,
	// literals, invalid
	`nul`, `nulL`, `nullx`, `Null`, `tru`, `truE`, `True`, `fals`, `falsy`, `none`, `NaN`, `Infinity`, `undefined`, `'a'`,
	// numbers
	`-`, `+1`, `01`, `-01`, `00`, `.5`, `1.`, `-.5`, `1.e5`, `1e`, `1e+`, `1e-`, `1E`, `1e5.5`, `0x10`, `1_000`, `--1`, `1-`, `1a`, `٣`,
	// strings
	`"a`, `"\`, `"\"`, `"\x"`, `"\u"`, `"\u004"`, `"\u004g"`, `"\u00_1"`, `"\U0041"`, `"\'"`, `"\0"`, `"\a"`, `"\v"`, "\"\x00\"", "\"\x1f\"", "\"\n\"", "\"\t\"", "\"12345678\x01\"", "\"\\\n\"", "\"\\",
	// commas, colons and names
	`[,]`, `[1,]`, `[,1]`, `[1,,2]`, `[1 2]`, `[1:2]`, `["a"`, `["a",`, `["a" "b"]`,
	`{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,"a":1}`, `{"a":1,,"b":2}`, `{"a":1 "b":2}`, `{"a" 1}`, `{"a",1}`, `{"a"::1}`, `{a:1}`, `{1:1}`, `{null:1}`, `{"a":1:2}`, `{"a":1`, `{"a":1,`, `{"a`, `{"a"`, `{"a":`, `{["a"]:1}`, `{"a":1]`, `["a"}`,
	// data after, before and between values
	`{}{}`, `{} x`, `{}]`, `[][]`, `1 2`, `"a""b"`, `nulll`, `null null`, "{}\x00", "\x00{}", "\xef\xbb\xbf{}", "\v{}", "\u00a0{}", `{}//`, `/**/{}`,
}

// TestScan compares the scanner with encoding/json, at every place in an event.
func TestScan(t *testing.T) {
	t.Parallel()
	try := func(text string) {
		t.Helper()
		if got, want := accepts([]byte(text)), json.Valid([]byte(text)); got != want {
			t.Errorf("accepts(%q) = %v, want %v", excerpt([]byte(text)), got, want)
		}
		checkReading(t, []byte(text))
	}
	for i, texts := range [][]string{validTexts, invalidTexts} {
		for _, text := range texts {
			if json.Valid([]byte(text)) != (i == 0) {
				t.Errorf("%q is in the wrong table", text)
			}
			try(text)
			for _, place := range []string{
				`{"other":%}`, `{"other":[%]}`, `{"other":[1,%,{"a":%}]}`, `{"path":%}`, `{"path":%,"rawPath":"/"}`, `{"headers":%}`, `{"headers":{"x":%}}`, `{"headers":{"x-real-ip":%}}`,
				`{"multiValueHeaders":{"x-real-ip":[%]}}`, `{"multiValueHeaders":{"x-real-ip":["a",%]}}`, `{"queryStringParameters":%}`, `{"requestContext":%}`, `{"requestContext":{"elb":%}}`,
				`{"requestContext":{"http":{"method":%}}}`, `{"requestContext":{"http":{"x":%}}}`, `{"requestContext":{"identity":{"x":%}}}`, `{"Records":%}`, `{"Records":[%]}`, `{"Records":[{},%]}`, `{"Records":[{"x":%}]}`,
				`{"Records":[{"cf":{"request":{"headers":{"authorization":[{"value":%,"key":%}]}}}}]}`, `{"Records":[{"cf":{"request":{"headers":{"authorization":%}}}}]}`, `{"Records":[{"cf":{"x":%,"config":{"x":%}}}]}`,
			} {
				try(strings.ReplaceAll(place, "%", text))
			}
		}
	}
}

// TestScanDamagedEvents truncates sample events and replaces single bytes.
func TestScanDamagedEvents(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../events/*/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	entryPoints := map[string]bool{}
	for _, file := range files {
		entryPoint := filepath.Base(filepath.Dir(file))
		if strings.HasSuffix(file, ".want.json") || strings.HasSuffix(file, ".env.json") || entryPoint == "mirror" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.TrimSpace(text)
		for n := range text {
			checkReading(t, text[:n])
			if accepts(text[:n]) {
				t.Fatalf("%s: the first %d of %d bytes are accepted", file, n, len(text))
			}
		}
		if entryPoints[entryPoint] {
			continue // one event of each is enough
		}
		entryPoints[entryPoint] = true
		damaged := bytes.Clone(text)
		for i, was := range text {
			for _, c := range []byte("\"\\{}[],:01nx \n\x00\x1f\xff") {
				damaged[i] = c
				checkReading(t, damaged)
			}
			damaged[i] = was
		}
	}
}

// TestScanStrings decodes and encodes strings of more than eight bytes, with every
// byte at every position.
func TestScanStrings(t *testing.T) {
	t.Parallel()
	for n := range 26 {
		for at := range n {
			for c := range 256 {
				inner := bytes.Repeat([]byte("~"), n)
				inner[at] = byte(c)
				text := append(append([]byte{'"'}, inner...), '"')
				if got, want := accepts(text), json.Valid(text); got != want {
					t.Fatalf("accepts(%q) = %v, want %v", text, got, want)
				}
				out := quote([]byte("before"), string(inner))
				var back string
				if err := json.Unmarshal(bytes.TrimPrefix(out, []byte("before")), &back); err != nil || !utf8.Valid(out) {
					t.Fatalf("%q is encoded as %q: %v", inner, out, err)
				}
				if back != string(inner) && (c < 0x80 || back != strings.ToValidUTF8(string(inner), "\ufffd")) {
					t.Fatalf("%q is encoded as %q", inner, out)
				}
			}
		}
	}
}

// TestScanEscapes compares the value of strings with encoding/json.
func TestScanEscapes(t *testing.T) {
	t.Parallel()
	for _, text := range append(validTexts, `"\u00e9 and \u20ac"`, `"12345678\n12345678\t"`, `"\ud83d"`, `"\ud83d\ud83d\ude00"`, `"\uFFFF\u0000"`) {
		if text[0] != '"' || !utf8.ValidString(text) {
			continue
		}
		var want string
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		s := scanner{text: []byte(text)}
		if got := string(s.value()); got != want || s.err != nil || s.at != len(text) {
			t.Errorf("%s: got %q, error %v; want %q", text, got, s.err, want)
		}
	}
}

// TestScanDepth checks the limit of nesting, which bounds the stack. Siblings do
// not count.
func TestScanDepth(t *testing.T) {
	t.Parallel()
	for _, n := range []int{9998, 9999, 10000, 10001, 10002, 100_000} {
		for _, pair := range [][2]string{{"[", "]"}, {`{"a":`, "}"}, {`[{"a":`, "}]"}} {
			inner := "0"
			text := strings.Repeat(pair[0], n) + inner + strings.Repeat(pair[1], n)
			if got, want := accepts([]byte(text)), json.Valid([]byte(text)); got != want {
				t.Errorf("%d times %s: accepted %v, want %v", n, pair[0], got, want)
			}
			for _, place := range []string{`{"other":%}`, `{"headers":{"x":%}}`, `{"Records":[{"cf":{"request":{"headers":{"authorization":[{"x":%}]}}}}]}`, `{"queryStringParameters":%}`} {
				checkReading(t, []byte(strings.Replace(place, "%", text, 1)))
			}
			if unclosed := strings.Repeat(pair[0], n); accepts([]byte(unclosed)) {
				t.Errorf("%d times %s is accepted without its end", n, pair[0])
			}
		}
	}
	for _, one := range []string{`[]`, `{}`, `[0]`, `{"a":{}}`} {
		text := "[" + strings.Repeat(one+",", 20_000) + "0]"
		if !accepts([]byte(text)) {
			t.Errorf("an array of 20000 times %s is rejected", one)
		}
		checkReading(t, []byte(`{"headers":null,"Records":`+text+`}`))
	}
}

// TestScanDuplicateNames checks that the last value counts, as in encoding/json.
func TestScanDuplicateNames(t *testing.T) {
	t.Parallel()
	r, _ := decode(t, "", `{"path":"/a","requestContext":{"elb":{}},"httpMethod":"HEAD","path":"/b","httpMethod":"GET","queryStringParameters":{"n":"1"},"queryStringParameters":{"n":"2"}}`)
	if r.Path != "/b" || r.Method != "GET" || r.Query != "n=2" {
		t.Errorf("request %+v, want the last value of each member", r)
	}
	d := Decoder{}
	if _, _, err := d.Decode([]byte(`{"path":"/a","path":null,"httpMethod":"GET","requestContext":{}}`)); err == nil {
		t.Error("no error for a path that is followed by a null path")
	}
}

// FuzzScan checks that the scanner accepts what encoding/json accepts, and returns
// the same strings.
func FuzzScan(f *testing.F) {
	for _, text := range append(validTexts, invalidTexts...) {
		f.Add([]byte(text))
		f.Add([]byte(`{"path":` + text + `,"other":[` + text + `]}`))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := accepts(text), json.Valid(text); got != want {
			t.Fatalf("accepted: %v, want %v", got, want)
		}
		checkReading(t, text)
		var want string
		if !utf8.Valid(text) || json.Unmarshal(text, &want) != nil {
			return
		}
		s := scanner{text: text}
		if got := string(s.value()); got != want || s.err != nil {
			t.Fatalf("got %q, error %v; want %q", got, s.err, want)
		}
	})
}
