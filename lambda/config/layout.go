package config

import (
	"time"

	"archeio/lambda/index"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// The layout of the buckets.
const (
	// BlobPrefix is the key prefix of the blobs in a mirror; the digest follows.
	// It is the layout of the bucket behind a Google container registry.
	BlobPrefix = "containers/images/"
	// RunPrefix is the key prefix in the state bucket of what only one run of
	// the mirror functions needs. It may be expired.
	RunPrefix = "run/"
	// RangesPrefix is the key prefix in the state bucket of the state and the history
	// of the range tables.
	RangesPrefix = "ranges/"
	// CanaryImageName is the key in the state bucket of a [CanaryImage].
	CanaryImageName = "canary.json"
	// RangesName is the key below BlobPrefix of the range table.
	RangesName = "ranges.v1"
)

const (
	// IndexMaxAge is the default of MIRROR_INDEX_MAX_AGE. The planner lists each part
	// of each mirror often enough for it.
	IndexMaxAge = 12 * time.Hour
	// IndexMargin is how long before that an index counts as stale. If the planner runs
	// as often as by default, no index is that old.
	IndexMargin = 30 * time.Minute
)

// CanaryImage is the smallest image that the mirror functions have seen in a run, for the
// canary, as JSON.
type CanaryImage struct {
	// Run is the name of the run.
	Run string `json:"run"`
	// Image is NAME:TAG as clients of the redirector name it.
	Image string `json:"image"`
	// Size is that of the image's smallest blob in bytes.
	Size int64 `json:"size"`
}

// IndexURL returns the URL of the blob index: where the default mirror is
// checked, else in the mirror nearest to the function. It is empty if there is
// no mirror or the index is not used.
func (c *Config) IndexURL() string { return c.objectURL(index.Name, c.IndexRefresh) }

// RangesURL is IndexURL for the range table.
func (c *Config) RangesURL() string { return c.objectURL(RangesName, c.RangesRefresh) }

// objectURL returns the URL of an object below the prefix of the blobs, empty if it is
// not refreshed.
func (c *Config) objectURL(name string, refresh time.Duration) string {
	base := c.DefaultMirrorCheck
	if base == "" && len(c.Mirrors) > 0 {
		base = c.Mirrors[c.nearest()].URL
	}
	if base == "" || refresh == 0 {
		return ""
	}
	return base + "/" + BlobPrefix + name
}

// nearest returns the position of the mirror nearest to the function, 0 if that
// is not known.
func (c *Config) nearest() int {
	places := make([]regions.Region, len(c.Mirrors))
	for i, m := range c.Mirrors {
		places[i], _ = regions.Find(string(ranges.AWS), m.Region)
	}
	here, known := regions.Find(string(ranges.AWS), c.Region)
	if !known {
		return 0
	}
	return max(0, regions.NewIndex(places).Nearest(here.Point, -1))
}
