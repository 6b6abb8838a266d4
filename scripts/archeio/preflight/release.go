package preflight

import (
	"context"

	"archeio/infra/stage"
)

// releasedBefore checks that another stage runs the redirector of this source in
// all its regions, as release.after requires. The code hash is an output of a
// stack, so it is that of the last release that succeeded: a release that is still
// running, or was rolled back, does not count.
func (p *preflight) releasedBefore(ctx context.Context, before *stage.Stage, profile string) {
	what := "after " + before.Name
	p.progress.Show("the stage %s", before.Name)
	c := p.cloud
	if profile != "" {
		var err error
		if c, err = p.connect(ctx, profile); err != nil {
			p.unknown(inRelease, what, err)
			return
		}
	}
	// Required even for the same account: other calls need its result.
	account, err := c.account(ctx)
	switch {
	case err != nil:
		p.unknown(inRelease, what, err)
		return
	case account != before.Account:
		p.warn(inRelease, what, "the stage %s is in account %s, which these credentials cannot read; pass a profile for it with -after-profile to check that it runs this code", before.Name, before.Account)
		return
	}
	hash, err := p.codeHash(ctx, before.Architecture)
	if err != nil {
		p.unknown(inRelease, what, err)
		return
	}
	for _, region := range before.Redirectors {
		deployed, err := c.Output(ctx, region, before.Stack("redirector", region), stage.CodeHash)
		switch {
		case err != nil:
			p.unknown(inRelease, what, err)
			return
		case deployed != hash:
			p.fail(inRelease, what, "the stage %s does not run this code in %s; run make deploy STAGE=%s first and wait until it succeeds, or deploy with RELEASE=none to skip this check", before.Name, region, before.Name)
			return
		}
	}
	p.pass(inRelease, what, "the stage %s runs this code in all its regions", before.Name)
}
