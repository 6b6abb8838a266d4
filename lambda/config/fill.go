package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"archeio/lambda/oci"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// Fill is the configuration of the functions that fill the mirrors. It is not
// changed after LoadFill; it is safe for concurrent use.
type Fill struct {
	// Source is REGISTRY[/PREFIX], without a scheme: https, or http for a
	// loopback address.
	Source string
	// Buckets are the mirrors', the primary first.
	Buckets []Bucket
	// State is the private bucket that keeps what must outlive an invocation.
	State string
	// Queue is the URL of the queue that hands out the work.
	Queue string
	// Rate is how many requests a second one worker sends to the source at
	// most; 0 is no limit.
	Rate float64
	// Referrers tells whether the source is asked what refers to each manifest.
	Referrers bool
	// Secret is the name or the ARN of a secret of Secrets Manager that holds
	// logins as a Docker configuration does; empty for none.
	Secret string
}

// Bucket is a bucket and the AWS region that it is in.
type Bucket struct {
	Name, Region string
	// Filling tells that it is a new mirror that is not routed to yet: it is
	// filled, and the index of what all mirrors hold does not wait for it.
	Filling bool
}

// FillVariables lists every variable that LoadFill reads, in the order in which
// they are documented.
var FillVariables = [...]Variable{
	{"FILL_SOURCE", "registry and prefix that blobs are copied from, as `us-docker.pkg.dev/project/images`; required", ""},
	{"FILL_BUCKETS", "the mirrors' buckets, `name@region`, comma-separated, the primary first; required", ""},
	{"FILL_FILLING", "regions of buckets that are filled and not yet routed to, comma-separated; not the primary's", ""},
	{"FILL_STATE", "private bucket that keeps what must outlive an invocation; required", ""},
	{"FILL_QUEUE", "URL of the queue that hands out the work; required", ""},
	{"FILL_RATE", "requests per second of one worker to the source at most; 0 is no limit", "0"},
	{"FILL_REFERRERS", "whether the source is asked what refers to each manifest, where its listing does not show that: `true` or `false`", "true"},
	{"FILL_SECRET", "name or ARN of a secret with logins, in the form of a Docker configuration", ""},
}

// LoadFill reads the configuration through getenv, as Load does.
func LoadFill(getenv func(string) string) (*Fill, error) {
	l := loader{getenv: getenv}
	f := &Fill{
		Source:    l.matching("FILL_SOURCE", validSource, "takes REGISTRY or REGISTRY/PREFIX without a scheme, as us-docker.pkg.dev/project/images"),
		Buckets:   l.buckets("FILL_BUCKETS"),
		State:     l.matching("FILL_STATE", validBucket, "takes the name of a bucket"),
		Queue:     l.queue("FILL_QUEUE"),
		Rate:      l.rate("FILL_RATE"),
		Referrers: l.boolean("FILL_REFERRERS"),
	}
	l.filling("FILL_FILLING", f.Buckets)
	if l.get("FILL_SECRET") != "" {
		f.Secret = l.matching("FILL_SECRET", validSecret, "takes the name or the ARN of a secret")
	}
	if len(l.errs) > 0 {
		return nil, fmt.Errorf("configuration: %w", oneLine(l.errs))
	}
	return f, nil
}

// Env writes the configuration as the environment that LoadFill reads it from.
// Every variable is there; what is not set is empty.
func (f *Fill) Env() map[string]string {
	var buckets, filling []string
	for _, b := range f.Buckets {
		buckets = append(buckets, b.Name+"@"+b.Region)
		if b.Filling {
			filling = append(filling, b.Region)
		}
	}
	return map[string]string{
		"FILL_SOURCE":    f.Source,
		"FILL_BUCKETS":   strings.Join(buckets, ","),
		"FILL_FILLING":   strings.Join(filling, ","),
		"FILL_STATE":     f.State,
		"FILL_QUEUE":     f.Queue,
		"FILL_RATE":      strconv.FormatFloat(f.Rate, 'f', -1, 64),
		"FILL_REFERRERS": strconv.FormatBool(f.Referrers),
		"FILL_SECRET":    f.Secret,
	}
}

func (l *loader) matching(name string, valid func(string) bool, takes string) string {
	v := l.get(name)
	if !valid(v) {
		l.refuse(name, takes)
	}
	return v
}

func validSource(v string) bool {
	host, prefix, deeper := strings.Cut(v, "/")
	return only(host, "-.:") && host != "" && (!deeper || oci.ValidName(prefix))
}

// validBucket knows the names of today.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func validBucket(v string) bool {
	return only(v, "-.") && v == strings.ToLower(v) && len(v) >= 3 && len(v) <= 63
}

func validSecret(v string) bool { return only(v, "/_+=.@:-") && len(v) <= 2048 }

// only tells whether there are only ASCII letters, digits and others in it.
func only(v, others string) bool {
	for i := range len(v) {
		if c := v[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

func (l *loader) buckets(name string) []Bucket {
	const takes = "takes name@region, comma-separated, each name once and the primary first"
	var out []Bucket
	seen := map[string]bool{}
	for item := range list(l.get(name)) {
		b, region, _ := strings.Cut(item, "@")
		if _, known := regions.Find(string(ranges.AWS), region); !known || !validBucket(b) || seen[b] {
			l.refuse(name, fmt.Sprintf("%s; %q is not", takes, item))
			return nil
		}
		seen[b] = true
		out = append(out, Bucket{Name: b, Region: region})
	}
	if len(out) == 0 {
		l.refuse(name, takes)
	}
	return out
}

// filling marks buckets by their regions.
func (l *loader) filling(name string, buckets []Bucket) {
	for region := range list(l.get(name)) {
		i := slices.IndexFunc(buckets, func(b Bucket) bool { return b.Region == region })
		if i < 1 {
			l.refuse(name, fmt.Sprintf("takes regions of FILL_BUCKETS, comma-separated, and not the first; %q is not", region))
			return
		}
		buckets[i].Filling = true
	}
}

func (l *loader) queue(name string) string {
	base, err := baseURL(l.get(name))
	if err != nil {
		l.refuse(name, err.Error())
	}
	return base
}

func (l *loader) boolean(name string) bool {
	switch l.get(name) {
	case "true":
		return true
	case "false":
		return false
	}
	l.refuse(name, "takes true or false")
	return false
}
