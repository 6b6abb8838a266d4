package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"

	presence "archeio/lambda/blobs"
	mirror "archeio/lambda/config"
	"archeio/lambda/copier"
)

// withdrawal is what is printed of a withdrawal; its JSON has these names.
type withdrawal struct {
	Digest  string      `json:"digest"`
	Buckets []removedOf `json:"buckets"`
	// ListedOnly tells that the blob was not removed.
	ListedOnly bool      `json:"listedOnly,omitempty"`
	Edge       string    `json:"edge,omitempty"`
	Until      time.Time `json:"until"`
	Errors     []string  `json:"errors"`
}

type removedOf struct {
	Name     string `json:"name"`
	Versions int    `json:"versions"`
}

// indexLag is how long a redirector may go on with an index that a blob has left:
// twice the default of MIRROR_INDEX_REFRESH. It is longer than what is remembered.
const indexLag = 10 * time.Minute

func (c *command) withdraw(ctx context.Context) (complete bool, err error) {
	withdraw := copier.Withdraw
	if c.listOnly {
		withdraw = copier.ListWithdrawn
	}
	removal, err := withdraw(ctx, c.state, c.options.Buckets, c.digest)
	if err != nil {
		return false, err
	}
	w := &withdrawal{Digest: c.digest, ListedOnly: c.listOnly, Until: time.Now().UTC().Add(max(indexLag, presence.PresentFor)).Truncate(time.Second), Errors: []string{}}
	for i, b := range c.options.Buckets {
		w.Buckets = append(w.Buckets, removedOf{b.Name, removal.Versions[i]})
	}
	for _, err := range removal.Errors {
		w.Errors = append(w.Errors, err.Error())
	}
	if c.distribution != "" && !c.listOnly {
		if w.Edge, err = c.forget(ctx); err != nil {
			w.Errors = append(w.Errors, err.Error())
		}
	}
	return c.print(w)
}

// forget has the edge drop the blob, as both spellings of its path.
func (c *command) forget(ctx context.Context) (id string, err error) {
	paths := []string{"/" + mirror.BlobPrefix + c.digest, "/" + mirror.BlobPrefix + "sha256%3A" + c.digest[len("sha256:"):]}
	out, err := cloudfront.NewFromConfig(c.aws).CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
		DistributionId: &c.distribution,
		InvalidationBatch: &types.InvalidationBatch{
			CallerReference: aws.String(fmt.Sprintf("%s %d", c.digest, time.Now().UnixNano())),
			Paths:           &types.Paths{Quantity: aws.Int32(int32(len(paths))), Items: paths},
		},
	})
	if err != nil {
		return "", fmt.Errorf("having the distribution %q forget it: %w", c.distribution, err)
	}
	return aws.ToString(out.Invalidation.Id), nil
}

func (w *withdrawal) complete() bool { return len(w.Errors) == 0 }

func (w *withdrawal) writeText(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "BUCKET\tREMOVED\n")
	for _, b := range w.Buckets {
		fmt.Fprintf(t, "%s\t%s\n", b.Name, count(b.Versions, "version", "versions"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s is listed as withdrawn and is not copied again.\n", w.Digest)
	switch {
	case w.ListedOnly:
		fmt.Fprintln(out, "It leaves the index, and stays in the mirrors: run withdraw again after MIRROR_INDEX_MAX_AGE to remove it.")
	case w.Edge != "":
		fmt.Fprintf(out, "The edge forgets it: invalidation %s.\n", w.Edge)
	default:
		fmt.Fprintln(out, "The edge may still have it: name the distribution with -distribution to have it forget.")
	}
	fmt.Fprintf(out, "Redirectors may send clients to the mirrors for it until %s, those that cannot read the index for MIRROR_INDEX_MAX_AGE;\nthen they send them upstream: remove it there too.\n", w.Until.Format(time.RFC3339))
	for _, e := range w.Errors {
		fmt.Fprintln(out, "error:", e)
	}
	return nil
}
