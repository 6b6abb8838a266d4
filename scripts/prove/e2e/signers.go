package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"archeio/scripts/lab/pull"
)

// The chart that helm pulls. helm requires its name to be the last part of the
// repository's.
const (
	chartRepository = "e2e/charts/hello"
	chartVersion    = "1.0.0"
)

func (t tools) helm() *client {
	dir := filepath.Join(t.dir, "chart")
	return &client{
		name: "helm", version: []string{"version", "--short"},
		chart: func(ctx context.Context, repository, version string) error {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			if _, err := t.command(ctx, "helm", "pull", "oci://"+repository, "--version", version, "--plain-http", "-d", dir); err != nil {
				return err
			}
			_, err := os.Stat(filepath.Join(dir, "hello-"+version+".tgz"))
			return err
		},
	}
}

func (t tools) cosign() *client {
	key := filepath.Join(t.dir, "cosign")
	return &client{
		name: "cosign", version: []string{"version"},
		sign: func(ctx context.Context, ref string) error {
			if _, err := t.command(ctx, "cosign", "generate-key-pair", "--output-key-prefix", key); err != nil {
				return err
			}
			_, err := t.command(ctx, "cosign", "sign", "--yes", "--key", key+".key", "--tlog-upload=false", "--allow-http-registry", ref)
			return err
		},
		verify: func(ctx context.Context, ref string) error {
			_, err := t.command(ctx, "cosign", "verify", "--key", key+".pub", "--insecure-ignore-tlog", "--allow-http-registry", ref)
			return err
		},
	}
}

// pushChart pushes the chart to a registry.
func pushChart(ctx context.Context, source string) error {
	metadata := []byte("apiVersion: v2\nname: hello\nversion: " + chartVersion + "\n")
	archive, err := pull.Layer("hello/Chart.yaml", 0o644, metadata)
	if err != nil {
		return err
	}
	compressed, err := archive.Compressed()
	if err != nil {
		return err
	}
	defer compressed.Close()
	var content bytes.Buffer
	if _, err := content.ReadFrom(compressed); err != nil {
		return err
	}
	chart := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.cncf.helm.config.v1+json")
	chart, err = mutate.AppendLayers(chart, static.NewLayer(content.Bytes(), "application/vnd.cncf.helm.chart.content.v1.tar+gzip"))
	if err != nil {
		return err
	}
	tag, err := name.NewTag(source+chartRepository+":"+chartVersion, name.Insecure)
	if err != nil {
		return err
	}
	if err := remote.Write(tag, chart, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("pushing a chart: %w", err)
	}
	return nil
}

// pullChart pulls the chart.
func (s *testSystem) pullChart(ctx context.Context, c *client, e entryPoint, r *clientResult) error {
	err := c.chart(ctx, e.host()+"/"+chartRepository, chartVersion)
	hops := s.recorder.drain()
	countHops(hops, r)
	if err != nil {
		return err
	}
	return s.checkHops(hops)
}

// verifySignature signs an image at the upstream, and verifies its signature.
func (s *testSystem) verifySignature(ctx context.Context, c *client, e entryPoint, images *testImages, r *clientResult) error {
	ref := "/" + images.multi.repository + "@" + images.multi.digest.String()
	if !s.signed {
		if err := c.sign(ctx, s.local.Publisher()+ref); err != nil {
			return err
		}
		s.signed = true
		s.recorder.drain()
	}
	err := c.verify(ctx, e.host()+ref)
	hops := s.recorder.drain()
	countHops(hops, r)
	if err != nil {
		return err
	}
	return s.checkHops(withoutReferrerMisses(hops))
}
