package preflight

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/infra/leftover"
	"archeio/scripts/archeio/cli"
)

const ownBucket = "example-images"

// required is the policy that an existing bucket must have.
const required = `{"Statement": [
	{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::example-images/containers/images/*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
	{"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::example-images/containers/images/*", "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:cloudfront::123456789012:distribution/*"}}}
]}`

// rightSettings returns settings that a mirror needs.
func rightSettings() settings {
	return settings{
		region: "us-west-2", versioned: true, policy: required, encryption: s3types.ServerSideEncryptionAes256,
		ownership: s3types.ObjectOwnershipBucketOwnerEnforced, payer: s3types.PayerBucketOwner, metrics: true,
	}
}

func TestExistingBucket(t *testing.T) {
	t.Parallel()
	rule := func(id, prefix string, change func(*s3types.LifecycleRule)) s3types.LifecycleRule {
		r := s3types.LifecycleRule{ID: aws.String(id), Status: s3types.ExpirationStatusEnabled, Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String(prefix)}}
		change(&r)
		return r
	}
	expires := func(r *s3types.LifecycleRule) { r.Expiration = &s3types.LifecycleExpiration{Days: aws.Int32(90)} }
	const api = "run aws s3api put-bucket-%s --region us-west-2 --bucket example-images "
	for _, tt := range []struct {
		name, check string
		result      cli.Result
		want        string
		change      func(*settings)
	}{
		{"right", bucketExists, cli.Pass, "example-images exists", nil},
		{"other-region", bucketExists, cli.Fail, "example-images is in eu-west-1; correct buckets.us-west-2", func(s *settings) { s.region = "eu-west-1" }},
		{"versioning", bucketVersioning, cli.Fail, fmt.Sprintf(api, "versioning") + "--versioning-configuration Status=Enabled", func(s *settings) { s.versioned = false }},
		{"blocks-policy", bucketBlock, cli.Fail, "run aws s3api put-public-access-block --region us-west-2 --bucket example-images --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=false,RestrictPublicBuckets=false", func(s *settings) { s.block.BlockPublicPolicy = aws.Bool(true) }},
		{"restricts", bucketBlock, cli.Fail, "the bucket blocks public policies", func(s *settings) { s.block.RestrictPublicBuckets = aws.Bool(true) }},
		{"blocks-acls", bucketBlock, cli.Pass, "may have a public policy", func(s *settings) { s.block.BlockPublicAcls, s.block.IgnorePublicAcls = aws.Bool(true), aws.Bool(true) }},
		{"kms", bucketEncryption, cli.Fail, "the default encryption is aws:kms, and anonymous clients cannot read such objects; " + fmt.Sprintf(api, "encryption"), func(s *settings) { s.encryption = s3types.ServerSideEncryptionAwsKms }},
		{"acls", bucketOwnership, cli.Fail, "the object ownership is ObjectWriter, and", func(s *settings) { s.ownership = s3types.ObjectOwnershipObjectWriter }},
		{"acls-by-default", bucketOwnership, cli.Fail, "the object ownership is not set, and the bucket policy does not apply to objects that another account owns; " + fmt.Sprintf(api, "ownership-controls"), func(s *settings) { s.ownership = "" }},
		{"payer", bucketPayer, cli.Fail, fmt.Sprintf(api, "request-payment") + "--request-payment-configuration Payer=BucketOwner", func(s *settings) { s.payer = s3types.PayerRequester }},
		{"metrics", bucketMetrics, cli.Warn, fmt.Sprintf(api, "metrics-configuration") + "--id EntireBucket --metrics-configuration Id=EntireBucket", func(s *settings) { s.metrics = false }},
		{"expires", bucketLifecycle, cli.Fail, "lifecycle rules delete or archive blobs: old, rule 2; take containers/images/ out of their filters", func(s *settings) {
			s.lifecycle = []s3types.LifecycleRule{rule("old", "containers/", expires), rule("", "", func(r *s3types.LifecycleRule) {
				r.ID, r.Transitions = nil, []s3types.Transition{{StorageClass: s3types.TransitionStorageClassGlacier}}
			})}
		}},
		{"expires-tagged-blobs", bucketLifecycle, cli.Fail, "delete or archive blobs: tagged;", func(s *settings) {
			s.lifecycle = []s3types.LifecycleRule{rule("tagged", "", func(r *s3types.LifecycleRule) {
				expires(r)
				r.Filter = &s3types.LifecycleRuleFilter{And: &s3types.LifecycleRuleAndOperator{Prefix: aws.String("containers/images/")}}
			})}
		}},
		{"expires-others", bucketLifecycle, cli.Pass, "no lifecycle rule", func(s *settings) {
			s.lifecycle = []s3types.LifecycleRule{rule("logs", "logs/", expires), rule("disabled", "", func(r *s3types.LifecycleRule) { expires(r); r.Status = s3types.ExpirationStatusDisabled }),
				rule("noncurrent", "", func(r *s3types.LifecycleRule) {
					r.Expiration = &s3types.LifecycleExpiration{ExpiredObjectDeleteMarker: aws.Bool(true)}
				})}
		}},
		{"no-lock", bucketLock, cli.Pass, "the bucket has no Object Lock", nil},
		{"lock-without-retention", bucketLock, cli.Pass, "new objects are not locked by default", func(s *settings) { s.locks = true }},
		{"retention-days", bucketLock, cli.Fail, "locked in COMPLIANCE mode for 30 days, so blobs cannot be withdrawn; remove the default retention with aws s3api put-object-lock-configuration --region us-west-2 --bucket example-images --object-lock-configuration ObjectLockEnabled=Enabled;", func(s *settings) {
			s.locks, s.retention = true, &s3types.DefaultRetention{Mode: s3types.ObjectLockRetentionModeCompliance, Days: aws.Int32(30)}
		}},
		{"retention-years", bucketLock, cli.Fail, "locked in GOVERNANCE mode for 2 years", func(s *settings) {
			s.locks, s.retention = true, &s3types.DefaultRetention{Mode: s3types.ObjectLockRetentionModeGovernance, Years: aws.Int32(2)}
		}},
		{"lock-denied", bucketLock, cli.Warn, "could not check: access denied", func(s *settings) { s.errs = map[string]error{bucketLock: errors.New("access denied")} }},
		{"replicates-nothing", bucketReplication, cli.Pass, "no rule replicates more than blobs to a mirror", nil},
		{"replicates-blobs", bucketReplication, cli.Pass, "no rule replicates more than blobs to a mirror", func(s *settings) {
			s.replication = []s3types.ReplicationRule{replicationRule("blobs", mirrorBucket, "containers/images/sha256:")}
		}},
		{"replicates-elsewhere", bucketReplication, cli.Pass, "no rule replicates more than blobs to a mirror", func(s *settings) {
			s.replication = []s3types.ReplicationRule{replicationRule("backup", "backup", "")}
		}},
		{"replicates-all", bucketReplication, cli.Fail, "the rule all replicates the blob index to " + mirrorBucket + ", which has its own; limit its filter to the prefix containers/images/sha256:, with aws s3api put-bucket-replication --region us-west-2 --bucket example-images", func(s *settings) {
			s.replication = []s3types.ReplicationRule{replicationRule("all", mirrorBucket, "")}
		}},
		{"replicates-all-without-filter", bucketReplication, cli.Fail, "the rule number 1 replicates the blob index to", func(s *settings) {
			r := replicationRule("", mirrorBucket, "")
			r.ID, r.Filter = nil, nil
			r.Prefix = aws.String("containers/") //lint:ignore SA1019 S3 returns it for rules that were set without a filter
			s.replication = []s3types.ReplicationRule{r}
		}},
		{"replicates-tagged", bucketReplication, cli.Pass, "no rule", func(s *settings) {
			r := replicationRule("tagged", mirrorBucket, "")
			r.Filter = &s3types.ReplicationRuleFilter{And: &s3types.ReplicationRuleAndOperator{Tags: []s3types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}}
			s.replication = []s3types.ReplicationRule{r}
		}},
		{"replication-disabled", bucketReplication, cli.Pass, "no rule", func(s *settings) {
			r := replicationRule("all", mirrorBucket, "")
			r.Status = s3types.ReplicationRuleStatusDisabled
			s.replication = []s3types.ReplicationRule{r}
		}},
		{"replicates-deletions", bucketReplication, cli.Fail, "the rule blobs replicates deletions to " + mirrorBucket, func(s *settings) {
			r := replicationRule("blobs", mirrorBucket, "containers/images/sha256:")
			r.DeleteMarkerReplication = &s3types.DeleteMarkerReplication{Status: s3types.DeleteMarkerReplicationStatusEnabled}
			s.replication = []s3types.ReplicationRule{r}
		}},
		{"replication-denied", bucketReplication, cli.Warn, "could not check: access denied", func(s *settings) { s.errs = map[string]error{bucketReplication: errors.New("access denied")} }},
		{"no-policy", bucketPolicy, cli.Fail, `neither clients nor CloudFront may read blobs; add the output RequiredPolicy of archeio-test-mirror-us-west-2 to it with aws s3api put-bucket-policy --region us-west-2 --bucket example-images; the statements are [{"Sid":"AllowPublicRead"`, func(s *settings) { s.policy = "" }},
		{"not-public", bucketPolicy, cli.Fail, "clients may not read blobs; add", func(s *settings) { s.policy = strings.Replace(required, `"*"`, `{"AWS": "123456789012"}`, 1) }},
		{"not-cloudfront", bucketPolicy, cli.Fail, "CloudFront may not read blobs; add", func(s *settings) { s.policy = strings.Replace(required, "cloudfront.", "s3.", 1) }},
		{"policy-denied", bucketPolicy, cli.Warn, "could not check: access denied", func(s *settings) { s.errs = map[string]error{bucketPolicy: errors.New("access denied")} }},
		{"policy-not-json", bucketPolicy, cli.Warn, "could not check: parsing the policy of the bucket example-images", func(s *settings) { s.policy = "none" }},
		{"versioning-denied", bucketVersioning, cli.Warn, "could not check: access denied", func(s *settings) {
			s.versioned, s.errs = false, map[string]error{bucketVersioning: errors.New("access denied")}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := rightSettings()
			if tt.change != nil {
				tt.change(&s)
			}
			f := with(func(f *fake) {
				f.buckets, f.existing = map[string]leftover.Ownership{ownBucket: leftover.Own}, map[string]settings{ownBucket: s}
			})
			got := preflightWith(t, t.Context(), f, 200, `, "buckets": {"us-west-2": "example-images"}`)
			failed := 0
			for line := range strings.SplitSeq(got.stdout, "\n") {
				if strings.HasPrefix(line, "us-west-2 ") && strings.Contains(line, " bucket") && !strings.Contains(line, "  "+string(cli.Pass)+"  ") {
					failed++
				}
			}
			if !slices.ContainsFunc(strings.Split(got.stdout, "\n"), func(line string) bool {
				return strings.HasPrefix(line, "us-west-2 ") && strings.Contains(line, "  "+tt.check+"  ") && strings.Contains(line, "  "+string(tt.result)+"  ") && strings.Contains(line, tt.want)
			}) || (failed == 1) == (tt.result == cli.Pass) || failed > 1 {
				t.Errorf("want %s of %q with %q, and all others %s, in\n%s", tt.result, tt.check, tt.want, cli.Pass, got.stdout)
			}
		})
	}
}

// mirrorBucket is the bucket that the stage creates in eu-central-1.
const mirrorBucket = "archeio-test-123456789012-eu-central-1-an"

func replicationRule(id, bucket, prefix string) s3types.ReplicationRule {
	return s3types.ReplicationRule{
		ID: aws.String(id), Status: s3types.ReplicationRuleStatusEnabled, Filter: &s3types.ReplicationRuleFilter{Prefix: aws.String(prefix)},
		Destination: &s3types.Destination{Bucket: aws.String("arn:aws:s3:::" + bucket)},
	}
}

// The primary may be an existing bucket, with replication rules that its owner sets.
func TestExistingPrimary(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, want string
		change     func(*settings)
	}{
		{"no-rules", "WARN    blobs are not replicated to " + mirrorBucket + ", so the workers copy each of them; after the deployment, set the output RequiredReplication of archeio-test-mirror-us-west-2 with aws s3api put-bucket-replication --region us-west-2 --bucket example-images, together with", func(*settings) {}},
		{"replicated", "PASS    blobs are replicated to all mirrors", func(s *settings) {
			s.replication = []s3types.ReplicationRule{replicationRule("to-eu-central-1", mirrorBucket, "containers/images/sha256:")}
		}},
		{"narrower", "WARN    blobs are not replicated to " + mirrorBucket, func(s *settings) {
			s.replication = []s3types.ReplicationRule{replicationRule("some", mirrorBucket, "containers/images/sha256:0")}
		}},
		{"lock", "WARN    S3 replicates from a bucket with Object Lock only to buckets with Object Lock", func(s *settings) { s.locks = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := rightSettings()
			tt.change(&s)
			f := with(func(f *fake) {
				f.buckets, f.existing = map[string]leftover.Ownership{ownBucket: leftover.Own}, map[string]settings{ownBucket: s}
			})
			got := preflightWith(t, t.Context(), f, 200, `, "primary": "us-west-2", "buckets": {"us-west-2": "example-images"}`)
			if !strings.Contains(got.stdout, tt.want) {
				t.Errorf("want %q in\n%s", tt.want, got.stdout)
			}
		})
	}
}

func TestExistingBucketIsMissing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		ownership leftover.Ownership
		keys      string
		want      string
	}{
		{"missing", leftover.Free, "", "FAIL    example-images does not exist; correct buckets.us-west-2, or run aws s3api create-bucket --region us-west-2 --bucket example-images --create-bucket-configuration LocationConstraint=us-west-2"},
		{"foreign", leftover.Foreign, "", "FAIL    example-images is in another account or region; correct buckets.us-west-2"},
		{"retiring", leftover.Own, `, "retiring": ["us-west-2"]`, "PASS    example-images exists"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := with(func(f *fake) { f.buckets = map[string]leftover.Ownership{ownBucket: tt.ownership} })
			got := preflightWith(t, t.Context(), f, 200, `, "buckets": {"us-west-2": "example-images"}`+tt.keys)
			if !strings.Contains(got.stdout, tt.want) || strings.Contains(got.stdout, bucketVersioning) {
				t.Errorf("want %q and no other rows for the bucket in\n%s", tt.want, got.stdout)
			}
		})
	}
}

// The stack of a mirror deletes the policy of its bucket before the redirectors change.
func TestBucketChanges(t *testing.T) {
	t.Parallel()
	const name, redirector = "archeio-test-mirror-us-west-2 BucketName", "archeio-test-redirector-eu-central-1 UsesMirrors"
	const created = "archeio-test-123456789012-us-west-2-an"
	for _, tt := range []struct {
		name, keys, deployed, routed string
		want                         string // empty for no row
	}{
		{"first-deployment", "", "", "", ""},
		{"unchanged", `, "filling": ["us-west-2"]`, ownBucket, "eu-central-1", ""},
		{"in-use", `, "filling": ["us-west-2"]`, created, "eu-central-1,us-west-2", "FAIL    the mirror changes from " + created + " to example-images while clients are redirected to it; put us-west-2 into filling and deploy that first"},
		{"in-use-after", "", created, "eu-central-1", "FAIL    the mirror changes from "},
		{"primary", `, "primary": "us-west-2"`, created, "eu-central-1", "FAIL    the primary changes from " + created + " to example-images, and the functions would fill the new bucket while clients are redirected to it; make another mirror the primary first"},
		{"filling", `, "filling": ["us-west-2"]`, created, "eu-central-1", "PASS    the mirror changes from " + created + " to example-images; no client is redirected to it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := with(func(f *fake) {
				f.buckets, f.existing = map[string]leftover.Ownership{ownBucket: leftover.Own}, map[string]settings{ownBucket: rightSettings()}
				f.outputs = map[string]string{name: tt.deployed, redirector: tt.routed}
			})
			got := preflightWith(t, t.Context(), f, 200, `, "buckets": {"us-west-2": "example-images"}`+tt.keys)
			if tt.want == "" && strings.Contains(got.stdout, "bucket change") || !strings.Contains(got.stdout, tt.want) {
				t.Errorf("want %q in\n%s", tt.want, got.stdout)
			}
		})
	}
}

func TestReadPolicy(t *testing.T) {
	t.Parallel()
	statement := func(keys string) string { return `{"Statement": {` + keys + `}}` }
	const public = `"Effect": "Allow", "Principal": "*", `
	const all = `"Resource": "arn:aws:s3:::example-images/*"`
	const denies = `"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "s3:*", `
	for _, tt := range []struct {
		name, policy string
		want         readers
	}{
		{"required", required, readers{public: true, distribution: true}},
		{"none", "", readers{}},
		{"whole-bucket", statement(public + `"Action": ["s3:PutObjectTagging", "S3:Get*"], ` + all), readers{public: true}},
		{"aws-principal", statement(`"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": "s3:GetObject", ` + all), readers{public: true}},
		{"other-bucket", statement(public + `"Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/*"`), readers{}},
		{"blobs-only", statement(public + `"Action": "s3:GetObject", "Resource": "arn:aws:s3:::example-images/containers/images/sha256:*"`), readers{}},
		{"versions-only", statement(public + `"Action": "s3:GetObjectVersion", ` + all), readers{}},
		{"one-network", statement(public + `"Action": "s3:GetObject", ` + all + `, "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}`), readers{}},
		{"one-distribution", statement(`"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject", ` + all + `, "Condition": {"StringEquals": {"AWS:SourceArn": "arn:aws:cloudfront::123456789012:distribution/E1"}}`), readers{distribution: true}},
		{"one-account", statement(`"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject", ` + all + `, "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}`), readers{distribution: true}},
		{"other-account", statement(`"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject", ` + all + `, "Condition": {"StringEquals": {"aws:SourceAccount": "210987654321"}}`), readers{}},
		{"without-tls", statement(denies + all + `, "Condition": {"Bool": {"aws:SecureTransport": "false"}}`), readers{}},
		{"old-tls", statement(denies + all + `, "Condition": {"NumericLessThan": {"s3:TlsVersion": 1.2}}`), readers{}},
		{"denied", statement(denies + all), readers{denied: "No"}},
		{"denied-not-resource", statement(denies + `"NotResource": "arn:aws:s3:::example-images/public/*"`), readers{denied: "No"}},
		{"denied-not-action", statement(`"Effect": "Deny", "Principal": "*", "NotAction": "s3:List*", ` + all), readers{denied: "number 1"}},
		{"denied-by-condition", statement(denies + all + `, "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}`), readers{conditional: "No"}},
		{"denied-not-principal", statement(`"Sid": "No", "Effect": "Deny", "NotPrincipal": {"AWS": "123456789012"}, "Action": "s3:*", ` + all), readers{conditional: "No"}},
		{"denied-to-others", statement(`"Effect": "Deny", "Principal": {"AWS": "210987654321"}, "Action": "s3:*", ` + all), readers{}},
		{"denied-elsewhere", statement(denies + `"Resource": "arn:aws:s3:::example-images/private/*"`), readers{}},
		{"denied-writing", statement(`"Effect": "Deny", "Principal": "*", "Action": "s3:Put*", ` + all), readers{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := readPolicy(tt.policy, ownBucket, "arn:aws:cloudfront::123456789012:distribution/*"); err != nil || got != tt.want {
				t.Errorf("%+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// What S3 returns for a bucket with all settings, and for one with none.
func TestSettings(t *testing.T) {
	t.Parallel()
	set := map[string]string{
		"versioning":        `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`,
		"publicAccessBlock": `<PublicAccessBlockConfiguration><BlockPublicPolicy>true</BlockPublicPolicy></PublicAccessBlockConfiguration>`,
		"policy":            required,
		"encryption":        `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`,
		"ownershipControls": `<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>`,
		"lifecycle":         `<LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status><Filter><Prefix/></Filter><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>`,
		"requestPayment":    `<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>`,
		"metrics":           `<MetricsConfiguration><Id>EntireBucket</Id></MetricsConfiguration>`,
		"object-lock":       `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>3</Days></DefaultRetention></Rule></ObjectLockConfiguration>`,
		"replication":       `<ReplicationConfiguration><Role>r</Role><Rule><ID>to</ID><Status>Enabled</Status><Filter><Prefix>x</Prefix></Filter></Rule></ReplicationConfiguration>`,
	}
	none := map[string]string{
		"versioning": `<VersioningConfiguration/>`, "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration", "policy": "NoSuchBucketPolicy", "encryption": "ServerSideEncryptionConfigurationNotFoundError",
		"ownershipControls": "OwnershipControlsNotFoundError", "lifecycle": "NoSuchLifecycleConfiguration", "requestPayment": `<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>`, "metrics": "NoSuchConfiguration",
		"object-lock": "ObjectLockConfigurationNotFoundError", "replication": "ReplicationConfigurationNotFoundError",
	}
	read := func(responses map[string]string) settings {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Amz-Expected-Bucket-Owner") != "123456789012" || r.URL.Path != "/example-images" && r.URL.Path != "/example-images/" {
				t.Errorf("%s %s for the owner %q", r.Method, r.URL, r.Header.Get("X-Amz-Expected-Bucket-Owner"))
			}
			w.Header().Set("X-Amz-Bucket-Region", "us-west-2")
			for key, response := range responses {
				if !r.URL.Query().Has(key) {
					continue
				}
				if strings.HasPrefix(response, "<") || strings.HasPrefix(response, "{") {
					io.WriteString(w, response)
					return
				}
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", response)
				return
			}
			if r.Method != http.MethodHead {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, "<Error><Code>AccessDenied</Code></Error>")
			}
		}))
		defer server.Close()
		s := &sdk{id: "123456789012", config: aws.Config{BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""), RetryMaxAttempts: 1}}
		return s.settings(t.Context(), "us-west-2", ownBucket)
	}
	got := read(set)
	if len(got.errs) > 0 || got.region != "us-west-2" || !got.versioned || !aws.ToBool(got.block.BlockPublicPolicy) || got.policy != required || got.encryption != s3types.ServerSideEncryptionAwsKms ||
		got.ownership != s3types.ObjectOwnershipObjectWriter || !slices.Equal(harmful(got.lifecycle), []string{"old"}) || got.payer != s3types.PayerRequester || !got.metrics ||
		!got.locks || got.retention == nil || aws.ToInt32(got.retention.Days) != 3 || len(got.replication) != 1 {
		t.Errorf("all settings: %+v", got)
	}
	got = read(none)
	if len(got.errs) > 0 || got.versioned || got.block.BlockPublicPolicy != nil || got.policy != "" || got.encryption != s3types.ServerSideEncryptionAes256 ||
		got.ownership != "" || len(got.lifecycle) > 0 || got.payer != s3types.PayerBucketOwner || got.metrics || got.locks || got.retention != nil || got.replication != nil {
		t.Errorf("no settings: %+v", got)
	}
	if got := read(nil); len(got.errs) != len(set) {
		t.Errorf("%d errors without permissions, want %d: %v", len(got.errs), len(set), got.errs)
	}
}
