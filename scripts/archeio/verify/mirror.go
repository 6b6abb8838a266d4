package verify

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"archeio/lambda/config"
	"archeio/lambda/index"
	"archeio/ranges"
)

func (d *deployment) publicRead(ctx context.Context, region string) outcome {
	b, none := d.anyBlob(region)
	if none != nil {
		return *none
	}
	return d.readable(ctx, d.stage.MirrorURL(region)+"/"+config.BlobPrefix+b.digest, b)
}

func (d *deployment) missingBlob(ctx context.Context, region string) outcome {
	r, err := d.send(ctx, request{method: http.MethodHead, url: d.stage.MirrorURL(region) + "/" + config.BlobPrefix + randomDigest()})
	switch {
	case err != nil:
		return noResponse(err)
	case r.status == http.StatusNotFound && d.stage.MirrorURLs[region] != "":
		return skip("the server in mirrorURLs returns 404, so nothing follows from that about the bucket")
	case r.status == http.StatusNotFound:
		return fail("status 404, want 403: anonymous clients can list the bucket; check its policy for s3:ListBucket")
	case r.status != http.StatusForbidden:
		return fail("status %d, want 403; check whether the bucket exists", r.status)
	}
	return pass("a missing blob is a 403")
}

func (d *deployment) listing(ctx context.Context, region string) outcome {
	for _, query := range []string{"?list-type=2&max-keys=1", "?list-type=2&max-keys=1&prefix=" + config.BlobPrefix, "?versions&max-keys=1"} {
		r, err := d.send(ctx, request{url: d.stage.MirrorURL(region) + "/" + query})
		switch {
		case err != nil:
			return noResponse(err)
		case r.status != http.StatusForbidden:
			return fail("GET /%s without credentials returns %d, want 403; check the bucket policy", query, r.status)
		}
	}
	return pass("anonymous clients cannot list")
}

// writing tries to overwrite an object that does not exist, so that nothing is written
// even if writing is allowed.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (d *deployment) writing(ctx context.Context, region string) outcome {
	r, err := d.send(ctx, request{
		method: http.MethodPut, url: d.stage.MirrorURL(region) + "/" + config.BlobPrefix + randomDigest(), body: "x",
		header: map[string]string{"If-Match": `"00000000000000000000000000000000"`},
	})
	switch {
	case err != nil:
		return noResponse(err)
	case r.status != http.StatusForbidden:
		return fail("PUT without credentials returns %d, want 403; check the bucket policy for s3:PutObject", r.status)
	}
	return pass("anonymous clients cannot write")
}

func (d *deployment) blobIndex(ctx context.Context, region string) outcome {
	if d.stage.Filler == nil {
		return skip("the stage does not fill its mirrors")
	}
	c, err := d.stage.Config(d.stage.Redirectors[0])
	if err != nil {
		return unknown(err)
	}
	if c.IndexRefresh == 0 {
		return skip("the redirectors do not use the index")
	}
	r, err := d.send(ctx, request{
		url:    d.stage.MirrorURL(region) + "/" + config.BlobPrefix + index.Name,
		header: map[string]string{"Range": fmt.Sprintf("bytes=0-%d", index.HeaderSize-1)},
	})
	switch {
	case err != nil:
		return noResponse(err)
	case r.status == http.StatusForbidden || r.status == http.StatusNotFound:
		return d.noIndex(ctx, region, r.status)
	case r.status != http.StatusPartialContent:
		return fail("status %d, want 206", r.status)
	}
	h, err := index.ParseHeader([]byte(r.body))
	if err != nil {
		return fail("%v; run the planner, which replaces it", err)
	}
	age := d.now().Sub(h.Listed).Round(time.Second)
	switch {
	case age > c.IndexMaxAge-config.IndexMargin:
		return fail("the blob index is %s old, and is not used when it is older than %s; check the planner's log group", age, c.IndexMaxAge)
	case !slices.Contains(h.Mirrors, region):
		return pending("the blob index is %s old and does not cover this mirror, which is still being filled", age)
	}
	return pass("the blob index is %s old, with %d blobs", age, h.Entries)
}

// noIndex returns why the blob index of a mirror cannot be read. It may only be missing
// until the planner has written it for the first time.
func (d *deployment) noIndex(ctx context.Context, region string, status int) outcome {
	now, ever, err := d.cloud.exists(ctx, region, index.Name)
	switch {
	case err != nil:
		return unknown(err)
	case now:
		return fail("the blob index is in the bucket, but GET returns %d, want 206, so each blob is looked for by a request; check the bucket policy and the blocks of public access", status)
	case ever:
		return fail("the blob index was deleted, so each blob is looked for by a request; run the planner, which writes it again")
	}
	if due, ok := d.firstRun(ctx); ok {
		return pending("there is no blob index yet; the first run of the planner is due until %s", due.UTC().Format(time.DateTime+" MST"))
	}
	return fail("there is no blob index, so each blob is looked for by a request; check the planner's log group")
}

func (d *deployment) ipRanges(ctx context.Context, region string) outcome {
	if !d.stage.Refreshes() {
		return skip("the stage uses the IP ranges in the binary, of %s", ranges.Date().Format(time.DateOnly))
	}
	r, err := d.send(ctx, request{url: d.stage.MirrorURL(region) + "/" + config.BlobPrefix + config.RangesName})
	switch {
	case err != nil:
		return noResponse(err)
	case r.status == http.StatusForbidden || r.status == http.StatusNotFound:
		return pending("there are no IP ranges yet, so redirectors use those in the binary, of %s; the first run of the refresher is due within a day", ranges.Date().Format(time.DateOnly))
	case r.status != http.StatusOK:
		return fail("status %d, want 200", r.status)
	}
	t, err := ranges.Parse([]byte(r.body))
	switch {
	case err != nil:
		return fail("%v; run archeio ranges refresh, which replaces it", err)
	case t.Latest().After(d.now().Add(index.Skew)):
		return fail("the IP ranges are of %s, ahead of the clock; run archeio ranges refresh, which replaces them", t.Latest().Format(time.RFC3339))
	}
	return pass("the IP ranges are of %s", t.Date().Format(time.DateOnly))
}
