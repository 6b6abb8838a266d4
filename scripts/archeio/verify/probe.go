package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"archeio/lambda/config"
	"archeio/scripts/archeio/cli"
)

// removalTime is how long the removal of probe blobs may take after the checks have
// ended or were interrupted.
const removalTime = 2 * time.Minute

// probe is the result of writing probe blobs. The first check that needs it runs it, and
// the others wait.
type probe struct {
	once              sync.Once
	replicas          map[string]outcome
	failover, removal outcome
}

const withoutWrite = "pass -write to put probe blobs into the mirrors"

func (d *deployment) replication(ctx context.Context, region string) outcome {
	if !d.write {
		return skip(withoutWrite)
	}
	d.probe.once.Do(func() { d.runProbe(ctx) })
	return d.probe.replicas[region]
}

func (d *deployment) failover(ctx context.Context, _ string) outcome {
	if !d.write {
		return skip(withoutWrite)
	}
	d.probe.once.Do(func() { d.runProbe(ctx) })
	return d.probe.failover
}

func (d *deployment) removal(ctx context.Context, _ string) outcome {
	if !d.write {
		return skip(withoutWrite)
	}
	d.probe.once.Do(func() { d.runProbe(ctx) })
	return d.probe.removal
}

// runProbe puts two blobs into the primary and waits until they are in each replica.
// Then one is left in the primary only, and the other in the replicas only: whichever
// mirror the edge selects for this machine, one of the two is missing there.
func (d *deployment) runProbe(ctx context.Context) {
	p := &d.probe
	p.replicas = map[string]outcome{}
	content := []string{"archeio verify " + randomDigest(), "archeio verify " + randomDigest()}
	inPrimary, inReplicas := digestOf(content[0]), digestOf(content[1])
	defer func() { p.removal = d.remove(ctx, []string{inPrimary, inReplicas}) }()
	for _, text := range content {
		if err := d.cloud.put(ctx, d.stage.Primary, digestOf(text), text); err != nil {
			o := fail("could not put a probe blob into the primary: %s", cli.OneLine(err))
			p.failover = o
			for _, region := range d.stage.Replicas() {
				p.replicas[region] = o
			}
			return
		}
	}
	complete := d.awaitReplicas(ctx, []string{inPrimary, inReplicas})
	switch {
	case !d.stage.HasDistribution() || slices.Contains(d.skip, "failover"):
	case len(d.stage.Routed()) < 2:
		p.failover = skip("the distribution has one mirror")
	case !complete:
		p.failover = skip("not every replica has the probe blobs")
	default:
		p.failover = d.pullWithout(ctx, content)
	}
}

// awaitReplicas waits until each replica has the blobs, and reports whether all do.
func (d *deployment) awaitReplicas(ctx context.Context, digests []string) bool {
	start := d.now()
	var mu sync.Mutex
	var wait sync.WaitGroup
	complete := true
	for _, region := range d.stage.Replicas() {
		wait.Go(func() {
			o := d.awaitReplica(ctx, region, digests, start)
			mu.Lock()
			defer mu.Unlock()
			d.probe.replicas[region] = o
			complete = complete && o.result == cli.Pass
		})
	}
	wait.Wait()
	return complete
}

func (d *deployment) awaitReplica(ctx context.Context, region string, digests []string, start time.Time) outcome {
	for {
		missing := 0
		for _, digest := range digests {
			found, err := d.cloud.has(ctx, region, digest)
			if err != nil {
				return unknown(err)
			}
			if !found {
				missing++
			}
		}
		passed := d.now().Sub(start).Round(time.Second)
		switch {
		case missing == 0:
			return pass("the probe blobs arrived within %s", max(passed, time.Second))
		case passed >= d.wait:
			return fail("%d of %d probe blobs did not arrive within %s; check the replication rules and role of the primary, and whether the bucket exists with versioning", missing, len(digests), cli.Duration(d.wait))
		case !d.sleep(ctx):
			return fail("interrupted")
		}
	}
}

// pullWithout removes the first blob from all mirrors but the primary, and the second
// from the primary, and reads both through the distribution.
func (d *deployment) pullWithout(ctx context.Context, content []string) outcome {
	for _, region := range d.stage.Routed() {
		digest := digestOf(content[0])
		if region == d.stage.Primary {
			digest = digestOf(content[1])
		}
		if err := d.cloud.remove(ctx, region, digest); err != nil {
			return unknown(err)
		}
	}
	for i, text := range content {
		where := []string{"only the primary", "all mirrors but the primary"}[i]
		r, err := d.get(ctx, "/"+config.BlobPrefix+digestOf(text), nil)
		switch {
		case err != nil:
			return noResponse(err)
		case r.status != 200 || r.body != text:
			return fail("a blob that %s has returns status %d; check the origin group that the edge function creates, and the bucket policy's grant to cloudfront.amazonaws.com", where, r.status)
		}
	}
	return pass("blobs that one mirror does not have are served from another one")
}

// remove removes the blobs from all mirrors and from the caches of the edge, the primary
// first, so that S3 does not replicate them again. It does so even if ctx has ended.
func (d *deployment) remove(ctx context.Context, digests []string) outcome {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removalTime)
	defer cancel()
	var left []string
	for _, region := range d.stage.Filled() {
		for _, digest := range digests {
			err := d.cloud.remove(ctx, region, digest)
			if err == nil {
				var found bool
				if found, err = d.cloud.has(ctx, region, digest); err == nil && !found {
					continue
				}
			}
			problem := "it is still there"
			if err != nil {
				problem = cli.OneLine(err)
			}
			left = append(left, fmt.Sprintf("s3://%s/%s%s: %s", d.stage.Bucket(region), config.BlobPrefix, digest, problem))
		}
	}
	if len(left) > 0 {
		return fail("probe blobs were not removed: %s; remove all their versions", strings.Join(left, "; "))
	}
	if d.stage.HasDistribution() {
		var paths []string
		for _, digest := range digests {
			paths = append(paths, "/"+config.BlobPrefix+digest)
		}
		if err := d.cloud.invalidate(ctx, d.edge, paths); err != nil {
			return fail("the probe blobs are removed, but not invalidated at the edge: %s", cli.OneLine(err))
		}
	}
	return pass("the probe blobs are removed from each mirror and from the caches")
}
