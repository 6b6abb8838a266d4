package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// checkLayout hashes every blob of an OCI image layout and returns the digests
// in its index.
func checkLayout(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return "", err
	}
	var index struct{ Manifests []struct{ Digest string } }
	if err := json.Unmarshal(text, &index); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		blob, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if sum := sha256.Sum256(blob); hex.EncodeToString(sum[:]) != filepath.Base(file) {
			return "", fmt.Errorf("blob %s does not match its digest", filepath.Base(file)[:12])
		}
	}
	var digests []string
	for _, m := range index.Manifests {
		digests = append(digests, m.Digest)
	}
	return strings.Join(digests, " "), nil
}

// checkDir hashes every file of the layout that skopeo calls dir, whose names
// are digests, and returns the digest of its manifest.
func checkDir(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return "", err
	}
	digest := ""
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(data)
		got, want := hex.EncodeToString(sum[:]), strings.TrimSuffix(filepath.Base(file), ".manifest.json")
		switch {
		case want == "manifest.json":
			digest = "sha256:" + got
		case want != "version" && want != got:
			return "", fmt.Errorf("file %s does not match its digest", want)
		}
	}
	return digest, nil
}
