// Command rollout is the Lambda function that CodeDeploy invokes before it shifts
// traffic to a new version of the redirector. It runs the smoke test of package
// smoketest against that version, pulls the canary's image through it, logs each failure,
// and reports the result to CodeDeploy.
//
// Its environment is that of the redirector, which the responses are compared with,
// and in addition
//
//	ROLLOUT_VERSION       ARN of the new version
//	ROLLOUT_LIVE          the alias that serves clients, as NAME:ALIAS
//	ROLLOUT_ENTRY_POINTS  what invokes the redirector: alb, url, or alb,url
//	CANARY_IMAGE, CANARY_STATE  as the canary has them; without both, nothing is pulled
package main

import (
	"context"
	"log/slog"
	"net/http"
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
		log.Error("loading the AWS configuration failed", "error", err.Error())
		os.Exit(1)
	}
	h := hook{
		getenv: os.Getenv,
		log:    log,
		lambda: sdk.NewFromConfig(c),
		deploy: codedeploy.NewFromConfig(c),

		transport: http.DefaultTransport,
	}
	lambda.Start(h.handle)
}
