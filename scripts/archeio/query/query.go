// Package query calls AWS services that have the Query protocol, without the SDK's
// packages for them: that for EC2 alone is larger than all the rest of the program.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html
package query

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// maxResponse is how many bytes of a response are read.
const maxResponse = 1 << 20

// Call calls an action of a service in a region and decodes the response as XML into
// into. form has the parameters, with Action and Version. The error has the code and
// the message of the service.
func Call(ctx context.Context, c aws.Config, service, region string, form url.Values, into any) error {
	endpoint := "https://" + service + "." + region + ".amazonaws.com/"
	if c.BaseEndpoint != nil {
		endpoint = strings.TrimSuffix(*c.BaseEndpoint, "/") + "/"
	}
	body := form.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	status, text, err := send(ctx, c, r, []byte(body), service, region, maxResponse)
	if err != nil {
		return err
	}
	return Parse(form.Get("Action"), status, text, into)
}

// Parse decodes the response to an action.
func Parse(action string, status int, text []byte, into any) error {
	if status == http.StatusOK {
		if err := xml.Unmarshal(text, into); err != nil {
			return fmt.Errorf("%s: status %d: %w", action, status, err)
		}
		return nil
	}
	var failed struct {
		EC2   apiError `xml:"Errors>Error"`
		Other apiError `xml:"Error"`
	}
	if err := xml.Unmarshal(text, &failed); err != nil {
		return fmt.Errorf("%s: status %d: %w", action, status, err)
	}
	e := failed.EC2
	if e.Code == "" {
		e = failed.Other
	}
	return fmt.Errorf("%s: status %d: %s: %s", action, status, e.Code, e.Message)
}

type apiError struct{ Code, Message string }
