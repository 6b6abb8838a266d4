package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/config"
	"archeio/ranges"
	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
)

// checks collects what was found out about a deployment.
type checks struct {
	*deployed
	say    func(string, ...any)
	image  *pull.Image
	report pull.Report
	rows   []row
	failed int
}

// row is one check: what must be, and what was instead.
type row struct{ what, found string }

func (c *checks) check(what, found string) {
	if found != "" {
		c.failed++
	}
	c.rows = append(c.rows, row{what, found})
}

func (c *checks) print() {
	c.report.Summary(c.image)
	fmt.Println("\nWhat a deployment has to keep to")
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHECK\tVERDICT")
	for _, r := range c.rows {
		verdict := "ok"
		if r.found != "" {
			verdict = "FAILED: " + r.found
		}
		fmt.Fprintf(t, "%s\t%s\n", r.what, verdict)
	}
	t.Flush()
	fmt.Printf("\n%d pulls, %d checks, %d failed\n", len(c.report.Rows), len(c.rows), c.failed)
}

// s3 is a client of the account's own user.
func (d *deployed) s3(region string) *s3.Client {
	return s3.New(s3.Options{
		Region:       region,
		BaseEndpoint: aws.String("https://localhost:" + d.port),
		UsePathStyle: true,
		HTTPClient:   &http.Client{Transport: d.network},
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
}

// put stores something in the primary bucket.
func (c *checks) put(ctx context.Context, key string, data []byte) error {
	sum := sha256.Sum256(data)
	_, err := c.s3(regions[0]).PutObject(ctx, &s3.PutObjectInput{
		Bucket:         aws.String(bucketName(regions[0])),
		Key:            &key,
		Body:           bytes.NewReader(data),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	})
	if err != nil {
		return fmt.Errorf("putting %q into the primary bucket: %w", key, err)
	}
	return nil
}

// pulls publishes an image, has the deployed functions fill the mirrors,
// publishes another one, and pulls that in every place.
func (c *checks) pulls(ctx context.Context) (err error) {
	c.say("publishing an image")
	c.image, err = pull.Publish(ctx, strings.TrimPrefix(c.upstream, "http://")+"/"+system.Prefix+"/"+pull.Repository, c.fill)
	if err != nil {
		return err
	}
	c.filled(ctx)
	c.say("pulling")
	c.report = pull.Report{Out: os.Stdout, ServerName: c.who}
	mirror := func(region string) pull.Want {
		return pull.Want{Present: "mirror " + region, PresentReason: "aws-region", Missing: "upstream", MissingReason: "mirror-absent"}
	}
	anybody := pull.Want{Present: "distribution", PresentReason: "default-mirror", Missing: "upstream", MissingReason: "mirror-absent"}
	for _, client := range []struct {
		name string
		addr netip.Addr
		want pull.Want
	}{
		{"AWS " + regions[0], system.Address(ranges.AWS, regions[0]), mirror(regions[0])},
		{"AWS " + regions[1], system.Address(ranges.AWS, regions[1]), mirror(regions[1])},
		{"Google europe-west9", system.Address(ranges.GCP, "europe-west9"), pull.Want{Present: "upstream", PresentReason: "upstream-cloud", Missing: "upstream", MissingReason: "upstream-cloud"}},
		{"home", netip.MustParseAddr("203.0.113.7"), anybody},
	} {
		c.pull(ctx, "distribution", fmt.Sprintf("%s (%s)", client.name, client.addr), c.distribution, client.want, as(client.addr))
	}
	c.pull(ctx, "load balancer", "this machine (127.0.0.1)", c.stage.BalancerDomain(), anybody, nil)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fmt.Println("Hosts")
	for _, host := range []string{"https://" + c.distribution, "https://" + domain, "https://" + c.stage.BalancerDomain(), c.upstream, c.stage.MirrorURL(regions[0]), c.stage.MirrorURL(regions[1])} {
		fmt.Printf("  %-20s  %s\n", c.who(host), host)
	}
	c.report.Hops("distribution", "load balancer")
	c.failed += c.report.Failed()
	return nil
}

func (c *checks) pull(ctx context.Context, front, name, registry string, want pull.Want, play func(*http.Request)) {
	p, err := pull.Client{Registry: registry, Secure: true, Transport: c.network, SetAddress: play}.Pull(ctx, c.image)
	c.report.Rows = append(c.report.Rows, pull.Row{EntryPoint: front, Client: name, Pull: p, Verdict: pull.Verdict(p, err, want, c.image, c.who)})
}

// as plays a viewer: the emulator passes on what the real CloudFront would
// say itself.
func as(addr netip.Addr) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("CloudFront-Viewer-Address", addr.String()+":4711") }
}

// who names the server of a URL.
func (d *deployed) who(url string) string {
	for prefix, name := range map[string]string{
		"https://" + d.distribution:           "distribution",
		"https://" + domain:                   "distribution",
		"https://" + d.stage.BalancerDomain(): "load balancer",
		d.upstream:                            "upstream",
		d.mirrorURL(regions[0]):               "mirror " + regions[0],
		d.mirrorURL(regions[1]):               "mirror " + regions[1],
		d.mirrorURL(newRegion):                "mirror " + newRegion,
	} {
		if url == prefix || strings.HasPrefix(url, prefix+"/") {
			return name
		}
	}
	return url
}

// get sends one request and follows no redirect.
func (d *deployed) get(ctx context.Context, url string, header map[string]string) (status int, answer http.Header, err error) {
	status, answer, _, err = d.request(ctx, http.MethodGet, url, header)
	return status, answer, err
}

func (d *deployed) request(ctx context.Context, method, url string, header map[string]string) (status int, answer http.Header, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, nil, "", err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := d.network.RoundTrip(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, resp.Header, string(text), err
}

// expect makes a check of one request.
func (c *checks) expect(ctx context.Context, what, url string, header map[string]string, status int, headers map[string]string) {
	got, answer, err := c.get(ctx, url, header)
	switch {
	case err != nil:
		c.check(what, err.Error())
		return
	case got != status:
		c.check(what, fmt.Sprintf("status %d, want %d", got, status))
		return
	}
	for name, value := range headers {
		if answer.Get(name) != value {
			c.check(what, fmt.Sprintf("%s is %q, want %q", name, answer.Get(name), value))
			return
		}
	}
	c.check(what, "")
}

// requests checks what single requests get.
func (c *checks) requests(ctx context.Context) {
	c.say("checking who may read what, and what is believed")
	blob := c.image.Blobs[0].String()
	balancer, distribution := "https://"+c.stage.BalancerDomain(), "https://"+c.distribution
	aws := system.Address(ranges.AWS, regions[1]).String()
	reason := func(r string) map[string]string { return map[string]string{"X-Redirect-Reason": r} }
	for _, forged := range []struct{ name, value string }{{"X-Forwarded-For", aws}, {"CloudFront-Viewer-Address", aws + ":4711"}} {
		c.expect(ctx, "a forged "+forged.name+" changes nothing at the load balancer", balancer+"/v2/"+pull.Repository+"/blobs/"+blob,
			map[string]string{forged.name: forged.value}, 307, reason("default-mirror"))
	}
	c.expect(ctx, "a client that sends Authorization is not sent to a bucket", distribution+"/v2/"+pull.Repository+"/blobs/"+blob,
		map[string]string{"CloudFront-Viewer-Address": aws + ":4711", "Authorization": "Bearer x"}, 307, reason("authorization"))
	c.expect(ctx, "what a client says of X-Viewer-Authorized does not count", distribution+"/v2/"+pull.Repository+"/blobs/"+blob,
		map[string]string{"CloudFront-Viewer-Address": aws + ":4711", "X-Viewer-Authorized": "1"}, 307, reason("aws-region"))
	c.expect(ctx, "nobody is asked for a token", distribution+"/v2/", nil, 200, map[string]string{"Docker-Distribution-Api-Version": "registry/2.0"})
	status, answer, body, err := c.request(ctx, http.MethodPost, distribution+"/v2/"+pull.Repository+"/blobs/uploads/", nil)
	found := ""
	if err != nil || status != 405 || answer.Get("Allow") != "GET, HEAD" || !strings.Contains(body, "UNSUPPORTED") {
		found = fmt.Sprintf("status %d, body %q, error %v", status, body, err)
	}
	c.check("the edge itself refuses other methods than GET and HEAD", found)

	if err := c.put(ctx, "state/secret", []byte("nobody's business")); err != nil {
		c.check("a key outside of the blobs is not readable", err.Error())
	}
	mirror := c.stage.MirrorURL(regions[0])
	c.expect(ctx, "anybody may read a blob", mirror+"/"+config.BlobPrefix+blob, nil, 200, nil)
	c.expect(ctx, "nobody may read another key", mirror+"/state/secret", nil, 403, nil)
	c.expect(ctx, "nobody may list a mirror", mirror+"/?list-type=2&prefix="+config.BlobPrefix, nil, 403, nil)
	c.check("the answers come from the deployed function: its log group has their metrics", c.logged(ctx))
}

// logged looks for what the redirector writes about its answers.
func (c *checks) logged(ctx context.Context) string {
	group, err := c.logGroup(ctx, c.function)
	if err != nil {
		return err.Error()
	}
	err = wait(ctx, time.Minute, "the log group "+group+" has a line with the namespace of the metrics", func() (bool, error) {
		var found struct{ Events []struct{ Message string } }
		if err := c.aws(ctx, regions[0], &found, "logs", "filter-log-events", "--log-group-name", group); err != nil {
			return false, err
		}
		for _, e := range found.Events {
			if strings.Contains(e.Message, `"Namespace":"Archeio"`) {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return err.Error()
	}
	return ""
}

// logGroup is where a function writes to.
func (d *deployed) logGroup(ctx context.Context, function string) (string, error) {
	var answer struct {
		LoggingConfig struct{ LogGroup string }
	}
	if err := d.aws(ctx, regions[0], &answer, "lambda", "get-function-configuration", "--function-name", function); err != nil {
		return "", err
	}
	return cmp.Or(answer.LoggingConfig.LogGroup, "/aws/lambda/"+function), nil
}

// releases deploys again, without and with a change.
func (c *checks) releases(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.say("deploying again")
	out, err := c.deploy(ctx, c.settings)
	c.check("a second cdk deploy changes nothing", found(err, strings.Count(out, "(no changes)") == 7, out))
	c.say("deploying a changed stage")
	c.settings.infoURL = "https://archeio.example/second"
	_, err = c.deploy(ctx, c.settings)
	c.check("a changed value of the stage deploys", found(err, true, ""))
	c.expect(ctx, "the function that serves is the changed one", "https://"+c.distribution+"/", nil, 302, map[string]string{"Location": c.settings.infoURL})
}

// destroy tries it with termination protection and without.
func (c *checks) destroy(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.say("cdk destroy")
	out, err := c.cdk(ctx, c.settings, "destroy", "--all", "--force")
	c.check("cdk destroy is refused where the stage is protected", found(nil, err != nil && strings.Contains(strings.ToLower(out), "terminationprotection"), out))
	c.settings.protected = false
	_, err = c.deploy(ctx, c.settings)
	c.check("the protection can be taken off", found(err, true, ""))
	_, err = c.cdk(ctx, c.settings, "destroy", "--all", "--force")
	c.check("cdk destroy works then", found(err, true, ""))
	for _, region := range regions {
		err := c.aws(ctx, region, nil, "s3api", "head-object", "--bucket", bucketName(region), "--key", config.BlobPrefix+c.image.Blobs[0].String())
		c.check("the bucket in "+region+" is kept, with its blobs", found(err, true, ""))
	}
}

func found(err error, ok bool, out string) string {
	switch {
	case err != nil:
		return err.Error()
	case !ok:
		return "it wrote:\n" + end(out)
	}
	return ""
}

// lines are commands to try.
func (d *deployed) lines(image *pull.Image) {
	cert := d.dir + "/certificate.pem"
	fmt.Printf(`
Up until Ctrl-C. Every host of AWS is behind the proxy. Try

  export HTTPS_PROXY=http://%[1]s SSL_CERT_FILE=%[2]s
  curl -i --cacert %[2]s https://%[3]s/v2/%[4]s/blobs/%[6]s
  curl -i --cacert %[2]s https://%[7]s/v2/%[4]s/manifests/%[5]s
  crane pull %[3]s/%[4]s:%[5]s hello.tar
  AWS_ENDPOINT_URL=https://localhost:%[8]s AWS_CA_BUNDLE=%[2]s AWS_ACCESS_KEY_ID=%[9]s AWS_SECRET_ACCESS_KEY=%[10]s \
    NO_PROXY=localhost %[11]s/aws --region %[12]s cloudformation list-stacks
`, d.proxy, cert, d.distribution, pull.Repository, pull.Tag, image.Blobs[0], d.stage.BalancerDomain(), d.port, accessKey, secretKey, d.python, regions[0])
}
