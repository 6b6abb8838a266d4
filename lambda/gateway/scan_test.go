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

// accepts tells whether the scanner takes a text for one JSON value.
func accepts(text []byte) bool {
	s := scanner{text: text}
	s.skip()
	s.peek()
	return s.err == nil && s.at == len(text)
}

// checkReading reads a text as an event. A member of another type ends the
// reading, so what is broken behind it may go unnoticed.
func checkReading(t *testing.T, text []byte) {
	t.Helper()
	r := reader{scanner: scanner{text: text}, wanted: "x-real-ip"}
	err := r.read()
	switch valid := json.Valid(text); {
	case err == nil && !valid:
		t.Errorf("broken JSON is read: %q", excerpt(text))
	case err != nil && err != errType && valid:
		t.Errorf("%v: %q", err, excerpt(text))
	}
}

func excerpt(text []byte) []byte { return text[:min(len(text), 300)] }

var wholeTexts = []string{
	`{}`, `[]`, `""`, `null`, `true`, `false`, ` [ ] `, "\t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } }\n",
	`0`, `-0`, `10`, `-1.5`, `0.0`, `1e5`, `1E+5`, `1.25e-10`, `123456789012345678901234567890`,
	`"\"\\\/\b\f\n\r\t"`, `"\u0041\uD83D\uDE00"`, `"\ud800"`, `"\udc00x"`, `"\ud800\u0041"`, `"é𝄞\u00e9"`, "\"\xff\xfe\"", "\"\x7f\"",
	`{"a":1,"a":2}`, `{"":{"":[]}}`, `[[],[],{}]`, `[null,true,false,"",0]`,
}

var brokenTexts = []string{
	``, ` `, `{`, `}`, `[`, `]`, `"`, `:`, `,`, `{]`, `[}`,
	// literals and what is none
	`nul`, `nulL`, `nullx`, `Null`, `tru`, `truE`, `True`, `fals`, `falsy`, `none`, `NaN`, `Infinity`, `undefined`, `'a'`,
	// numbers
	`-`, `+1`, `01`, `-01`, `00`, `.5`, `1.`, `-.5`, `1.e5`, `1e`, `1e+`, `1e-`, `1E`, `1e5.5`, `0x10`, `1_000`, `--1`, `1-`, `1a`, `٣`,
	// strings
	`"a`, `"\`, `"\"`, `"\x"`, `"\u"`, `"\u004"`, `"\u004g"`, `"\u00_1"`, `"\U0041"`, `"\'"`, `"\0"`, `"\a"`, `"\v"`, "\"\x00\"", "\"\x1f\"", "\"\n\"", "\"\t\"", "\"12345678\x01\"", "\"\\\n\"", "\"\\",
	// commas, colons and names
	`[,]`, `[1,]`, `[,1]`, `[1,,2]`, `[1 2]`, `[1:2]`, `["a"`, `["a",`, `["a" "b"]`,
	`{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,"a":1}`, `{"a":1,,"b":2}`, `{"a":1 "b":2}`, `{"a" 1}`, `{"a",1}`, `{"a"::1}`, `{a:1}`, `{1:1}`, `{null:1}`, `{"a":1:2}`, `{"a":1`, `{"a":1,`, `{"a`, `{"a"`, `{"a":`, `{["a"]:1}`, `{"a":1]`, `["a"}`,
	// what stands behind, before and between
	`{}{}`, `{} x`, `{}]`, `[][]`, `1 2`, `"a""b"`, `nulll`, `null null`, "{}\x00", "\x00{}", "\xef\xbb\xbf{}", "\v{}", "\u00a0{}", `{}//`, `/**/{}`,
}

// What is JSON is what encoding/json says, wherever in an event it stands.
func TestScan(t *testing.T) {
	try := func(text string) {
		t.Helper()
		if got, want := accepts([]byte(text)), json.Valid([]byte(text)); got != want {
			t.Errorf("%q is accepted: %v, want %v", excerpt([]byte(text)), got, want)
		}
		checkReading(t, []byte(text))
	}
	for i, texts := range [][]string{wholeTexts, brokenTexts} {
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

// Whatever is cut off of an event, or put in the place of one of its bytes.
func TestScanDamagedEvents(t *testing.T) {
	files, err := filepath.Glob("../../events/*/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	fronts := map[string]bool{}
	for _, file := range files {
		front := filepath.Base(filepath.Dir(file))
		if strings.HasSuffix(file, ".want.json") || strings.HasSuffix(file, ".env.json") || front == "mirror" {
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
				t.Fatalf("%s: %d of %d bytes are taken for all", file, n, len(text))
			}
		}
		if fronts[front] {
			continue // one of each is enough
		}
		fronts[front] = true
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

// Every byte at every place of strings that are longer than what is looked at
// at once: as the decoder reads it, and as the encoder writes it.
func TestScanStrings(t *testing.T) {
	for n := range 26 {
		for at := range n {
			for c := range 256 {
				inner := bytes.Repeat([]byte("~"), n)
				inner[at] = byte(c)
				text := append(append([]byte{'"'}, inner...), '"')
				if got, want := accepts(text), json.Valid(text); got != want {
					t.Fatalf("%q is accepted: %v, want %v", text, got, want)
				}
				out := quote([]byte("before"), string(inner))
				var back string
				if err := json.Unmarshal(bytes.TrimPrefix(out, []byte("before")), &back); err != nil || !utf8.Valid(out) {
					t.Fatalf("%q is written as %q: %v", inner, out, err)
				}
				if back != string(inner) && (c < 0x80 || back != strings.ToValidUTF8(string(inner), "\ufffd")) {
					t.Fatalf("%q is written as %q", inner, out)
				}
			}
		}
	}
}

// The text of a string is that which encoding/json reads.
func TestScanEscapes(t *testing.T) {
	for _, text := range append(wholeTexts, `"\u00e9 and \u20ac"`, `"12345678\n12345678\t"`, `"\ud83d"`, `"\ud83d\ud83d\ude00"`, `"\uFFFF\u0000"`) {
		if text[0] != '"' || !utf8.ValidString(text) {
			continue
		}
		var want string
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		s := scanner{text: []byte(text)}
		if got := string(s.value()); got != want || s.err != nil || s.at != len(text) {
			t.Errorf("%s is read as %q, want %q; error %v", text, got, want, s.err)
		}
	}
}

// A payload cannot make the stack grow without end: nesting has the limit of
// encoding/json. Neighbours are not nested.
func TestScanDepth(t *testing.T) {
	for _, n := range []int{9998, 9999, 10000, 10001, 10002, 100_000} {
		for _, pair := range [][2]string{{"[", "]"}, {`{"a":`, "}"}, {`[{"a":`, "}]"}} {
			inner := "0"
			text := strings.Repeat(pair[0], n) + inner + strings.Repeat(pair[1], n)
			if got, want := accepts([]byte(text)), json.Valid([]byte(text)); got != want {
				t.Errorf("%d times %s is accepted: %v, want %v", n, pair[0], got, want)
			}
			for _, place := range []string{`{"other":%}`, `{"headers":{"x":%}}`, `{"Records":[{"cf":{"request":{"headers":{"authorization":[{"x":%}]}}}}]}`, `{"queryStringParameters":%}`} {
				checkReading(t, []byte(strings.Replace(place, "%", text, 1)))
			}
			if unclosed := strings.Repeat(pair[0], n); accepts([]byte(unclosed)) {
				t.Errorf("%d times %s is accepted", n, pair[0])
			}
		}
	}
	for _, one := range []string{`[]`, `{}`, `[0]`, `{"a":{}}`} {
		text := "[" + strings.Repeat(one+",", 20_000) + "0]"
		if !accepts([]byte(text)) {
			t.Errorf("20000 times %s beside each other is refused", one)
		}
		checkReading(t, []byte(`{"headers":null,"Records":`+text+`}`))
	}
}

// Of a name that stands twice the last value counts, as for encoding/json.
func TestScanNamesTwice(t *testing.T) {
	r, _ := decode(t, "", `{"path":"/a","requestContext":{"elb":{}},"httpMethod":"HEAD","path":"/b","httpMethod":"GET","queryStringParameters":{"n":"1"},"queryStringParameters":{"n":"2"}}`)
	if r.Path != "/b" || r.Method != "GET" || r.Query != "n=2" {
		t.Errorf("request %+v", r)
	}
	d := Decoder{}
	if _, _, err := d.Decode([]byte(`{"path":"/a","path":null,"httpMethod":"GET","requestContext":{}}`)); err == nil {
		t.Error("a path is there though null stands behind it")
	}
}

// FuzzScan: the scanner takes what encoding/json takes, and reads strings as it
// does.
func FuzzScan(f *testing.F) {
	for _, text := range append(wholeTexts, brokenTexts...) {
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
			t.Fatalf("read as %q, want %q; error %v", got, want, s.err)
		}
	})
}
