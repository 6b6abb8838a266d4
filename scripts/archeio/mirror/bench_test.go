package mirror

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"archeio/scripts/lab/images"
	"archeio/scripts/lab/system"
)

// counted forwards requests and counts them by kind, and the bytes of their bodies.
type counted struct {
	next http.Handler
	kind func(*http.Request) string

	mu       sync.Mutex
	requests map[string]int
	bytes    int64
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &countedWriter{ResponseWriter: w}
	c.next.ServeHTTP(out, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[c.kind(r)]++
	c.bytes += out.bytes + max(r.ContentLength, 0)
}

type countedWriter struct {
	http.ResponseWriter
	bytes int64
}

func (c *countedWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *countedWriter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// take returns the counts since the last call.
func (c *counted) take() (requests map[string]int, total int, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	requests, bytes = c.requests, c.bytes
	c.requests, c.bytes = map[string]int{}, 0
	for _, n := range requests {
		total += n
	}
	return requests, total, bytes
}

func sourceKind(r *http.Request) string {
	kind := "ping"
	for _, part := range []string{"_catalog", "tags", "manifests", "blobs", "referrers"} {
		if strings.Contains(r.URL.Path, "/"+part) {
			kind = part
		}
	}
	return r.Method + " " + kind
}

func bucketKind(r *http.Request) string {
	switch {
	case r.URL.Query().Has("list-type"):
		return "list"
	case isBucketCopy(r):
		return "copy"
	}
	return r.Method + " blob"
}

const benchImages, benchBlobs = 300, 2000

// BenchmarkFill copies 300 images with 2,000 blobs, half of them shared by three
// images each, into two buckets, and then again when nothing is missing.
func BenchmarkFill(b *testing.B) {
	s := start(b, "bench")
	if _, err := images.Publish(b.Context(), s.source, benchImages, func(r *rand.Rand) int { return 1000 + r.IntN(20_000) }); err != nil {
		b.Fatal(err)
	}
	source := &counted{next: passing(b, s.Upstream), kind: sourceKind, requests: map[string]int{}}
	mirrors := &counted{next: passing(b, endpoint(s.System, system.Regions[0])), kind: bucketKind, requests: map[string]int{}}
	env := []string{"AWS_ENDPOINT_URL_S3=" + serveHTTP(b, mirrors)}
	from := strings.Replace(s.source, strings.TrimPrefix(s.Upstream, "http://"), strings.TrimPrefix(serveHTTP(b, source), "http://"), 1)
	n := 0
	for b.Loop() {
		b.StopTimer()
		args := []string{"copy", "-source", from, "-state", b.TempDir(), "-json"}
		for _, name := range []string{"primary", "replica"} {
			bucket := fmt.Sprintf("bench-%d-%s", n, name)
			s.create(b, bucket)
			args = append(args, "-bucket", bucket)
		}
		n++
		var runs [2]fillRun
		for i := range runs {
			cmd, stdout, stderr := child(b, env, args...)
			begin := time.Now()
			if i == 0 {
				b.StartTimer()
			}
			err := cmd.Run()
			b.StopTimer()
			runs[i].took = time.Since(begin)
			if err != nil {
				b.Fatalf("%v: %s%s", err, stdout, stderr)
			}
			if err := json.Unmarshal(stdout.Bytes(), &runs[i].report); err != nil {
				b.Fatal(err)
			}
			runs[i].source, runs[i].sourceTotal, runs[i].sourceBytes = source.take()
			runs[i].mirrors, runs[i].mirrorTotal, runs[i].mirrorBytes = mirrors.take()
		}
		checkFill(b, &runs)
		fmt.Printf("\n%s\n", fillTable(&runs)) // b.Log cuts it off
		first, second := &runs[0], &runs[1]
		b.ReportMetric(benchBlobs/first.took.Seconds(), "blobs/s")
		b.ReportMetric(float64(first.sourceTotal), "source-requests")
		b.ReportMetric(float64(first.mirrorTotal), "bucket-requests")
		b.ReportMetric(float64(first.sourceBytes), "source-bytes")
		b.ReportMetric(second.took.Seconds(), "s/second-run")
		b.ReportMetric(float64(second.sourceTotal), "source-requests/second-run")
		b.ReportMetric(float64(second.mirrorTotal), "bucket-requests/second-run")
		b.StartTimer()
	}
}

// fillRun is the result of one run of the program.
type fillRun struct {
	report                   copyReport
	took                     time.Duration
	source, mirrors          map[string]int
	sourceTotal, mirrorTotal int
	sourceBytes, mirrorBytes int64
}

// checkFill checks that the first run fetches each manifest and blob once, and the
// second one none.
func checkFill(b *testing.B, runs *[2]fillRun) {
	first, second := &runs[0], &runs[1]
	if c := first.report.Copied; c.Blobs != 2*benchBlobs || c.FromBucket != benchBlobs || c.Existed != 0 {
		b.Fatalf("the first run copied %+v, want %d blobs twice, the second time from bucket to bucket", c, benchBlobs)
	}
	for kind, want := range map[string]int{"GET manifests": benchImages, "GET blobs": benchBlobs} {
		if got := first.source[kind]; got != want {
			b.Fatalf("the first run made %d requests %q, want %d", got, kind, want)
		}
	}
	if got := second.report; got.Fetched != 0 || got.Blobs != benchBlobs || *got.Copied != (copiedReport{}) {
		b.Fatalf("the second run: %d manifests fetched, copied %+v", got.Fetched, got.Copied)
	}
	for kind, n := range second.source {
		if kind == "GET manifests" || kind == "GET blobs" {
			b.Fatalf("the second run made %d requests %q", n, kind)
		}
	}
	// Three pages of a thousand keys a bucket, and nothing else.
	if len(second.mirrors) != 1 || second.mirrors["list"] > 2*(benchBlobs/1000+1) {
		b.Fatalf("the second run sent these requests to the buckets: %v", second.mirrors)
	}
}

func fillTable(runs *[2]fillRun) string {
	var out strings.Builder
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	first, second := &runs[0], &runs[1]
	fmt.Fprintf(&out, "%d images, %d blobs, two buckets\n", benchImages, benchBlobs)
	fmt.Fprintf(t, "\tFIRST RUN\tSECOND RUN\n")
	fmt.Fprintf(t, "time\t%.2f s\t%.2f s\n", first.took.Seconds(), second.took.Seconds())
	row := func(where string, a, b map[string]int) {
		kinds := maps.Clone(a)
		maps.Copy(kinds, b)
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			fmt.Fprintf(t, "%s %s\t%d\t%d\n", where, kind, a[kind], b[kind])
		}
	}
	row("source", first.source, second.source)
	fmt.Fprintf(t, "source, all\t%d, %s\t%d, %s\n", first.sourceTotal, size(first.sourceBytes), second.sourceTotal, size(second.sourceBytes))
	row("buckets", first.mirrors, second.mirrors)
	fmt.Fprintf(t, "buckets, all\t%d, %s\t%d, %s\n", first.mirrorTotal, size(first.mirrorBytes), second.mirrorTotal, size(second.mirrorBytes))
	t.Flush()
	return out.String()
}
