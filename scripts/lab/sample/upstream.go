package sample

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"

	"archeio/lambda/oci"
)

// tokenUpstream is the path of the simulated upstream that requires a token. It has one
// manifest in every repository, with the tag 3.9, no referrers, and every blob.
const tokenUpstream = "/v2/token/"

// The repositories for which the simulated upstream is hostile: it leads to other hosts, or
// sends content with another digest.
const (
	foreignRealm   = "foreign-realm"
	foreignStorage = "foreign-storage"
	foreignLink    = "foreign-link"
	wrongContent   = "wrong-content"
)

// sendsBlobs is a repository whose blobs the simulated upstream sends itself. It has one.
const sendsBlobs = "sends-blobs"

const (
	sampleBlob     = "\x1f\x8b\x00\xff"
	sampleToken    = "c2FtcGxl"
	sampleManifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:64cc8b30b2d16d7e683b1ad4c9f41617e20bedcc4fc0b46411e6e797437a0087","size":2},"layers":[]}`
)

func digestOf(content string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content)))
}

// serveUpstream responds as an upstream that requires a token, its token server or its
// storage, and reports whether the path is one of theirs.
func serveUpstream(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.URL.Path == "/token":
		fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, sampleToken)
		return true
	case !strings.HasPrefix(r.URL.Path, tokenUpstream):
		return false
	}
	own := "http://" + r.Host
	repository, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, tokenUpstream), "/")
	kind, reference, _ := strings.Cut(rest, "/")
	switch r.Header.Get("Authorization") {
	case "Bearer " + sampleToken:
	case "":
		realm := own + "/token"
		if repository == foreignRealm {
			realm = "https://tokens.example.net/"
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="sample",scope="repository:token/%s:pull"`, realm, repository))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	default: // the credentials of a client
		w.WriteHeader(http.StatusBadRequest)
		return true
	}
	digest := digestOf(sampleManifest)
	switch {
	case kind == "manifests" && (reference == "3.9" || reference == digest):
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", digest)
		w.Header().Set("ETag", `"`+digest+`"`)
		if fmt.Fprint(w, sampleManifest); repository == wrongContent {
			fmt.Fprint(w, " ")
		}
	case kind == "blobs" && repository == sendsBlobs:
		if reference != digestOf(sampleBlob) {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		fmt.Fprint(w, sampleBlob)
	case kind == "blobs":
		storage := own
		if repository == foreignStorage {
			storage = "http://169.254.169.254"
		}
		w.Header().Set("Location", storage+"/storage/"+reference+"?signature=a%2Fb")
		w.WriteHeader(http.StatusTemporaryRedirect)
	case kind == "referrers":
		w.Header().Set("Content-Type", oci.IndexType)
		if r.URL.Query().Has("artifactType") {
			w.Header().Set("OCI-Filters-Applied", "artifactType")
		}
		fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":%q,"manifests":[]}`, oci.IndexType)
	case kind == "tags":
		next := ""
		if repository == foreignLink {
			next = "https://registry.example.net"
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?last=3.9&n=1>; rel="next"`, next, r.URL.Path))
		fmt.Fprintf(w, `{"name":"token/%s","tags":["3.9"]}`, repository)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	return true
}
