package mirror

import (
	"archeio/lambda/config"
	"archeio/lambda/copier"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/lab/system"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestCommands runs all commands in the order in which an operator may need them,
// with text and with JSON as output.
func TestCommands(t *testing.T) {
	t.Parallel()
	s := start(t, "commands")
	s.push(t, "one:v1", 1000, 2)
	s.push(t, "team/two:v1", 1000, 2)
	digest := s.anyBlob()
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			primary, replica := format+"-primary", format+"-replica"
			s.create(t, primary, replica)
			corrupt := func(bucket string) {
				if _, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(config.BlobPrefix + digest), Body: strings.NewReader("broken")}); err != nil {
					t.Fatal(err)
				}
			}
			const none = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
			both := []string{"-bucket", primary, "-bucket", replica}
			state := t.TempDir()
			from := append([]string{"-source", s.source, "-state", state}, both...)
			for _, tt := range []struct {
				name       string
				before     func()
				args       []string
				code       int
				text, json []string
			}{
				{"plan", nil, append([]string{"plan"}, from...), 0,
					[]string{"2 repositories, 2 manifests (2 fetched), 6 blobs, ", primary + "  6 blobs", "IMAGE ", "/one:v1 "},
					[]string{`"repositories":2,"manifests":2,"fetched":2,"blobs":6,`, `{"name":"` + replica + `","missing":6,`, `/one:v1","missing":3,`, `"errors":[]`}},
				{"status-of-empty", nil, append([]string{"status"}, from...), 1,
					[]string{"(0 fetched)", "MIRROR ", primary + "  0 blobs  6 blobs ", "  no\n"},
					[]string{`{"name":"` + primary + `","missing":6,`, `"has":0,"unreferenced":{"blobs":0,"bytes":0},"full":false,"status":"incomplete"}`, `"needsCopy":[]`}},
				{"copy", nil, append([]string{"copy"}, from...), 0,
					[]string{"WAS MISSING", "copied 12 blobs, ", "of which 6 from bucket to bucket; 0 existed already"},
					[]string{`"copied":{"blobs":12,"fromBucket":6,"existed":0,"pending":0,`}},
				{"copy-again", nil, append([]string{"copy"}, from...), 0,
					[]string{"(0 fetched)", "copied 0 blobs, 0 B"}, []string{`"copied":{"blobs":0,"fromBucket":0,"existed":0,"pending":0,"bytes":0}`}},
				{"status", nil, append([]string{"status"}, from...), 0,
					[]string{primary + "  6 blobs  0 blobs  0 B   yes\n", replica + "  6 blobs  0 blobs  0 B   yes\n"},
					[]string{`"has":6,"unreferenced":{"blobs":0,"bytes":0},"full":true,"status":"full"}`}},
				{"verify", nil, append([]string{"verify"}, both...), 0,
					[]string{"hashed 12 of 12 blobs, ", ": 0 do not match their digests\n"}, []string{`"checked":12,"of":12,`, `"wrong":[],"errors":[]`}},
				{"verify-corrupt", func() { corrupt(primary); corrupt(replica) }, append([]string{"verify"}, both...), 1,
					[]string{": 2 do not match their digests\n", primary + "  " + digest + "  no\n"},
					[]string{`{"bucket":"` + primary + `","digest":"` + digest + `","found":"`, `"replaced":false}`}},
				{"verify-digest", nil, append(append([]string{"verify"}, both...), digest), 1,
					[]string{"hashed 2 of 2 blobs, ", ": 2 do not match their digests\n"}, []string{`"checked":2,"of":2,`}},
				{"verify-digest-nowhere", nil, append(append([]string{"verify"}, both...), none), 1,
					[]string{"hashed 0 of 0 blobs, ", "error: no bucket has " + none}, []string{`"errors":["no bucket has `}},
				// The size is another one too.
				{"copy-reports-corrupt", nil, append([]string{"copy"}, from...), 1,
					[]string{"error: bucket \"" + primary + "\": " + digest + " has 6 bytes, "}, []string{digest + " has 6 bytes, "}},
				{"verify-replace", nil, append([]string{"verify", "-replace"}, from...), 0,
					[]string{": 2 do not match their digests\n", replica + "  " + digest + "  yes\n"}, []string{`"replaced":true}`}},
				{"verify-again", nil, append([]string{"verify", "-sample", "100%", "-bandwidth", "1G"}, both...), 0,
					[]string{"hashed 12 of 12 blobs, ", ": 0 do not"}, []string{`"wrong":[],"errors":[]`}},
				{"withdraw", nil, append(append([]string{"withdraw", "-state", state}, both...), digest), 0,
					[]string{primary + "  1 version", digest + " is listed as withdrawn", "run withdraw again with -distribution"},
					[]string{`{"digest":"` + digest + `","buckets":[{"name":"` + primary + `","versions":1},{"name":"` + replica + `","versions":1}],"until":"`}},
				{"copy-leaves-out-withdrawn", nil, append([]string{"copy"}, from...), 0,
					[]string{", 1 withdrawn\n", "copied 0 blobs"}, []string{`"withdrawn":1`, `"copied":{"blobs":0,`}},
				{"plan-of-withdrawn-and-there", func() { corrupt(replica) }, append([]string{"plan"}, from...), 0,
					[]string{"withdrawn, but still in " + replica + ": " + digest + "\n"}, []string{`"leftovers":[{"digest":"` + digest + `","bucket":"` + replica + `"}]`}},
				{"status-removes-withdrawn", nil, append([]string{"status"}, from...), 0,
					[]string{"withdrawn, but it was still in " + replica + ": removed 1 version of " + digest + "\n"},
					[]string{`"leftovers":[{"digest":"` + digest + `","bucket":"` + replica + `","versions":1}]`}},
				{"status-without-withdrawn", nil, append([]string{"status"}, from...), 0,
					[]string{primary + "  5 blobs  0 blobs  0 B   yes\n"}, []string{`"has":5,"unreferenced":{"blobs":0,"bytes":0},"full":true,"status":"full"}`}},
				{"list", nil, []string{"withdraw", "-list", "-state", state}, 0,
					[]string{digest + "  20", "  immediate\n", "\n1 blob withdrawn\n"}, []string{`{"withdrawn":[{"digest":"` + digest + `","since":"20`}},
				{"undo", nil, []string{"withdraw", "-undo", "-state", state, digest}, 0,
					[]string{digest + " is no longer withdrawn"}, []string{`"listed":true`}},
				{"undo-again", nil, []string{"withdraw", "-undo", "-state", state, digest}, 0,
					[]string{digest + " is not withdrawn"}, []string{`"listed":false`}},
				{"copy-after-undo", nil, append([]string{"copy"}, from...), 0,
					[]string{"copied 2 blobs"}, []string{`"copied":{"blobs":2,`}},
			} {
				t.Run(tt.name, func(t *testing.T) {
					if tt.before != nil {
						tt.before()
					}
					args, want := tt.args, tt.text
					if format == "json" {
						args, want = append([]string{args[0], "-json"}, args[1:]...), tt.json
					}
					code, stdout, stderr := run(t, args...)
					if code != tt.code || stderr != "" {
						t.Errorf("exit code %d, want %d; stderr %q", code, tt.code, stderr)
					}
					if format == "json" {
						var compact bytes.Buffer
						if err := json.Compact(&compact, []byte(stdout)); err != nil {
							t.Fatalf("%v in %s", err, stdout)
						}
						stdout = compact.String()
					}
					for _, want := range want {
						if !strings.Contains(stdout, want) {
							t.Errorf("missing %q in\n%s", want, stdout)
						}
					}
				})
			}
		})
	}
}

// A copy may be limited to some repositories, and what an earlier command cached is
// not fetched again.
func TestCopyInParts(t *testing.T) {
	t.Parallel()
	s := start(t, "parts", "parts-primary", "parts-replica")
	s.push(t, "one:v1", 1000, 2)
	s.push(t, "team/two:v1", 1000, 2)
	list := filepath.Join(t.TempDir(), "repositories")
	if err := os.WriteFile(list, []byte("# one of two\n\nteam/two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	common := []string{"-source", s.source, "-bucket", "parts-primary", "-bucket", "parts-replica", "-state", t.TempDir(), "-json"}
	for _, tt := range []struct {
		name             string
		args             []string
		fetched, missing int
		copied           *copiedReport
	}{
		{"plan", []string{"plan"}, 2, 6, nil},
		{"copy-dry-run", []string{"copy", "-dry-run"}, 0, 6, nil},
		{"copy-one-repository", []string{"copy", "-repositories", list}, 0, 3, &copiedReport{Blobs: 6}},
		{"copy-the-rest", []string{"copy", "-parallel", "2", "-rate", "100", "-referrers"}, 0, 3, &copiedReport{Blobs: 6}},
		{"copy-again", []string{"copy"}, 0, 0, &copiedReport{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run(t, append(tt.args, common...)...)
			var got copyReport
			if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != cli.ExitDone {
				t.Fatalf("exit code %d, error %v: %s%s", code, err, stdout, stderr)
			}
			if got.Fetched != tt.fetched || len(got.Buckets) != 2 || got.Buckets[0].Missing != tt.missing || got.Buckets[1].Missing != tt.missing {
				t.Errorf("got %+v, want %d fetched, %d missing", got, tt.fetched, tt.missing)
			}
			if (got.Copied == nil) != (tt.copied == nil) || tt.copied != nil && got.Copied.Blobs != tt.copied.Blobs {
				t.Errorf("copied %+v, want %+v", got.Copied, tt.copied)
			}
		})
	}
}

// A problem that ends a command is one line on standard error.
func TestProblems(t *testing.T) {
	t.Parallel()
	s := start(t, "problems", "problems")
	s.push(t, "one:v1", 1000, 1)
	other := system.Regions[1]
	elsewhere := "AWS_ENDPOINT_URL_S3=" + endpoint(s.System, other)
	for _, tt := range []struct {
		name string
		env  string
		args []string
		want string // empty for none
	}{
		{"missing-bucket", "", []string{"-bucket", "unknown"}, `archeio mirror plan: bucket "unknown": `},
		{"missing-state-bucket", "", []string{"-bucket", "problems", "-state", "s3://unknown"}, `"unknown"`},
		{"wrong-keys", "AWS_SECRET_ACCESS_KEY=wrong", []string{"-bucket", "problems"}, "SignatureDoesNotMatch"},
		{"region", elsewhere, []string{"-bucket", "mirror-" + other + "@" + other}, ""},
		{"wrong-region", elsewhere, []string{"-bucket", "mirror-" + other}, "@" + other},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd, stdout, stderr := child(t, []string{tt.env}, append([]string{"plan", "-source", s.source}, tt.args...)...)
			got := code(t, cmd.Run())
			if tt.want == "" {
				if got != cli.ExitDone || stderr.Len() > 0 {
					t.Errorf("exit code %d, stderr %q", got, stderr)
				}
				return
			}
			if got != cli.ExitProblem || stdout.Len() > 0 || !strings.Contains(stderr.String(), tt.want) || strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("exit code %d, stdout %q, stderr %q, want one line with %q", got, stdout, stderr, tt.want)
			}
		})
	}
}

// Two commands share the state in a bucket: the manifest cache and the list of
// withdrawn blobs.
func TestStateBucket(t *testing.T) {
	t.Parallel()
	s := start(t, "state", "shared-state", "first", "second")
	s.push(t, "one:v1", 1000, 2)
	digest := s.anyBlob()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"first", []string{"copy", "-source", s.source, "-bucket", "first", "-state", "s3://shared-state"}, "1 manifest (1 fetched), 3 blobs"},
		{"second", []string{"copy", "-source", s.source, "-bucket", "second", "-state", "s3://shared-state@us-east-1/"}, "1 manifest (0 fetched), 3 blobs"},
		{"withdraw", []string{"withdraw", "-bucket", "first", "-state", "s3://shared-state", digest}, "first   1 version"},
		{"second-again", []string{"status", "-source", s.source, "-bucket", "first", "-state", "s3://shared-state"}, ", 1 withdrawn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run(t, tt.args...)
			if code != cli.ExitDone || !strings.Contains(stdout, tt.want) {
				t.Errorf("exit code %d, want %q in\n%s%s", code, tt.want, stdout, stderr)
			}
		})
	}
}

// A registry that requires a login is reported once.
func TestLogin(t *testing.T) {
	t.Parallel()
	start(t, "login", "login")
	const user, password = "user", "correct"
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	host := strings.TrimPrefix(serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}`, http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})), "http://")
	ref, err := name.ParseReference(host + "/private/image:v1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithAuth(&authn.Basic{Username: user, Password: password})); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte("private/image\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := func(password string) string {
		return fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, host, user, password)
	}
	const advice = "log in with docker or crane"
	for _, tt := range []struct {
		name, docker string
		args         []string
		code         int
		once         string // what the output contains once
	}{
		{"none", "{}", nil, cli.ExitProblem, "log in with an account that may list the catalog"},
		{"none-for-a-list", "{}", []string{"-repositories", list}, cli.ExitProblem, advice},
		{"wrong", login("wrong"), nil, cli.ExitProblem, "log in with an account that may list the catalog"},
		{"right", login(password), nil, cli.ExitDone, "copied 2 blobs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			docker := t.TempDir()
			if err := os.WriteFile(filepath.Join(docker, "config.json"), []byte(tt.docker), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd, stdout, stderr := child(t, []string{"DOCKER_CONFIG=" + docker}, append([]string{"copy", "-source", host, "-bucket", "login"}, tt.args...)...)
			got := code(t, cmd.Run())
			if all := stdout.String() + stderr.String(); got != tt.code || strings.Count(all, tt.once) != 1 {
				t.Errorf("exit code %d, want %d, and %q once in\n%s", got, tt.code, tt.once, all)
			}
		})
	}
}

// What is not known to be removed is not shown as absent.
func TestWithdrawUnknown(t *testing.T) {
	t.Parallel()
	s := start(t, "here", "here")
	s.push(t, "one:v1", 1000, 1)
	if code, stdout, stderr := run(t, "copy", "-source", s.source, "-bucket", "here"); code != 0 {
		t.Fatalf("%s%s", stdout, stderr)
	}
	both := []string{"withdraw", s.anyBlob(), "-state", t.TempDir(), "-bucket", "here"}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"later", []string{"-later"}, cli.ExitDone, "here    not removed\n"},
		{"later-json", []string{"-later", "-json"}, cli.ExitDone, `"versions": null`},
		{"not-checked", []string{"-bucket", "nowhere"}, cli.ExitProblem, "here     1 version\nnowhere  not checked\n"},
		{"not-checked-json", []string{"-bucket", "nowhere", "-json"}, cli.ExitProblem, "\"name\": \"nowhere\",\n      \"versions\": null"},
		{"nothing-left", nil, cli.ExitDone, "here    0 versions\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run(t, append(both, tt.args...)...)
			if code != tt.code || !strings.Contains(stdout, tt.want) {
				t.Errorf("exit code %d, want %d, and %q in\n%s%s", code, tt.code, tt.want, stdout, stderr)
			}
		})
	}
}

// A blob that was withdrawn or replaced is invalidated once. CloudFront is simulated
// here; the deployment in the emulator has one.
func TestInvalidation(t *testing.T) {
	t.Parallel()
	s := start(t, "edge", "edge")
	s.push(t, "one:v1", 1000, 1)
	if code, stdout, stderr := run(t, "copy", "-source", s.source, "-bucket", "edge"); code != 0 {
		t.Fatalf("%s%s", stdout, stderr)
	}
	digest := s.anyBlob()
	const (
		done   = `<Invalidation><Id>I1</Id><Status>InProgress</Status></Invalidation>`
		denied = `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`
	)
	verify := []string{"verify", "-replace", "-source", s.source}
	for _, tt := range []struct {
		name     string
		args     []string
		corrupt  bool
		response string // of CloudFront; empty if there is no request to it
		code     int
		want     string
	}{
		{"replaced", append(verify, "-distribution", "E1"), true, done, cli.ExitDone, "The replaced blobs are invalidated at the edge: invalidation I1."},
		{"replacing-denied", append(verify, "-distribution", "E1"), true, denied, cli.ExitProblem, `error: invalidating 1 blob in distribution "E1": `},
		{"replaced-without-distribution", verify, true, "", cli.ExitDone, "The edge may still have the old content: invalidate /containers/images/DIGEST "},
		{"nothing-replaced", append(verify, "-distribution", "E1"), false, "", cli.ExitDone, ": 0 do not match"},
		{"withdrawing-denied", []string{"withdraw", digest, "-state", t.TempDir(), "-distribution", "E1"}, false, denied, cli.ExitProblem, "The edge may still have it: the invalidation failed, see the error below.\n"},
		{"withdrawn", []string{"withdraw", digest, "-state", t.TempDir(), "-distribution", "E1"}, false, done, cli.ExitDone, "It is invalidated at the edge: invalidation I1."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.corrupt {
				bucket := "edge"
				if _, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(config.BlobPrefix + digest), Body: strings.NewReader("broken")}); err != nil {
					t.Fatal(err)
				}
			}
			requested := make(chan string, 10)
			edge := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				requested <- string(body)
				if tt.response == denied {
					w.WriteHeader(http.StatusForbidden)
				}
				io.WriteString(w, tt.response)
			}))
			cmd, stdout, stderr := child(t, []string{"AWS_ENDPOINT_URL_CLOUDFRONT=" + edge}, append(tt.args, "-bucket", "edge")...)
			if got := code(t, cmd.Run()); got != tt.code || !strings.Contains(stdout.String(), tt.want) {
				t.Errorf("exit code %d, want %d, and %q in\n%s%s", got, tt.code, tt.want, stdout, stderr)
			}
			close(requested)
			body := <-requested
			if tt.response == "" {
				if body != "" {
					t.Errorf("request to CloudFront: %s", body)
				}
				return
			}
			items, quantity := "<Path>/containers/images/"+digest+"</Path>", 1
			if tt.args[0] == "withdraw" { // of a stage that may relay
				items, quantity = items+"<Path>/v2/*</Path>", 2
			}
			for _, want := range []string{"<Items>" + items + "</Items>", fmt.Sprintf("<Quantity>%d</Quantity>", quantity)} {
				if !strings.Contains(body, want) {
					t.Errorf("missing %s in %s", want, body)
				}
			}
		})
	}
}

// An index of fewer mirrors replaces one of more only if it is told to.
func TestFewerMirrors(t *testing.T) {
	t.Parallel()
	s := start(t, "fewer", "fewer-first")
	s.push(t, "one:v1", 1000, 1)
	// The command cannot write this one, as each region has its own S3 server here.
	other := system.Regions[1]
	both := copier.IndexOptions{Buckets: []*copier.Bucket{copier.NewBucket("fewer-first", s.client), copier.NewBucket("mirror-"+other, started.S3(other))}}
	if _, err := copier.ListIndex(t.Context(), nil, both); err != nil {
		t.Fatal(err)
	}
	index := []string{"copy", "-index", "-source", s.source, "-bucket", "fewer-first"}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"one", index, cli.ExitProblem, "the index in place covers more mirrors: the one in bucket \"fewer-first\" covers " + other + " too: add its -bucket, or set -fewer-mirrors"},
		{"one-allowed", append(index, "-fewer-mirrors"), cli.ExitDone, "was written, with 2 blobs"},
		{"one-again", index, cli.ExitDone, "was written, with 2 blobs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run(t, tt.args...)
			if code != tt.code || !strings.Contains(stdout, tt.want) {
				t.Errorf("exit code %d, want %d, and %q in\n%s%s", code, tt.code, tt.want, stdout, stderr)
			}
		})
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 5_000_000_000: "5.0 GB", 1_100_000_000_000_000: "1.1 PB"} {
		if got := size(bytes); got != want {
			t.Errorf("size(%d) = %q, want %q", bytes, got, want)
		}
	}
}
