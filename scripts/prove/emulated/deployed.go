package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"archeio/infra/constructs"
	"archeio/infra/stage"
)

// deployed is a stage that stands in the emulator.
type deployed struct {
	*emulator
	settings *emulatedStage
	stage    *stage.Stage

	distribution string // its own host name
	balancer     string // the load balancer's name
	functionHost string
	function     string // its name
}

// look finds out what the deployment has made.
func (e *emulator) look(ctx context.Context, s *emulatedStage) (*deployed, error) {
	st, err := s.load()
	if err != nil {
		return nil, err
	}
	d := &deployed{emulator: e, settings: s, stage: st}
	edge, err := d.outputs(ctx, st.Stack("edge", "us-east-1"), "us-east-1")
	if err != nil {
		return nil, err
	}
	d.distribution = edge["DistributionName"]
	if d.function, err = d.resource(ctx, "redirector", constructs.FunctionID); err != nil {
		return nil, err
	}
	var balancers struct {
		LoadBalancers []struct{ LoadBalancerName string }
	}
	if err := e.aws(ctx, regions[0], &balancers, "elbv2", "describe-load-balancers"); err != nil {
		return nil, err
	}
	if len(balancers.LoadBalancers) != 1 {
		return nil, fmt.Errorf("looking for the load balancer: there are %d", len(balancers.LoadBalancers))
	}
	d.balancer = balancers.LoadBalancers[0].LoadBalancerName
	var config struct{ FunctionUrl string }
	if err := e.aws(ctx, regions[0], &config, "lambda", "get-function-url-config", "--function-name", d.function, "--qualifier", "live"); err != nil {
		return nil, err
	}
	d.functionHost = strings.TrimSuffix(strings.TrimPrefix(config.FunctionUrl, "https://"), "/")
	return d, d.serveDomains()
}

func (d *deployed) outputs(ctx context.Context, stack, region string) (map[string]string, error) {
	var answer struct {
		Stacks []struct {
			Outputs []struct{ OutputKey, OutputValue string }
		}
	}
	if err := d.aws(ctx, region, &answer, "cloudformation", "describe-stacks", "--stack-name", stack); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, o := range answer.Stacks[0].Outputs {
		out[o.OutputKey] = o.OutputValue
	}
	return out, nil
}

// resource is the physical id of a resource in a stack of the first region.
func (d *deployed) resource(ctx context.Context, what, logicalID string) (string, error) {
	var answer struct {
		StackResourceDetail struct{ PhysicalResourceId string }
	}
	err := d.aws(ctx, regions[0], &answer, "cloudformation", "describe-stack-resource",
		"--stack-name", d.stage.Stack(what, regions[0]), "--logical-resource-id", logicalID)
	return answer.StackResourceDetail.PhysicalResourceId, err
}

// serveDomains stands in for the stage's own names: what is asked under the
// domain goes to the distribution by its cloudfront.net name, and what is asked
// under the load balancers' to the load balancer by the emulator's own path,
// as it serves neither under the stage's names.
func (d *deployed) serveDomains() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Transport: d.network,
		Rewrite: func(r *httputil.ProxyRequest) {
			target := &url.URL{Scheme: "https", Host: d.distribution}
			if r.In.Host == d.stage.BalancerDomain() {
				target = &url.URL{Scheme: "https", Host: "localhost:" + d.port, Path: "/_alb/" + d.balancer}
			}
			r.SetURL(target)
			// What a client forges must arrive, for the checks.
			if forwarded, ok := r.In.Header["X-Forwarded-For"]; ok {
				r.Out.Header["X-Forwarded-For"] = forwarded
			}
		},
	}
	server := &http.Server{Handler: proxy, TLSConfig: &tls.Config{Certificates: d.certificates}}
	go server.ServeTLS(l, "", "")
	d.closers = append(d.closers, func() { server.Close() })
	d.domains = l.Addr().String()
	return nil
}

// stepAround does by AWS's API what the emulator's CloudFormation leaves out,
// with the values of the synthesized templates, and takes out what it cannot
// run. Each step is printed.
func (d *deployed) stepAround(ctx context.Context) error {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"its CloudFront does not sign requests to a function URL: once it is seen that others are refused, the URL's authorization is set to NONE", d.openFunctionURL},
		{"its CloudFormation drops a target group's Targets: the alias is registered by elbv2 register-targets", d.registerTarget},
		{"its CloudFront Functions have no module cloudfront and no origin groups: the import was taken out of the viewer-request function as the CDK synthesized it, so that each behaviour's own origin serves", nil},
		{"its CloudFormation drops replication and lifecycle rules: those of the templates are put by s3api", d.putBucketRules},
		{"a message that failed would come back after 90 minutes: the queue's visibility time-out is set to a second", d.shortenRetries},
		{"its IAM knows a permission of its own for SendMessageBatch: the functions' roles get it", d.allowBatches},
		{"its CopyObject knows no If-None-Match: that two copies at once leave what is there is not tried here", nil},
		{"its ECR takes /v2/ from every host: it was turned off when the emulator started", nil},
		{"it has no CodeDeploy: the stage has no release, and with -operations the release hook is put beside the redirector by lambda create-function, and tells a server of this program how that went", nil},
		{"it serves no alternate domain names: a proxy on loopback stands for " + domain + " and alb." + domain, nil},
		{"it has no IPv6 blocks of a VPC: the stage names a network that was made before, so that of our own is not deployed here", nil},
		{"its port speaks TLS only, its CloudFront caches nothing and makes no CloudFront-Viewer headers: a missing key is a 404: plain HTTP, caching and S3's 403 are not tried here, and the test plays the viewer's address", nil},
	} {
		fmt.Fprintf(os.Stderr, "         - %s\n", step.what)
		if step.do == nil {
			continue
		}
		if err := step.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployed) openFunctionURL(ctx context.Context) error {
	return d.aws(ctx, regions[0], nil, "lambda", "update-function-url-config", "--function-name", d.function, "--qualifier", "live", "--auth-type", "NONE")
}

func (d *deployed) registerTarget(ctx context.Context) error {
	var groups struct {
		TargetGroups []struct{ TargetGroupArn string }
	}
	if err := d.aws(ctx, regions[0], &groups, "elbv2", "describe-target-groups"); err != nil {
		return err
	}
	return d.aws(ctx, regions[0], nil, "elbv2", "register-targets", "--target-group-arn", groups.TargetGroups[0].TargetGroupArn,
		"--targets", "Id=arn:aws:lambda:"+regions[0]+":"+account+":function:"+d.function+":live")
}

// bucketTemplate reads a synthesized bucket.
func (d *deployed) bucketTemplate(region string) (b bucketProperties, err error) {
	text, err := os.ReadFile(filepath.Join(d.dir, "cdk.out", d.stage.Stack("mirror", region)+".template.json"))
	if err != nil {
		return b, err
	}
	var t struct {
		Resources struct {
			Mirror struct{ Properties bucketProperties }
		}
	}
	err = json.Unmarshal(text, &t)
	return t.Resources.Mirror.Properties, err
}

// bucketProperties are those that the emulator's CloudFormation drops.
type bucketProperties struct {
	LifecycleConfiguration struct {
		Rules []struct {
			Id, Status                     string
			AbortIncompleteMultipartUpload json.RawMessage
			NoncurrentVersionExpiration    json.RawMessage
			ExpiredObjectDeleteMarker      bool
		}
	}
	ReplicationConfiguration struct {
		Rules []struct {
			Id, Status              string
			Priority                int
			Filter                  json.RawMessage
			DeleteMarkerReplication json.RawMessage
			Destination             json.RawMessage
		}
	}
}

func (d *deployed) putBucketRules(ctx context.Context) error {
	for _, region := range d.settings.filled() {
		b, err := d.bucketTemplate(region)
		if err != nil {
			return err
		}
		var rules []map[string]any
		for _, r := range b.LifecycleConfiguration.Rules {
			rules = append(rules, map[string]any{
				"ID": r.Id, "Status": r.Status, "Filter": map[string]string{"Prefix": ""},
				"AbortIncompleteMultipartUpload": r.AbortIncompleteMultipartUpload,
				"NoncurrentVersionExpiration":    r.NoncurrentVersionExpiration,
				"Expiration":                     map[string]bool{"ExpiredObjectDeleteMarker": r.ExpiredObjectDeleteMarker},
			})
		}
		if err := d.s3api(ctx, region, "put-bucket-lifecycle-configuration", "--lifecycle-configuration", map[string]any{"Rules": rules}); err != nil {
			return err
		}
		rules = nil
		for _, r := range b.ReplicationConfiguration.Rules {
			rules = append(rules, map[string]any{
				"ID": r.Id, "Status": r.Status, "Priority": r.Priority, "Filter": r.Filter,
				"DeleteMarkerReplication": r.DeleteMarkerReplication, "Destination": r.Destination,
			})
		}
		if rules == nil {
			continue
		}
		role, err := d.replicationRole(ctx)
		if err != nil {
			return err
		}
		if err := d.s3api(ctx, region, "put-bucket-replication", "--replication-configuration", map[string]any{"Role": role, "Rules": rules}); err != nil {
			return err
		}
	}
	return nil
}

// replicationRole is the only role of the primary's stack.
func (d *deployed) replicationRole(ctx context.Context) (string, error) {
	var answer struct {
		StackResources []struct{ ResourceType, PhysicalResourceId string }
	}
	if err := d.aws(ctx, regions[0], &answer, "cloudformation", "describe-stack-resources", "--stack-name", d.stage.Stack("mirror", regions[0])); err != nil {
		return "", err
	}
	for _, r := range answer.StackResources {
		if r.ResourceType == "AWS::IAM::Role" {
			return "arn:aws:iam::" + account + ":role/" + r.PhysicalResourceId, nil
		}
	}
	return "", fmt.Errorf("looking for the replication role: the stack has none")
}

func (d *deployed) s3api(ctx context.Context, region, command, option string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return d.aws(ctx, region, nil, "s3api", command, "--bucket", bucketName(region), option, string(text))
}
