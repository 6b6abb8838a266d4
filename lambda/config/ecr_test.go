package config

import "testing"

func TestECR(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		source, region string
	}{
		{"123456789012.dkr.ecr.eu-central-1.amazonaws.com/team", "eu-central-1"},
		{"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		{"123456789012.dkr-ecr.us-east-1.on.aws/team", "us-east-1"},
		{"public.ecr.aws/docker", ""},
		{"123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example", ""},
		{"evil.example/123456789012.dkr.ecr.eu-central-1.amazonaws.com", ""},
	} {
		account, region, ok := ECR(tt.source)
		if region != tt.region || ok != (tt.region != "") || ok && account != "123456789012" {
			t.Errorf("%s: account %q, Region %q, %v", tt.source, account, region, ok)
		}
	}
}
