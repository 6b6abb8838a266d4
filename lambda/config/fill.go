package config

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"archeio/lambda/oci"
	"archeio/lambda/spelling"
)

// Fill is the configuration of the functions that fill the mirrors.
type Fill struct {
	// Source is REGISTRY[/PREFIX], without a scheme: https, or http for a
	// loopback address.
	Source string
	// Buckets are those of the mirrors, the primary first.
	Buckets []Bucket
	// State is the private bucket with the state that outlives an invocation. Its
	// Region is empty if it is that of the function.
	State Bucket
	// Queue is the URL of the work queue.
	Queue string
	// Rate is the maximum of requests per second from one worker to the source;
	// 0 is no limit.
	Rate float64
	// Referrers is whether the source is asked for the referrers of each
	// manifest.
	Referrers bool
	// Repositories are names or patterns of repositories below the prefix, Tags and
	// ExcludeTags patterns of tags, Platforms patterns of os/arch or os/arch/variant.
	// An empty list is no limit.
	Repositories, Tags, ExcludeTags, Platforms []string
	// AllowEmpty is whether a source that does not exist yet is no error.
	AllowEmpty bool
	// Secret is the name or ARN of a Secrets Manager secret that holds
	// credentials as a Docker configuration file does; empty if there is none.
	Secret string
}

// Bucket is an S3 bucket and its AWS region.
type Bucket struct {
	Name, Region string
	// Filling is whether it is a new mirror that clients are not redirected to
	// yet: it is filled, and the blob index does not wait for it.
	Filling bool
}

// LoadFill reads the configuration through getenv, as Load does.
func LoadFill(getenv func(string) string) (*Fill, error) {
	l := loader{getenv: getenv}
	f := &Fill{
		Source:    l.matching("FILL_SOURCE", validSource, "invalid source: want REGISTRY or REGISTRY/PREFIX without a scheme, for example us-docker.pkg.dev/project/images"),
		Buckets:   l.buckets("FILL_BUCKETS"),
		State:     l.state("FILL_STATE"),
		Queue:     l.queue("FILL_QUEUE"),
		Rate:      l.rate("FILL_RATE"),
		Referrers: l.boolean("FILL_REFERRERS"),

		Repositories: l.patterns("FILL_REPOSITORIES"),
		Tags:         l.patterns("FILL_TAGS"),
		ExcludeTags:  l.patterns("FILL_EXCLUDE_TAGS"),
		Platforms:    l.patterns("FILL_PLATFORMS"),
		AllowEmpty:   l.boolean("FILL_ALLOW_EMPTY"),
	}
	l.filling("FILL_FILLING", f.Buckets)
	if l.get("FILL_SECRET") != "" {
		f.Secret = l.matching("FILL_SECRET", validSecret, "invalid secret ID: want the name or ARN of a secret")
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	return f, nil
}

func (l *loader) matching(name string, valid func(string) bool, problem string) string {
	v := l.get(name)
	if !valid(v) {
		l.invalid(name, problem)
	}
	return v
}

func validSource(v string) bool {
	host, prefix, hasPrefix := strings.Cut(v, "/")
	return only(host, "-.:") && host != "" && (!hasPrefix || oci.ValidName(prefix))
}

// validBucket reports whether a bucket can have that name, by the rules for new
// buckets.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func validBucket(v string) bool {
	return only(v, "-.") && v == strings.ToLower(v) && len(v) >= 3 && len(v) <= 63
}

func validSecret(v string) bool { return only(v, "/_+=.@:-") && len(v) <= 2048 }

func (l *loader) state(name string) Bucket {
	b, region, hasRegion := strings.Cut(l.get(name), "@")
	switch {
	case !validBucket(b):
		l.invalid(name, "invalid bucket name: want the name of the state bucket")
	case hasRegion && !knownRegion(region):
		l.invalid(name, unknownRegion(region)+": want name@region")
	}
	return Bucket{Name: b, Region: region}
}

func (l *loader) buckets(name string) []Bucket {
	const want = "want name@region, comma-separated, the primary first"
	var out []Bucket
	for item := range list(l.get(name)) {
		b, region, _ := strings.Cut(item, "@")
		switch {
		case !validBucket(b):
			l.invalid(name, fmt.Sprintf("invalid bucket name %q: %s", b, want))
			return nil
		case !knownRegion(region):
			l.invalid(name, unknownRegion(region)+": "+want)
			return nil
		case slices.ContainsFunc(out, func(other Bucket) bool { return other.Name == b }):
			l.invalid(name, fmt.Sprintf("duplicate bucket %q: want each bucket once", b))
			return nil
		}
		out = append(out, Bucket{Name: b, Region: region})
	}
	if len(out) == 0 {
		l.invalid(name, "required: "+want)
	}
	return out
}

// filling marks buckets by their regions.
func (l *loader) filling(name string, buckets []Bucket) {
	const want = "want regions of FILL_BUCKETS other than the primary's, comma-separated"
	known := each(buckets, func(b Bucket) string { return b.Region })
	for region := range list(l.get(name)) {
		switch i := slices.IndexFunc(buckets, func(b Bucket) bool { return b.Region == region }); {
		case i < 0:
			l.invalid(name, fmt.Sprintf("%q is not in FILL_BUCKETS%s: %s", region, spelling.DidYouMean(region, known), want))
			return
		case i == 0:
			l.invalid(name, fmt.Sprintf("%q is the primary's region: %s", region, want))
			return
		default:
			buckets[i].Filling = true
		}
	}
}

func (l *loader) queue(name string) string {
	base, err := baseURL(l.get(name))
	if err != nil {
		l.invalid(name, err.Error())
	}
	return base
}

// patterns reads patterns of path.Match. A name is a pattern too.
func (l *loader) patterns(name string) []string {
	var out []string
	for item := range list(l.get(name)) {
		if !ValidPattern(item) {
			l.invalid(name, fmt.Sprintf("invalid pattern %q: want names, or patterns such as v1.* or team/**, comma-separated", item))
			return nil
		}
		out = append(out, item)
	}
	return out
}

// ValidPattern reports whether a text is a name of a repository, tag or platform, or a
// pattern of path.Match for such names.
func ValidPattern(v string) bool {
	_, err := path.Match(v, "")
	return err == nil && v != "" && len(v) <= 255 && only(v, "._-/*?[]^") && !strings.HasPrefix(v, "/") && !strings.HasSuffix(v, "/") && !strings.Contains(v, "//")
}
