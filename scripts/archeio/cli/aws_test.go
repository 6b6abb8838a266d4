package cli

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/logging"
)

// The SDK would write warnings to standard error.
func TestLoadAWSIsSilent(t *testing.T) {
	t.Parallel()
	c, err := LoadAWS(t.Context(), "")
	if err != nil || c.Logger != (logging.Nop{}) {
		t.Errorf("logger %T, error %v; want none", c.Logger, err)
	}
}

func TestCheckCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"valid", nil, ""},
		{"missing", errors.New("no role"), "no valid AWS credentials: no role; log in, for example with aws sso login"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, tt.err })
			var got string
			if err := CheckCredentials(t.Context(), aws.Config{Credentials: provider}); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}
