// Command refresh is the Lambda function that keeps the range tables of a stage's
// mirrors up to date. It is called by a notice of AWS, by a schedule, and by operators
// with archeio ranges approve and archeio ranges rollback.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"archeio/lambda/config"
	"archeio/lambda/refresher"
	"archeio/lambda/route"
	"archeio/ranges/compile"
)

func main() {
	h, err := load(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "refresh:", err)
		os.Exit(1)
	}
	lambda.Start(h.handle)
}

func load(ctx context.Context) (*handler, error) {
	c, err := config.LoadRefresh(os.Getenv)
	if err != nil {
		return nil, err
	}
	sdk, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	bucket := func(b config.Bucket) refresher.Bucket {
		return refresher.Bucket{Name: b.Name, Client: s3.NewFromConfig(sdk, func(o *s3.Options) {
			o.Region = cmp.Or(b.Region, sdk.Region)
			o.UsePathStyle = os.Getenv("AWS_ENDPOINT_URL_S3") != "" || os.Getenv("AWS_ENDPOINT_URL") != ""
		})}
	}
	r := &refresher.Refresher{
		Stage: c.Stage, Mirrors: map[string]refresher.Store{}, State: bucket(c.State),
		First: route.First(c.Redirectors, c.Balancer),
		Fetch: fetch(c.Documents),
		Log:   slog.New(slog.NewJSONHandler(os.Stdout, nil)), Metrics: os.Stdout, Now: time.Now,
	}
	for _, b := range c.Buckets {
		r.Mirrors[b.Region] = bucket(b)
	}
	if c.Topic != "" {
		r.Mail = publish(sns.NewFromConfig(sdk), c.Topic)
	}
	return &handler{r, c.Notices}, nil
}

// fetch returns a function that fetches the documents of the providers, or those below
// a base URL on loopback.
func fetch(base string) func(context.Context, compile.Provider) (string, []byte, error) {
	client := &http.Client{Transport: &http.Transport{MaxResponseHeaderBytes: 64 << 10, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 30 * time.Second, Proxy: http.ProxyFromEnvironment}}
	return func(ctx context.Context, p compile.Provider) (string, []byte, error) {
		from := p.URL
		if base != "" {
			from = base + "/" + string(p.Cloud) + ".json"
		}
		return p.Fetch(ctx, client, from)
	}
}

// publish returns a function that publishes to a topic, which sends mails.
func publish(client *sns.Client, topic string) func(context.Context, string, string) error {
	return func(ctx context.Context, subject, text string) error {
		// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
		const maxSubject = 99
		_, err := client.Publish(ctx, &sns.PublishInput{TopicArn: &topic, Subject: aws.String(subject[:min(len(subject), maxSubject)]), Message: &text})
		return err
	}
}
