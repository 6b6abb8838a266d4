package stage

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/index"
)

// The rules for the names of general purpose buckets. Periods are left out: clients read
// a mirror over TLS, and the certificate of S3 is for one label.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var (
	bucketForm       = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", "--x-s3", "--table-s3"}

	// stageForm matches the bucket names of stages without mirrorPrefix.
	stageForm = regexp.MustCompile(`^archeio-[a-z0-9-]+-[0-9]{12}-[a-z0-9-]+$`)
)

// IsExisting reports whether the mirror in a region is a bucket that the stage neither
// creates nor changes.
func (s *Stage) IsExisting(region string) bool { return s.Buckets[region] != "" }

// buckets reads the names of existing buckets.
func (r *reader) buckets(s *Stage) {
	r.byRegion("buckets", &s.Buckets, "mirrors", s.Mirrors)
	var before []string
	for _, region := range slices.Sorted(maps.Keys(s.Buckets)) {
		name, key := s.Buckets[region], join("buckets", region)
		switch {
		case !validBucket(name, s.Account, region):
			r.problem(key, "invalid bucket name %q: want 3 to %d lower-case letters, digits and hyphens, without a prefix or suffix that S3 reserves", shortened(name), maxBucketName)
		case stageForm.MatchString(name), strings.HasPrefix(name, s.MirrorPrefix+"-"+s.Account+"-"), strings.HasPrefix(name, s.MirrorPrefix+"-state-"+s.Account+"-"):
			r.problem(key, "%q is the name of a bucket that a stage creates: want another bucket", name)
		case slices.Contains(before, name):
			r.problem(key, "duplicate bucket %q: want one for each region", name)
		}
		before = append(before, name)
	}
	if n := s.FillerPolicySize(); s.Filler != nil && n > maxInlinePolicy {
		r.problem("buckets", "the policy of the functions that fill the mirrors has up to %d characters, IAM allows %d: want fewer or shorter names", n, maxInlinePolicy)
	}
}

// validBucket reports whether a bucket in a region can have a name.
func validBucket(name, account, region string) bool {
	has := func(affixes []string, is func(s, affix string) bool) bool {
		return slices.ContainsFunc(affixes, func(affix string) bool { return is(name, affix) })
	}
	if !bucketForm.MatchString(name) || has(reservedPrefixes, strings.HasPrefix) || has(reservedSuffixes, strings.HasSuffix) {
		return false
	}
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html
	return !strings.HasSuffix(name, "-an") || strings.HasSuffix(name, "-"+account+"-"+region+"-an") && AccountNamespace(region)
}

// sharedBuckets returns an error for each existing bucket that is a mirror of two stages.
func sharedBuckets(stages []*Stage) (errs []error) {
	stageOf := map[string]string{}
	for _, s := range stages {
		for _, region := range s.Mirrors {
			if !s.IsExisting(region) {
				stageOf[s.Bucket(region)] = s.Name
			}
		}
	}
	for _, s := range stages {
		for _, region := range slices.Sorted(maps.Keys(s.Buckets)) {
			name := s.Buckets[region]
			if other, taken := stageOf[name]; taken {
				errs = append(errs, fmt.Errorf("stage %q: buckets.%s=%q: is a mirror of the stage %q too: want a bucket for each", s.Name, region, name, other))
			}
			stageOf[name] = s.Name
		}
	}
	return errs
}

// maxInlinePolicy is IAM's limit for all inline policies of a role, in characters.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const maxInlinePolicy = 10240

// FillerPolicySize returns an upper bound for the inline policy of a function that fills
// the mirrors, in characters.
func (s *Stage) FillerPolicySize() int {
	const (
		fixed = 2500 // everything that is not a mirror
		each  = len(`"arn:aws:s3:::",`)
		blobs = len(`/` + config.BlobPrefix + `*`)
	)
	n := fixed
	if s.Filler != nil {
		n += len(s.Filler.Secret)
	}
	for _, region := range s.Filled() {
		name := each + len(s.Bucket(region))
		n += name + name + blobs
		if s.IsExisting(region) {
			n += 2*(name+blobs) + len("sha256:") + len(index.Name) // deletions and the index
		}
	}
	return n
}

// AnyDistribution returns an ARN pattern for the stage's distribution, which is created
// after everything that grants it access.
func (s *Stage) AnyDistribution() string {
	return "arn:aws:cloudfront::" + s.Account + ":distribution/*"
}

// PublicStatements returns the statements that the policy of an existing bucket must
// have: clients read blobs over TLS, and the distribution with its origin access control.
func (s *Stage) PublicStatements(region string) string {
	type statement struct {
		Sid, Effect      string
		Principal        any
		Action, Resource string
		Condition        map[string]map[string]string
	}
	blobs := "arn:aws:s3:::" + s.Bucket(region) + "/" + config.BlobPrefix + "*"
	text, err := json.Marshal([]statement{
		{"AllowPublicRead", "Allow", "*", "s3:GetObject", blobs, map[string]map[string]string{"Bool": {"aws:SecureTransport": "true"}}},
		{"AllowDistributionRead", "Allow", map[string]string{"Service": "cloudfront.amazonaws.com"}, "s3:GetObject", blobs, map[string]map[string]string{"ArnLike": {"aws:SourceArn": s.AnyDistribution()}}},
	})
	if err != nil {
		panic("stage: " + err.Error()) // it has only texts
	}
	return string(text)
}
