package query

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// maxJSON is how many bytes of a JSON response are read: the result of a Logs
// Insights query has up to 10,000 rows.
const maxJSON = 16 << 20

// CallJSON calls an operation of a service that has the AWS JSON 1.1 protocol, such as
// CloudWatch Logs. target is the name of the API and of the operation, as
// "Logs_20140328.StartQuery". The error has the code and the message of the service.
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
func CallJSON(ctx context.Context, c aws.Config, service, region, target string, in, into any) error {
	endpoint := "https://" + service + "." + region + ".amazonaws.com/"
	if c.BaseEndpoint != nil {
		endpoint = strings.TrimSuffix(*c.BaseEndpoint, "/") + "/"
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target)
	credentials, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(hash[:]), service, region, time.Now()); err != nil {
		return err
	}
	var client aws.HTTPClient = http.DefaultClient
	if c.HTTPClient != nil {
		client = c.HTTPClient
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxJSON))
	if err != nil {
		return err
	}
	_, operation, _ := strings.Cut(target, ".")
	if resp.StatusCode != http.StatusOK {
		var failed struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(text, &failed); err != nil {
			return fmt.Errorf("%s: status %d: %w", operation, resp.StatusCode, err)
		}
		code := failed.Type[strings.LastIndexByte(failed.Type, '#')+1:]
		return fmt.Errorf("%s: status %d: %w", operation, resp.StatusCode, &JSONError{code, failed.Message})
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: status %d: %w", operation, resp.StatusCode, err)
	}
	return nil
}

// JSONError is the error of a service.
type JSONError struct{ Code, Message string }

// Error returns the code and the message.
func (e *JSONError) Error() string { return e.Code + ": " + e.Message }
