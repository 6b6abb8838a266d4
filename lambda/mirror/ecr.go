package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"

	"archeio/lambda/registry"
)

// issuePassword returns a function that gets a password for a private registry of
// Amazon ECR, with the role of the function. It is valid for 12 hours.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
func issuePassword(client *ecr.Client) func(context.Context) (registry.Password, error) {
	return func(ctx context.Context) (registry.Password, error) {
		out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
		if err != nil {
			return registry.Password{}, fmt.Errorf("getting a password of Amazon ECR: %s: the function's role needs ecr:GetAuthorizationToken", oneLine(err))
		}
		if len(out.AuthorizationData) == 0 {
			return registry.Password{}, errors.New("getting a password of Amazon ECR: the response has none")
		}
		data := out.AuthorizationData[0]
		login, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
		username, password, ok := strings.Cut(string(login), ":")
		if err != nil || !ok {
			return registry.Password{}, errors.New("getting a password of Amazon ECR: the response cannot be decoded")
		}
		return registry.Password{Username: username, Password: password, Expires: aws.ToTime(data.ExpiresAt)}, nil
	}
}
