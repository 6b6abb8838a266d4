package main

import (
	"context"

	"archeio/infra/stage"
)

// after looks whether another stage runs the redirector of this source in all of
// its regions, as it must before this one may. Its stacks name their code, which
// they do not before a release has gone through: one that was rolled back names
// the code before.
func (p *preflight) after(ctx context.Context, before *stage.Stage, profile string, w world) {
	const where = "release"
	what := "after " + before.Name
	c := p.cloud
	if profile != "" {
		var err error
		if c, err = w.connect(ctx, profile); err != nil {
			p.unknown(where, what, err)
			return
		}
	}
	// Also where it is the same account: this is what makes the cloud know it.
	account, err := c.account(ctx)
	switch {
	case err != nil:
		p.unknown(where, what, err)
		return
	case account != before.Account:
		p.add(where, what, unsure, "the stage %s is in the account %s, which these credentials do not see; name a profile of it by -after-profile to know whether it runs this code", before.Name, before.Account)
		return
	}
	hash, err := w.hash(ctx, before.Architecture)
	if err != nil {
		p.unknown(where, what, err)
		return
	}
	for _, region := range before.Redirectors {
		runs, err := c.Output(ctx, region, before.Stack("redirector", region), stage.CodeHash)
		switch {
		case err != nil:
			p.unknown(where, what, err)
			return
		case runs != hash:
			p.add(where, what, blocked, "the stage %s does not run this code in %s; run make deploy STAGE=%s first and see that it goes through, or put RELEASE=none behind make deploy if there is no time for it", before.Name, region, before.Name)
			return
		}
	}
	p.add(where, what, fine, "the stage %s runs this code in all of its regions", before.Name)
}
