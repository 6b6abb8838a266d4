package query

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
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
	status, text, err := send(ctx, c, r, body, service, region, maxJSON)
	if err != nil {
		return err
	}
	_, operation, _ := strings.Cut(target, ".")
	if status != http.StatusOK {
		var failed struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(text, &failed); err != nil {
			return fmt.Errorf("%s: status %d: %w", operation, status, err)
		}
		code := failed.Type[strings.LastIndexByte(failed.Type, '#')+1:]
		return fmt.Errorf("%s: status %d: %w", operation, status, &JSONError{code, failed.Message})
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: status %d: %w", operation, status, err)
	}
	return nil
}

// JSONError is the error of a service.
type JSONError struct{ Code, Message string }

// Error returns the code and the message.
func (e *JSONError) Error() string { return e.Code + ": " + e.Message }
