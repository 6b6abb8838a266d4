package field

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestChallenges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		header []string
		want   []Challenge
	}{
		{"bearer", []string{`Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push"`},
			[]Challenge{{"bearer", map[string]string{"realm": "https://a/token", "service": "s", "scope": "repository:a/b:pull,push"}}}},
		{"spaces-and-case", []string{`bEARER  Realm = "x" ,	SERVICE=s`}, []Challenge{{"bearer", map[string]string{"realm": "x", "service": "s"}}}},
		{"several", []string{`Negotiate, Digest realm="a, b", nonce="Bearer x", Bearer realm="y"`, `Basic realm="\"z\""`},
			[]Challenge{{"negotiate", map[string]string{}}, {"digest", map[string]string{"realm": "a, b", "nonce": "Bearer x"}}, {"bearer", map[string]string{"realm": "y"}}, {"basic", map[string]string{"realm": `"z"`}}}},
		{"first-parameter-counts", []string{`Bearer realm="x", realm="y"`}, []Challenge{{"bearer", map[string]string{"realm": "x"}}}},
		{"parameter-without-challenge", []string{`Basic`, `realm="x"`}, []Challenge{{"basic", map[string]string{}}}},
		{"unreadable", []string{`"", =, Bearer realm="x`, "\x00\xff"}, []Challenge{{"bearer", map[string]string{"realm": "x"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Challenges(http.Header{"Www-Authenticate": tt.header}); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, field string
		want        []Link
		ok          bool
	}{
		{"empty", "", nil, true},
		{"next", `</v2/a/tags/list?last=b>; rel="next"`, []Link{{"/v2/a/tags/list?last=b", "next", true}}, true},
		{"several", `<a>;rel=Prev, < b >; x="1,2" ; rel="NEXT other"; rel=last`, []Link{{"a", "prev", true}, {"b", "next other", true}}, true},
		{"bare", `<a>`, []Link{{"a", "", false}}, true},
		{"not-a-link", `a; rel=next`, nil, false},
		{"not-closed", `<a; rel=next`, nil, false},
		{"trailing", `<a> b`, nil, false},
		{"too-many", strings.Repeat("<a>,", maxLinks+1), nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := Links(tt.field); !reflect.DeepEqual(got, tt.want) || ok != tt.ok {
				t.Errorf("%+v, %v; want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
	if l := (&Link{Rel: "prev next"}); !l.Is("next") || l.Is("nex") {
		t.Error("Is compares words")
	}
}

// FuzzFields tests that every field is read to its end, within the limits.
func FuzzFields(f *testing.F) {
	f.Add(`Bearer realm="https://auth.example/token",service="s",scope="repository:a:pull"`)
	f.Add(`Basic realm="x", Bearer realm="http://auth.example/"`)
	f.Add(`Bearer realm="//[::1]:x", Negotiate abc==,,="`)
	f.Add(`</v2/_catalog?n=2&last=b>; rel="ne\xt`)
	f.Fuzz(func(t *testing.T, field string) {
		if all := Challenges(http.Header{"Www-Authenticate": {field, field}}); len(all) > maxChallenges {
			t.Errorf("%d challenges", len(all))
		}
		if all, ok := Links(field); len(all) > maxLinks || !ok && all != nil {
			t.Errorf("%d links, %v", len(all), ok)
		}
	})
}
