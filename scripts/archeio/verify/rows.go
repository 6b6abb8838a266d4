package verify

import (
	"context"
	"fmt"
	"slices"

	"archeio/scripts/archeio/cli"
)

// outcome is how a check ended, with a sentence about it.
type outcome struct {
	result  cli.Result
	details string
}

func pass(format string, args ...any) outcome { return outcome{cli.Pass, fmt.Sprintf(format, args...)} }
func fail(format string, args ...any) outcome { return outcome{cli.Fail, fmt.Sprintf(format, args...)} }
func pending(format string, args ...any) outcome {
	return outcome{cli.Pending, fmt.Sprintf(format, args...)}
}
func skip(format string, args ...any) outcome { return outcome{cli.Skip, fmt.Sprintf(format, args...)} }

// unknown is the outcome of a check that could not be made.
func unknown(err error) outcome { return fail("could not check: %s", cli.OneLine(err)) }

// scope is what a check is repeated for.
type scope struct {
	// name is what the documentation calls it. It is in the output if there is no place
	// for which the check can be made.
	name string
	// places returns what the check is made for, or why it is not made.
	places func(*deployment) (places []string, none string)
}

// row is a check of a deployment.
type row struct {
	name  string
	scope *scope
	// proves is the assumption that the check proves, as a sentence of Markdown.
	proves string
	run    func(d *deployment, ctx context.Context, place string) outcome
}

// rows are all checks, in the order of the output. The documentation has them too.
var rows = []row{
	{"hosts", everywhere, "Every stack is deployed and has its outputs.", (*deployment).checkHosts},

	{"signed origin", edges, "CloudFront signs its requests to a function URL with `AWS_IAM`, and the two grants suffice.", (*deployment).signedOrigin},
	{"escaped path", edges, "`%3A` in a path does not break the signature: the edge function decodes it before CloudFront signs.", (*deployment).escapedPath},
	{"other spellings", edges, "The edge function receives the path as the client sent it, and can refuse it.", (*deployment).otherSpellings},
	{"methods", edges, "The edge function refuses a POST with 405 before its body, which no signature covers, reaches the function URL.", (*deployment).methods},
	{"plain HTTP", edges, "CloudFront redirects plain HTTP to HTTPS.", (*deployment).plainHTTP},
	{"cached redirect", edges, "CloudFront caches a 307 with `Cache-Control: public`.", (*deployment).cachedRedirect},
	{"uncached blob redirect", edges, "The redirect of a blob is never served from a cache: the policy `CachingDisabled` applies.", (*deployment).uncachedRedirect},
	{"absolute location", edges, "`X-Viewer-Authorized` and `X-Viewer-Host`, which the edge function sets, reach the function, and `Location` is absolute.", (*deployment).absoluteLocation},
	{"edge blob", edges, "Origin access control for S3 passes GET, HEAD and `Range`, and CloudFront caches blobs.", (*deployment).edgeBlob},
	{"relayed manifest", relays, "CloudFront caches a relayed manifest by its path alone, and may serve it while the upstream fails.", (*deployment).relayedManifest},
	{"relayed HEAD", relays, "The response to HEAD of a manifest has its size, without which containerd and Docker cannot pull by digest.", (*deployment).relayedHEAD},
	{"edge missing blob", edges, "A blob that no mirror has is a 403 after the failover, which is not cached.", (*deployment).edgeMissingBlob},
	{"distribution", edges, "The distribution is deployed as the stage describes it: price class, HTTP versions, IPv6, names.", (*deployment).distribution},

	{"IPv4", entryPoints, "The entry point serves clients over IPv4.", (*deployment).ipv4},
	{"IPv6", entryPoints, "The entry point serves clients over IPv6.", (*deployment).ipv6},
	{"HTTP/2", entryPoints, "The entry point negotiates HTTP/2.", (*deployment).http2},
	{"HTTP/3", entryPoints, "CloudFront announces HTTP/3 in `Alt-Svc`.", (*deployment).http3},
	{"TLS", entryPoints, "TLS 1.2 and 1.3 are accepted, and older versions are not where the stage has its own certificate.", (*deployment).tls},
	{"certificate", entryPoints, "The certificate is trusted, is for this host, and is renewed in time.", (*deployment).certificate},
	{"records", entryPoints, "Public DNS leads to this entry point.", (*deployment).records},
	{"load balancer path", entryPoints, "A load balancer passes `%3A` in a path without decoding it, and accepts responses with multi-value headers.", (*deployment).balancerPath},
	{"pull", entryPoints, "A client can pull: API version check, manifest, smallest blob, each matching its digest.", (*deployment).pull},
	{"place", entryPoints, "The address that the entry point reports is the client's: the redirect is the one that `archeio explain` computes.", (*deployment).place},

	{"direct call", functionURLs, "A function URL with `AWS_IAM` refuses callers other than the distribution with 403.", (*deployment).directCall},
	{"URL grants", functionURLs, "The alias grants CloudFront both `lambda:InvokeFunctionUrl` and `lambda:InvokeFunction`, also in regions that no client near this machine reaches.", (*deployment).urlGrants},
	{"code", redirectors, "The redirector is the one that this source builds.", (*deployment).code},
	{"alias", redirectors, "The alias serves the newest code and configuration; no rollout was rolled back.", (*deployment).alias},
	{"environment", redirectors, "The environment of the version that serves clients is that of the stage.", (*deployment).environment},
	{"upstream", redirectors, "The upstream serves anonymous requests.", (*deployment).upstream},
	{"Lambda concurrency", functionRegions, "The account's quota is more than that of a new account, and enough for the planner and the workers.", (*deployment).concurrency},

	{"public read", mirrors, "The bucket policy makes blobs public, GET, HEAD and `Range`; no block of the account or organization overrides it.", (*deployment).publicRead},
	{"missing blob", mirrors, "S3 returns 403 for a missing key to callers that may not list.", (*deployment).missingBlob},
	{"listing", mirrors, "Anonymous clients cannot list a mirror.", (*deployment).listing},
	{"writing", mirrors, "Anonymous clients cannot write to a mirror.", (*deployment).writing},
	{"blob index", mirrors, "The planner writes the blob index to each mirror, and it is readable and fresh.", (*deployment).blobIndex},
	{"IP ranges", mirrors, "The refresher writes the IP ranges to each mirror, and redirectors would use them.", (*deployment).ipRanges},

	{"planner", fillers, "EventBridge invokes the planner on its schedule, and its runs succeed.", (*deployment).planner},
	{"alarms", stackRegions, "Every alarm is in the state OK.", (*deployment).alarms},
	{"alarm topic", regions, "The subscription of `email` is confirmed.", (*deployment).alarmTopic},

	{"replication", replicas, "With `-write`: S3 replicates a blob from the primary to this mirror.", (*deployment).replication},
	{"failover", edges, "With `-write`: the distribution serves a blob that is missing in any one of its mirrors, from another one.", (*deployment).failover},
	{"removal", fillAccount, "With `-write`: every version of the probe blobs is removed from each mirror and from the edge caches.", (*deployment).removal},
}

// names yields the names of all checks.
func names(yield func(string) bool) {
	for _, r := range rows {
		if !yield(r.name) {
			return
		}
	}
}

func known(name string) bool {
	return slices.ContainsFunc(rows, func(r row) bool { return r.name == name })
}

// The scopes.
var (
	everywhere = &scope{"account", func(*deployment) ([]string, string) { return []string{"account"}, "" }}
	// fillAccount is the same, but its checks come last.
	fillAccount = &scope{"account", func(*deployment) ([]string, string) { return []string{"account"}, "" }}
	edges       = &scope{"edge", func(d *deployment) ([]string, string) {
		if !d.stage.HasDistribution() {
			return nil, "the stage has no distribution"
		}
		return []string{"edge"}, ""
	}}
	entryPoints = &scope{"each entry point", func(d *deployment) (places []string, none string) {
		for _, e := range d.entries {
			places = append(places, e.place)
		}
		return places, "there are no entry points"
	}}
	functionURLs = &scope{"each function URL", func(d *deployment) (places []string, none string) {
		for _, region := range d.stage.Redirectors {
			if d.functionHosts[region] != "" {
				places = append(places, region)
			}
		}
		return places, "no region of the stage has function URLs"
	}}
	redirectors     = &scope{"each redirector", func(d *deployment) ([]string, string) { return d.stage.Redirectors, "" }}
	functionRegions = &scope{"each redirector and the filler's region", func(d *deployment) ([]string, string) {
		places := d.stage.Redirectors
		if d.stage.Filler != nil && !slices.Contains(places, d.stage.Primary) {
			places = append(slices.Clone(places), d.stage.Primary)
		}
		return places, ""
	}}
	mirrors  = &scope{"each mirror", func(d *deployment) ([]string, string) { return d.stage.Filled(), "" }}
	replicas = &scope{"each replica", func(d *deployment) ([]string, string) {
		return d.stage.Replicas(), "the stage has one mirror"
	}}
	fillers = &scope{"filler", func(d *deployment) ([]string, string) {
		if d.stage.Filler == nil {
			return nil, "the stage does not fill its mirrors"
		}
		return []string{d.stage.Primary}, ""
	}}
	stackRegions = &scope{"each region", func(d *deployment) ([]string, string) { return d.stage.StackRegions(), "" }}
	regions      = &scope{"each region with an alarm topic", func(d *deployment) ([]string, string) {
		if d.stage.Email == "" {
			return nil, "the stage has no email"
		}
		return d.stage.Regions(), ""
	}}
)
