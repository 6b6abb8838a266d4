package preflight

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCertificates(t *testing.T) {
	t.Parallel()
	arn := func(region string) string {
		return "arn:aws:acm:" + region + ":123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
	}
	edge := arn("us-east-1")
	for _, tt := range []struct {
		name  string
		found *certificate
		want  string
	}{
		{"covered", &certificate{names: []string{"registry.example.org", "*.example.com"}, issued: true, expires: time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)},
			"PASS    it is for registry.example.org, images.example.com, and valid until 2027-03-01"},
		{"missing-name", &certificate{names: []string{"registry.example.org"}, issued: true}, "FAIL    " + edge + " is for registry.example.org, but not for images.example.com; request one for all of them"},
		{"wildcard-of-another-label", &certificate{names: []string{"registry.example.org", "*.images.example.com", "*.com"}, issued: true}, "but not for images.example.com"},
		{"pending", &certificate{names: []string{"registry.example.org", "images.example.com"}, status: "PENDING_VALIDATION"}, "FAIL    " + edge + " has the status PENDING_VALIDATION; want an issued certificate"},
		{"none", nil, "FAIL    " + edge + " does not exist; set certificate to an issued one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := preflightOf(t, with(func(f *fake) {
				f.domainKeys = fmt.Sprintf(`"domain": "registry.example.org", "aliases": ["images.example.com"], "certificate": {"us-east-1": %q}`, edge)
				f.certificateOf = map[string]*certificate{edge: tt.found}
			}), 200)
			if !strings.Contains(got.stdout, tt.want) {
				t.Errorf("want %q in\n%s", tt.want, got.stdout)
			}
		})
	}
	// A load balancer has names of its own.
	got := preflightOf(t, with(func(f *fake) {
		f.domainKeys = fmt.Sprintf(`"front": "alb", "domain": "registry.example.org", "certificate": {"eu-central-1": %q}`, arn("eu-central-1"))
		f.certificateOf = map[string]*certificate{arn("eu-central-1"): {names: []string{"registry.example.org"}, issued: true}}
	}), 200)
	if !strings.Contains(got.stdout, "but not for alb.registry.example.org") {
		t.Errorf("the load balancer's name is not checked in\n%s", got.stdout)
	}
}
