package mirror

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
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
					[]string{"2 repositories, 2 manifests (2 fetched), 6 blobs of ", primary + "  6 blobs", "IMAGE ", "/one:v1 "},
					[]string{`"repositories":2,"manifests":2,"fetched":2,"blobs":6,`, `{"name":"` + replica + `","missing":6,`, `/one:v1","missing":3,`, `"errors":[]`}},
				{"status-of-empty", nil, append([]string{"status"}, from...), 1,
					[]string{"(0 fetched)", "MIRROR ", primary + "  0 blobs  6 blobs ", "  no\n"},
					[]string{`{"name":"` + primary + `","missing":6,`, `"has":0,"full":false}`, `"needsCopy":[]`}},
				{"copy", nil, append([]string{"copy"}, from...), 0,
					[]string{"WAS MISSING", "copied 12 blobs, ", "of which 6 from bucket to bucket; 0 existed already"},
					[]string{`"copied":{"blobs":12,"fromBucket":6,"existed":0,"pending":0,`}},
				{"copy-again", nil, append([]string{"copy"}, from...), 0,
					[]string{"(0 fetched)", "copied 0 blobs, 0 B"}, []string{`"copied":{"blobs":0,"fromBucket":0,"existed":0,"pending":0,"bytes":0}`}},
				{"status", nil, append([]string{"status"}, from...), 0,
					[]string{primary + "  6 blobs  0 blobs  0 B  yes\n", replica + "  6 blobs  0 blobs  0 B  yes\n"},
					[]string{`"has":6,"full":true}`}},
				{"verify", nil, append([]string{"verify"}, both...), 0,
					[]string{"hashed 12 of 12 blobs, ", ": 0 do not match their digests\n"}, []string{`"checked":12,"of":12,`, `"wrong":[],"errors":[]`}},
				{"verify-corrupt", func() { corrupt(primary); corrupt(replica) }, append([]string{"verify"}, both...), 1,
					[]string{": 2 do not match their digests\n", primary + "  " + digest + "  no\n"},
					[]string{`{"bucket":"` + primary + `","digest":"` + digest + `","found":"`, `"replaced":false}`}},
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
				{"status-without-withdrawn", nil, append([]string{"status"}, from...), 0,
					[]string{primary + "  5 blobs  0 blobs  0 B  yes\n"}, []string{`"has":5,"full":true}`}},
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

