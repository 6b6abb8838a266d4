package compile

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"archeio/ranges"
)

// repeat returns an AWS document with n entries.
func repeat(n int, entry func(i int) string) []byte {
	var b bytes.Buffer
	b.WriteString(`{"syncToken":"1767225600","createDate":"2026-01-01-00-00-00","prefixes":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(entry(i))
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func TestHostileDocuments(t *testing.T) {
	numbered := func(i int) string {
		return fmt.Sprintf(`{"ip_prefix":"%d.%d.%d.0/24","region":"x"}`, 11+i>>16, i>>8&255, i&255)
	}
	change := func(prefix string) []byte { return []byte(strings.Replace(aws, "3.5.0.0/16", prefix, 1)) }
	for _, tt := range []struct {
		name string
		data []byte
		want string
		// megabytes is the most that may be allocated to find out.
		megabytes uint64
	}{
		{"million-prefixes", repeat(1e6, numbered), "larger than 16777216 bytes", 1},
		{"million-short-entries", repeat(1e6, func(int) string { return "{}" }), "more than 500000 values", 1},
		{"too-many-prefixes", repeat(maxPrefixes+1, numbered), "more than 100000 entries", 100},
		{"deep", []byte(strings.Repeat(`[`, 1e6)), "nested more than 16 deep", 1},
		{"deep-objects", []byte(strings.Repeat(`{"a":`, 1e6)), "nested more than 16 deep", 1},
		{"brackets-in-a-string", []byte(strings.Replace(aws, `"GLOBAL"`, `"\"[[[[[[[[[[[[[[[[[[[["`, 1)), "invalid region", 1},
		{"all-of-ipv4", change("0.0.0.0/0"), `prefix "0.0.0.0/0": too short, want at least /8`, 1},
		{"all-of-ipv6", change("::/0"), `prefix "::/0": too short, want at least /20`, 1},
		{"short", change("16.0.0.0/7"), "too short", 1},
		{"short-ipv6", change("2000::/19"), "too short", 1},
		{"longer-than-ipv4", change("3.5.0.0/33"), `prefix "3.5.0.0/33": invalid prefix`, 1},
		{"longer-than-ipv6", change("2600:1f00::/129"), "invalid prefix", 1},
		{"negative", change("3.5.0.0/-1"), "invalid prefix", 1},
		{"zone", change("fe80::%eth0/64"), "invalid prefix", 1},
		{"private", change("10.1.0.0/16"), `prefix "10.1.0.0/16": not a public address`, 1},
		{"loopback", change("127.0.0.0/8"), "not a public address", 1},
		{"multicast", change("224.0.0.0/8"), "not a public address", 1},
		{"link-local", change("fe80::/64"), "not a public address", 1},
		{"unspecified", change("0.0.0.0/8"), "not a public address", 1},
		{"prefixes-are-an-object", []byte(strings.Replace(aws, `"prefixes":[`, `"prefixes":{"a":[`, 1)), "not JSON", 1},
		{"prefixes-are-null", []byte(`{"syncToken":"1","createDate":"x","prefixes":null}`), "no prefixes", 1},
		{"token-is-a-number", []byte(strings.Replace(aws, `"1767225600"`, `1767225600`, 1)), "invalid use of ,string struct tag", 1},
		{"token-is-negative", []byte(strings.Replace(aws, `"1767225600"`, `"-1"`, 1)), "implausible date", 1},
		{"token-is-huge", []byte(strings.Replace(aws, `"1767225600"`, `"9223372036854775807"`, 1)), "implausible date", 1},
		{"version-is-long", []byte(strings.Replace(aws, "2026-01-01-00-00-00", strings.Repeat("v", 65), 1)), "invalid version", 1},
		{"version-is-not-text", []byte(strings.Replace(aws, "2026-01-01-00-00-00", `a\u001b[31m`, 1)), `invalid version "a\x1b[31m"`, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := provider(ranges.AWS).Parse("ip-ranges.json", tt.data)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Parse: %v, want an error with %q", err, tt.want)
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 250 {
				t.Errorf("error is not one short line: %q", err)
			}
			if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > tt.megabytes {
				t.Errorf("Parse allocates %d MB, want at most %d", got, tt.megabytes)
			}
		})
	}
}

// TestHostileServers: no response costs more than a small multiple of the largest
// document that is accepted.
func TestHostileServers(t *testing.T) {
	const megabytes = 200
	mux := http.NewServeMux()
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	other := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	chunk := make([]byte, 1<<20)
	endless := func(w io.Writer) {
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) { endless(w) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "209715200")
		endless(w)
	})
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		endless(gzip.NewWriter(w))
	})
	mux.HandleFunc("/bomb-in-bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		outer := gzip.NewWriter(w)
		inner := gzip.NewWriter(outer)
		_, _ = inner.Write(chunk)
		_, _ = inner.Close(), outer.Close()
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(aws)[:200])
	})
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	mux.HandleFunc("/circle", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/circle", http.StatusFound) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	for _, tt := range []struct{ path, want string }{
		{"/endless", "larger than 16777216 bytes"},
		{"/large", "larger than 16777216 bytes"},
		{"/bomb", "larger than 16777216 bytes"},
		{"/bomb-in-bomb", "not JSON"},
		{"/cut", "unexpected EOF"},
		{"/elsewhere", "redirect to another host"},
		{"/circle", "stopped after 3 redirects"},
		{"/file", "redirect to a URL that is not https"},
	} {
		t.Run(tt.path[1:], func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := provider(ranges.AWS).Read(t.Context(), server.Client(), server.URL+tt.path)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Read: %v, want one line with %q", err, tt.want)
			}
			if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > megabytes {
				t.Errorf("Read allocates %d MB, want at most %d", got, megabytes)
			}
		})
	}
}

func TestAzureDocument(t *testing.T) {
	t.Parallel()
	const at = "https://download.microsoft.com/download/7/1/D/71D86715-5596-4529-9B13-DA13A5DE5B63/ServiceTags_Public_"
	link := func(url string) string { return `<a href="` + url + `">click here</a>` }
	for _, tt := range []struct{ name, page, want string }{
		{"one", link(at + "20260727.json"), at + "20260727.json"},
		{"in-a-script", `{"url":"` + at + `20260727.json","name":"ServiceTags_Public_20260727.json"}`, at + "20260727.json"},
		{"newest", link(at+"20260727.json") + link(at+"20260803.json") + link(at+"20260720.json"), at + "20260803.json"},
		{"none", "<html></html>", ""},
		{"empty", "", ""},
		{"another-host", link("https://download.microsoft.com.example/download/7/ServiceTags_Public_20260727.json"), ""},
		{"http", link("http" + strings.TrimPrefix(at, "https") + "20260727.json"), ""},
		{"another-cloud", link(strings.Replace(at, "_Public_", "_AzureGovernment_", 1) + "20260727.json"), ""},
		{"parent-folder", link("https://download.microsoft.com/download/../x/ServiceTags_Public_20260727.json"), ""},
		{"no-date", link(at + "latest.json"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := azureDocument([]byte(tt.page))
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, error %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestHostileUpdate has valid documents that no provider would publish.
func TestHostileUpdate(t *testing.T) {
	document := func(cloud ranges.Cloud, n int, prefix func(i int) string, region func(i int) string) Document {
		d := Document{Cloud: cloud, Version: "1", Date: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		for i := range n {
			if err := d.add(prefix(i), region(i)); err != nil {
				t.Fatal(err)
			}
		}
		return d
	}
	one := func(int) string { return "x" }
	neighbours := func(i int) string { return fmt.Sprintf("%d.%d.%d.0/24", 11+i>>16, i>>8&255, i&255) }
	const many = 20_000
	for _, tt := range []struct {
		name      string
		documents []Document
		want      string // of the error, or else of the problems
		megabytes uint64
	}{
		{"one-region", []Document{document(ranges.AWS, many, neighbours, one)}, "", 100},
		{"alternating-regions", []Document{document(ranges.AWS, many, neighbours, func(i int) string { return "x" + strconv.Itoa(i&1) })}, "", 100},
		{"many-regions", []Document{document(ranges.AWS, 3e4, neighbours, func(i int) string { return fmt.Sprintf("r-%040d", i) })}, "names of the regions are too long", 100},
		{"claimed-twice", []Document{document(ranges.AWS, many, neighbours, one), document(ranges.GCP, many, neighbours, one)}, "conflicting: 20000 conflicts, the first: ", 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, report, err := Update(ranges.Table{}, tt.documents, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
			runtime.ReadMemStats(&after)
			text := report.Text()
			got := fmt.Sprint(report.Problems)
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) || tt.want == "" && (err != nil || len(report.Problems) > 0) {
				t.Errorf("error %v, problems %.200s, want %q", err, fmt.Sprint(report.Problems), tt.want)
			}
			if n := strings.Count(text, "\n"); n > 80 {
				t.Errorf("the report has %d lines, want at most 80", n)
			}
			if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got > tt.megabytes {
				t.Errorf("Update allocates %d MB, want at most %d", got, tt.megabytes)
			}
		})
	}
}
