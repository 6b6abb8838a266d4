package registry_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"archeio/lambda/registry"
	"archeio/scripts/lab/rude"
)

// TestSources tests that a registry with the habits of each source is read whole,
// by its listings or by a list of repositories, as the table says.
func TestSources(t *testing.T) {
	t.Parallel()
	for _, source := range registry.Sources {
		t.Run(strings.ReplaceAll(source.Name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			if _, err := registry.New(source.Example, registry.Options{}); err != nil {
				t.Error(err)
			}
			content := rudeContent()
			synctest.Test(t, func(t *testing.T) {
				s, err := rude.NewInMemory(content, source.Habits...)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				transport := s.Transport()
				defer transport.CloseIdleConnections()
				client, err := registry.New(s.Source(), registry.Options{Transport: transport, Keychain: &login{s: s}})
				if err != nil {
					t.Fatal(err)
				}
				var found []string
				err = client.Roots(t.Context(), "", func(page []string, _ string) error {
					found = append(found, page...)
					return nil
				})
				if source.Catalog && (err != nil || len(found) == 0) || !source.Catalog && (err == nil || !strings.Contains(err.Error(), "-repositories")) {
					t.Errorf("catalog %v: %d repositories, error %v", source.Catalog, len(found), err)
				}
				run := rude.Run{Referrers: true}
				if !source.Catalog {
					for _, name := range content.Names() {
						if strings.HasPrefix(name, rude.Prefix+"/") {
							run.Repositories = append(run.Repositories, name)
						}
					}
				}
				r := newReader(client)
				r.repositories = run.Repositories
				r.check(t, r.run(t.Context()), s.Want(run))
			})
		})
	}
}

// TestSourcesDocument tests that the operations guide has the table of sources.
func TestSourcesDocument(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../.github/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| source | repositories | login | limits | left out |\n|---|---|---|---|---|\n")
	for _, s := range registry.Sources {
		fmt.Fprintf(&want, "| %s: `%s` | %s | %s | %s | %s |\n", s.Name, s.Example, s.Repositories, s.Login, s.Limits, s.LeftOut)
	}
	if !strings.Contains(string(page), want.String()) {
		t.Errorf("operations.md does not have this table of sources:\n%s", want.String())
	}
}
