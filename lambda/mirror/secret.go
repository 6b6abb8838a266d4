package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-containerregistry/pkg/authn"
)

// logins are the logins of a Docker configuration by registry. It is safe for
// concurrent use.
type logins map[string]authn.AuthConfig

// readSecret reads logins from a secret, which has the format of
// ~/.docker/config.json.
func readSecret(ctx context.Context, client *secretsmanager.Client, name string) (logins, error) {
	secret, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return nil, fmt.Errorf("reading the secret %q: %s", name, oneLine(err))
	}
	l, err := parseLogins(aws.ToString(secret.SecretString))
	if err != nil {
		return nil, fmt.Errorf("reading the secret %q: %w", name, err)
	}
	return l, nil
}

// parseLogins parses a Docker configuration. Its error does not quote the text.
func parseLogins(text string) (logins, error) {
	var c struct {
		Auths logins `json:"auths"`
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil || len(c.Auths) == 0 {
		return nil, fmt.Errorf(`want a Docker configuration such as {"auths": {"us-docker.pkg.dev": {"username": "_json_key", "password": "..."}}}`)
	}
	out := logins{}
	for registry, login := range c.Auths {
		out[strings.TrimSuffix(strings.TrimPrefix(registry, "https://"), "/")] = login
	}
	return out, nil
}

// Resolve implements authn.Keychain.
func (l logins) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if login, ok := l[r.RegistryStr()]; ok {
		return authn.FromConfig(login), nil
	}
	return authn.Anonymous, nil
}
