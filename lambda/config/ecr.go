package config

import (
	"slices"
	"strings"
)

// ecrDomains end the hosts of the private registries of Amazon ECR.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
var ecrDomains = []string{
	"amazonaws.com", "amazonaws.com.cn", "on.aws", "on.amazonwebservices.com.cn",
	"sc2s.sgov.gov", "c2s.ic.gov", "cloud.adc-e.uk", "csp.hci.ic.gov",
}

// ecrServices follow the account in those hosts, also with FIPS and dual stack.
var ecrServices = []string{"dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."}

// ECR returns the account and Region of a private registry of Amazon ECR, and
// whether a source REGISTRY[/PREFIX] is one.
func ECR(source string) (account, region string, ok bool) {
	host, _, _ := strings.Cut(strings.ToLower(source), "/")
	account, rest, _ := strings.Cut(host, ".")
	if len(account) != 12 || strings.Trim(account, "0123456789") != "" {
		return "", "", false
	}
	for _, service := range ecrServices {
		if place, found := strings.CutPrefix(rest, service); found {
			region, domain, _ := strings.Cut(place, ".")
			if region == "" || strings.Trim(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || !slices.Contains(ecrDomains, domain) {
				return "", "", false
			}
			return account, region, true
		}
	}
	return "", "", false
}
