package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"archeio/scripts/lab/pull"
)

// The chart that helm pulls. The last part of the repository's name must be the chart's.
// https://helm.sh/docs/topics/registries/
const (
	chartName       = "hello"
	chartRepository = "e2e/charts/" + chartName
	chartVersion    = "1.0.0"

	chartConfig  types.MediaType = "application/vnd.cncf.helm.config.v1+json"
	chartContent types.MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

func (t tools) helm() *client {
	dir := filepath.Join(t.dir, "chart")
	return &client{
		name: "helm", version: []string{"version", "--short"}, charts: true,
		pull: func(ctx context.Context, ref string) (string, error) {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return "", err
			}
			_, digest, err := t.commandWith(ctx, nil, "helm", "pull", "oci://"+ref, "--plain-http", "--destination", dir)
			if err != nil {
				return "", err
			}
			files, err := filepath.Glob(filepath.Join(dir, "*")) // the name depends on the reference
			if err != nil || len(files) != 1 {
				return "", fmt.Errorf("helm pull: %d files, want one: %v", len(files), err)
			}
			_, err = t.command(ctx, "helm", "show", "chart", files[0])
			return digest, err
		},
		remove: removeFiles(dir),
	}
}

// newChart returns the chart with a text in its config.
func newChart(text string) (v1.Image, error) {
	layer, err := pull.Layer(chartName+"/Chart.yaml", 0o644, []byte("apiVersion: v2\nname: "+chartName+"\nversion: "+chartVersion+"\n"))
	if err != nil {
		return nil, err
	}
	return artifactOf(text, layer, chartContent, chartConfig)
}
