package compile

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"archeio/ranges"
)

func TestRead(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/aws.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(aws)) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/aws.json", http.StatusFound) })
	mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://example.com/aws.json", http.StatusFound)
	})
	file := filepath.Join(t.TempDir(), "aws.json")
	if err := os.WriteFile(file, []byte(aws), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := file + ".missing"
	for _, tt := range []struct{ name, from, want string }{
		{"file", file, ""},
		{"url", server.URL + "/aws.json", ""},
		{"redirect", server.URL + "/moved", ""},
		{"redirect-to-http", server.URL + "/plain", "redirect to a URL that is not https"},
		{"no-such-url", server.URL + "/none", `server responded "404 Not Found"`},
		{"no-server", "https://127.0.0.1:1/aws.json", "connection refused"},
		{"no-such-file", missing, "no such file or directory"},
		{"folder", filepath.Dir(file), "is a directory"},
		{"http", "http://example.com/x.json", "want a file or an https URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Providers[0].Read(t.Context(), server.Client(), tt.from)
			if tt.want == "" {
				if err != nil || len(d.Prefixes) != 4 {
					t.Errorf("%d prefixes, want 4; error %v", len(d.Prefixes), err)
				}
				return
			}
			prefix := `reading the AWS document "` + tt.from + `": `
			if err == nil || !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), tt.from) != 1 {
				t.Errorf("error %v, want %s%s", err, prefix, tt.want)
			}
		})
	}
}

func TestReadThroughPage(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	page := `<a href="` + server.URL + `/ServiceTags_Public_20260727.json">`
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) })
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/ServiceTags_Public_20260727.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(azure)) })
	p := provider(ranges.Azure)
	p.URL = server.URL + "/page"
	p.find = func(page []byte) (string, error) {
		if link := regexp.MustCompile(`https://[^"]+`).Find(page); link != nil {
			return string(link), nil
		}
		return azureDocument(page)
	}
	d, err := p.Read(t.Context(), server.Client(), p.URL)
	if err != nil || len(d.Prefixes) != 1 || d.Date.IsZero() {
		t.Errorf("document %+v, error %v, want 1 prefix and the date of the file name", d, err)
	}
	p.URL = server.URL + "/empty"
	if _, err := p.Read(t.Context(), server.Client(), p.URL); err == nil || !strings.Contains(err.Error(), "no link to a document") {
		t.Errorf("page without a link: error %v", err)
	}
}

func TestReadFolder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		without int
		more    string
		want    string
	}{
		{"all", -1, "", ""},
		{"missing", 3, "", "no document of OCI: download https://docs.oracle.com/"},
		{"twice", -1, aws, `"0.json" and "more.json" are both of AWS: remove one`},
		{"unknown", -1, `{"hello":"world"}`, `more.json": not a document of any known cloud: remove it`},
		{"invalid", 3, strings.Replace(oracle, "129.213.8.0", "129.213.8.1", 1), `more.json": invalid document of OCI IP ranges: entry 3`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			files := map[string]string{"notes.txt": "not a document"}
			for i, text := range samples {
				if i != tt.without {
					files[strconv.Itoa(i)+".json"] = text
				}
			}
			if tt.more != "" {
				files["more.json"] = tt.more
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			documents, err := ReadFolder(dir)
			if tt.want == "" && (err != nil || len(documents) != len(Providers)) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%d documents, error %v, want %q", len(documents), err, tt.want)
			}
		})
	}
	if _, err := ReadFolder(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: error %v", err)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "table.bin")
	if _, err := ReadTable(t.Context(), nil, name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadTable of a missing file: %v", err)
	}
	table := build(t, aws, google, azure)
	for range 2 { // the second time it replaces the file
		if err := WriteFile(name, table); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := ReadTable(t.Context(), nil, name); err != nil || got != table {
		t.Errorf("table differs from the one that was written; error %v", err)
	}
	if left, _ := filepath.Glob(name + ".*"); left != nil {
		t.Errorf("WriteFile left %v", left)
	}
	if err := os.WriteFile(name, []byte("ARCHIP"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTable(t.Context(), nil, name); !errors.Is(err, ranges.ErrDamaged) || strings.Count(err.Error(), name) != 1 {
		t.Errorf("ReadTable of a damaged file: %v", err)
	}
	if err := WriteFile(filepath.Join(dir, "none", "table.bin"), table); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("WriteFile into a missing folder: %v", err)
	}
}
