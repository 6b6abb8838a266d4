// Command hello is the smallest Lambda function in Go, the baseline for the
// redirector's start-up time. It returns the value of RESPONSE, if set.
package main

import (
	"cmp"
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

type hello struct{ response []byte }

func (h hello) Invoke(context.Context, []byte) ([]byte, error) { return h.response, nil }

func main() {
	lambda.Start(hello{[]byte(cmp.Or(os.Getenv("RESPONSE"), `{"statusCode":200}`))})
}
