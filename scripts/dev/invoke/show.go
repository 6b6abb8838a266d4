package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"archeio/scripts/lab/sample"
	"archeio/scripts/lab/terminal"
)

// show prints a result for a developer: what the client sees of it, and whether
// it is the one that is wanted of the event in file. overrides are variables that
// may have changed it.
func show(w io.Writer, color bool, result []byte, file string, overrides []string) error {
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-8s  %s\n", name, value)
		}
	}
	var r response
	if err := json.Unmarshal(result, &r); err != nil || !r.isHTTP() && r.ErrorType == "" {
		row("result", string(result))
	} else if r.ErrorType != "" {
		row("error", r.ErrorType+": "+r.ErrorMessage)
	} else {
		row("status", r.status())
		row("location", r.header("Location"))
		row("reason", r.header("X-Redirect-Reason"))
		row("body", r.Body)
	}

	want, err := sample.Want(file)
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(filepath.Base(file), ".json") + ".want.json"
	if want == nil {
		row("want", "nothing to compare with: there is no "+name)
		return nil
	}
	equal, err := sample.Equal(result, want)
	if err != nil {
		return err
	}
	if equal {
		row("want", terminal.Paint(color, terminal.Green, "PASS")+" as in "+name)
		return nil
	}
	if len(overrides) > 0 {
		row("want", terminal.Paint(color, terminal.Yellow, "DIFFERS")+" from "+name+"; the shell sets "+strings.Join(overrides, ", "))
	} else {
		row("want", terminal.Paint(color, terminal.Red, "FAIL")+" differs from "+name)
	}
	fmt.Fprintf(w, "\nresult: %s\nwanted: %s\n", compact(result), compact(want))
	return nil
}

func compact(value []byte) []byte {
	var out bytes.Buffer
	if err := json.Compact(&out, value); err != nil {
		return value
	}
	return out.Bytes()
}

// response is a function's result for any entry point, or the error that it
// reported. Lambda@Edge has other types for the status and the headers.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-generating-http-responses-in-requests.html
type response struct {
	StatusCode        int
	Status            string
	StatusDescription string
	Headers           map[string]json.RawMessage
	MultiValueHeaders map[string][]string
	Body              string

	ErrorType, ErrorMessage string
}

func (r *response) isHTTP() bool { return r.StatusCode != 0 || r.Status != "" }

// status returns the status code with its text.
func (r *response) status() string {
	switch {
	case r.Status != "":
		return strings.TrimSpace(r.Status + " " + r.StatusDescription)
	case r.StatusDescription != "":
		return r.StatusDescription // a load balancer wants the code in it
	}
	return fmt.Sprintf("%d %s", r.StatusCode, http.StatusText(r.StatusCode))
}

// header returns the first value of a header.
func (r *response) header(name string) string {
	for key, values := range r.MultiValueHeaders {
		if strings.EqualFold(key, name) && len(values) > 0 {
			return values[0]
		}
	}
	for key, value := range r.Headers {
		if !strings.EqualFold(key, name) {
			continue
		}
		var text string
		var edge []struct{ Value string }
		switch {
		case json.Unmarshal(value, &text) == nil:
			return text
		case json.Unmarshal(value, &edge) == nil && len(edge) > 0:
			return edge[0].Value
		}
	}
	return ""
}
