package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/config"
	"archeio/lambda/metrics"
	"archeio/ranges"
	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
)

// checkAccess checks what single requests get: who may read what, and which headers
// of a client are trusted.
func (c *checks) checkAccess(ctx context.Context) {
	c.progress.Step("checking access, and headers that clients forge")
	digest := c.image.Blobs[0].String()
	blob := "/v2/" + pull.Repository + "/blobs/" + digest
	balancer, edge := "https://"+c.stage.BalancerDomain(), "https://"+c.distribution
	addr := system.Address(ranges.AWS, regions[1]).String()
	reason := func(r string) map[string]string { return map[string]string{"X-Redirect-Reason": r} }
	for _, forged := range []struct{ name, value string }{{"X-Forwarded-For", addr}, {"CloudFront-Viewer-Address", addr + ":4711"}} {
		c.expect(ctx, "the load balancer ignores a forged "+forged.name, balancer+blob,
			map[string]string{forged.name: forged.value}, 307, reason("default-mirror"))
	}
	c.expect(ctx, "a client that sends Authorization is not redirected to a bucket", edge+blob,
		map[string]string{"CloudFront-Viewer-Address": addr + ":4711", "Authorization": "Bearer x"}, 307, reason("authorization"))
	c.expect(ctx, "the distribution ignores a forged X-Viewer-Authorized", edge+blob,
		map[string]string{"CloudFront-Viewer-Address": addr + ":4711", "X-Viewer-Authorized": "1"}, 307, reason("aws-region"))
	c.expect(ctx, "no token is required", edge+"/v2/", nil, 200, map[string]string{"Docker-Distribution-Api-Version": "registry/2.0"})
	c.check("the edge rejects methods other than GET and HEAD", c.rejectsPost(ctx, edge+"/v2/"+pull.Repository+"/blobs/uploads/"))

	c.check("an object that is not a blob can be put into a mirror", c.put(ctx, "state/secret", []byte("secret")))
	mirror := c.stage.MirrorURL(regions[0])
	c.expect(ctx, "a blob is readable without credentials", mirror+"/"+config.BlobPrefix+digest, nil, 200, nil)
	c.expect(ctx, "another key is not", mirror+"/state/secret", nil, 403, nil)
	c.expect(ctx, "a list of the blobs is not", mirror+"/?list-type=2&prefix="+config.BlobPrefix, nil, 403, nil)
	c.check("the log group of the deployed function has metrics", c.logsMetrics(ctx))
}

func (c *checks) rejectsPost(ctx context.Context, url string) error {
	status, header, body, err := c.request(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	return want(status == http.StatusMethodNotAllowed && header.Get("Allow") == "GET, HEAD" && strings.Contains(body, "UNSUPPORTED"),
		"status %d, Allow %q, body %q; want 405 with UNSUPPORTED", status, header.Get("Allow"), body)
}

// put puts an object into the primary bucket.
func (c *checks) put(ctx context.Context, key string, data []byte) error {
	sum := sha256.Sum256(data)
	_, err := c.s3(regions[0]).PutObject(ctx, &s3.PutObjectInput{
		Bucket:         aws.String(bucketName(regions[0])),
		Key:            &key,
		Body:           bytes.NewReader(data),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	})
	if err != nil {
		return fmt.Errorf("putting %q into the primary bucket: %w", key, err)
	}
	return nil
}

// logsMetrics waits until the log group of the redirector has a line with metrics.
func (c *checks) logsMetrics(ctx context.Context) error {
	group, err := c.logGroup(ctx, c.function)
	if err != nil {
		return err
	}
	return waitUntil(ctx, time.Minute, "log group "+group+" has a line with metrics", func() (bool, error) {
		var output struct{ Events []struct{ Message string } }
		if err := c.aws(ctx, regions[0], &output, "logs", "filter-log-events", "--log-group-name", group); err != nil {
			return false, err
		}
		for _, e := range output.Events {
			if strings.Contains(e.Message, fmt.Sprintf(`"Namespace":%q`, metrics.Namespace)) {
				return true, nil
			}
		}
		return false, nil
	})
}
