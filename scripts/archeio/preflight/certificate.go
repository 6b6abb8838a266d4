package preflight

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"
)

// certificate is an existing certificate.
type certificate struct {
	names   []string // that it is for; "*." stands for one label
	issued  bool
	status  string
	expires time.Time
}

func (s *sdk) certificate(ctx context.Context, region, arn string) (*certificate, error) {
	out, err := acm.NewFromConfig(s.in(region)).DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: aws.String(arn)})
	if code(err) == "ResourceNotFoundException" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := out.Certificate
	return &certificate{c.SubjectAlternativeNames, c.Status == types.CertificateStatusIssued, string(c.Status), aws.ToTime(c.NotAfter)}, nil
}

// certificates checks that each existing certificate of the stage is for all its host
// names. CloudFront and load balancers refuse others in the middle of a deployment.
func (p *preflight) certificates(ctx context.Context) {
	const what = "certificate"
	for _, region := range slices.Sorted(maps.Keys(p.stage.Certificates)) {
		c, err := p.cloud.certificate(ctx, region, p.stage.Certificates[region])
		var missing []string
		for _, host := range p.stage.CertificateNames(region) {
			if c != nil && !slices.ContainsFunc(c.names, func(name string) bool { return covers(name, host) }) {
				missing = append(missing, host)
			}
		}
		switch {
		case err != nil:
			p.unknown(region, what, err)
		case c == nil:
			p.fail(region, what, "%s does not exist; set certificate to an issued one", p.stage.Certificates[region])
		case !c.issued:
			p.fail(region, what, "%s has the status %s; want an issued certificate", p.stage.Certificates[region], c.status)
		case len(missing) > 0:
			p.fail(region, what, "%s is for %s, but not for %s; request one for all of them, and set certificate to it", p.stage.Certificates[region], strings.Join(c.names, ", "), strings.Join(missing, ", "))
		default:
			p.pass(region, what, "it is for %s, and valid until %s", strings.Join(p.stage.CertificateNames(region), ", "), c.expires.Format(time.DateOnly))
		}
	}
}

// covers reports whether a certificate for name, which may have a wildcard as its first
// label, is for a host.
// https://www.rfc-editor.org/rfc/rfc9525#section-6.3
func covers(name, host string) bool {
	if suffix, wildcard := strings.CutPrefix(name, "*"); wildcard {
		first, _, _ := strings.Cut(host, ".")
		return strings.EqualFold(strings.TrimPrefix(host, first), suffix)
	}
	return strings.EqualFold(name, host)
}
