package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// commit returns the commit of the git clone at root, with "-modified" if files
// differ from it.
func commit(ctx context.Context, root string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=-modified")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("finding the commit of %s: %w: run this in a git clone, or use -commit", root, err)
	}
	return strings.TrimSpace(string(out)), nil
}
