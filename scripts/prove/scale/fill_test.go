package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"archeio/lambda/config"
	"archeio/lambda/registry"
)

// Blobs with contents have the digests of these, in order, and one repository each.
func TestContents(t *testing.T) {
	t.Parallel()
	g := newContents(10 * minFill)
	for i := range g.blobs {
		text := content(g.seeds[i])
		if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(text)); len(text) != contentSize || g.blob(i) != sum || i > 0 && g.blob(i-1) >= sum {
			t.Fatalf("blob %d is %q with the digest %s, after %s", i, text, g.blob(i), g.blob(max(0, i-1)))
		}
	}
	blobs := 0
	for repository := range g.repositories {
		g.manifestsOf(repository, func(i int) {
			contents, err := registry.Parse(g.manifest(i))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range contents.Blobs {
				blobs++
				i, known := g.find(config.BlobPrefix + b.Digest)
				if !known || b.Size != contentSize || g.repositoryOf(i) != repository {
					t.Errorf("%+v of repository %d is blob %d of repository %d", b, repository, i, g.repositoryOf(i))
				}
			}
		})
	}
	if blobs != g.blobs {
		t.Errorf("%d blobs in manifests, want %d", blobs, g.blobs)
	}
}

// The S3 server stores, copies, lists and deletes blobs as S3 does.
func TestMirrors(t *testing.T) {
	t.Parallel()
	g := newContents(minFill)
	s3 := httptest.NewServer(&storage{generator: g, counts: &counts{}, objects: map[string]map[string]*object{}})
	t.Cleanup(s3.Close)
	one, other, sum := "/a/"+g.key(4), "/b/"+g.key(4), sha256.Sum256(content(g.seeds[4]))
	checksum, body := base64.StdEncoding.EncodeToString(sum[:]), string(content(g.seeds[4]))
	copied := []string{"X-Amz-Copy-Source", "a/" + config.BlobPrefix + "sha256%3A" + g.blob(4)[7:], "X-Amz-Copy-Source-If-Match", blobETag(4), "If-None-Match", "*"}
	put := []string{"X-Amz-Checksum-Sha256", checksum, "If-None-Match", "*"}
	for _, c := range []struct {
		name, method, url string
		header            []string
		body              string
		status            int
		want              string
	}{
		{"copy-of-nothing", "PUT", other, copied, "", 404, "NoSuchKey"},
		{"head-of-nothing", "HEAD", one, nil, "", 404, ""},
		{"list-of-nothing", "GET", "/a?list-type=2&prefix=" + config.BlobPrefix, nil, "", 200, "<KeyCount>0<"},
		{"no-checksum", "PUT", one, nil, body, 400, "BadDigest"},
		{"other-content", "PUT", one, put, "x" + body[1:], 400, "BadDigest"},
		{"longer-content", "PUT", one, put, body + "x", 400, "BadDigest"},
		{"other-key", "PUT", "/a/" + g.key(5), put, body, 400, "BadDigest"},
		{"unknown-key", "PUT", "/a/" + config.BlobPrefix + "sha256:00", put, body, 400, "InvalidRequest"},
		{"first", "PUT", one, put, body, 200, ""},
		{"again", "PUT", one, put, body, 412, "PreconditionFailed"},
		{"read", "GET", one, nil, "", 200, body},
		{"list", "GET", "/a?list-type=2&prefix=" + config.BlobPrefix, nil, "", 200, "<Key>" + g.key(4) + "</Key><Size>20<"},
		{"list-after", "GET", "/a?list-type=2&prefix=" + config.BlobPrefix + "&start-after=" + g.key(4), nil, "", 200, "<KeyCount>0<"},
		{"not-in-the-other", "GET", other, nil, "", 404, "NoSuchKey"},
		{"copy-of-another-etag", "PUT", other, slices.Replace(slices.Clone(copied), 3, 4, `"x"`), "", 412, "PreconditionFailed"},
		{"copy", "PUT", other, copied, "", 200, "<CopyObjectResult><ETag>"},
		{"copy-again", "PUT", other, copied, "", 412, "PreconditionFailed"},
		{"versions", "GET", "/b?versions&prefix=" + g.key(4), nil, "", 200, "<Key>" + g.key(4) + "</Key><VersionId>null<"},
		{"delete", "DELETE", other + "?versionId=null", nil, "", 204, ""},
		{"deleted", "GET", other, nil, "", 404, "NoSuchKey"},
		{"no-version", "GET", "/b?versions&prefix=" + g.key(4), nil, "", 200, "<IsTruncated>false</IsTruncated></"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, s3.URL+c.url, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for header := range slices.Chunk(append(c.header, "X-Amz-Checksum-Mode", "ENABLED"), 2) {
			r.Header.Set(header[0], header[1])
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(text), c.want) {
			t.Errorf("%s: %d %q, want %d %q", c.name, resp.StatusCode, text, c.status, c.want)
		}
		if got := resp.Header.Get("X-Amz-Checksum-Sha256"); c.name == "read" && got != checksum {
			t.Errorf("%s: checksum %q, want %q", c.name, got, checksum)
		}
	}
}

// A mirror without a blob, and a record of prune with another number of blobs, are
// failures.
func TestFillingChecks(t *testing.T) {
	t.Parallel()
	g := newContents(minFill)
	all := make(blobSet, (g.blobs+63)/64)
	for i := range g.blobs {
		all[i/64] |= 1 << (i % 64)
	}
	s := &storage{generator: g, mirrors: map[string]blobSet{mirrorName(0): all, mirrorName(1): slices.Clone(all)}}
	p := &proof{options: options{mirrors: 2}, phases: []phase{{requests: [kinds]count{sourceBlob: {requests: int64(g.blobs)}}}}}
	f := &filling{proof: p, generator: g, s3: s, state: t.TempDir(), unreferenced: map[int]bool{1: true, 2: true}}
	record := func(out int64, blobs ...int) {
		t.Helper()
		data := make([]byte, recordHeader)
		for _, i := range blobs {
			digest, err := hex.DecodeString(strings.TrimPrefix(g.blob(i), "sha256:"))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = binary.Append(append(data, digest...), binary.BigEndian, unusedBlob{Since: 1, Out: out}); err != nil {
				t.Fatal(err)
			}
		}
		dir := filepath.Join(f.state, "prune")
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "0"), sealed(data), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(name string, got error, want string) {
		t.Helper()
		if text := errorText(got); (want == "") != (text == "") || !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %q", name, text, want)
		}
	}
	check("copied", f.copied(g.blobs), "")
	check("copied-twice", f.copied(0), fmt.Sprintf("%d blobs were read from the source, want 0", g.blobs))
	record(0, 1, 2)
	check("pruned", f.pruned(0, 0), "")
	record(0, 1, 3)
	check("other-blob", f.pruned(0, 0), "1 others")
	record(0, 1)
	check("too-few", f.pruned(0, 0), "1 unreferenced blobs are recorded")
	record(1, 1, 2)
	check("out-of-the-index", f.pruned(0, 0), "2 out of the index")
	check("out-of-the-index", f.pruned(2, 0), "")
	s.mirrors[mirrorName(1)][0] &^= 1 << 1
	check("lost", f.copied(g.blobs), "mirror-01 has 161 blobs, want 162")
	s.mirrors[mirrorName(0)][0] &^= 1 << 3
	record(0, 2)
	check("deleted-another", f.pruned(0, 1), "mirror-00 is missing 1 blobs that were not to be deleted")
	s.mirrors[mirrorName(0)][0] ^= 1<<3 | 1<<1
	check("deleted", f.pruned(0, 1), "")
}
