package copier

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestDamagedUploadIsReported tests that a saved upload of a shell that is damaged starts
// again with a warning, and that the earlier one is aborted if its ID is still known.
func TestDamagedUploadIsReported(t *testing.T) {
	t.Parallel()
	data, blob := noise(1, 2500)
	for _, tt := range []struct {
		name    string
		change  func(saved []byte, u *Upload) []byte
		warning string // empty for none
		left    int    // uploads
	}{
		{"whole", func(saved []byte, _ *Upload) []byte { return saved }, "", 0},
		{"cut-off", func(saved []byte, _ *Upload) []byte { return saved[:len(saved)-10] }, "reading the saved upload: unexpected end of JSON input", 0},
		{"cut-off-in-its-id", func([]byte, *Upload) []byte { return []byte(`{"id":"up`) }, "reading the saved upload: unexpected end of JSON input", 1},
		{"other-type", func(saved []byte, _ *Upload) []byte {
			return bytes.Replace(saved, []byte(`"offset":`), []byte(`"offset":"x","o":`), 1)
		}, "reading the saved upload: json: cannot unmarshal string", 0},
		{"empty", func([]byte, *Upload) []byte { return []byte{} }, "reading the saved upload: unexpected end of JSON input", 1},
		{"wrong-parts", func(_ []byte, u *Upload) []byte { u.Parts = u.Parts[:1]; return encoded(u) }, ErrDamaged.Error() + ": S3 has ", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			b := m.bucket("primary", "us-east-1")
			b.maxPutSize, b.partSize = 1000, 1000
			_, o, plan, digest := oneBlob(t, data, b)
			u := m.saved(t, b, data, 2)
			saved, err := json.Marshal(u)
			if err != nil {
				t.Fatal(err)
			}
			var warnings []string
			o.State, o.KeepUploads, o.Warn = Folder(t.TempDir()), true, func(text string) { warnings = append(warnings, text) }
			name := keptPrefix + b.Name + "/" + blob.Digest + ".json"
			if err := o.State.Put(t.Context(), name, tt.change(saved, u)); err != nil {
				t.Fatal(err)
			}
			result, err := Copy(t.Context(), o, plan)
			if err != nil || len(result.Errors) != 0 || !bytes.Equal(content(t, b, digest), data) {
				t.Fatalf("result %+v, error %v", result, err)
			}
			got, want := strings.Join(warnings, "\n"), `bucket "primary": resuming the upload of `+digest+": "+tt.warning
			if tt.warning == "" && got != "" || tt.warning != "" && !(strings.HasPrefix(got, want) && strings.HasSuffix(got, ": the upload starts again")) || strings.Contains(got, "\n") {
				t.Errorf("warnings %q, want %q", got, want)
			}
			if inResult := strings.Join(result.Warnings, "\n"); inResult != got {
				t.Errorf("warnings of the result %q, want %q", inResult, got)
			}
			if rest, err := o.State.Get(t.Context(), name); rest != nil || err != nil || len(m.uploads) != tt.left {
				t.Errorf("state %q, error %v, %d unfinished uploads, want %d", rest, err, len(m.uploads), tt.left)
			}
		})
	}
}
