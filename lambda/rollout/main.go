// Command release is the Lambda function that CodeDeploy calls before clients
// get to a new version of the redirector. It tries that version, which no client
// has seen yet, with the requests of package check, and tells CodeDeploy whether
// to go on. It logs a line for each answer that is wrong.
//
// Its environment is that of the redirector, which is what the answers are held
// to, and beside it
//
//	RELEASE_VERSION  the ARN of the new version
//	RELEASE_FRONTS   what calls the redirector: alb, url, or both with a comma
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	sdkconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	c, err := sdkconfig.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Error("the hook cannot start", "error", err.Error())
		os.Exit(1)
	}
	h := hook{
		getenv: os.Getenv,
		log:    log,
		lambda: sdk.NewFromConfig(c),
		deploy: codedeploy.NewFromConfig(c),
	}
	lambda.Start(h.handle)
}
