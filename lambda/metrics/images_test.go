package metrics

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

type imageLine struct {
	Msg                      string
	Seconds, Requests, Other int
	Images                   []struct {
		Repository, Cloud, Region string
		Requests                  int
	}
}

// imageLines returns the lines of requests by repository that were written.
func imageLines(t *testing.T, out *writes) (all []imageLine) {
	t.Helper()
	for line := range strings.Lines(out.take()) {
		if !strings.HasPrefix(line, `{"msg":"images"`) {
			continue
		}
		var l imageLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		sum := l.Other
		for _, i := range l.Images {
			sum += i.Requests
		}
		if sum != l.Requests {
			t.Errorf("the counts of a line add up to %d, want %d", sum, l.Requests)
		}
		all = append(all, l)
	}
	return all
}

func TestImages(t *testing.T) {
	t.Parallel()
	r, out, c := newRecorder()
	pull := func(repository, cloud, region string) {
		request(r, "blob", cloud, "aws-region", 0)
		r.Image(repository, cloud, region)
		r.Flush()
	}
	pull("pause", "AWS", "eu-west-3")
	pull("etcd", "", "")
	pull("pause", "AWS", "us-east-1")
	pull("pause", "AWS", "eu-west-3")
	if lines := imageLines(t, out); len(lines) != 0 {
		t.Fatalf("lines %v within the interval", lines)
	}
	c.advance(ImageInterval)
	pull("pause", "GCP", "global")
	lines := imageLines(t, out)
	if len(lines) != 1 || lines[0].Seconds != 60 || lines[0].Requests != 5 || lines[0].Other != 0 {
		t.Fatalf("lines %+v", lines)
	}
	want := "[{pause AWS eu-west-3 2} {pause AWS us-east-1 1} {pause GCP global 1} {etcd unknown  1}]"
	if got := fmt.Sprint(lines[0].Images); got != want {
		t.Errorf("images %s, want %s", got, want)
	}
	// The next interval begins with its first request.
	c.advance(5 * ImageInterval)
	pull("etcd", "AWS", "eu-west-3")
	if lines := imageLines(t, out); len(lines) != 0 {
		t.Errorf("lines %+v at the beginning of an interval", lines)
	}
	c.advance(time.Second)
	r.Close()
	if lines := imageLines(t, out); len(lines) != 1 || lines[0].Requests != 1 || lines[0].Seconds != 1 {
		t.Errorf("lines %+v at the end, want one", lines)
	}
	r.Close()
	if lines := imageLines(t, out); len(lines) != 0 {
		t.Errorf("lines %+v without a request", lines)
	}
}

// TestManyImages floods the table with names that are requested once. What is
// requested often is still counted, never too high and by little too low.
func TestManyImages(t *testing.T) {
	t.Parallel()
	const floods, often = 100_000, 20
	r, out, _ := newRecorder()
	request(r, "blob", "AWS", "aws-region", 0)
	counted := map[string]int{}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range floods {
		r.Image(fmt.Sprintf("flood/%d-%s", i, strings.Repeat("x", 200)), "AWS", "us-east-1")
		if name := fmt.Sprintf("often/%d", random.IntN(often)); i%4 == 0 {
			r.Image(name, "AWS", "eu-west-3")
			counted[name]++
		}
	}
	r.Close()
	line := imageLines(t, out)[0]
	if len(line.Images) > maxRepositories || line.Requests != floods+floods/4 {
		t.Errorf("%d repositories, %d requests", len(line.Images), line.Requests)
	}
	found := 0
	for _, i := range line.Images {
		n, ok := counted[i.Repository]
		if !ok {
			n = 1
		}
		if i.Requests > n {
			t.Errorf("%s: %d requests, want at most %d", i.Repository, i.Requests, n)
		}
		if ok && i.Requests > n/2 {
			found++
		}
	}
	if found != often {
		t.Errorf("%d of %d repositories with many requests are counted", found, often)
	}
}

// TestLongestImageLine checks that a line is accepted by CloudWatch.
func TestLongestImageLine(t *testing.T) {
	t.Parallel()
	r, out, _ := newRecorder()
	request(r, "blob", "AWS", "aws-region", 0)
	for i := range 250 {
		r.Image(fmt.Sprintf("%03d/%s", i%120, strings.Repeat("a", 250)), "Azure", fmt.Sprintf("region-%d", i))
	}
	r.Close()
	const limit = 256 << 10 // of events before 2025
	for _, text := range out.texts {
		if len(text) > limit {
			t.Errorf("a write of %d bytes", len(text))
		}
	}
	if line := imageLines(t, out)[0]; line.Requests != 250 {
		t.Errorf("line %+v", line)
	}
}

func TestImageAllocations(t *testing.T) {
	r, _, _ := newRecorder()
	request(r, "blob", "AWS", "aws-region", 0)
	names := make([]string, 2000)
	for i := range names {
		names[i] = fmt.Sprintf("repository/%d", i)
	}
	r.Image("first", "", "") // allocates the table
	i := 0
	if n := testing.AllocsPerRun(10_000, func() { r.Image(names[i%len(names)], "AWS", "eu-west-3"); i++ }); n > 0 {
		t.Errorf("counting a request takes %v allocations", n)
	}
}

func BenchmarkImage(b *testing.B) {
	for _, bb := range []struct {
		name         string
		repositories int
	}{{"few", 20}, {"many", 200}, {"flood", 100_000}} {
		b.Run(bb.name, func(b *testing.B) {
			r, _, _ := newRecorder()
			names := make([]string, bb.repositories)
			for i := range names {
				names[i] = fmt.Sprintf("repository/%d", i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i++; i == len(names) {
					i = 0
				}
				r.Image(names[i], "AWS", "eu-west-3")
			}
		})
	}
}
