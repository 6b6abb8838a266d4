package query

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// send signs a request with the body that it has, sends it, and returns the status and at
// most limit bytes of the response.
func send(ctx context.Context, c aws.Config, r *http.Request, body []byte, service, region string, limit int64) (status int, text []byte, err error) {
	credentials, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return 0, nil, err
	}
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(hash[:]), service, region, time.Now()); err != nil {
		return 0, nil, err
	}
	var client aws.HTTPClient = http.DefaultClient
	if c.HTTPClient != nil {
		client = c.HTTPClient
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(io.LimitReader(resp.Body, limit))
	return resp.StatusCode, text, err
}
