package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/infra/stage"
	"archeio/lambda/copier"
)

// deployed is a stage that is deployed in the emulator.
type deployed struct {
	*emulator
	settings *emulatedStage
	stage    *stage.Stage

	distribution string // its host name
	balancer     string // name of the load balancer
	functionHost string // of the function URL
	function     string // name of the redirector
}

// inspect looks up what the deployment has created.
func (e *emulator) inspect(ctx context.Context, s *emulatedStage) (*deployed, error) {
	st, err := s.load()
	if err != nil {
		return nil, err
	}
	d := &deployed{emulator: e, settings: s, stage: st}
	if err := d.lookUp(ctx); err != nil {
		return nil, err
	}
	return d, d.serveDomains()
}

// lookUp sets the names of what was created. No request may be sent at the same time.
func (d *deployed) lookUp(ctx context.Context) (err error) {
	d.distribution, d.balancer = "", ""
	if d.stage.HasDistribution() {
		if d.distribution, err = d.distributionName(ctx); err != nil {
			return err
		}
	}
	if d.stage.HasLoadBalancers() {
		var balancers struct {
			LoadBalancers []struct{ LoadBalancerName string }
		}
		if err := d.aws(ctx, regions[0], &balancers, "elbv2", "describe-load-balancers"); err != nil {
			return err
		}
		if len(balancers.LoadBalancers) != 1 {
			return fmt.Errorf("there are %d load balancers, want 1", len(balancers.LoadBalancers))
		}
		d.balancer = balancers.LoadBalancers[0].LoadBalancerName
	}
	d.function, d.functionHost, err = d.functionURL(ctx, regions[0])
	return err
}

func (d *deployed) distributionName(ctx context.Context) (string, error) {
	edge, err := d.outputs(ctx, d.stage.Stack("edge", stage.EdgeRegion), stage.EdgeRegion)
	return edge[stage.DistributionName], err
}

// functionURL returns the name of the redirector in a region, and the host of its URL.
func (d *deployed) functionURL(ctx context.Context, region string) (function, host string, err error) {
	if function, err = d.resourceIn(ctx, region, "redirector", stage.RedirectorID); err != nil {
		return "", "", err
	}
	var config struct{ FunctionUrl string }
	if err := d.aws(ctx, region, &config, "lambda", "get-function-url-config", "--function-name", function, "--qualifier", "live"); err != nil {
		return "", "", err
	}
	return function, strings.TrimSuffix(strings.TrimPrefix(config.FunctionUrl, "https://"), "/"), nil
}

func (d *deployed) outputs(ctx context.Context, stack, region string) (map[string]string, error) {
	var output struct {
		Stacks []struct {
			Outputs []struct{ OutputKey, OutputValue string }
		}
	}
	if err := d.aws(ctx, region, &output, "cloudformation", "describe-stacks", "--stack-name", stack); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, o := range output.Stacks[0].Outputs {
		all[o.OutputKey] = o.OutputValue
	}
	return all, nil
}

// resource returns the physical ID of a resource in a stack of the first region, or of the
// primary's for the filler.
func (d *deployed) resource(ctx context.Context, what, logicalID string) (string, error) {
	if what == "filler" {
		return d.resourceIn(ctx, d.settings.primary, what, logicalID)
	}
	return d.resourceIn(ctx, regions[0], what, logicalID)
}

func (d *deployed) resourceIn(ctx context.Context, region, what, logicalID string) (string, error) {
	var output struct {
		StackResourceDetail struct{ PhysicalResourceId string }
	}
	err := d.aws(ctx, region, &output, "cloudformation", "describe-stack-resource",
		"--stack-name", d.stage.Stack(what, region), "--logical-resource-id", logicalID)
	return output.StackResourceDetail.PhysicalResourceId, err
}

// logGroup returns the log group of a function.
func (d *deployed) logGroup(ctx context.Context, function string) (string, error) {
	var output struct {
		LoggingConfig struct{ LogGroup string }
	}
	if err := d.aws(ctx, regions[0], &output, "lambda", "get-function-configuration", "--function-name", function); err != nil {
		return "", err
	}
	return cmp.Or(output.LoggingConfig.LogGroup, "/aws/lambda/"+function), nil
}

func (d *deployed) distributionID(ctx context.Context) (string, error) {
	var output struct {
		DistributionList struct {
			Items []struct{ Id, DomainName string }
		}
	}
	if err := d.aws(ctx, regions[0], &output, "cloudfront", "list-distributions"); err != nil {
		return "", err
	}
	for _, x := range output.DistributionList.Items {
		if x.DomainName == d.distribution {
			return x.Id, nil
		}
	}
	return "", fmt.Errorf("there is no distribution %s", d.distribution)
}

// serverName returns the name of the server of a URL, or the URL if it is unknown.
func (d *deployed) serverName(url string) string {
	for prefix, name := range map[string]string{
		"https://" + d.distribution:           distribution,
		"https://" + domain:                   distribution,
		"https://" + d.stage.BalancerDomain(): loadBalancer,
		d.upstream:                            "upstream",
		d.settings.mirrorURL(regions[0]):      "mirror " + regions[0],
		d.settings.mirrorURL(regions[1]):      "mirror " + regions[1],
		d.settings.mirrorURL(newRegion):       "mirror " + newRegion,
		d.storage():                           "upstream storage",
	} {
		if prefix != "" && url == prefix || prefix != "" && strings.HasPrefix(url, prefix+"/") {
			return name
		}
	}
	return url
}

// storage returns the base URL of the upstream's storage, empty if clients do not see it.
func (d *deployed) storage() string {
	if d.token == nil {
		return ""
	}
	return d.token.Storage
}

// s3 returns a client with the permissions of the account's own user.
func (d *deployed) s3(region string) *s3.Client {
	return s3.New(s3.Options{
		Region:       region,
		BaseEndpoint: aws.String("https://localhost:" + d.port),
		UsePathStyle: true,
		HTTPClient:   &http.Client{Transport: d.network},
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
}

func (d *deployed) bucket(region string) *copier.Bucket {
	return copier.NewBucket(d.settings.bucket(region), d.s3(region))
}
