package copier

import (
	"slices"
	"testing"
)

// TestProgressFromBucketToBucket tests that the bytes move with each part that S3 copies of a
// large blob, to several buckets at once, and never beyond what is missing.
func TestProgressFromBucketToBucket(t *testing.T) {
	t.Parallel()
	m := newMemory()
	var buckets []*Bucket
	for _, name := range []string{"primary", "one", "two"} {
		b := m.bucket(name, "us-east-1")
		b.maxPutSize, b.partSize = 1000, 1000
		buckets = append(buckets, b)
	}
	data, blob := noise(1, 8500)
	put(t, buckets[0], blob.Digest, data)
	m.hashed["primary/containers/images/"+blob.Digest] = true
	h, o, plan, _ := oneBlob(t, data, buckets...)
	plan.Missing[0] = nil
	var bytes []int64
	o.Progress = func(p Progress) {
		if p.Bytes > p.TotalBytes {
			t.Errorf("%d of %d bytes", p.Bytes, p.TotalBytes)
		}
		bytes = append(bytes, p.Bytes)
	}
	result, err := Copy(t.Context(), o, plan)
	if err != nil || len(result.Errors) != 0 || result.FromBucket != 2 || len(h.requests()) != 0 {
		t.Fatalf("result %+v, error %v", result, err)
	}
	if !slices.IsSorted(bytes) {
		t.Errorf("the bytes go back: %v", bytes)
	}
	// Eight whole parts and a half one, twice.
	if seen := slices.Compact(bytes); len(seen) != 1+2*9 || seen[len(seen)-1] != 2*8500 {
		t.Errorf("bytes %v, want a step for each part", seen)
	}
}
