package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestMissingBlobs tests the output of any number of missing blobs.
func TestMissingBlobs(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2*alignedRows + 1} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			var want []missingReport
			for i := range n {
				want = append(want, missingReport{Digest: fmt.Sprint("sha256:", i), Size: int64(i), Image: "app:<v1>", Mirrors: []string{"one", "two"}})
			}
			each := missingBlobs(func(yield func(missingReport) error) error {
				for _, x := range want {
					if err := yield(x); err != nil {
						return err
					}
				}
				return nil
			})
			var text, out strings.Builder
			if err := errors.Join(each.writeText(&text), (&statusReport{NeedsCopy: []string{"x"}, missing: each}).writeJSON(&out)); err != nil {
				t.Fatal(err)
			}
			if lines := strings.Count(text.String(), "\n"); lines != n+2*min(n, 1) || strings.Count(text.String(), "app:<v1>  one two\n") != n {
				t.Errorf("%d lines of text:\n%.500s", lines, &text)
			}
			var got struct {
				NeedsCopy    []string
				MissingBlobs []missingReport
			}
			if err := json.Unmarshal([]byte(out.String()), &got); err != nil || len(got.NeedsCopy) != 1 || len(got.MissingBlobs) != n || n > 0 && !reflect.DeepEqual(got.MissingBlobs, want) {
				t.Errorf("error %v, %d rows in\n%.500s", err, len(got.MissingBlobs), &out)
			}
		})
	}
}
