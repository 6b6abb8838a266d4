package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"archeio/lambda/registry"
)

// readSecret returns a function that reads a secret, which has the format of
// ~/.docker/config.json.
func readSecret(client *secretsmanager.Client, name string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		secret, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
		if err != nil {
			return nil, fmt.Errorf("reading the secret %q: %s", name, oneLine(err))
		}
		return []byte(aws.ToString(secret.SecretString)), nil
	}
}

// storedLogins returns the logins of a secret, which is read again when the registry
// refuses them. unmatched are its keys that are not of the source.
func storedLogins(ctx context.Context, client *secretsmanager.Client, name, source string) (logins registry.Refresher, unmatched []string, err error) {
	read := readSecret(client, name)
	text, err := read(ctx)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := registry.ParseLogins(text)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the secret %q: %w", name, err)
	}
	return registry.StoredLogins(read), parsed.Unmatched(source), nil
}
