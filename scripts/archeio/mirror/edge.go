package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"

	"archeio/lambda/config"
)

// maxPaths is the number of paths that CloudFront invalidates at the same time.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-requests.html
const maxPaths = 3000

// relayedPaths is the path of everything that a relay lets the edge cache.
const relayedPaths = "/v2/*"

// invalidate invalidates blobs in a distribution, with one path for each: requests
// with other spellings share its cache entry. With relayed, it also invalidates what was
// relayed, as a digest may be that of a manifest. It returns the IDs of the
// invalidations, separated by spaces.
func invalidate(ctx context.Context, c aws.Config, distribution string, digests []string, relayed bool) (ids string, err error) {
	var done []string
	for batch := range slices.Chunk(digests, maxPaths) {
		paths := make([]string, len(batch), len(batch)+1)
		for i, digest := range batch {
			paths[i] = "/" + config.BlobPrefix + digest
		}
		if relayed {
			paths = append(paths, relayedPaths)
		}
		out, err := cloudfront.NewFromConfig(c).CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
			DistributionId: &distribution,
			InvalidationBatch: &types.InvalidationBatch{
				CallerReference: aws.String(fmt.Sprintf("%s %d", batch[0], time.Now().UnixNano())),
				Paths:           &types.Paths{Quantity: aws.Int32(int32(len(paths))), Items: paths},
			},
		})
		if err != nil {
			by := paths[0] + more(len(batch)-1)
			if relayed {
				by += " and " + relayedPaths
			}
			return strings.Join(done, " "), fmt.Errorf("invalidating %s in distribution %q: %w: invalidate %s in the CloudFront console",
				blobCount(len(batch)), distribution, err, by)
		}
		done = append(done, aws.ToString(out.Invalidation.Id))
	}
	return strings.Join(done, " "), nil
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}
