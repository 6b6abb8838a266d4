package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"archeio/infra/build"
	"archeio/scripts/runtimeapi"
)

// BenchmarkStart compares the redirector's start with that of the smallest
// function, from the fork of the process to its first call of next, and to its
// first answer. The two take turns, so that a change of the machine's speed
// meets both.
func BenchmarkStart(b *testing.B) {
	redirector, err := build.Bootstrap(b.Context(), "redirector")
	if err != nil {
		b.Fatal(err)
	}
	hello := filepath.Join(b.TempDir(), "hello")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags=-s -w", "-o", hello, "./testdata/hello")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	env := map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://us-docker.pkg.dev",
		"MIRROR_REGIONS":             "us-east-1,us-west-2,eu-central-1,eu-west-1,ap-southeast-1,ap-northeast-1",
		"MIRROR_URL_TEMPLATE":        "https://mirror-{region}.s3.dualstack.{region}.amazonaws.com",
		"MIRROR_FOR":                 "cn-north-1:ap-southeast-1",
	}
	event := []byte(`{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/pause/manifests/3.9","headers":{"x-forwarded-for":"35.180.1.1"}}`)
	var next, answer [2][]time.Duration
	for b.Loop() {
		for i, binary := range []string{redirector, hello} {
			n, a := start(b, binary, env, event)
			next[i], answer[i] = append(next[i], n), append(answer[i], a)
		}
	}
	b.ReportMetric(ms(median(next[0])), "ms-archeio-to-next")
	b.ReportMetric(ms(median(next[1])), "ms-hello-to-next")
	b.ReportMetric(float64(median(next[0]))/float64(median(next[1])), "ratio-to-next")
	b.ReportMetric(ms(median(answer[0])), "ms-archeio-to-answer")
	b.ReportMetric(ms(median(answer[1])), "ms-hello-to-answer")
	b.ReportMetric(float64(median(answer[0]))/float64(median(answer[1])), "ratio-to-answer")
}

func start(b *testing.B, binary string, env map[string]string, event []byte) (next, answer time.Duration) {
	api, err := runtimeapi.Listen()
	if err != nil {
		b.Fatal(err)
	}
	defer api.Close()
	began := time.Now()
	p, err := api.Start(binary, env, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Stop()
	<-api.Ready()
	next = time.Since(began)
	if _, err := api.Invoke(context.Background(), event); err != nil {
		b.Fatal(err)
	}
	return next, time.Since(began)
}
